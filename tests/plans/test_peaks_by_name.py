"""Plans that are steered by a peak that the configuration names."""

from __future__ import annotations

import inspect
import math

import pytest
from bluesky.simulators import summarize_plan

from bluesky_diffractogram import scan_until_peak, track_peak

READBACK = "diffractogram_readback"
# (200) of bcc iron, which vanishes at 1185 K, and of fcc iron, which appears there; (111) of CeO2, always there.
TRACK = [
    {"name": "alpha", "near": 12.3, "within": 0.2},
    {"name": "gamma", "near": 9.75, "within": 0.1},
    {"name": "111", "near": 5.64, "within": 0.1},
]


@pytest.fixture
def named(steered):
    ranges = [[10, 20, 0, 10], [-5, 5, 5, 15]]
    steered.diff.configure({"peaks": {"track": TRACK}, "diff_ranges": ranges})
    return steered


def scan(named, start=1100, stop=1400, step=50, **options):
    wanted = {"range_number": 2, **options}
    return scan_until_peak([named.detector], named.furnace, start, stop, step, named.device, **wanted)


@pytest.mark.parametrize(("until", "name", "ended"), [
    ("vanishes", "alpha", "vanished"), ("appears", "gamma", "appeared"),
])  # fmt: skip
def test_the_transition_of_iron_ends_the_scan(named, until, name, ended):
    result = named.run(scan(named, until=until, peak=name))
    assert result.met
    assert result.motor == 1200
    assert f"the peak {name} {ended} at furnace = 1200" in result.reason
    assert named.of("stop")[0]["reason"] == result.reason
    assert named.values(READBACK, f"diffractogram_peak_2_{name}_seen")[-1] == (until == "appears")
    assert math.isnan(result.peak) == (until == "vanishes")
    assert named.of("start")[0]["plan_args"]["peak"] == name


def test_a_line_that_expands_crosses_a_position(named):
    key = "diffractogram_peak_1_111_position"
    result = named.run(scan(named, 300, 1500, 150, range_number=1, until="crosses", peak="111", position=5.645))
    positions = named.values(READBACK, key)
    assert result.met
    assert result.peak == positions[-1] <= 5.645
    assert all(position > 5.645 for position in positions[:-1])


def test_other_peaks_do_not_count_and_a_scan_to_the_end_says_so(named):
    result = named.run(scan(named, 700, 800, 50, until="appears", peak="gamma"))
    assert not result.met
    assert result.points == 3
    assert "the peak gamma has not appeared" in result.reason


def test_a_motor_goes_with_a_peak_that_has_a_name(named):
    """It is not the one that peak_i_position follows: the second range's first name is alpha."""
    named.furnace.set(300)
    slope = -6.6e-5  # of CeO2 (111), degrees of 2θ per kelvin
    at = named.run(track_peak([named.detector], named.furnace, named.device, 1, slope, range_number=2, peak="111")).peak
    assert at == pytest.approx(5.69, abs=0.06)
    plan = track_peak(
        [named.detector], named.furnace, named.device, 4, slope, range_number=2, peak="111", target=at - 0.03
    )
    result = named.run(plan)
    assert not result.lost
    assert result.peak == named.values(READBACK, "diffractogram_peak_2_111_position")[-1]
    assert result.peak == pytest.approx(at - 0.03, abs=0.01)
    assert named.of("start")[0]["plan_args"]["peak"] == "111"


def test_a_named_peak_that_is_lost_ends_the_plan_by_its_name(named):
    named.furnace.set(1300)
    plan = track_peak([named.detector], named.furnace, named.device, 9, -6e-5, range_number=2, peak="gamma", target=9.7)
    named.diff.configure({"peaks": {"track": [{**TRACK[1], "near": 14.9, "within": 0.01}]}})
    result = named.run(plan)
    assert result.lost
    assert "the peak gamma was lost" in result.reason


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"peak": "beta"}, r"peak = 'beta': allowed: one of 'alpha', 'gamma', '111', as .* for range 2"),
        ({"peak": "alpha", "range_number": 1}, "peak = 'alpha': allowed: one of 'gamma', '111'"),
        ({"peak": "alpha", "tolerance": 0.1}, "tolerance = 0.1: allowed: only with a peak by its position"),
        ({"peak": "alpha", "position": 12.0}, "position = 12.0: allowed: only with until='crosses'"),
    ],
)
def test_what_makes_no_sense_is_refused_before_the_run(named, options, said):
    with pytest.raises(ValueError, match=said):
        summarize_plan(scan(named, until="vanishes", **options))
    assert named.raw == []


def test_where_nothing_is_named_that_is_said(steered):
    with pytest.raises(ValueError, match="peak = '111': allowed: no name, as the configuration's peaks have it"):
        summarize_plan(scan(steered, peak="111"))
    with pytest.raises(ValueError, match=r"peak = 8\.5"):
        summarize_plan(track_peak([steered.detector], steered.furnace, steered.device, 2, 1.0, peak=8.5))


def test_names_that_change_meanwhile_end_the_scan(named):
    def rename(_name, doc):
        if doc["seq_num"] == 2:
            named.diff.configure({"peaks": {"track": TRACK[1:]}})

    named.engine.subscribe(rename, "event")
    with pytest.raises(RuntimeError, match="peaks were changed for range 2"):
        named.run(scan(named, until="vanishes", peak="alpha"))
    (stop,) = named.of("stop")
    assert stop["exit_status"] == "fail"


def test_queueserver_may_give_a_number_or_a_name():
    wanted = inspect.signature(scan_until_peak).parameters["peak"].annotation
    assert wanted == (float | str | None)
    assert inspect.signature(track_peak).parameters["peak"].annotation == (str | None)
