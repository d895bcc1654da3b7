"""Plan stubs."""

from __future__ import annotations

import threading
import time

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import bluesky.preprocessors as bpp
import pytest
from bluesky.simulators import RunEngineSimulator, check_limits, summarize_plan

from bluesky_diffractogram import (
    calibrated_count,
    collect,
    configure_diffractogram,
    reset_buffer,
    wait_for_reduction,
)


def test_configuring_changes_all_or_nothing(steered):
    old, new = steered.run(configure_diffractogram(steered.device, {"diff_units": "q [1/A]", "npt": 120}))
    assert (steered.diff.config.diff_units, steered.diff.config.npt) == ("q [1/A]", 120)
    assert old["diffractogram_npt"]["value"] == 250
    assert new["diffractogram_npt"]["value"] == 120
    config = steered.diff.config
    with pytest.raises(ValueError, match=r"npt = 0: allowed: .*1"):
        next(configure_diffractogram(steered.device, {"diff_units": "2th [deg]", "npt": 0}))
    assert steered.diff.config is config


def test_collecting_is_switched(steered):
    steered.run(collect(steered.device, False))
    steered.run(bp.count([steered.detector], 2))
    assert steered.run(wait_for_reduction(steered.device)) is True
    assert len(steered.diff.buffers[0]) == 0
    steered.run(collect(steered.device))
    steered.run(bp.count([steered.detector], 2))
    assert steered.run(wait_for_reduction(steered.diff)) is True
    assert len(steered.diff.buffers[0]) == 2
    steered.run(reset_buffer(steered.device))
    assert len(steered.diff.buffers[0]) == 0


def test_waiting_ends_in_time_and_says_so(steered):
    go = threading.Event()
    steered.diff.subscribe(lambda name, doc: go.wait(20))
    steered.run(bp.count([steered.detector]))
    started = time.monotonic()
    assert steered.run(wait_for_reduction(steered.device, 0.2)) is False
    assert 0.15 < time.monotonic() - started < 5
    go.set()
    assert steered.run(wait_for_reduction(steered.device, 20)) is True


def test_the_run_engine_can_be_paused_while_it_waits(steered):
    """The wait does not hold the RunEngine's own thread."""
    go = threading.Event()
    steered.diff.subscribe(lambda name, doc: go.wait(20))
    steered.run(bp.count([steered.detector]))

    @bpp.run_decorator()
    def plan():
        yield from bps.checkpoint()
        yield from wait_for_reduction(steered.device, 15)

    timer = threading.Timer(0.3, steered.engine.request_pause)
    timer.start()
    started = time.monotonic()
    with pytest.raises(Exception, match="paused"):
        steered.engine(plan())
    assert time.monotonic() - started < 5
    go.set()
    steered.engine.resume()
    assert steered.of("stop")[-1]["exit_status"] == "success"


@pytest.mark.parametrize(
    "plan",
    [
        lambda device: configure_diffractogram(device, {}),
        lambda device: collect(device),
        lambda device: reset_buffer(device),
        lambda device: wait_for_reduction(device),
    ],
)
def test_what_is_no_device_of_ours_is_refused_at_the_first_message(steered, plan):
    with pytest.raises(ValueError, match="SimulatedPowderDetector 'detector': allowed: a DiffractogramDevice"):
        next(plan(steered.detector))


def test_nonsense_for_a_timeout_is_refused(steered):
    with pytest.raises(ValueError, match="timeout = -1: allowed"):
        next(wait_for_reduction(steered.device, -1))


def test_they_can_be_simulated(steered, capsys):
    def plan():
        yield from configure_diffractogram(steered.device, {"npt": 100})
        yield from collect(steered.device, False)
        yield from reset_buffer(steered.device)
        assert (yield from wait_for_reduction(steered.device)) is True

    config = steered.diff.config
    commands = [message.command for message in RunEngineSimulator().simulate_plan(plan())]
    assert commands == ["configure", "set", "wait", "trigger", "wait", "wait_for"]
    summarize_plan(plan())
    check_limits(plan())
    assert steered.diff.config is config


@pytest.mark.parametrize("settings", [None, "npt", [1], {1: 2}])
def test_settings_that_are_none_are_refused(steered, settings):
    for plan in (
        configure_diffractogram(steered.device, settings),
        calibrated_count([steered.detector], steered.device, settings=settings or [None]),
        calibrated_count([steered.detector], steered.device, settings=settings or [None], calibration="other.poni"),
    ):
        with pytest.raises(ValueError, match="allowed: "):
            next(plan)


def test_a_whole_configuration_may_be_set(steered):
    steered.run(configure_diffractogram(steered.device, steered.diff.config.model_copy(update={"npt": 77})))
    assert steered.diff.config.npt == 77


def read_twice(steered, between):
    """A run whose baseline has the device and a motor; between two points something else is done."""

    @bpp.baseline_decorator([steered.device, steered.furnace])
    @bpp.run_decorator()
    def plan():
        yield from bps.trigger_and_read([steered.detector])
        yield from between
        yield from bps.trigger_and_read([steered.detector])

    return plan()


def test_a_change_that_bluesky_cannot_record_is_not_made(steered):
    """What bluesky's bundler does with the change is another matter for each of its versions."""
    before = steered.diff.config
    try:
        steered.run(read_twice(steered, configure_diffractogram(steered.device, {"npt": 111, "trigger_timeout": 5})))
        refused = None
    except RuntimeError as error:
        refused = str(error)
    if refused is not None:
        assert "cannot record in the run" in refused
        assert steered.diff.config == before
        assert steered.device.trigger_timeout.get() == 20.0
    uids = {doc["uid"]: doc for doc in steered.of("descriptor") if doc["name"] == "baseline"}
    recorded = [
        uids[event["descriptor"]]["configuration"]["diffractogram"]["data"]["diffractogram_npt"]
        for event in steered.events("baseline")
    ]
    assert recorded[-1] == steered.diff.config.npt
