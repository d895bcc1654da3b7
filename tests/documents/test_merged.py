"""Events with the images of two detectors, reduced to one curve for each range."""

from __future__ import annotations

import json
import logging

import bluesky.plans as bp
import numpy as np
import pytest
from bluesky import RunEngine
from ophyd.sim import NumpySeqHandler, SynAxis, SynSignal, SynSignalWithRegistry

from bluesky_diffractogram import ConfigError, ReductionCallback
from bluesky_diffractogram.config import load_config
from bluesky_diffractogram.documents import merge_join, one_run
from bluesky_diffractogram.documents.assets import Assets
from bluesky_diffractogram.documents.frames import digest_now, read_frames
from bluesky_diffractogram.documents.intake import Intake
from bluesky_diffractogram.documents.messages import ImagesReceived
from bluesky_diffractogram.documents.setting import Setting

from .conftest import SHAPE, Collected, image, send
from .merged_runs import SECOND, TwoStreams, expected_curves, frames, in_memory, merged_config, second_image
from .stream_runs import write_hdf5
from .test_callback import assert_valid, frames_add_up


@pytest.fixture
def cfg(tmp_path):
    return merged_config(tmp_path)


@pytest.fixture
def paths(tmp_path):
    return tmp_path / "first.h5", tmp_path / "second.h5"


def reduce(cfg, documents, **options):
    collected = Collected()
    with ReductionCallback(cfg, **{"background": False, **options}) as diff:
        diff.subscribe(collected)
        send(diff, documents)
        assert diff.wait(30)
    assert_valid(collected)
    return collected


def curves(collected):
    return [doc["data"]["diff_1"] for doc in collected.of("event")]


def both(firsts, seconds):
    return [{"det1": first, "det2": second} for first, second in zip(firsts, seconds, strict=True)]


def test_a_scan_with_two_detectors(cfg, collected):
    motor = SynAxis(name="motor")
    dets = [
        SynSignal(func=lambda: image(round(motor.readback.get())), name="det1", labels={"detectors"}),
        SynSignal(func=lambda: second_image(round(motor.readback.get())), name="det2", labels={"detectors"}),
    ]
    engine = RunEngine({})
    engine.waiting_hook = None
    with ReductionCallback(cfg) as diff:
        diff.subscribe(collected)
        engine.subscribe(diff)
        engine(bp.scan(dets, motor, 0, 3, 4))
        assert diff.wait(30)
    assert_valid(collected)
    np.testing.assert_array_equal(curves(collected), expected_curves(cfg, *frames(4)))
    assert [doc["data"]["motor"] for doc in collected.of("event")] == [0, 1, 2, 3]
    assert frames_add_up(collected.of("stop")[0])["reduced"] == 4


def test_the_start_document_has_the_calibration_of_every_detector(cfg, tmp_path):
    mask = np.zeros(SECOND, bool)
    mask[3] = True
    cfg = {**cfg, "assets_dir": str(tmp_path), "merge": [{**cfg["merge"][0], "mask": mask, "scale": 2.0}]}
    collected = reduce(cfg, in_memory(both(*frames(1))))
    (start,), (descriptor,) = collected.of("start"), collected.of("descriptor")
    (merged,) = start["merge"]
    with open(cfg["merge"][0]["calibration"]) as file:
        assert merged["text"] == file.read()
    assert merged["sha256"] != start["calibration"]["sha256"]
    recorded = json.loads(start["configuration"])["merge"][0]
    assert recorded["image_key"] == "det2"
    assert recorded["scale"] == 2.0
    np.testing.assert_array_equal(np.load(recorded["mask"]), mask)
    assert start["arrays"]["merge_0_mask"]["path"] == recorded["mask"]
    told = json.loads(descriptor["configuration"]["diffractogram"]["data"]["provenance"])
    assert told["merge"] == start["merge"]


def test_sigma_counts_and_coverage_are_of_both(cfg):
    cfg = {**cfg, "count": True, "error_model": "poisson"}
    collected = reduce(cfg, in_memory(both(*frames(1))))
    (event,), (descriptor,) = collected.of("event"), collected.of("descriptor")
    coverage = descriptor["configuration"]["diffractogram"]["data"]["coverage_1"]
    np.testing.assert_array_equal(event["data"]["count_1"], coverage)
    alone = reduce({**cfg, "merge": []}, in_memory(both(*frames(1))))
    ((low, high),) = [doc["data"]["radial_range_1"] for doc in alone.of("event")]
    assert event["data"]["radial_range_1"][0] == low
    assert event["data"]["radial_range_1"][1] > high
    assert np.isfinite(event["data"]["sigma_1"]).all()


