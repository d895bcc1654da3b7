"""The queue's three policies."""

from __future__ import annotations

import threading
import time

import pytest

from bluesky_diffractogram.documents import frame_queue
from bluesky_diffractogram.documents.frame_queue import FrameQueue
from bluesky_diffractogram.documents.messages import (
    DarkPassedOver,
    DarkReceived,
    FramesPassedOver,
    ImagesReceived,
    RunStopped,
)


def frame(seq_num, *, frames=1, in_file=False):
    return ImagesReceived("run", {}, {"uid": f"event {seq_num}", "seq_num": seq_num}, "image", in_file, frames, None)


def drain(queue):
    out = []
    while (message := queue.get(0)) is not None:
        if isinstance(message, ImagesReceived):
            out.append(message.event["seq_num"])
        elif isinstance(message, FramesPassedOver):
            out.append((message.why, message.frames))
        elif isinstance(message, DarkReceived):
            out.append(f"dark {message.images.event['seq_num']}")
        elif isinstance(message, DarkPassedOver):
            out.append(f"no dark: {message.why}")
        else:
            out.append("stop")
    return out


def test_in_order_and_none_when_empty():
    queue = FrameQueue(10, "block", 1.0)
    for n in range(5):
        queue.put(frame(n))
    assert drain(queue) == [0, 1, 2, 3, 4]
    assert queue.get(0.01) is None


def test_block_waits_for_room():
    queue = FrameQueue(1, "block", 10.0)
    queue.put(frame(0))
    threading.Timer(0.2, queue.get, (0,)).start()
    before = time.monotonic()
    queue.put(frame(1))
    assert time.monotonic() - before >= 0.15
    assert drain(queue) == [1]


def test_block_drops_the_frame_after_its_time_and_says_so_in_its_place():
    queue = FrameQueue(1, "block", 0.1)
    for n in range(3):
        queue.put(frame(n))
    queue.put(RunStopped("run", {}))
    assert drain(queue) == [0, ("dropped", 1), ("dropped", 1), "stop"]


def test_block_waits_while_the_reduction_is_made_ready():
    starting = threading.Event()
    queue = FrameQueue(1, "block", 0.01, starting=lambda: not starting.is_set())
    queue.put(frame(0))
    putting = threading.Thread(target=queue.put, args=(frame(1),))
    putting.start()
    putting.join(0.3)
    assert putting.is_alive()
    starting.set()  # and nobody makes room
    putting.join(10)
    assert drain(queue) == [0, ("dropped", 1)]


def test_block_does_not_wait_for_a_start_that_never_ends(monkeypatch):
    monkeypatch.setattr(frame_queue, "LONGEST_START_S", 0.05)
    queue = FrameQueue(1, "block", 0.01, starting=lambda: True)
    queue.put(frame(0))
    queue.put(frame(1))
    assert drain(queue) == [0, ("dropped", 1)]


def test_block_does_not_wait_for_a_dead_worker():
    queue = FrameQueue(1, "block", 60.0, alive=lambda: False)
    before = time.monotonic()
    queue.put(frame(0))
    queue.put(frame(1))
    assert time.monotonic() - before < 5
    assert drain(queue) == [0, ("dropped", 1)]


def test_drop_oldest():
    queue = FrameQueue(2, "drop_oldest", 1.0)
    for n in range(5):
        queue.put(frame(n))
    assert drain(queue) == [("dropped", 1)] * 3 + [3, 4]


def test_latest():
    queue = FrameQueue(2, "latest", 1.0)
    for n in range(5):
        queue.put(frame(n))
    assert [entry for entry in drain(queue) if isinstance(entry, int)][-1] == 4


@pytest.mark.parametrize("policy", ["block", "drop_oldest", "latest"])
def test_documents_and_frames_in_files_are_never_dropped(policy):
    queue = FrameQueue(1, policy, 0.01)
    for n in range(50):
        queue.put(frame(n, in_file=True))
        queue.put(RunStopped("run", {}))
    assert drain(queue) == [entry for n in range(50) for entry in (n, "stop")]


@pytest.mark.parametrize("policy", ["block", "drop_oldest", "latest"])
def test_events_of_several_frames_count_as_many(policy):
    queue = FrameQueue(4, policy, 0.01)
    for n in range(3):
        queue.put(frame(n, frames=3))
    out = drain(queue)
    assert sum(entry[1] for entry in out if isinstance(entry, tuple)) == 6
    assert len([entry for entry in out if isinstance(entry, int)]) == 1


def test_an_event_larger_than_the_queue_is_let_in_alone():
    queue = FrameQueue(4, "block", 0.01)
    queue.put(frame(0, frames=100))
    assert drain(queue) == [0]


def dark(seq_num, **how):
    return DarkReceived(frame(seq_num, **how))


@pytest.mark.parametrize("policy", ["block", "drop_oldest", "latest"])
def test_darks_take_room_and_are_not_dropped_for_others(policy):
    queue = FrameQueue(2, policy, 0.05)
    for message in (frame(0), dark(1), frame(2), frame(3), dark(4), dark(5)):
        queue.put(message)
    assert [entry for entry in drain(queue) if isinstance(entry, str)] == ["dark 1", "dark 4", "dark 5"]
    for n in (1, 2, 3):
        queue.put(dark(n))
    queue.put(frame(4))
    assert drain(queue) == ["dark 1", "dark 2", "dark 3", ("dropped", 1)]


def test_a_dark_waits_for_room_as_frames_do():
    queue = FrameQueue(1, "block", 10.0)
    queue.put(frame(0))
    threading.Timer(0.2, queue.get, (0,)).start()
    before = time.monotonic()
    queue.put(dark(1))
    assert time.monotonic() - before >= 0.15
    assert drain(queue) == ["dark 1"]


def test_at_the_end_darks_are_not_read_any_more():
    queue = FrameQueue(5, "block", 1.0)
    for message in (dark(0), frame(1), dark(2, in_file=True)):
        queue.put(message)
    queue.drop_frames()
    assert drain(queue) == ["no dark: dropped", ("dropped", 1), "no dark: dropped"]
