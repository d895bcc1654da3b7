"""Events without the image of an optional detector, which are reduced from the others."""

from __future__ import annotations

import logging

import numpy as np
import pyFAI
import pytest

from bluesky_diffractogram import ReductionCallback

from .conftest import Collected, send
from .merged_runs import SECOND, TwoStreams, expected_curves, frames, in_memory, merged_config
from .stream_runs import write_hdf5
from .test_callback import frames_add_up
from .test_merged import both, curves, reduce


@pytest.fixture
def cfg(tmp_path):
    cfg = merged_config(tmp_path, error_model="poisson", count=True)
    return {**cfg, "merge": [{**cfg["merge"][0], "optional": True}]}


@pytest.fixture
def paths(tmp_path):
    return tmp_path / "first.h5", tmp_path / "second.h5"


def merged(collected):
    return [doc["data"]["merged_det2"] for doc in collected.of("event")]


def told(collected):
    frames = frames_add_up(collected.of("stop")[0])
    return frames, frames["without"]["det2"]


def assert_of_the_first_alone(cfg, events, firsts):
    """Bit for bit over a range whose limits are given, and as pyFAI has it over one whose limits are of both."""
    alone = reduce({**cfg, "merge": []}, in_memory([{"det1": each} for each in firsts])).of("event")
    integrator = pyFAI.load(cfg["calibration"])
    assert len(events) == len(alone)
    for event, expected, image in zip(events, alone, firsts, strict=True):
        for key in ("diff_2", "count_2", "peaks_2", "n_peaks_2"):
            np.testing.assert_array_equal(event["data"][key], expected["data"][key])
        np.testing.assert_allclose(event["data"]["sigma_2"], expected["data"]["sigma_2"], rtol=1e-14)
        radial, intensity = event["data"]["diff_1"]
        theirs = integrator.integrate1d(
            image, len(radial), unit="q_A^-1", radial_range=tuple(event["data"]["radial_range_1"]),
            method=("bbox", "csr", "cython"),
        )  # fmt: skip
        filled = np.isfinite(intensity)
        np.testing.assert_allclose(radial, theirs.radial, rtol=1e-6)
        np.testing.assert_array_equal(filled, theirs.count > 0)
        assert 0.2 < filled.mean() < 0.9
        np.testing.assert_allclose(intensity[filled], theirs.intensity[filled], rtol=1e-5)


@pytest.mark.parametrize("background", [False, True])
def test_they_are_reduced_from_the_others_and_counted(cfg, caplog, background):
    firsts, seconds = frames(5)
    events = both(firsts, seconds)
    del events[1]["det2"]
    events[2]["det2"] = firsts[2]
    events[3]["det2"] = np.zeros(SECOND, complex)
    collected = reduce(cfg, in_memory(events), background=background)
    derived = collected.of("event")
    np.testing.assert_array_equal(curves(collected)[::4], expected_curves(cfg, firsts[::4], seconds[::4]))
    assert_of_the_first_alone(cfg, derived[1:4], firsts[1:4])
    assert merged(collected) == [1, 0, 0, 0, 1]
    frames_told, without = told(collected)
    assert (frames_told["reduced"], frames_told["skipped"]) == (5, 0)
    assert (without["frames"], without["reasons"]) == (3, {"no image": 1, "shape": 1, "dtype": 1})
    assert without["messages"]["no image"] == "the event has no value for 'det2'"
    assert f"({SECOND[0]}, {SECOND[1]})" in without["messages"]["shape"]
    assert "seq_num 2: reduced without 'det2' (no image)" in caplog.text


def test_runs_of_which_all_have_it_say_nothing(cfg):
    collected = reduce(cfg, in_memory(both(*frames(2))))
    assert merged(collected) == [1, 1]
    assert "without" not in collected.of("stop")[0]["frames"]


def test_a_scan_without_the_detector(cfg):
    firsts, _ = frames(2)
    collected = reduce(cfg, in_memory([{"det1": each} for each in firsts], keys=("det1",)))
    assert_of_the_first_alone(cfg, collected.of("event"), firsts)
    assert merged(collected) == [0, 0]
    assert told(collected)[1]["reasons"] == {"no image": 2}


def test_the_first_is_never_optional(cfg):
    firsts, seconds = frames(2)
    collected = reduce(cfg, in_memory([{"det2": seconds[0]}, {"det1": firsts[1], "det2": seconds[1]}]))
    assert merged(collected) == [1]
    assert frames_add_up(collected.of("stop")[0])["reasons"] == {"no image": 1}