def test_an_event_without_the_second_image_is_skipped_and_names_it(cfg, caplog):
    firsts, seconds = frames(3)
    events = both(firsts, seconds)
    del events[1]["det2"]
    collected = reduce(cfg, in_memory(events))
    np.testing.assert_array_equal(curves(collected), expected_curves(cfg, firsts[::2], seconds[::2]))
    told = frames_add_up(collected.of("stop")[0])
    assert told["reasons"] == {"no image": 1}
    assert "'det2'" in told["messages"]["no image"]
    assert "seq_num 2" in caplog.text


def test_a_stream_without_the_second_detector_is_skipped(cfg):
    collected = reduce(cfg, in_memory([{"det1": image(0)}], keys=("det1",)))
    assert not collected.of("event")
    assert frames_add_up(collected.of("stop")[0])["reasons"] == {"no image": 1}


@pytest.mark.parametrize("second", [image(0), np.zeros((2, 3, *SECOND)), "text"], ids=["shape", "number", "text"])
def test_a_second_image_that_is_none_of_the_detectors_is_skipped_and_names_it(cfg, second):
    collected = reduce(cfg, in_memory([{"det1": image(0), "det2": second}, *both(*frames(1))]))
    assert len(collected.of("event")) == 1
    told = frames_add_up(collected.of("stop")[0])
    assert told["skipped"] == 1
    assert "det2" in json.dumps([told["reasons"], told.get("messages", {})]) or second == "text"


@pytest.mark.parametrize("how", ["each", "sum", "mean"])
def test_several_frames_of_an_event_are_paired_by_their_index(cfg, how):
    cfg = {**cfg, "frames_per_event": how, "mask_invalid": False}
    firsts, seconds = (np.array(each) for each in frames(3))
    collected = reduce(cfg, in_memory([{"det1": firsts, "det2": seconds}]))
    if how == "each":
        expected = expected_curves(cfg, firsts, seconds)
    else:
        summed = [[each.sum(axis=0, dtype=float)] for each in (firsts, seconds)]
        expected = expected_curves(cfg, *summed, exposures=3, monitor=3.0 if how == "mean" else None)
    np.testing.assert_array_equal(curves(collected), expected)


@pytest.mark.parametrize("how", ["each", "sum"])
def test_different_numbers_of_frames_are_refused_in_words(cfg, how):
    firsts, seconds = (np.array(each) for each in frames(3))
    collected = reduce({**cfg, "frames_per_event": how}, in_memory([{"det1": firsts, "det2": seconds[:2]}]))
    told = frames_add_up(collected.of("stop")[0])
    assert told["reasons"] == {"merge": 3 if how == "each" else 1}
    assert told["messages"]["merge"] == "the event has 3 frames under 'det1' and 2 under 'det2'"


@pytest.mark.parametrize("order", ["as emitted", "second late", "all of one first"])
def test_both_in_hdf5_files(cfg, paths, order):
    firsts, seconds = frames(3)
    for path, images in zip(paths, (firsts, seconds), strict=True):
        write_hdf5(path, images)
    run = TwoStreams(paths)
    documents = list(run.step_scan(3))
    if order == "second late":
        begin, stop = documents[:4], documents[-1]
        late = [run.datum("det2", i, i + 1) for i in range(3)]
        middle = [doc for i in range(3) for doc in (run.datum("det1", i, i + 1), run.event(i))]
        documents = [*begin, *middle, *late, stop]
    elif order == "all of one first":
        middle = [run.datum("det1", 0, 3), run.datum("det2", 0, 3), *(run.event(i) for i in range(3))]
        documents = [*documents[:4], *middle, documents[-1]]
    collected = reduce({**cfg, "carry": ["motor"]}, documents)
    np.testing.assert_array_equal(curves(collected), expected_curves(cfg, firsts, seconds))
    assert [doc["data"]["motor"] for doc in collected.of("event")] == [0.0, 10.0, 20.0]
    assert [doc["data"]["raw_seq_num"] for doc in collected.of("event")] == [1, 2, 3]
    assert frames_add_up(collected.of("stop")[0])["reduced"] == 3


