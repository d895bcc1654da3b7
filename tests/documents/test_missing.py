"""Seq_nums that never came, against a set."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluesky_diffractogram import ReductionCallback
from bluesky_diffractogram.documents.missing import SeenSeqNums

from .conftest import image, raw_run, send
from .stream_runs import StreamRun, images, uri_of, write_hdf5
from .test_callback import frames_add_up


def lose(documents, kind, *which):
    """The documents without some of a kind, counted from 0."""
    number = -1
    for name, doc in documents:
        number += name == kind
        if name != kind or number not in which:
            yield name, doc


@pytest.mark.parametrize("which", [(0,), (1, 2), (4,), (0, 4), (0, 1, 2, 3, 4)], ids=str)
def test_events_that_never_came_are_told_in_the_stop(cfg, collected, which, caplog):
    with ReductionCallback(cfg, background=False) as diff:
        diff.subscribe(collected)
        send(diff, lose(raw_run([image(i) for i in range(5)]), "event", *which))
    frames = frames_add_up(collected.of("stop")[0], missing=len(which))
    assert frames["received"] == frames["reduced"] == 5 - len(which)
    assert f"{len(which)} of its events never came" in caplog.text


@pytest.mark.parametrize(("kind", "scan"), [("stream_datum", "step"), ("event", "step"), ("stream_datum", "fly")])
def test_what_is_lost_of_a_run_of_streams_is_told_too(cfg, tmp_path, collected, kind, scan):
    path = tmp_path / "frames.h5"
    write_hdf5(path, images(5))
    run = StreamRun(uri_of(path))
    documents = list(run.step_scan(5) if scan == "step" else run.fly_scan(1, 1, 1, 1, 1))
    with ReductionCallback(cfg) as diff:
        diff.subscribe(collected)
        send(diff, lose(documents, kind, 2))
        assert diff.wait(20)
    # An event only brings the readings: without it the frame is there all the same.
    lost = kind == "stream_datum"
    assert frames_add_up(collected.of("stop")[0], missing=int(lost))["reduced"] == 5 - lost


@given(st.lists(st.integers(0, 30)), st.integers(0, 40))
def test_what_is_missing_is_what_is_not_in_the_set(came, announced):
    seen = SeenSeqNums()
    for seq_num in came:
        seen.add(seq_num)
    expected = set(range(1, max([announced, *came]) + 1)) - set(came)
    assert seen.missing(announced) == len(expected)
    assert len(seen._firsts) <= len(set(came))


def test_a_gap_as_wide_as_somebody_says_takes_no_memory():
    seen = SeenSeqNums()
    seen.add(1)
    seen.add(10**15)
    assert seen.missing(0) == 10**15 - 2
