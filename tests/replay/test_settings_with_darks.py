"""Runs with darks whose configuration was changed on the way, computed again: each dark is read as it was."""

from __future__ import annotations

import json

import numpy as np
import pytest
from derived_documents import assert_same, derived_of
from documents.conftest import Collected, image, raw_run
from documents.dark_runs import DarkRun, dark_image
from documents.stream_runs import settle, uri_of, write_hdf5
from test_frame_settings import reduced
from test_reduced_ahead import blocks  # noqa: F401  (a fixture)

from bluesky_diffractogram import ReductionCallback, replay

STREAM = {"stream": "dark"}
BRIGHT = {"valid_range": [None, 14]}
"""Above which pixels of a dark are invalid, and masked in its frames; so are all of most frames, but not of ours."""


def faint(n):
    """A frame without a pixel that is above the limit."""
    return image(n) % np.uint16(13)


class Taken:
    """Events in the order in which they are named: frames, darks, and changes after the one before."""

    def __init__(self, *steps):
        run = DarkRun()
        self.documents, self.changes, self._n = run.begin(), {}, 0
        for step in steps:
            if isinstance(step, dict):
                self.changes[self._n] = {**self.changes.get(self._n, {}), **step}
                continue
            kind, number = step
            self.documents.append(run.dark(dark_image(number)) if kind == "dark" else run.event(faint(number)))
            self._n += 1
        self.documents.append(run.stop())

    def derived(self, cfg):
        return reduced(cfg, self.documents, dict(self.changes))


def dark(n):
    return "dark", n


def frame(n):
    return "frame", n


def numbers(derived):
    return [doc["data"].get("dark_seq_num") for doc in derived.of("event")]


def assert_same_again(taken, derived):
    again = derived_of(derived, raw=taken.documents)
    assert_same(again, derived)
    return again


def test_a_dark_between_the_change_and_the_next_frame(cfg):
    """Nobody looked for darks before it: derived events alone do not say from when on one did."""
    taken = Taken(frame(0), {"dark": STREAM}, dark(0), frame(1), dark(1), frame(2))
    derived = taken.derived(cfg)
    assert numbers(derived) == [None, 1, 2]
    assert [each.get("as") for each in derived.of("stop")[0]["settings"]] == ["diffractogram", "diffractogram_2"]
    assert [(each["stream"], each["seq_num"]) for each in derived.of("stop")[0]["settings"]] == [
        ("primary", 1),
        ("dark", 1),
    ]
    assert_same_again(taken, derived)


@pytest.mark.parametrize("before", [True, False])
def test_a_dark_is_read_by_the_rules_that_held_when_it_came(cfg, before):
    cfg = {**cfg, "dark": STREAM, "count": True}
    steps = [dark(1), BRIGHT] if before else [BRIGHT, dark(1)]
    taken = Taken(dark(0), frame(0), *steps, frame(1))
    derived = taken.derived(cfg)
    again = assert_same_again(taken, derived)
    assert numbers(again) == [1, 2]
    masked = again.of("event")[0]["data"]["count_1"].sum() - again.of("event")[1]["data"]["count_1"].sum()
    assert (masked > 0) is not before


def test_darks_that_were_not_wanted_for_a_while(cfg):
    """What was in force is let go; the frame behind it is skipped, and has no derived event that would tell of it."""
    taken = Taken(dark(0), frame(0), {"dark": None}, frame(1), {"dark": STREAM}, frame(2), dark(1), frame(3))
    derived = taken.derived({**cfg, "dark": STREAM})
    assert numbers(derived) == [1, None, 2]
    assert derived.of("stop")[0]["frames"]["reasons"] == {"no dark": 1}
    assert_same_again(taken, derived)


def test_a_setting_with_which_nothing_but_a_dark_was_read(cfg):
    """It has no derived stream: the stop document says it."""
    cfg = {**cfg, "dark": STREAM, "count": True}
    taken = Taken(dark(0), frame(0), BRIGHT, dark(1), {"valid_range": None}, frame(1))
    derived = taken.derived(cfg)
    first, between, last = derived.of("stop")[0]["settings"]
    assert ("as" in first, "as" in between, "as" in last) == (True, False, True)
    assert json.loads(between["configuration"])["valid_range"] == [None, 14.0]
    assert_same_again(taken, derived)
    assert derived.of("event")[1]["data"]["count_1"].sum() < derived.of("event")[0]["data"]["count_1"].sum()


