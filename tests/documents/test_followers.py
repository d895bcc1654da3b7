"""Those who follow what the callback computes, and how it is configured."""

from __future__ import annotations

import pytest

from bluesky_diffractogram import ConfigError, ReductionCallback
from documents.conftest import raw_run, send


@pytest.fixture
def diff(poni):
    callback = ReductionCallback({"calibration": str(poni), "npt": 50})
    yield callback
    callback.close(5.0)


def test_a_follower_gets_each_reduction_with_its_origin_after_the_derived_event(diff, rings):
    seen = []
    diff.subscribe(lambda name, doc: seen.append(name))
    token = diff.on_reduction(lambda latest: seen.append((latest.origin.seq_num, latest is diff.latest)))
    send(diff, raw_run([rings, rings]))
    assert diff.wait(20)
    assert seen == ["start", "descriptor", "event", (1, True), "event", (2, True), "stop"]
    diff.unsubscribe(token)
    send(diff, raw_run([rings]))
    assert diff.wait(20)
    assert len(seen) == 11


def test_a_follower_gets_each_configuration_in_force(diff):
    seen = []
    token = diff.on_setting(lambda setting: seen.append((setting.config.npt, setting is diff.setting)))
    diff.configure({"npt": 60})
    diff.show(False)
    with pytest.raises(ConfigError):
        diff.configure({"npt": 0})
    diff.next()
    diff.reset()
    assert seen == [(60, True), (60, True)]
    diff.unsubscribe(token)
    diff.configure({"npt": 70})
    assert len(seen) == 2


def test_a_follower_that_raises_reaches_nobody(diff, rings, caplog):
    diff.on_setting(lambda setting: 1 / 0)
    diff.on_reduction(lambda latest: 1 / 0)
    diff.configure({"npt": 60})
    send(diff, raw_run([rings]))
    assert diff.wait(20)
    assert diff.config.npt == 60
    assert diff.latest.origin.seq_num == 1
    assert caplog.text.count("ZeroDivisionError") >= 2


def test_an_image_is_being_processed_from_the_moment_that_it_is_the_latest(diff, rings):
    """Else one who waits for the latest image would take it for one that was passed over."""
    assert diff.wait(20)  # until the table is built
    put, seen = diff._turns.put, []
    diff._turns.put = lambda message: (seen.append(diff.processing), put(message))
    send(diff, raw_run([rings]))
    assert diff.wait(20)
    assert seen
    assert all(seen)
    assert not diff.processing
