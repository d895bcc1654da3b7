"""Images in files, told of by StreamResource and StreamDatum documents."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest
import tifffile
from event_model import DocumentNames, compose_run, schema_validators
from PIL import Image

from bluesky_diffractogram import ReductionCallback
from bluesky_diffractogram.documents import stream_join

from .conftest import SHAPE, Collected, image, raw_run, send
from .stream_runs import DATASET, HDF5, StreamRun, images, uri_of, write_hdf5
from .test_callback import assert_valid, frames_add_up

EIGER = {"chunks": (1, *SHAPE), **hdf5plugin.Bitshuffle(cname="lz4")}


def reference(cfg, frames):
    """The curves of range 1 that the same frames give as arrays in events."""
    collected = Collected()
    with ReductionCallback(cfg, background=False) as diff:
        diff.subscribe(collected)
        send(diff, raw_run(frames))
    return [doc["data"]["diff_1"] for doc in collected.of("event")]


def curves(collected):
    return [doc["data"]["diff_1"] for doc in collected.of("event")]


def reduce(cfg, documents, **options):
    collected = Collected()
    with ReductionCallback(cfg, **options) as diff:
        diff.subscribe(collected)
        send(diff, documents)
        assert diff.wait(30)
    assert_valid(collected)
    return collected


@pytest.fixture
def path(tmp_path):
    return tmp_path / "frames.h5"


def test_the_documents_of_these_tests_are_valid(path):
    for name, doc in StreamRun(path, motor=True).step_scan(2):
        schema_validators[DocumentNames[name]].validate(doc)


@pytest.mark.parametrize(
    "settings", [{}, EIGER, {"chunks": (1, *SHAPE), **hdf5plugin.Blosc()}], ids=["", "eiger", "blosc"]
)
@pytest.mark.parametrize("background", [True, False])
def test_a_step_scan(cfg, path, background, settings):
    write_hdf5(path, images(3), **settings)
    run = StreamRun(uri_of(path), motor=True)
    documents = list(run.step_scan(3))
    collected = reduce(cfg, documents, background=background)
    np.testing.assert_array_equal(curves(collected), reference(cfg, images(3)))
    events = collected.of("event")
    raw = [doc for name, doc in documents if name == "event"]
    assert [doc["data"]["motor"] for doc in events] == [0.0, 10.0, 20.0]
    assert [doc["data"]["raw_event"] for doc in events] == [doc["uid"] for doc in raw]
    assert [doc["time"] for doc in events] == [101.0, 102.0, 103.0]
    assert [doc["data"]["imagename"] for doc in events] == [f"{path}:{i}" for i in range(3)]
    assert frames_add_up(collected.of("stop")[0])["reduced"] == 3


@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize("lots", [(6,), (1, 1, 1, 1, 1, 1), (2, 3, 1)], ids=str)
def test_a_fly_scan_has_no_events(cfg, path, lots, background):
    write_hdf5(path, images(6))
    before = time.time()
    collected = reduce(cfg, StreamRun(uri_of(path)).fly_scan(*lots), background=background)
    np.testing.assert_array_equal(curves(collected), reference(cfg, images(6)))
    events = collected.of("event")
    assert [doc["data"]["raw_seq_num"] for doc in events] == [1, 2, 3, 4, 5, 6]
    assert len({doc["data"]["raw_event"] for doc in events}) == 6
    assert all(before <= doc["time"] <= time.time() for doc in events)
    assert frames_add_up(collected.of("stop")[0])["reduced"] == 6


def test_a_fly_scans_frames_are_reduced_while_it_goes_on(cfg, path):
    write_hdf5(path, images(4))
    collected, run = Collected(), StreamRun(uri_of(path))
    with ReductionCallback(cfg, background=False) as diff:
        diff.subscribe(collected)
        send(diff, run.begin())
        seen = []
        for i in range(4):
            send(diff, [run.datum(i, i + 1)])
            seen.append(len(collected.of("event")))
        # With the first it is not known yet that no event will come.
        assert seen == [0, 2, 3, 4]
        send(diff, [run.stop()])


def test_a_datum_of_several_points_needs_no_event(cfg, path):
    """As in fly scans that tell of their frames once a second."""
    write_hdf5(path, images(3))
    collected, run = Collected(), StreamRun(uri_of(path))
    with ReductionCallback(cfg, background=False) as diff:
        diff.subscribe(collected)
        send(diff, [*run.begin(), run.datum(0, 3)])
        assert len(collected.of("event")) == 3
        send(diff, [run.stop()])


def test_a_replayed_fly_scan_takes_the_time_from_its_documents(cfg, path):
    write_hdf5(path, images(2))
    run = StreamRun(uri_of(path))
    collected = reduce(cfg, run.fly_scan(2), background=False)
    assert {doc["time"] for doc in collected.of("event")} == {run.bundle.descriptor_doc["time"]}


def test_one_datum_before_the_events_of_several_points(cfg, path):
    write_hdf5(path, images(3))
    run = StreamRun(uri_of(path), motor=True)
    documents = [*run.begin(), run.datum(0, 3), *(run.event(i + 1, motor=5.0 * i) for i in range(3)), run.stop()]
    collected = reduce(cfg, documents)
    assert [doc["data"]["motor"] for doc in collected.of("event")] == [0.0, 5.0, 10.0]
    np.testing.assert_array_equal(curves(collected), reference(cfg, images(3)))


@pytest.mark.parametrize("fly", [True, False])
def test_several_frames_for_each_event(cfg, path, fly):
    write_hdf5(path, images(6), **EIGER)
    run = StreamRun(uri_of(path), number=3)
    collected = reduce(cfg, run.fly_scan(2) if fly else run.step_scan(2))
    np.testing.assert_array_equal(curves(collected), reference(cfg, images(6)))
    events = collected.of("event")
    assert [doc["data"]["raw_seq_num"] for doc in events] == [1, 1, 1, 2, 2, 2]
    assert [doc["data"]["frame_index"] for doc in events] == [0, 1, 2, 0, 1, 2]
    assert frames_add_up(collected.of("stop")[0])["reduced"] == 6


@pytest.mark.parametrize("how", ["mean", "sum"])
def test_several_frames_for_each_event_added_up(cfg, path, how):
    write_hdf5(path, images(6))
    cfg = {**cfg, "frames_per_event": how}
    collected = reduce(cfg, StreamRun(uri_of(path), number=3).step_scan(2))
    expected = reference(cfg, [np.array(images(3)), np.array(images(6)[3:])])
    np.testing.assert_array_equal(curves(collected), expected)
    assert frames_add_up(collected.of("stop")[0])["reduced"] == 2


def test_older_documents_name_path_and_spec(cfg, path):
    """event-model before 1.20, ophyd-async 0.3."""
    write_hdf5(path, images(2))
    run = StreamRun("", shape=list(SHAPE))
    run.resource = {
        "uid": "r", "run_start": run.run.start_doc["uid"], "data_key": "det", "spec": "AD_HDF5_SWMR_SLICE",
        "root": str(path.parent), "resource_path": path.name, "path_semantics": "posix",
        "resource_kwargs": {"path": DATASET, "multiplier": 1},
    }  # fmt: skip
    np.testing.assert_array_equal(curves(reduce(cfg, run.step_scan(2))), reference(cfg, images(2)))


def _write_tiff(path, array):
    tifffile.imwrite(path, array, photometric="minisblack")


def _write_jpeg(path, array):
    Image.fromarray((array // 8).astype(np.uint8)).save(path, quality=90)


@pytest.mark.parametrize(
    ("mimetype", "template", "write"),
    [
        ("multipart/related;type=image/tiff", "img_{:06d}.tiff", _write_tiff),
        ("multipart/related; type=image/tiff", "img_%06d.tiff", _write_tiff),
        ("multipart/related;type=image/jpeg", "img_{:06d}.jpg", _write_jpeg),
        ("application/x-npy", "img_{:06d}.npy", np.save),
    ],
)
def test_files_of_one_frame_each(cfg, tmp_path, mimetype, template, write):
    expected = []
    for i, array in enumerate(images(4)):
        file = tmp_path / (template % i if "%" in template else template.format(i))
        write(file, array)
        expected.append(np.asarray(Image.open(file)) if "jpeg" in mimetype else array)
    run = StreamRun(uri_of(tmp_path) + "/", mimetype, {"template": template}, number=2)
    collected = reduce(cfg, run.step_scan(2))
    np.testing.assert_array_equal(curves(collected), reference(cfg, expected))
    assert Path(collected.of("event")[3]["data"]["imagename"]).name.startswith("img_000003")


@pytest.mark.parametrize("template", ["%s%s_%6.6d.tiff", "%s_%06d.tiff", "%s_%d.tiff", "shot_{:05d}.tiff"])
def test_templates_name_the_files_that_bluesky_takes_them_for(cfg, tmp_path, template):
    from bluesky.consolidators import consolidator_factory

    parameters = {"template": template, "filename": "shot", "chunk_shape": (1, *SHAPE)}
    run = StreamRun(uri_of(tmp_path) + "/", "multipart/related;type=image/tiff", parameters)
    theirs = consolidator_factory(run.resource, run.bundle.descriptor_doc)
    for i, array in enumerate(images(3)):
        _write_tiff(theirs.get_datum_uri(i).removeprefix("file://localhost"), array)
    collected = reduce(cfg, run.step_scan(3))
    np.testing.assert_array_equal(curves(collected), reference(cfg, images(3)))


@pytest.mark.parametrize("name", ["a b#c%20d", "plain", "100%"])
@pytest.mark.parametrize("form", ["raw", "encoded", "path"])
def test_the_forms_of_a_uri(cfg, tmp_path, name, form):
    folder = tmp_path / name
    folder.mkdir()
    path = folder / "frames.h5"
    write_hdf5(path, images(1))
    uri = {"raw": uri_of(path), "encoded": path.as_uri(), "path": str(path)}[form]
    assert frames_add_up(reduce(cfg, StreamRun(uri).step_scan(1)).of("stop")[0])["reduced"] == 1


def test_root_map_says_where_the_files_lie_now(cfg, tmp_path):
    write_hdf5(tmp_path / "frames.h5", images(1))
    documents = StreamRun("file://ioc.example/there/now/frames.h5").step_scan(1)
    collected = reduce(cfg, documents, root_map={"/there": "/nowhere", "/there/now": str(tmp_path)})
    assert frames_add_up(collected.of("stop")[0])["reduced"] == 1


@pytest.mark.parametrize("lead", ["itself", "link", "external link", "virtual", "external storage", "template"])
def test_nothing_is_opened_outside_the_roots(cfg, tmp_path, lead, caplog):
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    secret = outside / "frames.h5"
    write_hdf5(secret, images(2))
    path, mimetype, parameters = inside / "frames.h5", HDF5, None
    match lead:
        case "itself":
            path = inside / ".." / "out" / "frames.h5"
        case "link":
            path.symlink_to(secret)
        case "external link":
            with h5py.File(path, "w") as file:
                file["entry"] = h5py.ExternalLink(str(secret), "/entry")
        case "virtual":
            layout = h5py.VirtualLayout((2, *SHAPE), np.uint16)
            layout[:] = h5py.VirtualSource(str(secret), DATASET, (2, *SHAPE))
            with h5py.File(path, "w") as file:
                file.create_virtual_dataset(DATASET, layout)
        case "external storage":
            np.array(images(2)).tofile(outside / "raw")
            with h5py.File(path, "w") as file:
                file.create_dataset(
                    DATASET, (2, *SHAPE), np.uint16, external=[(str(outside / "raw"), 0, h5py.h5f.UNLIMITED)]
                )
        case "template":
            _write_tiff(outside / "0.tif", image(0))
            path, mimetype = inside, "multipart/related;type=image/tiff"
            parameters = {"template": "../out/{}.tif"}
    run = StreamRun(uri_of(path), mimetype, parameters)
    allowed = reduce(cfg, run.step_scan(1), roots=[str(tmp_path)])
    assert frames_add_up(allowed.of("stop")[0])["reduced"] == 1  # what is refused next is readable
    run = StreamRun(uri_of(path), mimetype, parameters)
    refused = reduce(cfg, run.step_scan(1), roots=[str(inside)])
    assert frames_add_up(refused.of("stop")[0])["reasons"] == {"unreadable": 1}
    assert "outside the allowed folders" in caplog.text


@pytest.mark.parametrize(
    ("uri", "mimetype", "message"),
    [
        ("file://localhost/x.csv", "text/csv;header=absent", "no reader for 'text/csv"),
        ("http://a/b.h5", HDF5, "no file: URI"),
        ("/a/b.h5", HDF5 + "?slice", "only '(:,0)' is meant"),
    ],
)
def test_what_nobody_reads_is_skipped_at_once(cfg, path, uri, mimetype, message, caplog):
    write_hdf5(path, images(2))
    sliced = {"dataset": DATASET, "slice": "(:,0)"} if mimetype.endswith("?slice") else None
    bad, good = StreamRun(uri, mimetype.removesuffix("?slice"), sliced), StreamRun(uri_of(path))
    collected = reduce(cfg, [*bad.step_scan(2), *good.step_scan(2)])
    assert frames_add_up(collected.of("stop")[0])["reasons"] == {"unreadable": 2}
    assert message in caplog.text
    np.testing.assert_array_equal(curves(collected), reference(cfg, images(2)))


def test_a_file_that_comes_after_the_stop_is_waited_for(cfg, path, collected):
    run = StreamRun(uri_of(path))
    with ReductionCallback(cfg, file_timeout=20) as diff:
        diff.subscribe(collected)
        send(diff, run.step_scan(3))
        threading.Timer(0.5, lambda: write_hdf5(path, images(3))).start()
        assert diff.wait(20)
    np.testing.assert_array_equal(curves(collected), reference(cfg, images(3)))
    assert frames_add_up(collected.of("stop")[0])["reduced"] == 3


def test_a_frame_that_is_never_written_is_skipped_and_not_read_as_zeros(cfg, path, collected, caplog):
    with h5py.File(path, "w") as file:
        data = file.create_dataset(DATASET, (3, *SHAPE), np.uint16, chunks=(1, *SHAPE))
        data[0], data[2] = image(0), image(2)
    with ReductionCallback(cfg, file_timeout=0.3) as diff:
        diff.subscribe(collected)
        send(diff, StreamRun(uri_of(path)).step_scan(3))
        assert diff.wait(20)
    np.testing.assert_array_equal(curves(collected), reference(cfg, [image(0), image(2)]))
    assert frames_add_up(collected.of("stop")[0])["reasons"] == {"file": 1}
    assert "seq_num 2" in caplog.text


@pytest.mark.parametrize("there", [(0, 1, 2, 3, 5), (0, 1, 2, 3, 4), (1, 2, 3, 4, 5), (4,), ()], ids=str)
def test_some_of_an_events_frames_are_never_written(cfg, path, collected, there):
    with h5py.File(path, "w") as file:
        data = file.create_dataset(DATASET, (6, *SHAPE), np.uint16, chunks=(1, *SHAPE))
        for i in there:
            data[i] = image(i)
    with ReductionCallback(cfg, file_timeout=0.3) as diff:
        diff.subscribe(collected)
        send(diff, StreamRun(uri_of(path), number=3).step_scan(2))
        assert diff.wait(20)
    frames = frames_add_up(collected.of("stop")[0])
    assert (frames["received"], frames["reduced"]) == (6, len(there))
    assert frames["reasons"] == {"file": 6 - len(there)}
    got = [3 * (doc["data"]["raw_seq_num"] - 1) + doc["data"]["frame_index"] for doc in collected.of("event")]
    assert got == list(there)


@pytest.mark.parametrize("after_the_event", [True, False])
def test_a_rewind_takes_the_point_again(cfg, path, after_the_event):
    """The seq_num is repeated with new indices, whether or not the first try got to its event."""
    write_hdf5(path, images(4))
    run = StreamRun(uri_of(path), motor=True)
    documents = [*run.begin(), run.datum(0, 1), run.event(1, motor=1.0), run.datum(1, 2)]
    if after_the_event:
        documents.append(run.event(2, motor=2.0))
    documents += [
        run.datum(2, 3, seq_num=2),
        run.event(2, motor=2.5),
        run.datum(3, 4, seq_num=3),
        run.event(3, motor=3.0),
    ]
    collected = reduce(cfg, [*documents, run.stop()])
    frames = frames_add_up(collected.of("stop")[0])
    assert (frames["received"], frames["reduced"], frames["replaced"]) == (4, 3, 1)
    last = {doc["data"]["raw_seq_num"]: doc for doc in collected.of("event")}
    np.testing.assert_array_equal(
        [last[i]["data"]["diff_1"] for i in (1, 2, 3)], reference(cfg, [image(i) for i in (0, 2, 3)])
    )
    assert [last[i]["data"]["motor"] for i in (1, 2, 3)] == [1.0, 2.5, 3.0]


def test_an_aborted_point_has_no_event(cfg, path):
    write_hdf5(path, images(2))
    run = StreamRun(uri_of(path), motor=True)
    documents = [*run.begin(), run.datum(0, 1), run.event(1, motor=1.0), run.datum(1, 2)]
    collected = reduce(cfg, [*documents, ("stop", run.run.compose_stop(exit_status="abort"))])
    assert frames_add_up(collected.of("stop")[0])["reduced"] == 2
    assert np.isnan(collected.of("event")[1]["data"]["motor"])
    assert collected.of("stop")[0]["exit_status"] == "abort"


def test_an_event_that_was_lost_holds_nothing_up(cfg, path, collected):
    write_hdf5(path, images(3))
    run = StreamRun(uri_of(path), motor=True)
    with ReductionCallback(cfg, background=False) as diff:
        diff.subscribe(collected)
        send(diff, [*run.begin(), run.datum(0, 1), run.datum(1, 2), run.event(2, motor=2.0)])
        assert [doc["data"]["raw_seq_num"] for doc in collected.of("event")] == [1, 2]
        send(diff, [run.stop()])


def test_interleaved_runs_share_a_detectors_file(cfg, path, collected):
    """The detector tells of its file once, in the first run."""
    write_hdf5(path, images(5))
    one = StreamRun(uri_of(path))
    other = StreamRun("", resource=one.resource)
    with ReductionCallback(cfg) as diff:
        diff.subscribe(collected)
        send(diff, [*one.begin(), *list(other.begin())[:2]])
        send(diff, [one.datum(0, 1), one.event(1), other.datum(1, 2, seq_num=1), other.event(1)])
        send(diff, [one.datum(2, 3, seq_num=2), one.event(2), one.stop()])
        send(diff, [other.datum(3, 4, seq_num=2), other.event(2), other.stop()])
        assert diff.wait(20)
    starts = {doc["raw_uid"]: doc["uid"] for doc in collected.of("start")}
    descriptors = {doc["uid"]: doc["run_start"] for doc in collected.of("descriptor")}
    for run, which in ((one, (0, 2)), (other, (1, 3))):
        mine = [
            doc["data"]["diff_1"]
            for doc in collected.of("event")
            if descriptors[doc["descriptor"]] == starts[run.run.start_doc["uid"]]
        ]
        np.testing.assert_array_equal(mine, reference(cfg, [image(i) for i in which]))


def test_two_detectors_through_two_callbacks(cfg, tmp_path):
    write_hdf5(tmp_path / "a.h5", images(2))
    write_hdf5(tmp_path / "b.h5", images(4)[2:])
    one, other = (StreamRun(uri_of(tmp_path / f"{name}.h5"), data_key=name) for name in "ab")
    keys = {**one.bundle.descriptor_doc["data_keys"], **other.bundle.descriptor_doc["data_keys"]}
    descriptor = {**one.bundle.descriptor_doc, "data_keys": keys, "object_keys": {"a": ["a"], "b": ["b"]}}
    other.bundle = one.bundle
    documents = [("start", one.run.start_doc), ("descriptor", descriptor)]
    documents += [("stream_resource", one.resource), ("stream_resource", other.resource)]
    for i in range(2):
        documents += [one.datum(i, i + 1), other.datum(i, i + 1), one.event(i + 1)]
    documents.append(one.stop())
    for name, which in (("a", (0, 1)), ("b", (2, 3))):
        collected = reduce({**cfg, "image_key": name}, documents)
        np.testing.assert_array_equal(curves(collected), reference(cfg, [image(i) for i in which]))


def test_subscribed_late(cfg, path, collected):
    write_hdf5(path, images(2))
    documents = list(StreamRun(uri_of(path)).step_scan(2))
    with ReductionCallback(cfg, background=False) as diff:
        diff.subscribe(collected)
        send(diff, documents[2:])
        assert diff.ignored == {"stream_datum": 2, "event": 2, "stop": 1}
        send(diff, StreamRun(uri_of(path)).step_scan(2))
    assert frames_add_up(collected.of("stop")[0])["reduced"] == 2


def test_a_datum_whose_resource_was_not_seen_is_counted(cfg, path, collected):
    run = StreamRun(uri_of(path))
    with ReductionCallback(cfg, background=False) as diff:
        diff.subscribe(collected)
        send(diff, [doc for doc in run.step_scan(2) if doc[0] != "stream_resource"])
        assert diff.ignored["stream_datum"] == 2


def test_other_streams_and_other_data_of_the_detector_are_passed_over(cfg, path):
    """Baseline and monitor streams hold images too, and a detector's own statistics are streams."""
    write_hdf5(path, images(1))
    run = StreamRun(uri_of(path))
    baseline = run.run.compose_descriptor(name="baseline", data_keys=run.bundle.descriptor_doc["data_keys"])
    other = {**run.resource, "uid": "sum", "data_key": "det-sum"}
    documents = list(run.step_scan(1))
    _, datum = documents[3]
    extra = [
        ("descriptor", baseline.descriptor_doc), ("stream_resource", other),
        ("stream_datum", {**datum, "uid": "sum/0", "stream_resource": "sum"}),
        ("stream_datum", {**datum, "uid": "x/0", "descriptor": baseline.descriptor_doc["uid"]}),
    ]  # fmt: skip
    collected = reduce(cfg, documents[:3] + extra + documents[3:])
    assert frames_add_up(collected.of("stop")[0])["received"] == 1


