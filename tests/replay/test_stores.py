"""Raw and derived runs in the stores that people have: databroker's temp() and an embedded tiled server."""

from __future__ import annotations

import bluesky.plans as bp
import h5py
import numpy as np
import pytest
import xarray
from bluesky_tiled_plugins import TiledWriter
from databroker import temp
from documents.conftest import SHAPE, Collected, image, raw_run
from documents.merged_runs import TwoStreams, in_memory, merged_config
from documents.merged_runs import frames as two_series
from documents.stream_runs import DATASET, StreamRun, images, uri_of, write_hdf5
from live_runs import Live, assert_same_numbers, live_of, run_live
from ponis import write_poni
from tiled_servers import tiled_server_here

from bluesky_diffractogram import ReductionCallback, ReplayError, replay
from bluesky_diffractogram.replay.read_derived import read_derived
from bluesky_diffractogram.service.jsonlines import JsonLines

pytestmark = pytest.mark.xdist_group("stores")  # one server, one catalogue


@pytest.fixture(scope="module")
def cfg(tmp_path_factory):
    poni = write_poni(
        tmp_path_factory.mktemp("poni") / "small.poni", shape=SHAPE, pixel=(6e-4, 5e-4), rot=(0.02, -0.03, 0.0)
    )
    ranges = [[10, 60, 4, 16], [-5, 40, 5, 15]]
    return {"calibration": str(poni), "diff_ranges": ranges, "diff_units": "q [1/A]", "npt": 150}


@pytest.fixture(scope="module")
def broker(tiled):
    """Made after the server, whose key databroker's own would have to know otherwise."""
    return temp().v1


@pytest.fixture(scope="module")
def tiled_files(tmp_path_factory):
    """The folder that the server may read, to which runs write."""
    return tmp_path_factory.mktemp("detector")


@pytest.fixture(scope="module")
def tiled(tiled_files, tmp_path_factory):
    """A client of a server in this process; nothing in it exports documents."""
    from tiled.client import from_uri

    with tiled_server_here(tmp_path_factory.mktemp("server"), readable_storage=str(tiled_files)) as server:
        yield from_uri(server.uri)


def store(documents, sink):
    for name, doc in documents:
        sink(name, doc)


def described(frames):
    """The data key of composed runs, with the dtype, which stores that make lists of arrays otherwise lose."""
    return {
        "source": "test", "dtype": "array", "dtype_numpy": frames[0].dtype.str, "shape": list(frames[0].shape),
        "object_name": "det",
    }  # fmt: skip


def marked(frames):
    """With the top value of uint16, which marks a bad pixel in that dtype alone."""
    for frame in frames:
        frame[30:90, 70] = 2**16 - 1
    return frames


def a_run_with_arrays(cfg, n=3):
    frames = marked(images(n))
    carried = {"motor": [10.0 * i for i in range(n)]}
    metadata = {"hints": {"dimensions": [[["motor"], "primary"]]}, "plan_name": "scan"}
    return live_of(cfg, list(raw_run(frames, carried=carried, metadata=metadata, data_key=described(frames))))


@pytest.fixture(scope="module")
def arrays(cfg, broker, tiled):
    """A run with arrays in its events, in both stores."""
    live = a_run_with_arrays(cfg)
    store(live.raw, broker.insert)
    store(live.raw, TiledWriter(tiled))
    return live


@pytest.fixture(scope="module")
def derived(arrays, tiled):
    """Its derived run, in tiled."""
    store(arrays.derived, TiledWriter(tiled, max_array_size=0))
    return tiled[arrays.derived[0][1]["uid"]]


# -- databroker ----------------------------------------------------------------------------------------------


def each_interface(broker, uid):
    return {"header": broker[uid], "v2": broker.v2[uid], "uid": uid}


@pytest.mark.parametrize("interface", ["header", "v2", "uid"])
def test_databroker_with_arrays_in_events(cfg, broker, arrays, interface):
    run = each_interface(broker, arrays.uid)[interface]
    found = replay(run, cfg, catalog=broker).to_xarray()
    assert_same_numbers(found, arrays)
    assert found["motor"].values.tolist() == [0, 10, 20]


