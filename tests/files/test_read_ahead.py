"""Reading ahead of who takes the frames."""

from __future__ import annotations

import threading

import pytest

from bluesky_diffractogram.files import read_ahead


def test_frames_come_in_order_and_an_error_at_its_place():
    def read(index):
        if index == 3:
            raise ValueError("three")
        return index * 10

    taken = []
    for frame in read_ahead(read, range(6)):
        try:
            taken.append(frame())
        except ValueError as error:
            taken.append(str(error))
    assert taken == [0, 10, 20, "three", 40, 50]


def test_the_next_frame_is_read_while_the_last_one_is_worked_on():
    reading = [threading.Event() for _ in range(4)]

    def read(index):
        reading[index].set()
        return index

    frames = read_ahead(read, range(4), depth=2)
    assert next(frames)() == 0
    assert reading[1].wait(10)
    assert reading[2].wait(10)
    assert not reading[3].is_set()  # no more than `depth` are kept in memory
    assert [frame() for frame in frames] == [1, 2, 3]


def test_a_consumer_that_leaves_early_stops_the_reading():
    begun = []
    frames = read_ahead(begun.append, range(1000))
    next(frames)()
    frames.close()
    assert len(begun) < 10


@pytest.mark.parametrize("indices", [[], [7]])
def test_few_frames_need_no_thread(indices):
    threads = []
    assert [
        frame() for frame in read_ahead(lambda i: threads.append(threading.current_thread()) or i, indices)
    ] == indices
    assert all(thread is threading.current_thread() for thread in threads)