def test_next_while_stopped_and_after_the_run(cfg, path, collected):
    write_hdf5(path, images(3))
    with ReductionCallback({**cfg, "show_diff": False}) as diff:
        diff.subscribe(collected)
        run = StreamRun(uri_of(path))
        documents = list(run.step_scan(3))
        send(diff, documents[:-1])
        diff.next()
        send(diff, documents[-1:])
        diff.wait(20)
        frames = frames_add_up(collected.of("stop")[0])
        assert (frames["reduced"], frames["not_requested"]) == (1, 2)
        np.testing.assert_array_equal(curves(collected), reference(cfg, [image(2)]))
        diff.next()
        diff.wait(20)
        assert len(diff.buffers[0]) == 1  # the same frame again takes its own place


def test_nothing_is_kept_of_runs_that_are_over(cfg, path, collected):
    write_hdf5(path, images(2))
    with ReductionCallback(cfg, background=False) as diff:
        for _ in range(100):
            send(diff, StreamRun(uri_of(path)).step_scan(2))
        assets = diff._pipeline._assets
        assert not assets._open
        assert len(assets._stream_resources) <= 64
        assert not diff._arrivals.intake._runs
        assert not diff._pipeline._runs
    from bluesky_diffractogram.files import HDF5Frames

    assert str(path) not in {key[0] for key in HDF5Frames._shared}