def test_databroker_with_npy_files(cfg, broker, motor, npy_detector):
    live = run_live(cfg, bp.scan([npy_detector], motor, 0, 2, 3))
    store(live.raw, broker.insert)
    for run in (broker[live.uid], broker.v2[live.uid]):
        assert_same_numbers(replay(run, cfg).to_xarray(), live)


def test_databroker_keeps_no_stream_documents_which_is_said(cfg, broker, tmp_path):
    write_hdf5(tmp_path / "frames.h5", images(3))
    live = live_of(cfg, StreamRun(uri_of(tmp_path / "frames.h5"), motor=True).step_scan(3))
    store(live.raw, broker.insert)
    without = [(name, doc) for name, doc in live.raw if not name.startswith("stream_")]
    with pytest.raises(ReplayError, match=r"3 events, and nothing in its documents says"):
        replay(without, cfg).to_xarray()
    for run in (broker[live.uid], broker.v2[live.uid]):
        with pytest.raises(ReplayError, match=r"keep no StreamResource.*from tiled"):
            replay(run, cfg).to_xarray()


def test_a_query_replays_what_it_finds(cfg):
    broker = temp().v1
    runs = [a_run_with_arrays(cfg, n) for n in (1, 2)]
    for live in runs:
        store(live.raw, broker.insert)
    store(raw_run(images(1), metadata={"plan_name": "other"}), broker.insert)
    found = replay(broker(plan_name="scan"), cfg).to_xarrays()
    assert {uid for uid, _ in found} == {live.uid for live in runs}
    assert len(replay(broker.v2, cfg).to_xarrays()) == 3


# -- tiled ---------------------------------------------------------------------------------------------------


def test_tiled_with_arrays_in_events(cfg, tiled, arrays):
    found = replay(tiled[arrays.uid], cfg).to_xarray()
    assert_same_numbers(found, arrays)
    assert found["motor"].values.tolist() == [0, 10, 20]
    np.testing.assert_array_equal(found["time"], replay(arrays.raw, cfg).to_xarray()["time"])


def test_tiled_with_npy_files(cfg, tiled, tiled_files, motor, npy_detector):
    npy_detector.save_path = str(tiled_files)
    live = run_live(cfg, bp.scan([npy_detector], motor, 0, 2, 3))
    store(live.raw, TiledWriter(tiled))
    found = replay(tiled[live.uid], cfg).to_xarray()
    assert_same_numbers(found, live)
    assert all(name.startswith(str(tiled_files)) for name in found["imagename"].values)


