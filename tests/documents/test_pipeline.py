"""Messages dealt with in order: runs, their frames, buffers, and who is told."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from bluesky_diffractogram.config import load_config
from bluesky_diffractogram.documents.assets import Assets
from bluesky_diffractogram.documents.intake import Intake
from bluesky_diffractogram.documents.messages import (
    FramesPassedOver,
    ImagesReceived,
    NextRequested,
    ResetRequested,
    RunAbandoned,
    SettingChanged,
)
from bluesky_diffractogram.documents.pipeline import Pipeline
from bluesky_diffractogram.documents.setting import Setting
from bluesky_diffractogram.documents.subscribers import Subscribers

from .conftest import Collected, image, raw_run
from .stream_runs import StreamRun, images, settle, uri_of, write_hdf5
from .test_callback import frames_add_up


class Piped:
    """A pipeline with all that it tells, in one list."""

    def __init__(self, cfg, file_timeout=0.0):
        self.setting = Setting.open(load_config(cfg))
        self.intake, self.assets = Intake(), Assets()
        self.told, self.emitted, self.aside = [], Collected(), Collected()
        self.pipeline = Pipeline(
            self.setting, self.assets, self._emit, self._reduced, self.told.append, file_timeout,
            Subscribers("viewers", itertools.count()), lambda: None, on_aside=self.aside,
        )  # fmt: skip
        self.pipeline.process(SettingChanged(self.setting))

    def _emit(self, name, doc):
        self.told.append(name)
        self.emitted(name, doc)

    def _reduced(self, reduction, reducer, origin, run_uid):
        self.told.append(("reduced", origin.seq_num, run_uid))

    def messages(self, documents):
        return [message for name, doc in documents for message in self.intake.receive(name, doc, self.setting)]

    def send(self, documents):
        for message in self.messages(documents):
            self.pipeline.process(message)


@pytest.fixture
def piped(cfg):
    return Piped(cfg)


def test_each_reduction_is_announced_after_its_event_and_the_run_is_forgotten_with_its_stop(piped):
    documents = list(raw_run([image(0), image(1)]))
    piped.send(documents)
    uid = documents[0][1]["uid"]
    expected = ["start", "descriptor", "event", ("reduced", 1, uid), "event", ("reduced", 2, uid), "stop"]
    assert piped.told == expected
    assert frames_add_up(piped.emitted.of("stop")[0])["reduced"] == 2
    assert piped.pipeline.frames()["reduced"] == 2
    assert len(piped.pipeline.buffers[0]) == 2
    assert piped.pipeline._runs == {}


def test_counts_go_on_from_run_to_run_and_hold_those_that_are_open(piped):
    for number in (2, 1):
        piped.send(raw_run([image(n) for n in range(number)]))
    piped.send(list(raw_run([image(0)] * 3))[:-2])
    assert piped.pipeline.frames()["received"] == 2 + 1 + 2


def test_frames_that_are_passed_over_are_counted_for_their_reason(piped):
    messages = piped.messages(raw_run([image(0), image(1)]))
    for message in messages:
        if isinstance(message, ImagesReceived) and message.event["seq_num"] == 1:
            message = FramesPassedOver(message.run_uid, message.event["uid"], 1, "dropped")
        piped.pipeline.process(message)
    frames = frames_add_up(piped.emitted.of("stop")[0])
    assert (frames["dropped"], frames["reduced"]) == (1, 1)


def test_a_reset_and_a_run_that_resets_empty_the_buffers(cfg):
    piped = Piped(cfg)
    piped.send(raw_run([image(0)]))
    piped.pipeline.process(ResetRequested())
    assert len(piped.pipeline.buffers[0]) == 0
    piped = Piped({**cfg, "reset_on_start": True})
    for _ in range(2):
        piped.send(raw_run([image(0), image(1)]))
        assert len(piped.pipeline.buffers[0]) == 2


def test_next_after_the_run_goes_into_the_buffers_and_to_those_aside_only(piped):
    documents = list(raw_run([image(0), image(1)]))
    messages = piped.messages(documents)
    for message in messages:
        piped.pipeline.process(message)
    (*_, latest) = (message for message in messages if isinstance(message, ImagesReceived))
    piped.pipeline.reset()
    emitted = len(piped.emitted)
    piped.pipeline.process(NextRequested(latest, piped.setting, documents[0][1]))
    assert len(piped.emitted) == emitted
    assert piped.aside.names == ["start", "descriptor", "event", "stop"]
    (event,) = piped.aside.of("event")
    np.testing.assert_array_equal(event["data"]["diff_1"], piped.emitted.of("event")[1]["data"]["diff_1"])
    assert len(piped.pipeline.buffers[0]) == 1
    assert piped.told[-1] == ("reduced", 2, latest.run_uid)


def test_an_abandoned_run_is_closed_as_aborted_with_what_is_missing(piped):
    messages = piped.messages(list(raw_run([image(0)]))[:-1])
    for message in messages:
        piped.pipeline.process(message)
    piped.pipeline.process(RunAbandoned(messages[0].start["uid"], "no document came", 3))
    stop = piped.emitted.of("stop")[0]
    assert (stop["exit_status"], stop["reason"]) == ("abort", "no document came")
    assert stop["frames"]["missing"] == 3


def test_files_that_are_not_there_wait_and_are_tried_again(cfg, tmp_path):
    piped, path = Piped(cfg, file_timeout=30.0), tmp_path / "frames.h5"
    documents = list(StreamRun(uri_of(path)).step_scan(2))
    uid = documents[0][1]["uid"]
    piped.send(documents[:-1])
    assert piped.pipeline.parked
    assert piped.pipeline.parked_in(uid)
    assert not piped.pipeline.parked_in("another")
    assert not piped.pipeline.waiting_after_stop
    piped.send(documents[-1:])
    assert piped.pipeline.waiting_after_stop
    write_hdf5(path, images(2))
    settle()
    for _ in range(2):  # a run has a tenth of a second at a time
        piped.pipeline.retry()
    assert frames_add_up(piped.emitted.of("stop")[0])["reduced"] == 2
    assert not piped.pipeline.parked


def test_a_run_that_is_given_again_while_it_waits_for_files_is_closed_first(cfg, tmp_path):
    """As Kafka may: of the frames that waited none is lost from the counts."""
    piped = Piped(cfg, file_timeout=30.0)
    documents = list(StreamRun(uri_of(tmp_path / "never.h5")).step_scan(2))
    piped.send(documents)
    piped.send(documents[:2])
    stop = piped.emitted.of("stop")[0]
    assert frames_add_up(stop)["skipped"] == 2
    assert piped.pipeline.frames()["skipped"] == 2
    piped.pipeline.close("the end")
    assert piped.pipeline._runs == {}


def test_a_close_ends_what_is_open_with_its_reason(piped):
    piped.send(list(raw_run([image(0), image(1)]))[:-1])
    piped.pipeline.close("interpreter exit")
    stop = piped.emitted.of("stop")[0]
    assert (stop["exit_status"], stop["reason"]) == ("abort", "interpreter exit")
    assert frames_add_up(stop)["reduced"] == 2


def test_the_image_that_follows_is_read_ahead_unless_its_run_is_parked(cfg, tmp_path, monkeypatch):
    piped, path = Piped(cfg, file_timeout=30.0), tmp_path / "frames.h5"
    ahead = []
    monkeypatch.setattr(piped.assets, "prefetch", lambda message: ahead.append(message.event["seq_num"]))
    messages = piped.messages(StreamRun(uri_of(path)).step_scan(3))
    received = [message for message in messages if isinstance(message, ImagesReceived)]
    for message in messages[: messages.index(received[0])]:
        piped.pipeline.process(message, message)
    assert ahead == []
    piped.pipeline.process(received[0], received[1])
    assert ahead == [2]
    piped.pipeline.process(received[1], received[2])  # the first one waits for its file by now
    assert ahead == [2]


def test_a_setting_with_which_nothing_can_be_reduced_is_said_before_any_frame(piped, cfg, caplog):
    beyond = Setting.open(load_config({**cfg, "diff_ranges": [[0, 90, 80, None]]}))
    piped.pipeline.process(SettingChanged(beyond))
    assert "no frame can be reduced with this configuration" in caplog.text


def test_what_fails_while_it_is_announced_is_told_and_the_frame_counts(piped):
    def fails(*_):
        raise RuntimeError("a follower")

    piped.pipeline._on_reduction = fails
    piped.send(raw_run([image(0)]))
    assert frames_add_up(piped.emitted.of("stop")[0])["reduced"] == 1
    assert [str(each) for each in piped.told if isinstance(each, Exception)] == ["a follower"]