def test_a_second_descriptor_goes_on_with_other_images(cfg, path, tmp_path):
    """After `configure` in mid-run a stream has a new descriptor, and its detector perhaps a new file."""
    write_hdf5(path, images(2))
    write_hdf5(tmp_path / "b.h5", images(4)[2:])
    run = StreamRun(uri_of(path))
    documents = list(run.step_scan(2))
    run.bundle = run.run.compose_descriptor(
        name="primary", data_keys=run.bundle.descriptor_doc["data_keys"], object_keys={"det": ["det"]}, hints={}
    )
    run.resource = {**run.resource, "uid": "second", "uri": uri_of(tmp_path / "b.h5")}
    more = [("descriptor", run.bundle.descriptor_doc), ("stream_resource", run.resource)]
    for i in range(2):
        more += [run.datum(i, i + 1, seq_num=3 + i), run.event(3 + i)]
    collected = reduce(cfg, [*documents[:-1], *more, documents[-1]])
    np.testing.assert_array_equal(curves(collected), reference(cfg, images(4)))
    assert frames_add_up(collected.of("stop")[0])["reduced"] == 4


def test_runs_without_a_stop_do_not_grow_for_ever(cfg, path, collected):
    write_hdf5(path, images(1))
    with ReductionCallback(cfg, background=False) as diff:
        diff.subscribe(collected)
        for _ in range(70):
            send(diff, list(StreamRun(uri_of(path)).step_scan(1))[:-1])
        assert len(diff._arrivals.intake._runs) <= 64
        assert len(collected.of("stop")) == 6
    assert {doc["exit_status"] for doc in collected.of("stop")} == {"abort"}
    assert len(collected.of("stop")) == 70


