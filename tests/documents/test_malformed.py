"""Documents of which a part is missing or something else: whatever comes, the next run is reduced."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from bluesky_diffractogram import ReductionCallback
from bluesky_diffractogram.documents.images import MOST_FRAMES_OF_AN_EVENT, frame_shape, frames_in
from bluesky_diffractogram.reduction.frame import FrameError
from bluesky_diffractogram.transport import pack
from documents.conftest import image, raw_run, send

MISSING = object()
OTHERS = [MISSING, None, "x", -1, ["x"], {"primary": "x"}]


def paths(doc):
    """The keys of a document, and those of the dictionaries in it."""
    for key, value in doc.items():
        yield (key,)
        if isinstance(value, dict):
            yield from ((key, *inner) for inner in paths(value))


def with_other(documents, which, path, other):
    """The documents with another value in one of them."""
    changed = copy.deepcopy(documents)
    inner = changed[which][1]
    for key in path[:-1]:
        inner = inner[key]
    if other is MISSING:
        del inner[path[-1]]
    else:
        inner[path[-1]] = other
    return changed


RUN = list(raw_run([image(0)], carried={"x": [1.0]}))


@pytest.mark.parametrize("which", range(len(RUN)), ids=[name for name, _ in RUN])
def test_whatever_is_wrong_with_a_document_runs_end_and_the_next_one_is_reduced(cfg, collected, caplog, which):
    caplog.set_level("CRITICAL")
    good = list(raw_run([image(1)]))
    with ReductionCallback({**cfg, "npt": 40}, background=False, file_timeout=0) as diff:
        diff.subscribe(collected)
        send(diff, good)
        expected = collected.of("event")[0]["data"]["diff_1"]
        for path in paths(RUN[which][1]):
            for other in OTHERS:
                case = (path, other)
                collected.clear()
                send(diff, with_other(RUN, which, path, other))
                diff.abandon_silent(-1)
                assert not diff.open_runs, case
                ended = [doc["run_start"] for doc in collected.of("stop")]
                assert ended == [doc["uid"] for doc in collected.of("start")], case
                for _, doc in collected:
                    pack(doc)
            send(diff, good)
            np.testing.assert_array_equal(collected.of("event")[-1]["data"]["diff_1"], expected)
            assert collected.of("stop")[-1]["frames"]["reduced"] == 1


def test_a_stop_that_says_nonsense_ends_the_run_all_the_same(cfg, collected):
    for number, wrong in enumerate(({"exit_status": "splendid"}, {"num_events": ["x"]}, {"reason": {"a": 1}})):
        with ReductionCallback(cfg, background=False) as diff:
            diff.subscribe(collected)
            documents = list(raw_run([image(0)]))
            documents[-1][1].update(wrong)
            send(diff, documents)
        stop = collected.of("stop")[number]
        assert stop["frames"]["reduced"] == 1
        assert stop["exit_status"] == ("fail" if "exit_status" in wrong else "success")


@pytest.mark.parametrize("seq_num", [float("nan"), float("inf"), 10**15, "2"])
def test_an_event_with_a_number_that_no_event_has_does_not_make_others_missing(cfg, collected, seq_num):
    documents = copy.deepcopy(list(raw_run([image(n) for n in range(3)])))
    documents[3][1]["seq_num"] = seq_num
    with ReductionCallback({**cfg, "npt": 40}, background=False) as diff:
        diff.subscribe(collected)
        send(diff, documents)
        assert diff.ignored == {"event": 1}
    assert collected.of("stop")[0]["frames"]["missing"] == 1  # the one that should have been there
    assert collected.of("stop")[0]["frames"]["reduced"] == 2


@pytest.mark.parametrize("shape", [(MOST_FRAMES_OF_AN_EVENT + 1, 1, 1), (MOST_FRAMES_OF_AN_EVENT + 1, 0, 0)])
def test_an_event_with_more_frames_than_any_has_is_skipped_as_one(cfg, collected, shape):
    """A view of each pixel would take a hundred times the memory of the message."""
    with ReductionCallback({**cfg, "npt": 40}, background=False) as diff:
        diff.subscribe(collected)
        send(diff, raw_run([image(0), np.zeros(shape, "u1"), image(1)]))
    frames = collected.of("stop")[0]["frames"]
    assert (frames["received"], frames["reduced"], frames["reasons"]) == (3, 2, {"shape": 1})


def test_as_many_frames_as_an_event_may_have_are_taken():
    assert len(frames_in(np.zeros((MOST_FRAMES_OF_AN_EVENT // 10, 10, 2, 1), "u1"))) == MOST_FRAMES_OF_AN_EVENT
    with pytest.raises(FrameError, match="more than"):
        frames_in(np.zeros((MOST_FRAMES_OF_AN_EVENT // 10, 11, 2, 1), "u1"))


@pytest.mark.parametrize(("shape", "found"), [([2**14, 2**14], (2**14, 2**14)), ([2**14, 2**14 + 1], None)])
def test_no_table_is_built_ahead_for_more_pixels_than_any_detector_has(shape, found):
    """Where the calibration does not say the detector's shape, some hundred bytes would take all memory there is."""
    assert frame_shape({"data_keys": {"image": {"shape": shape}}}, "image") == found
