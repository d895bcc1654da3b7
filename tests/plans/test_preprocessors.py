"""The reduction for one plan."""

from __future__ import annotations

import threading

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import bluesky.preprocessors as bpp
import pytest
from bluesky import RunEngine
from bluesky.simulators import summarize_plan
from documents.conftest import Collected

from bluesky_diffractogram import ConfigError, ReductionCallback, diffractogram_decorator, diffractogram_wrapper
from bluesky_diffractogram.sim.beamline import simulated_beamline


@pytest.fixture
def beamline(tmp_path):
    return simulated_beamline(tmp_path, detector="small")


def test_a_plan_is_reduced_and_nothing_after_it(beamline):
    collected, engine = Collected(), RunEngine({})
    (uid,) = engine(
        diffractogram_wrapper(bp.count([beamline.detector], 3), beamline.configuration, subs=collected, plot=False)
    )
    # all of it is there when the plan has ended
    assert collected.names == ["start", "descriptor", "event", "event", "event", "stop"]
    assert collected.of("start")[0]["raw_uid"] == uid
    engine(bp.count([beamline.detector], 2))
    assert len(collected) == 6


def test_the_decorator_reduces_every_call(beamline):
    collected = Collected()

    @diffractogram_decorator(beamline.configuration, subs=[collected], plot=False)
    def measure(num):
        """Measure."""
        return (yield from bp.count([beamline.detector], num))

    engine = RunEngine({}, call_returns_result=True)
    assert measure.__doc__ == "Measure."
    result = engine(measure(2))
    assert result.plan_result == result.run_start_uids[0]
    engine(measure(1))
    assert [stop["frames"]["reduced"] for stop in collected.of("stop")] == [2, 1]


def test_a_callback_of_ones_own_stays_open(beamline):
    diff = ReductionCallback(beamline.configuration)
    engine = RunEngine({})
    for _ in range(2):
        engine(diffractogram_wrapper(bp.count([beamline.detector], 2), diff))
    assert len(diff.buffers[0]) == 4
    assert diff._turns._worker is not None
    diff.close()


@pytest.mark.parametrize("how", ["raise", "abort", "stop"])
def test_it_cleans_up_after_a_plan_that_does_not_end_well(beamline, how, monkeypatch):
    closed = []
    close = ReductionCallback.close
    monkeypatch.setattr(ReductionCallback, "close", lambda self, *a: (closed.append(True), close(self, *a)))
    collected, engine = Collected(), RunEngine({})

    @bpp.stage_decorator([beamline.detector])
    @bpp.run_decorator()
    def plan():
        yield from bps.checkpoint()
        yield from bps.trigger_and_read([beamline.detector])
        if how == "raise":
            raise RuntimeError("the beam is gone")
        yield from bps.pause()

    wrapped = diffractogram_wrapper(plan(), beamline.configuration, subs=collected, plot=False)
    if how == "raise":
        with pytest.raises(RuntimeError, match="the beam is gone"):
            engine(wrapped)
    else:
        with pytest.raises(Exception, match="paused"):
            engine(wrapped)
        getattr(engine, how)()
    assert closed == [True]
    assert engine.dispatcher.cb_registry.callbacks == {} or not any(engine.dispatcher.cb_registry.callbacks.values())
    (stop,) = collected.of("stop")
    assert stop["exit_status"] == {"raise": "fail", "abort": "abort", "stop": "success"}[how]
    assert stop["frames"]["reduced"] == 1


def test_a_wrong_configuration_is_refused_when_the_plan_is_made(beamline):
    with pytest.raises(ConfigError, match="npt = 0"):
        diffractogram_wrapper(bp.count([beamline.detector]), {**beamline.configuration, "npt": 0})
    decorated = diffractogram_decorator({**beamline.configuration, "diff_unit": 1})(bp.count)
    with pytest.raises(ConfigError, match="diff_units"):
        decorated([beamline.detector])
    with pytest.raises(ValueError, match="timeout"):
        diffractogram_wrapper(bp.count([beamline.detector]), beamline.configuration, timeout=-1)


def workers():
    return [thread for thread in threading.enumerate() if thread.name == "diffractogram-worker"]


def gone(threads):
    for thread in threads:
        thread.join(10)
    return not any(thread.is_alive() for thread in threads)


def test_halted_it_leaves_nothing_behind(beamline):
    collected, engine, before = Collected(), RunEngine({}), workers()

    @bpp.run_decorator()
    def plan():
        yield from bps.checkpoint()
        yield from bps.trigger_and_read([beamline.detector])
        yield from bps.pause()

    with pytest.raises(Exception, match="paused"):
        engine(diffractogram_wrapper(plan(), beamline.configuration, subs=collected, plot=False))
    started = [thread for thread in workers() if thread not in before]
    assert len(started) == 1
    engine.halt()
    assert gone(started)
    assert collected.of("stop")[0]["exit_status"] == "abort"


def test_simulated_it_leaves_nothing_behind(beamline, capsys):
    before = workers()
    summarize_plan(diffractogram_wrapper(bp.count([beamline.detector]), beamline.configuration, plot=False))
    assert "Read ['detector']" in capsys.readouterr().out
    assert gone([thread for thread in workers() if thread not in before])


def test_a_callback_that_is_subscribed_already_gets_all_once_and_stays_subscribed(steered):
    for plan in (diffractogram_wrapper(bp.count([steered.detector], 2), steered.diff), bp.count([steered.detector], 3)):
        steered.run(plan)
    assert steered.diff.wait(30)
    assert (steered.diff.frames["received"], steered.diff.frames["reduced"]) == (5, 5)
    assert not steered.diff.errors