def test_a_frame_is_reduced_as_soon_as_both_are_told_of(cfg, paths):
    for path, images in zip(paths, frames(2), strict=True):
        write_hdf5(path, images)
    run, collected = TwoStreams(paths), Collected()
    with ReductionCallback(cfg, background=False) as diff:
        diff.subscribe(collected)
        send(diff, run.begin())
        seen = []
        for doc in (run.datum("det1", 0, 1), run.datum("det2", 0, 1), run.event(0), run.datum("det2", 1, 2)):
            send(diff, [doc])
            seen.append(len(collected.of("event")))
        send(diff, [run.datum("det1", 1, 2), run.event(1)])
        seen.append(len(collected.of("event")))
        assert seen == [0, 0, 1, 1, 2]
        send(diff, [run.stop()])


def test_a_fly_scan_of_two_detectors(cfg, paths):
    firsts, seconds = frames(6)
    for path, images in zip(paths, (firsts, seconds), strict=True):
        write_hdf5(path, images)
    run = TwoStreams(paths, motor=False, number=2)
    documents = [*run.begin(), run.datum("det1", 0, 3), run.datum("det2", 0, 2), run.datum("det2", 2, 3), run.stop()]
    collected = reduce(cfg, documents)
    np.testing.assert_array_equal(curves(collected), expected_curves(cfg, firsts, seconds))


def test_a_second_file_that_is_written_later_is_waited_for(cfg, paths):
    firsts, seconds = frames(2)
    write_hdf5(paths[0], firsts)
    run, collected = TwoStreams(paths), Collected()
    with ReductionCallback(cfg, file_timeout=30) as diff:
        diff.subscribe(collected)
        send(diff, run.step_scan(2))
        assert not collected.of("event")
        write_hdf5(paths[1], seconds)
        assert diff.wait(30)
    np.testing.assert_array_equal(curves(collected), expected_curves(cfg, firsts, seconds))
    assert frames_add_up(collected.of("stop")[0])["reduced"] == 2


def test_a_second_file_that_never_comes_is_given_up(cfg, paths):
    write_hdf5(paths[0], frames(2)[0])
    collected = reduce(cfg, TwoStreams(paths).step_scan(2), file_timeout=0)
    assert not collected.of("event")
    told = frames_add_up(collected.of("stop")[0])
    assert told["reasons"] == {"file": 2}
    assert "second.h5" in told["messages"]["file"]


def test_frames_of_which_no_second_datum_comes_are_skipped_at_the_end(cfg, paths):
    firsts, seconds = frames(3)
    for path, images in zip(paths, (firsts, seconds), strict=True):
        write_hdf5(path, images)
    run = TwoStreams(paths)
    documents = [doc for doc in run.step_scan(3) if doc[1].get("seq_nums") != {"start": 2, "stop": 3}]
    documents.insert(7, run.datum("det1", 1, 2))
    collected = reduce(cfg, documents)
    np.testing.assert_array_equal(curves(collected), expected_curves(cfg, firsts[::2], seconds[::2]))
    told = frames_add_up(collected.of("stop")[0])
    assert told["reasons"] == {"no image": 1}
    assert "'det2'" in told["messages"]["no image"]


def reduced_so_far(cfg, run, documents):
    """How many frames are reduced after each of `documents`, which follow the first ones of the run; and all of it."""
    collected, seen = Collected(), []
    with ReductionCallback(cfg, background=False) as diff:
        diff.subscribe(collected)
        send(diff, run.begin())
        for doc in documents:
            send(diff, [doc])
            seen.append(len(collected.of("event")))
        send(diff, [run.stop()])
    return seen, collected


def point(run, i, *, det2=True):
    return [run.datum("det1", i, i + 1), *([run.datum("det2", i, i + 1)] if det2 else []), run.event(i)]


def test_a_lost_datum_of_the_second_detector_costs_its_own_frame_only(cfg, paths):
    firsts, seconds = frames(10)
    for path, images in zip(paths, (firsts, seconds), strict=True):
        write_hdf5(path, images)
    run = TwoStreams(paths)
    documents = [doc for i in range(10) for doc in point(run, i, det2=i != 1)]
    seen, collected = reduced_so_far(cfg, run, documents)
    assert seen == [0, 0, 1, 1, 1, *(n for i in range(2, 10) for n in (i - 1, i - 1, i))]
    del firsts[1], seconds[1]
    np.testing.assert_array_equal(curves(collected), expected_curves(cfg, firsts, seconds))
    told = frames_add_up(collected.of("stop")[0])
    assert told["reasons"] == {"no image": 1}
    assert "'det2'" in told["messages"]["no image"]


