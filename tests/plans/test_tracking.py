"""A motor that keeps a peak where it is wanted, or goes with it."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from bluesky.simulators import RunEngineSimulator, summarize_plan
from ophyd import SoftPositioner
from ophyd.sim import SynAxis

from bluesky_diffractogram import track_peak

READBACK = "diffractogram_readback"
SLOPE = -6.6e-5  # degrees of 2θ per kelvin of the CeO2 (111) line: −2·tan θ·α in degrees, with α 11.6e-6 / K


def track(steered, num=6, slope=SLOPE, motor=None, **options):
    return track_peak([steered.detector], motor or steered.furnace, steered.device, num, slope, **options)


def test_a_peak_is_driven_to_its_target(steered):
    """The temperature at which Bragg's law puts the line there, known without the reduction."""
    steered.furnace.set(1400)
    at = steered.run(track(steered, 1, target=5.6)).peak
    wanted = at + 0.04
    result = steered.run(track(steered, 8, target=wanted))
    assert not result.lost
    positions = steered.values(READBACK, "diffractogram_peak_1_position")
    assert positions[0] == pytest.approx(at, abs=0.004)
    assert positions[-1] == pytest.approx(wanted, abs=0.006)
    lines = [steered.beamline.two_theta(t)[0] for t in (1400.0, steered.furnace.position)]
    assert lines[1] - lines[0] == pytest.approx(0.04, abs=0.01)
    assert result.motor == steered.furnace.position == steered.values("primary", "furnace")[-1]
    assert result.points == len(positions) == 8
    assert steered.of("stop")[0]["reason"] == result.reason


def test_the_target_is_the_middle_of_the_range_if_none_is_given(steered):
    steered.run(track(steered, 1))
    assert steered.of("start")[0]["plan_args"]["target"] == pytest.approx(5.0, abs=0.05)


def test_steps_and_limits_are_kept(steered):
    steered.furnace.set(1000)
    steered.run(track(steered, 5, target=5.75, max_step=100, low=750))
    temperatures = steered.values("primary", "furnace")
    assert temperatures == pytest.approx([1000, 900, 800, 750, 750])


def test_a_motor_that_does_not_move_the_peak_goes_with_it(steered):
    """The sample is heated by somebody else; the motor follows by 1/slope."""
    slit = SynAxis(name="slit")
    hotter = iter([300, 700, 1100, 1500])
    take = steered.detector.trigger

    def trigger():
        steered.furnace.set(next(hotter))
        return take()

    steered.detector.trigger = trigger
    steered.run(track(steered, 4, slope=0.5, motor=slit, mode="follow"))
    positions = np.array(steered.values(READBACK, "diffractogram_peak_1_position"))
    np.testing.assert_allclose(
        steered.values("primary", "slit"), [0, 0, *((positions[1:3] - positions[0]) / 0.5)], atol=1e-12
    )
    assert positions[0] - positions[-1] == pytest.approx(
        steered.beamline.two_theta(300.0)[0] - steered.beamline.two_theta(1500.0)[0], abs=0.015
    )


def test_a_lost_peak_ends_it_and_the_motor_stays(steered):
    steered.furnace.set(600)
    steered.run(track(steered, 1, target=5.65))
    image = steered.detector.frames.frame
    steered.detector.frames.frame = lambda n, t, e=1.0: image(n, t, e) if n < 3 else np.full((209, 197), 7, np.int32)
    result = steered.run(track(steered, 10, target=5.65))
    assert result.lost
    assert result.points == 5
    assert "lost: 3 points" in result.reason
    temperatures = steered.values("primary", "furnace")
    assert temperatures[2:] == [temperatures[2]] * 3
    assert steered.of("stop")[0]["exit_status"] == "success"


def test_it_pauses_and_resumes(steered):
    seen = []

    def look(name, doc):
        seen.append(doc)
        if len(seen) == 3:
            threading.Thread(target=steered.engine.request_pause).start()

    steered.engine.subscribe(look, "event")
    steered.engine._call_returns_result = True
    with pytest.raises(Exception, match="paused"):
        steered.engine(track(steered, 4, target=5.65))
    result = steered.engine.resume().plan_result
    assert result.points == 4
    numbers = [event["seq_num"] for event in steered.events("primary")]
    assert sorted(set(numbers)) == [1, 2, 3, 4]


WRONG = [
    ({"num": 0}, "num = 0: allowed"),
    ({"num": 2.5}, "num = 2.5: allowed"),
    ({"slope": 0}, "slope = 0: allowed: a number that is not 0"),
    ({"slope": float("inf")}, "slope = inf"),
    ({"mode": "chase"}, "mode = 'chase': allowed: 'centre', 'follow'"),
    ({"mode": "follow", "target": 5.0}, "target = 5.0: allowed: only with mode='centre'"),
    ({"target": 50.0}, r"target = 50.0: allowed: a position on the axis of range 1.*from 0 to 10"),
    ({"gain": 0}, "gain = 0: allowed"),
    ({"max_step": -1}, "max_step = -1: allowed"),
    ({"low": 5, "high": 4}, "high = 4: allowed: a number above low, 5"),
    ({"delay": -1}, "delay = -1"),
    ({"range_number": 9}, "range_number = 9: allowed: 1 to 2"),
]


@pytest.mark.parametrize(("wrong", "allowed"), WRONG)
def test_nonsense_is_refused_before_the_first_message(steered, wrong, allowed):
    with pytest.raises(ValueError, match=allowed):
        next(track(steered, **wrong))


def test_it_can_be_simulated(steered, capsys):
    summarize_plan(track(steered, 2, target=5.6))
    messages = RunEngineSimulator().simulate_plan(track(steered, 2, target=5.6))
    assert [m.command for m in messages].count("save") == 4


def test_a_motor_that_is_stuck_is_not_sent_further_and_further(steered):
    asked = []
    stuck = SynAxis(name="stuck", readback_func=lambda where: asked.append(where) or 5.0)
    stuck.set(5.0)
    asked.clear()
    at = steered.run(track(steered, 1, target=5.65)).peak
    result = steered.run(track(steered, 8, motor=stuck, slope=0.1, target=at + 0.2))
    assert result.motor == 5.0
    assert len(asked) == 7
    assert asked == pytest.approx([7.0] * 7, abs=0.5)


def test_a_motor_that_stops_short_drives_the_peak_home_all_the_same(steered):
    class Short(type(steered.furnace)):
        def set(self, value, **kwargs):
            return super().set(value - 5.0, **kwargs)

    furnace = Short("short", temperature=1400.0)
    steered.detector._temperature = lambda: furnace.position
    at = steered.run(track(steered, 1, motor=furnace, target=5.6)).peak
    steered.run(track(steered, 8, motor=furnace, target=at + 0.03))
    assert steered.values(READBACK, "diffractogram_peak_1_position")[-1] == pytest.approx(at + 0.03, abs=0.006)


def test_a_motor_that_does_not_know_where_it_is_is_refused_before_the_run(steered):
    with pytest.raises(ValueError, match="motor = 'lost' is at None: allowed: a motor whose position is known"):
        steered.engine(track(steered, motor=SoftPositioner(name="lost")))
    assert steered.raw == []