def test_the_next_frame_is_read_while_one_is_integrated(cfg, path, collected, monkeypatch):
    from bluesky_diffractogram.files import HDF5Frames
    from bluesky_diffractogram.reduction.reducer import Reducer

    write_hdf5(path, images(4))
    expected = reference(cfg, images(4))
    begun, reducing = {}, threading.Event()
    real_read, real_reduce = HDF5Frames.read, Reducer.reduce
    ahead = []

    def read(self, index, *arguments):
        begun.setdefault(index, threading.Event()).set()
        return real_read(self, index, *arguments)

    def reduce(self, frame):
        n = int(frame.imagename.rsplit(":", 1)[1])
        if n in (1, 2):
            ahead.append(begun.setdefault(n + 1, threading.Event()).wait(10))
        return real_reduce(self, frame)

    monkeypatch.setattr(HDF5Frames, "read", read)
    monkeypatch.setattr(Reducer, "reduce", reduce)
    with ReductionCallback(cfg) as diff:
        diff.subscribe(collected)
        # The worker waits here until all is in the queue: it is behind the scan.
        diff.subscribe(lambda name, doc: reducing.wait(10) if name == "start" else None)
        send(diff, StreamRun(uri_of(path), motor=True).step_scan(4))
        reducing.set()
        assert diff.wait(20)
    assert ahead == [True, True]
    np.testing.assert_array_equal(curves(collected), expected)


