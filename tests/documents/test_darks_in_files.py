"""Darks that lie in files, which may be readable late, or never."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from bluesky_diffractogram import ReductionCallback
from bluesky_diffractogram.documents import one_run

from .conftest import Collected, image, raw_run, send
from .dark_runs import DarkRun, dark_image
from .stream_runs import uri_of, write_hdf5
from .test_callback import assert_valid, frames_add_up
from .test_darks import SHUTTER, STREAM, assert_darkened, dark_numbers, reduce, reference


def both_in_one_file(path):
    """Two darks, each followed by two frames, in the order in which they lie in the file."""
    write_hdf5(path, [dark_image(0), image(0), image(1), dark_image(3), image(2), image(3)])
    run = DarkRun(in_files=("primary", "dark"))
    documents = [*run.begin(), run.resource(uri_of(path))]
    for index, stream in enumerate(("dark", "primary", "primary") * 2):
        documents += run.point(index, stream)
    return [*documents, run.stop()]


@pytest.mark.parametrize("background", [True, False])
def test_darks_and_frames_of_one_hdf5_file(cfg, tmp_path, background):
    collected = reduce(cfg, both_in_one_file(tmp_path / "all.h5"), background=background)
    events = collected.of("event")
    assert dark_numbers(events) == [1, 1, 2, 2]
    assert_darkened(cfg, events, [image(n) for n in range(4)], [dark_image(0)] * 2 + [dark_image(3)] * 2)
    assert collected.of("stop")[0]["frames"]["darks"] == {"received": 2, "reasons": {}}


def test_frames_of_one_stream_are_told_apart_by_a_reading_of_their_events(cfg, tmp_path):
    write_hdf5(tmp_path / "all.h5", [image(0), dark_image(0), image(1), image(2)])
    run = DarkRun(readings={"shutter": "string"}, in_files=("primary",))
    documents = [*run.begin("primary"), run.resource(uri_of(tmp_path / "all.h5"))]
    for index, state in enumerate(("open", "closed", "open", "open")):
        documents += run.point(index, shutter=state)
    collected = reduce(cfg, [*documents, run.stop()], SHUTTER)
    frames = collected.of("stop")[0]["frames"]
    assert (frames["received"], frames["reasons"], frames["darks"]["received"]) == (3, {"no dark": 1}, 1)
    assert_darkened(cfg, collected.of("event"), [image(1), image(2)], [dark_image(0)] * 2)


def with_darks_in_a_file(path):
    """A first dark in memory, a second one in a file; frames in memory behind each."""
    run = DarkRun()
    documents = [*run.begin(), run.dark(dark_image(0)), run.event(image(0))]
    run.in_files = ("dark",)
    documents += [run.descriptor("dark"), run.resource(uri_of(path))]
    return run, [*documents, *run.point(0, "dark", 2), run.event(image(1)), run.event(image(2))]


def test_frames_wait_for_a_dark_that_is_written_after_the_run(cfg, tmp_path):
    path, collected = tmp_path / "late.h5", Collected()
    run, documents = with_darks_in_a_file(path)
    with ReductionCallback({**cfg, "dark": STREAM}, background=False, strict=True) as diff:
        diff.subscribe(collected)
        send(diff, [*documents, run.stop()])
        assert dark_numbers(collected.of("event")) == [1]
        assert diff.parked(run.uid)
        write_hdf5(path, [dark_image(4)])
        assert diff.wait(10)
    assert_valid(collected)
    events = collected.of("event")
    assert dark_numbers(events) == [1, 2, 2]
    assert_darkened(cfg, events, [image(0), image(1), image(2)], [dark_image(0), dark_image(4), dark_image(4)])
    assert frames_add_up(collected.of("stop")[0])["reduced"] == 3


@pytest.mark.parametrize("ending", ["stop", "close"])
def test_one_that_is_never_readable_leaves_the_earlier_in_force(cfg, tmp_path, caplog, monkeypatch, ending):
    collected = Collected()
    run, documents = with_darks_in_a_file(tmp_path / "never.h5")
    with (
        caplog.at_level(logging.WARNING),
        ReductionCallback({**cfg, "dark": STREAM}, background=False, file_timeout=0.0) as diff,
    ):
        diff.subscribe(collected)
        send(diff, documents)
        if ending == "stop":
            send(diff, [run.stop()])
            assert diff.wait(10)
    frames = frames_add_up(collected.of("stop")[0])
    assert frames["darks"]["reasons"] == {"file": 1}
    assert f"run {run.uid}, seq_num 2: dark skipped (file)" in caplog.text
    if ending == "close":  # nobody reduces what waits then
        assert (frames["reduced"], frames["reasons"]) == (1, {"file": 2})
        return
    assert (frames["reduced"], frames["reasons"]) == (3, {})
    assert dark_numbers(collected.of("event")) == [1, 1, 1]
    assert_darkened(cfg, collected.of("event"), [image(0), image(1), image(2)], [dark_image(0)] * 3)


def test_a_datum_that_is_refused_or_taken_again(cfg, tmp_path):
    """A StreamDatum of more images than there can be; and one whose event never came, as after a rewind."""
    write_hdf5(tmp_path / "all.h5", [dark_image(0), dark_image(1), image(0)])
    run = DarkRun(in_files=("primary", "dark"))
    documents = [*run.begin(), run.resource(uri_of(tmp_path / "all.h5"))]
    (name, refused), _ = run.point(0, "dark")
    documents += [(name, {**refused, "indices": {"start": 0, "stop": 10**9}})]
    documents += [*run.point(0, "dark", 2)[:1], *run.point(1, "dark", 2), *run.point(2), run.stop()]
    collected = reduce(cfg, documents, missing=1)
    frames = collected.of("stop")[0]["frames"]
    assert (frames["received"], frames["replaced"]) == (1, 0)
    assert frames["darks"] == {"received": 2, "reasons": {"refused": 1}}
    assert_darkened(cfg, collected.of("event"), [image(0)], [dark_image(1)])


def test_darks_are_parked_though_there_is_no_room_for_frames(cfg, tmp_path, monkeypatch):
    monkeypatch.setattr(one_run, "MOST_PARKED_IN_MEMORY", 2)
    path, collected = tmp_path / "late.h5", Collected()
    run, documents = with_darks_in_a_file(path)
    with ReductionCallback({**cfg, "dark": STREAM}, background=False, strict=True) as diff:
        diff.subscribe(collected)
        send(diff, [*documents, run.stop()])
        write_hdf5(path, [dark_image(4)])
        assert diff.wait(10)
    frames = frames_add_up(collected.of("stop")[0])
    assert (frames["reduced"], frames["dropped"], frames["darks"]["received"]) == (2, 1, 2)


def test_next_waits_for_the_dark_before_its_frame(cfg, tmp_path, caplog):
    """It does not take the one before that."""
    path, collected = tmp_path / "late.h5", Collected()
    run, documents = with_darks_in_a_file(path)
    with ReductionCallback({**cfg, "dark": STREAM, "show_diff": False}, background=False, strict=True) as diff:
        diff.subscribe(collected)
        send(diff, documents)
        diff.next()
        assert f"run {run.uid}: the current frame cannot be reduced yet: its dark is not readable" in caplog.text
        assert collected.of("event") == []
        write_hdf5(path, [dark_image(4)])
        assert diff.wait(10)
        diff.next()
        assert_darkened(cfg, collected.of("event"), [image(2)], [dark_image(4)])
        send(diff, [run.stop()])
    frames = frames_add_up(collected.of("stop")[0])
    assert (frames["reduced"], frames["not_requested"]) == (1, 2)


def assert_result(diff, cfg, frame, dark):
    (expected,) = reference(cfg, [frame], dark)
    np.testing.assert_array_equal(diff.reduction.diffractograms[0].intensity, expected["data"]["diff_1"][1])


@pytest.mark.parametrize("show", [True, False])
def test_next_waits_for_that_dark_after_the_run_as_well(cfg, tmp_path, caplog, show):
    """Be its frame passed over, or waiting for the same dark."""
    path = tmp_path / "late.h5"
    run, documents = with_darks_in_a_file(path)
    with ReductionCallback({**cfg, "dark": STREAM, "show_diff": show}, background=False, strict=True) as diff:
        send(diff, [*documents, run.stop()])
        before = diff.reduction
        diff.next()
        assert f"run {run.uid}: the current frame cannot be reduced yet: its dark is not readable" in caplog.text
        assert diff.reduction is before
        write_hdf5(path, [dark_image(4)])
        diff.next()
        assert_result(diff, cfg, image(2), dark_image(4))
        assert diff.wait(10)
        diff.next()
        assert_result(diff, cfg, image(2), dark_image(4))


def test_next_takes_the_earlier_dark_once_the_later_one_is_given_up(cfg, tmp_path):
    run, documents = with_darks_in_a_file(tmp_path / "never.h5")
    settings = {**cfg, "dark": STREAM, "show_diff": False}
    with ReductionCallback(settings, background=False, file_timeout=0.0) as diff:
        send(diff, [*documents, run.stop()])
        assert diff.wait(10)
        diff.next()
        assert_result(diff, cfg, image(2), dark_image(0))


def test_next_does_not_wait_for_a_dark_that_is_not_wanted_any_more(cfg, tmp_path):
    _, documents = with_darks_in_a_file(tmp_path / "late.h5")
    with ReductionCallback({**cfg, "dark": STREAM, "show_diff": False}, background=False, strict=True) as diff:
        send(diff, documents)
        diff.configure({"dark": None})
        diff.next()
        np.testing.assert_array_equal(
            diff.reduction.diffractograms[0].intensity,
            reduce(cfg, raw_run([image(2)]), None).of("event")[0]["data"]["diff_1"][1],
        )