@pytest.mark.parametrize("how", ["each", "sum", "mean"])
def test_other_numbers_of_frames_cannot_be_paired(cfg, how):
    firsts, seconds = (np.array(each) for each in frames(3))
    cfg = {**cfg, "frames_per_event": how, "mask_invalid": False}
    collected = reduce(cfg, in_memory([{"det1": firsts, "det2": seconds[:2]}]))
    alone = reduce({**cfg, "merge": []}, in_memory([{"det1": firsts}]))
    n = 3 if how == "each" else 1
    assert merged(collected) == [0] * n
    assert told(collected)[1]["reasons"] == {"merge": n}
    for event, expected in zip(collected.of("event"), alone.of("event"), strict=True):
        np.testing.assert_array_equal(event["data"]["diff_2"], expected["data"]["diff_2"])


def test_of_several_those_that_are_not_optional_are_needed(cfg, tmp_path):
    third = {"image_key": "det3", "calibration": cfg["merge"][0]["calibration"], "scale": 2.0}
    cfg = {**cfg, "merge": [cfg["merge"][0], third]}
    firsts, seconds = frames(3)
    events = [
        {"det1": first, "det2": second, "det3": second + 7} for first, second in zip(firsts, seconds, strict=True)
    ]
    del events[1]["det2"], events[2]["det3"]
    described = {"source": "test", "dtype": "array", "shape": list(SECOND), "object_name": "det3"}
    collected = reduce(cfg, in_memory(events, det3=described))
    without_det2 = {**cfg, "merge": [third]}
    expected = reduce(without_det2, in_memory(events[1:2], keys=("det1",), det3=described)).of("event")
    for key in ("diff_1", "diff_2", "sigma_1", "count_1", "peaks_2"):
        np.testing.assert_array_equal(collected.of("event")[1]["data"][key], expected[0]["data"][key])
    frames_told, without = told(collected)
    assert (frames_told["reduced"], frames_told["reasons"]) == (2, {"no image": 1})
    assert "'det3'" in frames_told["messages"]["no image"]
    assert without["frames"] == 1
    assert merged(collected) == [1, 0]


# -- in files ------------------------------------------------------------------------------------------------


def test_its_file_is_waited_for_and_then_done_without(cfg, paths):
    firsts, _ = frames(2)
    write_hdf5(paths[0], firsts)
    collected = reduce(cfg, TwoStreams(paths).step_scan(2), file_timeout=0)
    assert_of_the_first_alone(cfg, collected.of("event"), firsts)
    frames_told, without = told(collected)
    assert (frames_told["reduced"], without["reasons"]) == (2, {"file": 2})
    assert "second.h5" in without["messages"]["file"]


def test_a_file_that_comes_late_is_merged(cfg, paths):
    firsts, seconds = frames(2)
    write_hdf5(paths[0], firsts)
    collected = Collected()
    with ReductionCallback(cfg, file_timeout=30) as diff:
        diff.subscribe(collected)
        send(diff, TwoStreams(paths).step_scan(2))
        assert not collected.of("event")
        write_hdf5(paths[1], seconds)
        assert diff.wait(30)
    np.testing.assert_array_equal(curves(collected), expected_curves(cfg, firsts, seconds))
    assert merged(collected) == [1, 1]


def test_a_file_that_ends_too_early(cfg, paths):
    firsts, seconds = frames(3)
    write_hdf5(paths[0], firsts)
    write_hdf5(paths[1], seconds[:2])
    collected = reduce(cfg, TwoStreams(paths).step_scan(3), file_timeout=0)
    assert merged(collected) == [1, 1, 0]
    assert told(collected)[1]["reasons"] == {"file": 1}
    assert_of_the_first_alone(cfg, collected.of("event")[2:], firsts[2:])


def test_a_datum_that_never_comes(cfg, paths):
    firsts, seconds = frames(3)
    for path, images in zip(paths, (firsts, seconds), strict=True):
        write_hdf5(path, images)
    run = TwoStreams(paths)
    documents = list(run.begin())
    for i in range(3):
        documents += [run.datum("det1", i, i + 1), *([] if i == 1 else [run.datum("det2", i, i + 1)]), run.event(i)]
    collected = reduce(cfg, [*documents, run.stop()])
    assert merged(collected) == [1, 0, 1]
    assert_of_the_first_alone(cfg, collected.of("event")[1:2], firsts[1:2])
    assert [doc["data"]["raw_seq_num"] for doc in collected.of("event")] == [1, 2, 3]


def test_next_after_the_run_does_without_as_well(cfg, paths, caplog):
    caplog.set_level(logging.WARNING)
    firsts, _ = frames(1)
    write_hdf5(paths[0], firsts)
    with ReductionCallback({**cfg, "show_diff": False}, background=False, file_timeout=0) as diff:
        send(diff, TwoStreams(paths).step_scan(1))
        assert diff.results is None
        diff.next()
        assert diff.results is not None
    assert "cannot be reduced" not in caplog.text