def area_detector_run(folder, spec, kwargs, n, number=1):
    """Resource and Datum documents of ophyd's areaDetector plugins."""
    run = compose_run()
    yield "start", run.start_doc
    key = {"source": "s", "dtype": "array", "shape": [number, *SHAPE], "external": "FILESTORE:", "object_name": "det"}
    bundle = run.compose_descriptor(name="primary", data_keys={"image": key}, object_keys={"det": ["image"]})
    yield "descriptor", bundle.descriptor_doc
    resource_path = "frames.h5" if "HDF5" in spec else ""
    resource = run.compose_resource(
        spec=spec, root=str(folder), resource_path=resource_path, resource_kwargs={"frame_per_point": number, **kwargs}
    )
    yield "resource", resource.resource_doc
    for i in range(n):
        datum = resource.compose_datum(datum_kwargs={"point_number": i})
        yield "datum", datum
        data = {"image": datum["datum_id"]}
        yield "event", bundle.compose_event(data=data, timestamps={"image": 100.0 + i}, filled={"image": False})
    yield "stop", run.compose_stop()


@pytest.mark.parametrize("spec", ["AD_HDF5", "AD_HDF5_SWMR", "AD_TIFF"])
@pytest.mark.parametrize("number", [1, 3])
def test_area_detectors_files_are_read_here(cfg, tmp_path, spec, number, monkeypatch):
    from bluesky_diffractogram.documents.filled import Datums

    monkeypatch.setattr(Datums, "fill", None)
    kwargs = {}
    if spec == "AD_TIFF":
        kwargs = {"template": "%s%s_%6.6d.tiff", "filename": "a%b"}
        for i, array in enumerate(images(2 * number)):
            _write_tiff(tmp_path / f"a%b_{i:06d}.tiff", array)
    else:
        write_hdf5(tmp_path / "frames.h5", images(2 * number))
    collected = reduce(cfg, area_detector_run(tmp_path, spec, kwargs, 2, number))
    np.testing.assert_array_equal(curves(collected), reference(cfg, images(2 * number)))
    assert [doc["data"]["frame_index"] for doc in collected.of("event")] == list(range(number)) * 2