@pytest.mark.parametrize(
    ("ahead", "expected"),
    [("det1", [0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3]), ("det2", [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3])],
)
def test_a_datum_is_given_up_when_its_own_detector_is_beyond(cfg, paths, ahead, expected):
    """One that is merely behind the other detector is waited for."""
    for path, images in zip(paths, frames(4), strict=True):
        write_hdf5(path, images)
    run = TwoStreams(paths)
    first = [doc for i in range(4) for doc in point(run, i, det2=False)]
    second = [run.datum("det2", i, i + 1) for i in (0, 2, 3)]
    seen, collected = reduced_so_far(cfg, run, first + second if ahead == "det1" else second + first)
    assert seen == expected
    assert frames_add_up(collected.of("stop")[0])["reasons"] == {"no image": 1}


def test_points_that_are_taken_again_wait_for_the_second_detector_again(cfg, paths):
    firsts, seconds = frames(5)
    for path, images in zip(paths, (firsts, seconds), strict=True):
        write_hdf5(path, images)
    run = TwoStreams(paths)

    def again(key, index):
        name, datum = run.datum(key, index, index + 1)
        return name, {**datum, "seq_nums": {"start": index - 1, "stop": index}}

    documents = [doc for i in range(3) for doc in point(run, i)]
    documents += [doc for i in (3, 4) for doc in (again("det1", i), run.event(i - 2), again("det2", i))]
    seen, collected = reduced_so_far(cfg, run, documents)
    assert seen[9:] == [3, 3, 4, 4, 4, 5]
    np.testing.assert_array_equal(curves(collected), expected_curves(cfg, firsts, seconds))


def test_frames_in_memory_wait_for_a_bounded_number_of_streams(cfg, paths, monkeypatch):
    monkeypatch.setattr(merge_join, "MOST_HELD_IN_MEMORY", 2)
    firsts, seconds = frames(4)
    write_hdf5(paths[1], seconds)
    run = TwoStreams(paths)
    stream = dict(run.bundle.descriptor_doc["data_keys"]["det2"])
    documents = list(in_memory([{"det1": each} for each in firsts], keys=("det1",), det2=stream))
    resource = {**run.resources["det2"], "run_start": documents[0][1]["uid"]}
    late = {**run.datum("det2", 2, 4)[1], "descriptor": documents[1][1]["uid"]}
    documents[-1:-1] = [("stream_resource", resource), ("stream_datum", late)]
    collected = reduce(cfg, documents)
    np.testing.assert_array_equal(curves(collected), expected_curves(cfg, firsts[2:], seconds[2:]))
    assert frames_add_up(collected.of("stop")[0])["reasons"] == {"no image": 2}


def test_frames_in_memory_wait_in_a_bounded_number_for_the_files_of_another_detector(cfg, paths, monkeypatch, caplog):
    monkeypatch.setattr(one_run, "MOST_PARKED_IN_MEMORY", 2)
    firsts, seconds = frames(4)
    run = TwoStreams(paths)
    stream = dict(run.bundle.descriptor_doc["data_keys"]["det2"])
    documents = list(in_memory([{"det1": each} for each in firsts], keys=("det1",), det2=stream))
    resource = {**run.resources["det2"], "run_start": documents[0][1]["uid"]}
    datum = {**run.datum("det2", 0, 4)[1], "descriptor": documents[1][1]["uid"]}
    documents[2:2] = [("stream_resource", resource), ("stream_datum", datum)]
    collected = Collected()
    with ReductionCallback(cfg, background=False) as diff:
        diff.subscribe(collected)
        send(diff, documents[:-1])
        write_hdf5(paths[1], seconds)
        send(diff, documents[-1:])
        assert diff.wait(30)
    np.testing.assert_array_equal(curves(collected), expected_curves(cfg, firsts[:2], seconds[:2]))
    assert frames_add_up(collected.of("stop")[0])["dropped"] == 2
    assert "2 of its images wait for their files" in caplog.text


def test_resource_and_datum_documents(cfg, tmp_path, collected):
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        folder.mkdir()
    counter = iter(range(100))
    dets = [
        SynSignalWithRegistry(func=lambda: image(1), name="det1", save_path=str(folders[0])),
        SynSignalWithRegistry(func=lambda: second_image(next(counter)), name="det2", save_path=str(folders[1])),
    ]
    engine = RunEngine({})
    with ReductionCallback(cfg, handler_registry={"NPY_SEQ": NumpySeqHandler}) as diff:
        diff.subscribe(collected)
        engine.subscribe(diff)
        engine(bp.count(dets, 3))
        assert diff.wait(30)
        before = diff.results
        diff.next()  # the run is over: the documents of both images were kept
        assert diff.wait(30)
        assert diff.results is not before
    started = next(counter) - 3  # the detector may be read before it is triggered
    expected = expected_curves(cfg, [image(1)] * 3, [second_image(started + i) for i in range(3)])
    np.testing.assert_array_equal(curves(collected), expected)