def test_frames_that_were_skipped_under_another_setting_are_skipped_again(cfg):
    taken = Taken(frame(0), {"normalization": "monitor"}, frame(1), {"normalization": None}, frame(2))
    derived = taken.derived(cfg)
    assert derived.of("stop")[0]["frames"]["reasons"] == {"normalization": 1}
    assert_same_again(taken, derived)


def test_next_under_a_setting_of_its_own(cfg):
    """What is reduced on request has the setting of then, be it told where its image came or not."""
    taken, derived, events = Taken(dark(0), frame(0), frame(1), dark(1), frame(2)), Collected(), 0
    with ReductionCallback({**cfg, "dark": STREAM, "show_diff": False}, background=False) as diff:
        diff.subscribe(derived)
        for name, doc in taken.documents:
            diff(name, doc)
            events += name == "event"
            if name == "event" and events in (2, 3, 5):
                diff.configure({"npt": 70 + events})
                diff.next()
    assert numbers(derived) == [1, 1, 2]
    assert [doc["data"]["diff_1"].shape[1] for doc in derived.of("event")] == [72, 73, 75]
    assert [doc["seq_num"] for doc in derived.of("stop")[0]["settings"]] == [1, 1, 2, 3]
    again = derived_of(derived, raw=taken.documents)
    for doc, other in zip(again.of("event"), derived.of("event"), strict=True):
        for key in ("diff_1", "dark_seq_num", "raw_seq_num"):
            np.testing.assert_array_equal(doc["data"][key], other["data"][key])


def test_in_files_and_by_workers(cfg, tmp_path, blocks):  # noqa: F811
    write_hdf5(tmp_path / "darks.h5", [dark_image(0), dark_image(1)])
    write_hdf5(tmp_path / "frames.h5", [faint(n) for n in range(6)])
    settle()
    run = DarkRun(in_files=("primary", "dark"))
    documents = [*run.begin(), run.resource(uri_of(tmp_path / "darks.h5"), uid="darks")]
    documents.append(run.resource(uri_of(tmp_path / "frames.h5"), uid="frames"))
    for n in range(2):
        documents += run.point(n, "dark", uid="darks")
        for m in range(3):
            documents += run.point(3 * n + m, uid="frames")
    documents.append(run.stop())
    derived = reduced({**cfg, "dark": STREAM}, documents, {8: BRIGHT})  # behind the third frame, before the second dark
    assert [(each["stream"], each["seq_num"]) for each in derived.of("stop")[0]["settings"]] == [
        ("dark", 1),
        ("dark", 2),
    ]
    assert_same(derived_of(derived, raw=documents), derived)
    assert_same(derived_of(derived, raw=documents, workers=2), derived)
    assert sum(blocks) > 0


def test_a_setting_that_cannot_be_had_again_is_said_and_passed_over(cfg, caplog):
    cfg = {**cfg, "dark": STREAM}
    mask = np.zeros((120, 130), bool)
    taken = Taken(dark(0), frame(0), {"mask": mask}, dark(1), {"mask": None}, frame(1))
    derived = taken.derived(cfg)
    again = derived_of(derived, raw=taken.documents)
    assert "what came from dark, seq_num 2, on is reduced as what was before it" in caplog.text
    np.testing.assert_array_equal(
        [doc["data"]["diff_1"] for doc in again.of("event")], [doc["data"]["diff_1"] for doc in derived.of("event")]
    )


def test_points_that_are_taken_again_after_changes_have_the_setting_of_then(cfg):
    documents = [*raw_run([image(n) for n in range(7)], seq_nums=[1, 2, 3, 4, 3, 4, 5])]
    changes, events, live = {2: 100, 3: 80}, 0, Collected()
    with ReductionCallback(cfg, background=False) as diff:
        diff.subscribe(live)
        for name, doc in documents:
            if name == "event":
                if events in changes:
                    diff.configure({**cfg, "npt": changes[events]})
                events += 1
            diff(name, doc)
    again = [doc["data"] for name, doc in replay([*live], raw=documents) if name == "event"]
    before = [doc["data"] for doc in live.of("event")]
    assert [data["diff_1"].shape[1] for data in before] == [150, 150, 100, 80, 80, 80, 80]
    for data, expected in zip(again, before, strict=True):
        np.testing.assert_array_equal(data["diff_1"], expected["diff_1"])
