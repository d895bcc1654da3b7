"""A scan that is faster than the reduction: what is lost is told."""

from __future__ import annotations

import time

import pytest

from bluesky_diffractogram import ReductionCallback
from bluesky_diffractogram.reduction.reducer import Reducer

from .conftest import image, raw_run, send
from .test_callback import frames_add_up


@pytest.fixture
def slow(monkeypatch):
    """Reductions that take 50 ms."""
    reduce = Reducer.reduce

    def slowly(self, frame):
        time.sleep(0.05)
        return reduce(self, frame)

    monkeypatch.setattr(Reducer, "reduce", slowly)


def run(cfg, collected, **options):
    diff = ReductionCallback(cfg, **options)
    diff.subscribe(collected)
    diff.wait(20)  # until the table is built
    before = time.monotonic()
    send(diff, raw_run([image(n) for n in range(20)]))
    took = time.monotonic() - before
    assert diff.wait(30)
    diff.close()
    (stop,) = collected.of("stop")
    frames = frames_add_up(stop)
    assert frames["received"] == 20
    return frames, took


def test_block_loses_nothing_and_the_scan_waits(cfg, collected, slow):
    frames, took = run({**cfg, "queue_size": 2}, collected)
    assert frames["reduced"] == 20
    assert took > 0.5


def test_block_gives_up_on_a_frame_after_its_time_and_says_so(cfg, collected, slow, caplog):
    frames, _ = run({**cfg, "queue_size": 1}, collected, block_timeout=0.01)
    assert frames["dropped"] > 0
    said = [each.getMessage() for each in caplog.records if "dropped" in each.getMessage()]
    (start,) = collected.of("start")
    assert len(said) == 2
    assert said[1] == f"run {start['raw_uid']}: {frames['dropped']} frames were dropped"


@pytest.mark.parametrize("policy", ["drop_oldest", "latest"])
def test_dropping_policies_never_hold_the_scan_up(cfg, collected, slow, policy):
    frames, took = run({**cfg, "queue_size": 2, "when_full": policy}, collected)
    assert frames["dropped"] > 0
    assert took < 1.0
    assert collected.of("event")[-1]["data"]["raw_seq_num"] == 20
