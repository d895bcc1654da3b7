"""Frames offered to those who show them: as read, once per frame, and nothing without anybody to show them."""

from __future__ import annotations

import numpy as np
import pytest

from bluesky_diffractogram import ReductionCallback
from bluesky_diffractogram.documents import offering

from .conftest import image, raw_run, send


class Kept(list):
    """A viewer that keeps every frame."""

    __hash__ = object.__hash__

    def __call__(self, frame):
        self.append(frame)


@pytest.mark.parametrize("background", [True, False])
def test_every_reduced_frame_is_offered_as_it_was_read(cfg, background):
    images, kept = [image(n) for n in range(4)], Kept()
    with ReductionCallback({**cfg, "transformation": "rot-180"}, background=background) as diff:
        diff.on_frame(kept)
        documents = list(raw_run(images))
        send(diff, documents)
        assert diff.wait(20)
    assert [frame.seq_num for frame in kept] == [1, 2, 3, 4]
    assert {frame.run_uid for frame in kept} == {documents[0][1]["uid"]}
    assert [frame.timestamp for frame in kept] == [1000.0, 1001.0, 1002.0, 1003.0]
    for frame, sent in zip(kept, images, strict=True):
        assert np.shares_memory(frame.image, sent)  # no copy
    assert len({id(frame.detector) for frame in kept}) == 1
    assert kept[0].detector.transformation == "rot-180"
    assert [each.number for each in kept[0].detector.outlines] == [1, 2]


def test_nothing_is_computed_without_a_viewer(cfg, monkeypatch):
    def never(*_):
        raise AssertionError("there is nobody to show a frame to")

    monkeypatch.setattr(offering, "detector_view", never)
    monkeypatch.setattr(offering, "read_frames", never)
    with ReductionCallback(cfg, strict=True) as diff:
        send(diff, raw_run([image(0), image(1)]))
        diff.show(False)
        send(diff, raw_run([image(0), image(1)]))
        assert diff.wait(20)
        assert not diff.errors


def test_frames_are_offered_while_none_is_reduced(cfg, monkeypatch):
    monkeypatch.setattr(offering, "UNREDUCED_EVERY_S", 0.0)
    kept = Kept()
    diff = ReductionCallback({**cfg, "show_diff": False}, background=False)
    diff.on_frame(kept)
    send(diff, raw_run([image(n) for n in range(3)]))
    assert [frame.seq_num for frame in kept] == [1, 2, 3]
    np.testing.assert_array_equal(kept[-1].image, image(2))
    assert diff.reduction is None
    assert not diff.errors


def test_of_frames_that_come_fast_and_are_not_reduced_the_first_and_the_last_are_offered(cfg, monkeypatch):
    monkeypatch.setattr(offering, "UNREDUCED_EVERY_S", 1000.0)
    kept = Kept()
    diff = ReductionCallback({**cfg, "show_diff": False}, background=False)
    diff.on_frame(kept)
    send(diff, raw_run([image(n) for n in range(5)]))
    assert [frame.seq_num for frame in kept] == [1, 5]


def test_of_several_frames_in_an_unreduced_event_the_last_is_offered(cfg):
    kept = Kept()
    diff = ReductionCallback({**cfg, "show_diff": False}, background=False)
    diff.on_frame(kept)
    send(diff, raw_run([np.stack([image(n) for n in range(3)])]))
    assert [(frame.seq_num, frame.frame_index) for frame in kept] == [(1, 2)]
    np.testing.assert_array_equal(kept[0].image, image(2))


def test_a_changed_configuration_offers_the_last_frame_again(cfg):
    kept = Kept()
    with ReductionCallback(cfg) as diff:
        diff.on_frame(kept)
        send(diff, raw_run([image(0)]))
        diff.configure({"diff_ranges": [[90, 120, 2, 9]], "diff_number": 1})
        assert diff.wait(20)
        diff.configure({"colors": ["C3"]})
        assert diff.wait(20)
    assert [frame.seq_num for frame in kept] == [1, 1, 1]
    assert [len(frame.detector.outlines) for frame in kept] == [2, 1, 1]
    assert kept[1].detector is kept[2].detector
    assert kept[2].config.colors is not None


def test_a_detector_that_cannot_be_shown_is_reduced_all_the_same(cfg, monkeypatch, caplog):
    def fails(reducer):
        raise ValueError("no plane")

    monkeypatch.setattr(offering, "detector_view", fails)
    kept = Kept()
    diff = ReductionCallback(cfg, background=False, strict=True)
    diff.on_frame(kept)
    send(diff, raw_run([image(0), image(1)]))
    assert kept == []
    assert diff.results is not None
    assert caplog.text.count("this is said once") == 1


def test_a_viewer_that_raises_harms_nobody_and_subscriptions_end(cfg, caplog):
    def broken(frame):
        raise RuntimeError("no window")

    kept = Kept()
    diff = ReductionCallback(cfg, background=False)
    diff.on_frame(broken)
    token = diff.on_frame(kept)
    send(diff, raw_run([image(0)]))
    assert len(kept) == 1
    assert "no window" in caplog.text
    assert not diff.errors
    diff.unsubscribe(token)
    send(diff, raw_run([image(0)]))
    assert len(kept) == 1
    with pytest.raises(KeyError):
        diff.unsubscribe(token)
