"""A slow subscriber in a thread of its own."""

from __future__ import annotations

import itertools
import threading
import time

import pytest

from bluesky_diffractogram.documents import subscribers as module
from bluesky_diffractogram.documents.subscribers import Subscribers


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(module, "MOST_WAITING", 5)
    monkeypatch.setattr(module, "PATIENCE_S", 0.3)


@pytest.fixture
def subscribers():
    return Subscribers("a test", itertools.count())


def test_what_waits_for_a_slow_one_has_a_bound_and_nothing_is_lost_while_it_keeps_up(few, subscribers):
    got = []
    token = subscribers.add(lambda n: (time.sleep(0.01), got.append(n)), own_thread=True)
    for n in range(30):
        subscribers.call(n)
        assert len(subscribers._subscribers[token]._waiting) <= 5
    assert subscribers.wait(10)
    assert got == list(range(30))


def test_one_that_is_stuck_holds_the_others_up_once_and_is_left_out_then(few, subscribers, caplog):
    go_on, got, others = threading.Event(), [], []
    stuck = subscribers.add(lambda n: (go_on.wait(30), got.append(n)), own_thread=True)
    quick = subscribers.add(others.append)
    began = time.monotonic()
    for n in range(50):
        subscribers.call(n)
    assert time.monotonic() - began < 2
    assert others == list(range(50))
    assert not subscribers.wait(0.05)
    go_on.set()
    assert subscribers.wait(10)
    assert got == list(range(6))  # one that it had, and those that waited
    assert (subscribers.lost(stuck), subscribers.lost(quick)) == (44, 0)
    assert len(caplog.records) == 1
    subscribers.call(99)
    assert subscribers.wait(10)
    assert got[-1] == 99


def test_several_waits_share_their_time(subscribers):
    stuck = threading.Event()
    for _ in range(3):
        subscribers.add(lambda: stuck.wait(30), own_thread=True)
    subscribers.call()
    began = time.monotonic()
    assert not subscribers.wait(0.2)
    assert time.monotonic() - began < 0.5
    stuck.set()


def test_one_that_is_removed_gets_what_it_was_sent(subscribers):
    got = []
    token = subscribers.add(lambda n: (time.sleep(0.02), got.append(n)), own_thread=True)
    for n in range(5):
        subscribers.call(n)
    thread = subscribers._subscribers[token]._thread
    subscribers.remove(token)
    thread.join(10)
    assert got == list(range(5))
