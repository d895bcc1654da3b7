"""Edges of ranges near a point, and ranges after an edge was moved."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ponis import write_poni

from bluesky_diffractogram.config import load_config
from bluesky_diffractogram.reduction.moved import Moved
from bluesky_diffractogram.reduction.opening import open_geometry
from bluesky_diffractogram.reduction.pixel_angles import angles_at
from bluesky_diffractogram.reduction.range_edges import Edge, moved_edge, nearest_edge

SHAPE = (240, 260)


@pytest.fixture(scope="module")
def tilted(tmp_path_factory):
    return write_poni(tmp_path_factory.mktemp("poni") / "tilted.poni", rot=(0.1, -0.15, 0.4))


def opened(poni, ranges, **settings_):
    config = load_config({"calibration": str(poni), "diff_ranges": ranges, **settings_})
    return config, open_geometry(config)


def pixel_where(geometry, two_theta, chi):
    """Row and column of the pixel nearest to a direction in degrees, by looking through all of them."""
    angles = np.rad2deg(geometry.pixels("center", "2th_rad")), np.rad2deg(geometry.pixels("center", "chi_rad"))
    off = np.abs(angles[0] - two_theta) / 0.1 + np.abs((angles[1] - chi + 180) % 360 - 180) / 0.5
    row, column = np.unravel_index(np.argmin(off), SHAPE)
    assert off[row, column] < 2
    return float(row), float(column)


@pytest.mark.parametrize(
    ("two_theta", "chi", "expected"),
    [
        (6, 10, Edge(1, "start")),
        (6, 50, Edge(1, "end")),
        (4, 30, Edge(1, "low")),
        (9, 30, Edge(1, "high")),
        (10, 170, Edge(2, "start")),
        (10, 190, Edge(2, "end")),
        (12, -179, Edge(2, "high")),
        (12, 179, Edge(2, "high")),
        (6, 30, None),
        (12, 30, None),
        (6, -60, None),
        (10, 0, None),
    ],
)
@pytest.mark.parametrize("unit", ["q [1/A]", "2th [deg]", "r [mm]", "d [A]"])
def test_the_edge_at_a_point_is_found_by_its_angles(tilted, two_theta, chi, expected, unit):
    # limits in 2θ are a mean over the arc in r, away from which the drawn edge lies by some pixels
    within = 8.0 if unit == "r [mm]" else 2.0
    if unit == "r [mm]" and expected is not None and expected.side in ("low", "high"):
        pytest.skip("a limit in 2θ is a mean over the arc in r")
    config, geometry = opened(tilted, [[10, 50, 4, 9], [170, 190, 8, 12]], diff_units=unit)
    row, column = pixel_where(geometry, two_theta, chi)
    if expected is None:
        within = 2.0
    assert nearest_edge(config, geometry, row, column, within) == expected


def test_open_limits_and_full_rings_have_no_edges(tilted):
    config, geometry = opened(tilted, [[None, None, None, 9], None])
    for chi in (-170, -90, 0, 60, 179.9):
        assert nearest_edge(config, geometry, *pixel_where(geometry, 6, chi), 3.0) is None
        assert nearest_edge(config, geometry, *pixel_where(geometry, 9, chi), 3.0) == Edge(1, "high")


@pytest.mark.parametrize(
    ("written", "side", "to", "moved"),
    [
        ([10, 50, 4, 9], "start", (6, -20), [-20, 50]),
        ([10, 50, 4, 9], "end", (6, 80), [10, 80]),
        ([170, 190, 4, 9], "end", (6, -150), [170, 210]),
        ([170, 190, 4, 9], "start", (6, 150), [150, 190]),
        ([350, 370, 4, 9], "start", (6, -12), [348, 370]),
        ([350, 10, 4, 9], "end", (6, 20), [350, 380]),
        ([350, 10, 4, 9], "start", (6, -12), [-12, 10]),
        ([None, 30, 4, 9], "start", (6, -20), [-20, 30]),
        ([-20, None, 4, 9], "end", (6, 80), [-20, 80]),
    ],
)
def test_a_moved_arc_keeps_its_other_end_as_it_was_written(tilted, written, side, to, moved):
    config, geometry = opened(tilted, [written])
    point = pixel_where(geometry, *to)
    entry = moved_edge(config, geometry, Edge(1, side), *point)[0]
    assert entry[:2] == pytest.approx(moved, abs=0.6)
    kept = 1 if side == "start" else 0
    if written[kept] is not None:
        assert entry[kept] == written[kept]
    assert list(entry[2:]) == written[2:]


@settings(max_examples=30, deadline=None)
@given(
    row=st.floats(0, 239), column=st.floats(0, 259), side=st.sampled_from(["start", "end", "low", "high"]),
    unit=st.sampled_from(["q [1/A]", "2th [deg]", "r [mm]", "d [A]"]),
    limits=st.sampled_from(["2th_deg", "same", "q_nm^-1", "d_A"]),
)  # fmt: skip
def test_an_edge_that_was_moved_to_a_point_is_there(tilted, row, column, side, unit, limits):
    written = {"2th_deg": [3, 16], "same": [0.5, 60.0], "q_nm^-1": [5, 45], "d_A": [1.5, 9.0]}[limits]
    config, geometry = opened(tilted, [[10, 50, *written]], diff_units=unit, range_unit=limits)
    entries = moved_edge(config, geometry, Edge(1, side), row, column)
    after, geometry = opened(tilted, entries, diff_units=unit, range_unit=limits)
    two_theta, chi, _ = (float(each[0]) for each in angles_at(geometry, np.array([row]), np.array([column])))
    if side in ("start", "end"):
        arc = after.ranges[0].arc
        off = abs((math.degrees(chi) - (arc.start if side == "start" else arc.end) + 180) % 360 - 180)
        ahead = angles_at(geometry, np.array([row + 1.0, row]), np.array([column, column + 1.0]))[1]
        step = max(abs((math.degrees(each - chi) + 180) % 360 - 180) for each in ahead)
        assert off <= max(0.6 * step, 1e-9)
        return
    # the limit written there, read by hand: 4π/λ·sin θ and 2π/q
    value = entries[0][2 if side == "low" else 3]
    q_nm = 4e-9 * math.pi / 4e-11 * math.sin(two_theta / 2)
    expected = {
        "2th_deg": math.degrees(two_theta),
        "q_nm^-1": q_nm,
        "d_A": 20 * math.pi / q_nm if q_nm > 1e-6 else math.inf,
    }
    if limits in expected and unit != "r [mm]" and expected["d_A"] < 60:
        assert value == pytest.approx(expected[limits], rel=0.05, abs=0.05)


def test_values_are_rounded_to_what_a_pixel_resolves(tilted):
    config, geometry = opened(tilted, [[10, 50, 4, 9]])
    entry = moved_edge(config, geometry, Edge(1, "high"), 40.0, 200.0)[0]
    text = repr(entry[3])
    assert len(text.partition(".")[2]) <= 2  # a pixel is 0.15° wide here


def test_ranges_that_are_not_written_are_written_as_null(tilted):
    config, geometry = opened(tilted, [[10, 50, 4, 9]], diff_number=3)
    entries = moved_edge(config, geometry, Edge(1, "end"), 40.0, 200.0)
    assert entries[1:] == [None, None]


def test_reversed_radial_limits_stay_reversed(tilted):
    config, geometry = opened(tilted, [[10, 50, 9, 4]])
    row, column = pixel_where(geometry, 9, 30)
    assert nearest_edge(config, geometry, row, column, 2.0) == Edge(1, "high")
    entry = moved_edge(config, geometry, Edge(1, "high"), *pixel_where(geometry, 11, 30))[0]
    assert entry[2] == pytest.approx(11, abs=0.1)
    assert entry[3] == 4


def test_limits_are_what_they_are_in_the_calibrations_geometry(tilted):
    """On an axis of q, with another energy: an edge is where its q is now, and what is written is 2θ of then."""
    config, geometry = opened(tilted, [[10, 50, 4, 9]], diff_units="q [1/A]")
    moved = Moved(wavelength=5e-11).of(geometry)

    def now(two_theta):  # of the same q: sin θ goes with the wavelength
        return 2.0 * math.degrees(math.asin(5.0 / 4.0 * math.sin(math.radians(two_theta / 2.0))))

    point = pixel_where(geometry, now(9), 30)
    assert nearest_edge(config, moved, *point, 2.0, geometry) == Edge(1, "high")
    assert nearest_edge(config, moved, *pixel_where(geometry, 9, 30), 2.0, geometry) is None
    entry = moved_edge(config, moved, Edge(1, "high"), *pixel_where(geometry, now(11), 30), geometry)[0]
    assert entry[3] == pytest.approx(11, abs=0.1)