@pytest.mark.parametrize("fly", [True, False])
@pytest.mark.parametrize("number", [1, 2])
def test_tiled_with_an_hdf5_file(cfg, tiled, tiled_files, fly, number):
    path = tiled_files / f"frames {fly} {number}.h5"
    write_hdf5(path, marked(images(6)))
    run = StreamRun(uri_of(path), number=number, motor=not fly)
    live = live_of(cfg, run.fly_scan(6 // number) if fly else run.step_scan(6 // number))
    store(live.raw, TiledWriter(tiled))
    found = replay(tiled[live.uid], cfg).to_xarray()
    assert_same_numbers(found, live)
    assert found["seq_num"].values.tolist() == [data["raw_seq_num"] for data in live.events]


@pytest.mark.parametrize("where", ["events", "files"])
def test_tiled_with_two_detectors(tiled, tiled_files, tmp_path, where):
    cfg = merged_config(tmp_path)
    firsts, seconds = two_series(3)
    if where == "events":
        data_keys = {
            key: {"source": "s", "dtype": "array", "dtype_numpy": taken.dtype.str, "shape": list(taken.shape)}
            for key, taken in (("det1", firsts[0]), ("det2", seconds[0]))
        }
        both = [{"det1": first, "det2": second} for first, second in zip(firsts, seconds, strict=True)]
        documents = in_memory(both, **data_keys)
    else:
        paths = tiled_files / "two 1.h5", tiled_files / "two 2.h5"
        for path, taken in zip(paths, (firsts, seconds), strict=True):
            write_hdf5(path, taken)
        documents = TwoStreams(paths).step_scan(3)
    live = live_of(cfg, documents)
    store(live.raw, TiledWriter(tiled, max_array_size=0))
    found = replay(tiled[live.uid], cfg).to_xarray()
    assert len(live.events) == 3
    assert_same_numbers(found, live)


@pytest.mark.parametrize("number", [1, 2])
def test_files_that_only_the_server_has_are_read_through_it(cfg, tiled, tiled_files, number, tmp_path):
    path = tiled_files / f"served {number}.h5"
    write_hdf5(path, marked(images(4)))
    parameters = {"dataset": DATASET, "chunk_shape": (1, *SHAPE), "join_method": "concat"}
    run = StreamRun(uri_of(path), parameters=parameters, number=number, motor=True)
    run.bundle.descriptor_doc["data_keys"]["det"]["dtype_numpy"] = "<u2"
    live = live_of(cfg, run.step_scan(4 // number))
    store(live.raw, TiledWriter(tiled))
    elsewhere = replay(tiled[live.uid], cfg, root_map={str(tiled_files): str(tmp_path / "not here")})
    found = elsewhere.to_xarray()
    assert_same_numbers(found, live)
    assert not any(name.startswith(str(tmp_path)) for name in found["imagename"].values)


def test_files_that_neither_has_are_an_error_that_says_what_to_do(cfg, tiled, tiled_files, monkeypatch):
    monkeypatch.setattr("tiled.client.utils.TILED_RETRY_ATTEMPTS", 2)  # of ten, which take half a minute
    path = tiled_files / "gone.h5"
    write_hdf5(path, images(2))
    live = live_of(cfg, StreamRun(uri_of(path), motor=True).step_scan(2))
    store(live.raw, TiledWriter(tiled))
    path.unlink()
    with pytest.raises(ReplayError, match="root_map"):
        replay(tiled[live.uid], cfg).to_xarray()


def some_of_a_file(path, indices, exit_status="success"):
    """The documents of a run that has only some of the frames that there are in a file."""
    run = StreamRun(uri_of(path), motor=True)
    yield from run.begin()
    for n, index in enumerate(indices, 1):
        yield run.datum(index, index + 1, seq_num=n)
        yield run.event(n, motor=10.0 * n)
    yield "stop", run.run.compose_stop(exit_status=exit_status)


def test_which_frames_of_a_larger_file_are_the_runs_is_not_in_tiled_which_is_said(cfg, tiled, tiled_files):
    """What tiled's own array holds then is the file's first frames, whatever the StreamDatum documents said."""
    path = tiled_files / "longer.h5"
    write_hdf5(path, images(6))
    live = live_of(cfg, some_of_a_file(path, [3, 4, 5]))
    store(live.raw, TiledWriter(tiled))
    with pytest.raises(ReplayError) as error:
        replay(tiled[live.uid], cfg).to_xarray()
    assert f"has 3 of the 6 frames in {path}, and tiled does not keep which" in str(error.value)
    assert "root_map" not in str(error.value)
    assert_same_numbers(replay(live.raw, cfg).to_xarray(), live)


def test_of_a_run_that_was_aborted_the_first_frames_of_its_file_are_taken(cfg, tiled, tiled_files, caplog):
    path = tiled_files / "aborted.h5"
    write_hdf5(path, marked(images(5)))
    live = live_of(cfg, some_of_a_file(path, [0, 1, 2], "abort"))
    store(live.raw, TiledWriter(tiled))
    assert_same_numbers(replay(tiled[live.uid], cfg).to_xarray(), live)
    assert f"of the 5 frames in {path} the first 3 are taken" in caplog.text


def test_room_that_was_made_for_more_frames_is_no_frames(cfg, tiled, tiled_files, caplog):
    path = tiled_files / "room.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset(DATASET, (6, *SHAPE), "u2", chunks=(1, *SHAPE))[:3] = marked(images(3))
    live = live_of(cfg, some_of_a_file(path, [0, 1, 2]))
    store(live.raw, TiledWriter(tiled))
    assert_same_numbers(replay(tiled[live.uid], cfg).to_xarray(), live)
    assert "frames in" not in caplog.text


def test_tiled_with_several_hdf5_files(cfg, tiled, tiled_files):
    paths = [tiled_files / f"part {n}.h5" for n in range(2)]
    for path, frames in zip(paths, (images(5)[:2], images(5)[2:]), strict=True):
        write_hdf5(path, frames)
    run = StreamRun(uri_of(paths[0]), motor=True)
    second = StreamRun(uri_of(paths[1])).resource | {"run_start": run.run.start_doc["uid"]}
    documents = [*run.begin()]
    for n in range(5):
        if n == 2:
            documents.append(("stream_resource", second))
            run.resource = second
        documents += [run.datum(n % 2 if n < 2 else n - 2, n % 2 + 1 if n < 2 else n - 1, seq_num=n + 1)]
        documents += [run.event(n + 1, motor=float(n))]
    live = live_of(cfg, [*documents, run.stop()])
    store(live.raw, TiledWriter(tiled))
    found = replay(tiled[live.uid], cfg).to_xarray()
    assert_same_numbers(found, live)
    assert [name.partition(".h5")[0] for name in found["imagename"].values] == [
        *[str(paths[0])[:-3]] * 2, *[str(paths[1])[:-3]] * 3,
    ]  # fmt: skip


def test_a_catalogue_of_tiled(cfg, tiled):
    node = tiled.create_container("several runs")
    runs = [a_run_with_arrays(cfg, n) for n in (1, 2)]
    for live in runs:
        store(live.raw, TiledWriter(node))
    store(raw_run([np.zeros(3)]), TiledWriter(node))
    again = replay(node, cfg)
    assert {uid for uid, _ in again.to_xarrays()} == {live.uid for live in runs}
    assert len(again.failures) == 1
    assert_same_numbers(replay(runs[0].uid, cfg, catalog=node).to_xarray(), runs[0])


# -- derived runs ----------------------------------------------------------------------------------------------


def test_a_derived_run_in_databroker_is_read_back_and_computed_again(cfg, broker, arrays):
    analysed = temp().v1
    store(arrays.derived, analysed.insert)
    assert_same_numbers(replay(analysed[-1], raw=broker).to_xarray(), arrays)


def test_a_derived_run_in_tiled_is_read_back_and_computed_again(cfg, tiled, arrays, derived):
    live = arrays
    stream = derived["diffractogram"]
    expected = np.array([data["diff_1"] for data in live.events])
    assert stream["diff_1"].dtype == np.float64
    np.testing.assert_array_equal(stream["diff_1"].read(), expected)
    peaks = np.array([data["peaks_1"] for data in live.events])
    np.testing.assert_array_equal(stream["peaks_1"].read(), peaks)
    assert stream["n_peaks_1"].read().tolist() == [data["n_peaks_1"] for data in live.events]
    assert_same_numbers(replay(derived, raw=tiled).to_xarray(), live)


def test_what_is_replayed_is_stored_in_a_catalogue(cfg, tiled, broker, arrays):
    live, kept = arrays, []
    replay(live.raw, cfg).store(
        TiledWriter(tiled, max_array_size=0), broker.insert, lambda name, doc: kept.append((name, doc))
    )
    again = Live(live.raw, kept)
    for catalogue in (tiled, broker):
        assert_same_numbers(replay(catalogue[kept[0][1]["uid"]], raw=live.raw).to_xarray(), again)


def test_a_calibration_that_was_changed_is_taken_from_the_derived_run(cfg, small_poni):
    live = a_run_with_arrays({**cfg, "calibration": str(small_poni)})
    text = small_poni.read_text()
    small_poni.write_text(text.replace("Distance: 0.1", "Distance: 0.2"))
    found = replay(live.derived, raw={live.uid: live.raw}).to_xarray()
    assert_same_numbers(found, live)
    assert found.attrs["calibration"] == text
    small_poni.unlink()
    assert_same_numbers(replay(live.derived, raw=live.raw).to_xarray(), live)


def test_a_mask_that_was_changed_or_not_kept_is_an_error(cfg, tmp_path):
    mask = np.zeros((120, 130), bool)
    mask[50:60] = True
    np.save(tmp_path / "mask.npy", mask)
    live = a_run_with_arrays({**cfg, "mask": str(tmp_path / "mask.npy")})
    assert_same_numbers(replay(live.derived, raw=live.raw).to_xarray(), live)
    np.save(tmp_path / "mask.npy", ~mask)
    with pytest.raises(ReplayError, match=r"mask\.npy is not the mask"):
        list(replay(live.derived, raw=live.raw))
    lost = a_run_with_arrays({**cfg, "mask": mask})
    with pytest.raises(ReplayError, match="mask was given as an array and not kept"):
        list(replay(lost.derived, raw=lost.raw))
    kept = a_run_with_arrays({**cfg, "mask": mask, "assets_dir": str(tmp_path / "assets")})
    assert_same_numbers(replay(kept.derived, raw=kept.raw).to_xarray(), kept)


def test_a_raw_run_that_is_not_there(cfg):
    live = a_run_with_arrays(cfg)
    with pytest.raises(ReplayError, match=f"'{live.uid}' is not in the catalogue"):
        list(replay(live.derived, raw={}))


def test_a_configuration_that_changed_in_mid_run_is_found_in_every_store(cfg, tiled, broker, tmp_path):
    frames = marked(images(4))
    metadata = {"plan_name": "count"}
    raw = list(raw_run(frames, metadata=metadata, data_key=described(frames)))
    derived = Collected()
    with ReductionCallback(cfg, background=False) as diff:
        diff.subscribe(derived)
        for name, doc in raw:
            diff(name, doc)
            if name == "event" and doc["seq_num"] == 2:
                diff.configure({"npt": 70, "diff_units": "2th [deg]"})
    assert [doc["name"] for doc in derived.of("descriptor")] == ["diffractogram", "diffractogram_2"]
    expected = replay(derived, raw=raw).to_xarrays()
    assert [each.sizes["radial_1"] for each in expected.values()] == [150, 70]
    for write in (TiledWriter(tiled), broker.insert):
        store(raw, write)
    lines = JsonLines(tmp_path / "derived.jsonl")
    for write in (TiledWriter(tiled, max_array_size=0), broker.insert, lines):
        store(derived, write)
    lines.close()
    uid, live = derived[0][1]["uid"], read_derived_streams(derived)
    for run, catalogue in (
        (tiled[uid], tiled), (broker[uid], broker), (broker.v2[uid], broker), (tmp_path / "derived.jsonl", broker),
    ):  # fmt: skip
        found = replay(run, raw=catalogue).to_xarrays()
        assert list(found) == list(expected)
        for (_, stream), dataset in found.items():
            for key in ("diff_1", "diff_2", "peaks_1_position"):
                np.testing.assert_array_equal(dataset[key].values, live[stream][key].values)


def read_derived_streams(documents):
    return {name: read_derived(documents, stream=name) for name in ("diffractogram", "diffractogram_2")}


def test_another_configuration_may_be_given_for_a_derived_run(cfg):
    live = a_run_with_arrays(cfg)
    other = live_of({**cfg, "npt": 70}, live.raw)
    assert_same_numbers(replay(live.derived, {**cfg, "npt": 70}, raw=live.raw).to_xarray(), other)
    assert image(0).dtype == np.uint16


def test_a_derived_run_read_back_from_any_store_is_the_same_data_set(cfg, tiled, broker, tmp_path):
    """Of the type, shape, names and attributes that it had, with NaN where there was one."""
    live = a_run_with_arrays({**cfg, "diff_ranges": [[10, 60, 4, 40], [0, 90, 5, 15]], "npt": 300})
    derived = [*live.derived]
    expected = read_derived(derived)
    assert np.isnan(expected["diff_1"]).any()
    assert_same_numbers(expected, live)
    store(derived, TiledWriter(tiled, max_array_size=0))
    store(derived, broker.insert)
    lines = JsonLines(tmp_path / "derived.jsonl")
    store(derived, lines)
    lines.close()
    uid = derived[0][1]["uid"]
    for stored in (tiled[uid], broker[uid], broker.v2[uid], tmp_path / "derived.jsonl"):
        found = read_derived(stored)
        xarray.testing.assert_identical(found, expected)
        assert {name: found[name].dtype for name in found} == {name: expected[name].dtype for name in expected}


def test_a_rewound_run_in_tiled(cfg, tiled):
    frames = marked(images(5))
    documents = list(raw_run(frames, seq_nums=[1, 2, 3, 2, 3], data_key=described(frames)))
    store(documents, TiledWriter(tiled))
    found = replay(tiled[documents[0][1]["uid"]], cfg).to_xarray()
    xarray.testing.assert_equal(found["diff_1"], replay(documents, cfg).to_xarray()["diff_1"])
    assert found["seq_num"].values.tolist() == [1, 2, 3]


def test_tiled_by_way_of_databrokers_second_interface(cfg, tiled, arrays):
    run = tiled[arrays.uid]
    for each in (run.v2, run):
        assert_same_numbers(replay(each, cfg).to_xarray(), arrays)