def test_a_given_handler_comes_before_ours(cfg, tmp_path):
    class Mine:
        specs = frozenset({"AD_HDF5"})

        def __init__(self, path, frame_per_point):
            pass

        def __call__(self, point_number):
            return np.array([image(7 + point_number)])

    write_hdf5(tmp_path / "frames.h5", images(2))
    collected = reduce(cfg, area_detector_run(tmp_path, "AD_HDF5", {}, 2), handler_registry={"AD_HDF5": Mine})
    np.testing.assert_array_equal(curves(collected), reference(cfg, [image(7), image(8)]))


def test_roots_hold_for_resources_too(cfg, tmp_path):
    write_hdf5(tmp_path / "frames.h5", images(1))
    collected = reduce(cfg, area_detector_run(tmp_path, "AD_HDF5", {}, 1), roots=[str(tmp_path / "elsewhere")])
    assert frames_add_up(collected.of("stop")[0])["reasons"] == {"unreadable": 1}


def test_an_event_that_comes_before_its_datum_brings_its_readings_all_the_same(cfg, tmp_path):
    """As some stores give them back."""
    path = tmp_path / "frames.h5"
    write_hdf5(path, images(4))
    documents = list(StreamRun(uri_of(path), motor=True).step_scan(4))
    for i in range(3, len(documents) - 1, 2):
        documents[i], documents[i + 1] = documents[i + 1], documents[i]
    assert [name for name, _ in documents[3:5]] == ["event", "stream_datum"]
    collected = reduce(cfg, documents)
    assert frames_add_up(collected.of("stop")[0])["reduced"] == 4
    assert [doc["data"]["motor"] for doc in collected.of("event")] == [0.0, 10.0, 20.0, 30.0]


