"""Where peaks are looked for that are to be followed."""

from __future__ import annotations

import math

import pytest
from ponis import write_poni

from bluesky_diffractogram.config import ConfigError, load_config
from bluesky_diffractogram.config.tracked import TrackedPhase
from bluesky_diffractogram.reduction.opening import open_geometry
from bluesky_diffractogram.reduction.reducer import Reducer
from bluesky_diffractogram.reduction.tracked_lines import phase_lines

SHAPE = (60, 65)


def lines(poni, peaks, **settings):
    config = {"calibration": str(poni), "diff_ranges": [[0, 360, 4, 16]], "npt": 200, "peaks": peaks, **settings}
    config = load_config(config)
    return {line.name: (line.low, line.high) for line in Reducer(config, open_geometry(config), SHAPE).tracked[0]}


@pytest.fixture
def coarse(tmp_path):
    return write_poni(tmp_path / "coarse.poni", shape=SHAPE, pixel=(1.2e-3, 1e-3))


def q_of(d):
    return 2.0 * math.pi / d


def test_windows_are_converted_to_the_axis(coarse):
    track = [
        {"name": "a", "near": 2.0, "within": 0.1},
        {"name": "b", "near": 3.0, "within": 0.2, "unit": "d [A]"},
        {"name": "c", "near": 10.0, "within": 1.0, "unit": "2th [deg]"},
    ]
    found = lines(coarse, {"track": track}, diff_units="q [1/A]")
    assert found["a"] == pytest.approx((1.9, 2.1))
    assert found["b"] == pytest.approx((q_of(3.2), q_of(2.8)))
    q = [4.0 * math.pi / 0.4 * math.sin(math.radians(two_theta / 2.0)) for two_theta in (9.0, 11.0)]
    assert found["c"] == pytest.approx(q)


def test_lines_of_a_phase_are_those_on_the_axis(coarse):
    found = lines(coarse, {"phases": [{"name": "ceria", "calibrant": "ceo2", "most": 5, "within": 0.02}]},
                  diff_units="2th [deg]")  # fmt: skip
    assert list(found) == ["ceria_111", "ceria_200", "ceria_220", "ceria_311", "ceria_222"]
    low, high = (2.0 * math.degrees(math.asin(0.4 / 2.0 / (3.12441816 * part))) for part in (1.02, 0.98))
    assert found["ceria_111"] == pytest.approx((low, high))
    narrow = lines(coarse, {"phases": [{"name": "ceria", "calibrant": "CeO2"}]}, diff_ranges=[[0, 360, 8, 9]])
    assert list(narrow) == ["ceria_200"]


def test_an_empty_place_is_anywhere(coarse):
    assert lines(coarse, {"auto": 2}) == {"p1": (-math.inf, math.inf), "p2": (-math.inf, math.inf)}


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"200": 2.7, "111": 3.12}, ["111", "200"]),
        ([2.0269, 3.12, 1.5], ["d1", "d2", "d3"]),
        ([5.43 / math.sqrt(n) for n in (3, 8, 11, 16)], ["111", "220", "311", "400"]),
        ([["first", 3.0], [None, 2.0]], ["first", "d2"]),
    ],
)
def test_spacings_are_named_by_what_is_known_of_them(given, names):
    assert [name for name, _ in phase_lines(TrackedPhase(name="x", spacings=given))] == names


def test_a_unit_that_needs_an_unknown_wavelength_is_refused(tmp_path):
    poni = write_poni(tmp_path / "none.poni", shape=SHAPE, wavelength=None)
    config = {"calibration": str(poni), "diff_units": "2th [deg]"}
    track = [{"name": "a", "near": 3.0, "within": 0.1, "unit": "d [A]"}]
    with pytest.raises(ConfigError, match="wavelength"):
        open_geometry(load_config({**config, "peaks": {"track": track}}))
    with pytest.raises(ConfigError, match="wavelength"):
        open_geometry(load_config({**config, "peaks": {"phases": [{"name": "a", "calibrant": "CeO2"}]}}))
    open_geometry(load_config({**config, "peaks": {"track": [{"name": "a", "near": 8.0, "within": 0.1}]}}))


def test_what_is_on_no_axis_is_said(coarse, caplog):
    track = [{"name": "here", "near": 9.0, "within": 0.5}, {"name": "far", "near": 50.0, "within": 0.5}]
    phases = [{"name": "huge", "spacings": [40.0]}, {"name": "ceria", "calibrant": "CeO2"}]
    found = lines(coarse, {"track": track, "phases": phases}, diff_units="2th [deg]")
    assert "far" not in found
    said = [each.message for each in caplog.records if "axis of" in each.message]
    assert said == [
        "the peak 'far', near 50 deg, is on the axis of no range, and has no data keys",
        "no line of the phase 'huge' is on the axis of any range",
    ]