def test_one_in_memory_and_the_other_in_a_file(cfg, tmp_path, collected):
    dets = [
        SynSignalWithRegistry(func=lambda: image(1), name="det1", save_path=str(tmp_path)),
        SynSignal(func=lambda: second_image(5), name="det2", labels={"detectors"}),
    ]
    engine = RunEngine({})
    with ReductionCallback(cfg, handler_registry={"NPY_SEQ": NumpySeqHandler}) as diff:
        diff.subscribe(collected)
        engine.subscribe(diff)
        engine(bp.count(dets, 2))
        assert diff.wait(30)
    np.testing.assert_array_equal(curves(collected), expected_curves(cfg, [image(1)] * 2, [second_image(5)] * 2))


def test_a_changed_detector_opens_a_stream_and_empties_the_buffers(cfg, collected):
    documents = list(in_memory(both(*frames(4))))
    with ReductionCallback(cfg, background=False) as diff:
        diff.subscribe(collected)
        send(diff, documents[:4])
        assert len(diff.buffers[0]) == 2
        diff.configure({"merge": [{**cfg["merge"][0], "scale": 3.0}]})
        assert len(diff.buffers[0]) == 0
        send(diff, documents[4:])
        assert diff.configuration()["merge"][0]["scale"] == 3.0
        diff.configure(diff.configuration())
    assert [doc["name"] for doc in collected.of("descriptor")] == ["diffractogram", "diffractogram_2"]
    firsts, seconds = frames(4)
    changed = {**cfg, "merge": [{**cfg["merge"][0], "scale": 3.0}]}
    expected = [*expected_curves(cfg, firsts[:2], seconds[:2]), *expected_curves(changed, firsts[2:], seconds[2:])]
    np.testing.assert_array_equal(curves(collected), expected)


def test_a_rewritten_calibration_of_a_further_detector_is_another_setting(cfg, collected):
    with ReductionCallback(cfg, background=False) as diff:
        diff.subscribe(collected)
        documents = list(in_memory(both(*frames(2))))
        send(diff, documents[:3])
        path = cfg["merge"][0]["calibration"]
        with open(path) as file:
            text = file.read().replace("Distance: 0.13", "Distance: 0.14")
        with open(path, "w") as file:
            file.write(text)
        diff.configure({"merge": cfg["merge"]})
        send(diff, documents[3:])
    assert len(collected.of("descriptor")) == 2


def test_what_is_wrong_with_a_detector_is_said_when_it_is_configured(cfg, tmp_path):
    entry = cfg["merge"][0]
    bad = tmp_path / "bad.poni"
    bad.write_text("nothing")
    with ReductionCallback(cfg, background=False) as diff:
        with pytest.raises(ConfigError, match=r"merge\.0\.calibration = .*bad\.poni"):
            diff.configure({"merge": [{**entry, "calibration": str(bad)}]})
        with pytest.raises(ConfigError, match=r"merge\.0\.mask"):
            diff.configure({"merge": [{**entry, "mask": np.zeros(SHAPE)}]})
        assert diff.configuration()["merge"] == [entry]


def test_the_digest_tells_a_change_of_either_image(cfg):
    firsts, seconds = frames(2)
    events = [
        {"det1": first, "det2": second}
        for first, second in ((firsts[0], seconds[0]), (firsts[0], seconds[1]), (firsts[1], seconds[0]))
    ]
    setting, intake, assets = Setting.open(load_config(cfg)), Intake(), Assets(pixel_digests=True)
    found = []
    for name, doc in in_memory([*events, events[0]]):
        for message in intake.receive(name, doc, setting):
            if isinstance(message, ImagesReceived):
                (read,) = read_frames(message, setting, assets)[1]
                found.append(read().digest)
                assert digest_now(message, setting, assets, 0) == found[-1]
    assert len(set(found)) == 3
    assert found[3] == found[0]


def test_frames_in_memory_of_a_further_detector_count_in_the_queue(cfg, caplog):
    caplog.set_level(logging.WARNING)
    collected = reduce({**cfg, "queue_size": 1, "when_full": "block"}, in_memory(both(*frames(3))), background=True)
    assert frames_add_up(collected.of("stop")[0])["reduced"] == 3