def test_all_events_of_a_long_run_may_come_before_its_one_datum(cfg, tmp_path):
    """As a writer's file of documents may have them."""
    path = tmp_path / "frames.h5"
    write_hdf5(path, images(4) * 40)
    run = StreamRun(uri_of(path), motor=True)
    events = [run.event(n + 1, motor=float(n)) for n in range(160)]
    collected = reduce(cfg, [*run.begin(), *events, run.datum(0, 160), run.stop()])
    assert frames_add_up(collected.of("stop")[0])["reduced"] == 160
    assert [doc["data"]["motor"] for doc in collected.of("event")] == [float(n) for n in range(160)]
    assert [doc["data"]["raw_seq_num"] for doc in collected.of("event")] == list(range(1, 161))


def test_events_that_nobody_can_keep_any_more_are_told_of(cfg, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(stream_join, "MOST_EARLY", 3)
    path = tmp_path / "frames.h5"
    write_hdf5(path, images(6))
    run = StreamRun(uri_of(path), motor=True)
    events = [run.event(n + 1, motor=float(n)) for n in range(6)]
    collected = reduce(cfg, [*run.begin(), *events, run.datum(0, 6), run.stop()])
    assert frames_add_up(collected.of("stop")[0])["reduced"] == 6
    assert caplog.text.count("more than 3 events wait for a StreamDatum: from the seq_num 1 on") == 1
