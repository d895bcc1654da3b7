"""Radial limits in every unit, against pyFAI's own arrays of every pixel."""

from __future__ import annotations

import re

import numpy as np
import pyFAI
import pytest
from ponis import write_poni

from bluesky_diffractogram.config import UNITS, Arc, ConfigError, load_config, parse_unit
from bluesky_diffractogram.reduction.calibration import load_geometry
from bluesky_diffractogram.reduction.conversion import convert_limit, pixels_per_mm
from bluesky_diffractogram.reduction.limits import integration_ranges
from bluesky_diffractogram.reduction.opening import open_geometry

TILTS = [(0.0, 0.0, 0.0), (0.03, -0.05, 0.4), (0.2, 0.15, -1.0)]


def ranges(poni, **config):
    config = load_config({"calibration": str(poni), **config})
    return integration_ranges(config, load_geometry(poni, wavelength=config.wavelength_m), None)


@pytest.mark.parametrize("rot", TILTS)
@pytest.mark.parametrize("unit", ["q_nm^-1", "q_A^-1", "2th_rad", "r_mm", "d_A"])
def test_a_two_theta_limit_lies_where_the_pixels_of_that_angle_do(tmp_path, rot, unit):
    """Pixels near 2θ = 12° on a narrow arc have, in the mean, the radial value that the limit is converted to."""
    poni = write_poni(tmp_path / "x.poni", rot=rot)
    ai = pyFAI.load(str(poni))
    shape = (240, 260)
    two_theta = ai.center_array(shape, unit="2th_deg")
    chi = np.rad2deg(ai.center_array(shape, unit="chi_rad"))
    arc = Arc(30.0, 10.0)
    near = (abs(two_theta - 12) < 0.15) & (chi > 30) & (chi < 40)
    values = ai.center_array(shape, unit=unit)[near]
    slope = np.polyfit(two_theta[near] - 12, values, 1)
    ours = convert_limit(12.0, parse_unit("2th_deg"), parse_unit(unit), arc, load_geometry(poni))
    assert near.sum() > 20
    assert ours == pytest.approx(slope[1], rel=2e-4)


@pytest.mark.parametrize("rot", TILTS)
@pytest.mark.parametrize("source", UNITS, ids=lambda unit: unit.name)
@pytest.mark.parametrize("target", UNITS, ids=lambda unit: unit.name)
def test_converting_there_and_back_gives_the_limit_again(tmp_path, rot, source, target):
    geometry = load_geometry(write_poni(tmp_path / "x.poni", rot=rot))
    arc = Arc(-12.0, 1e-3)  # of one azimuth, so that no mean is involved
    value = convert_limit(9.0, parse_unit("2th_deg"), source, arc, geometry)
    there = convert_limit(value, source, target, arc, geometry)
    assert convert_limit(there, target, source, arc, geometry) == pytest.approx(value, rel=1e-9)


def test_q_is_4_pi_sin_theta_over_lambda(flat_poni):
    geometry = load_geometry(flat_poni)
    q = convert_limit(10.0, parse_unit("2th_deg"), parse_unit("q [1/A]"), Arc(-180.0, 360.0), geometry)
    assert q == pytest.approx(4 * np.pi / 0.4 * np.sin(np.deg2rad(5.0)))


def test_r_is_distance_times_tan_two_theta_where_the_detector_faces_the_beam(flat_poni):
    geometry = load_geometry(flat_poni)
    r = convert_limit(10.0, parse_unit("2th_deg"), parse_unit("r [mm]"), Arc(-180.0, 360.0), geometry)
    assert r == pytest.approx(100.0 * np.tan(np.deg2rad(10.0)))


def test_r_pixel_counts_the_pixels_from_the_beam_to_the_ring(tmp_path):
    """On square pixels it is r over the pixel size; along one axis of oblong ones, over that axis' size."""
    square = load_geometry(write_poni(tmp_path / "square.poni", pixel=(2e-4, 2e-4)))
    assert pixels_per_mm(square, Arc(-180.0, 360.0)) == pytest.approx(5.0)
    oblong = load_geometry(write_poni(tmp_path / "oblong.poni", pixel=(4e-4, 2e-4)))
    assert pixels_per_mm(oblong, Arc(-0.01, 0.02)) == pytest.approx(5.0, rel=1e-6)
    assert pixels_per_mm(oblong, Arc(89.99, 0.02)) == pytest.approx(2.5, rel=1e-6)


def test_r_pixel_is_r_mm_on_another_scale(poni):
    (mm,) = ranges(poni, diff_units="r [mm]", diff_ranges=[[10, 20, 4, 16]])
    (pixel,) = ranges(poni, diff_units="r [pixel]", diff_ranges=[[10, 20, 4, 16]])
    assert pixel.pyfai_limits == pytest.approx(mm.pyfai_limits)
    assert np.divide(pixel.radial_range, mm.radial_range) == pytest.approx(pixel.scale)


def test_limits_in_the_unit_of_the_axis_are_taken_as_they_are(poni):
    (wanted,) = ranges(poni, diff_units="q [1/A]", range_unit="same", diff_ranges=[[None, None, 1.25, 4.5]])
    assert wanted.radial_range == (1.25, 4.5)


def test_d_runs_the_other_way(poni):
    (wanted,) = ranges(poni, diff_units="d [A]", diff_ranges=[[None, None, 4, 12]])
    low, high = wanted.radial_range
    assert low == pytest.approx(0.4 / (2 * np.sin(np.deg2rad(6))))
    assert high == pytest.approx(0.4 / (2 * np.sin(np.deg2rad(2))))


def test_a_limit_without_a_point_on_the_detectors_plane_is_the_detectors_own(poni):
    """2θ = 0 is d = ∞, and a ray at 2θ of 95° never meets the plane: reported limits stay finite."""
    (d,) = ranges(poni, diff_units="d [A]", diff_ranges=[[None, None, 0, 12]])
    (r,) = ranges(poni, diff_units="r [mm]", diff_ranges=[[10, 20, 4, 95]])
    (open_r,) = ranges(poni, diff_units="r [mm]")
    assert np.isfinite(d.radial_range).all()
    assert r.radial_range[1] == open_r.radial_range[1]


def test_the_axis_does_not_move_with_the_frames(poni):
    """Open limits are frozen from the static mask: the explicit numbers, for every part of an arc."""
    (wanted,) = ranges(poni, diff_ranges=[[170, 190, None, None]])
    assert np.isfinite(wanted.pyfai_limits).all()


def test_open_limits_are_those_of_the_unmasked_pixels(poni, tmp_path):
    mask = np.zeros((240, 260), bool)
    mask[:, :200] = True
    two_theta = pyFAI.load(str(poni)).center_array(mask.shape, unit="2th_deg")
    geometry = load_geometry(poni)
    config = load_config({"calibration": str(poni), "diff_units": "2th_deg", "method": "no"})
    (wanted,) = integration_ranges(config, geometry, mask)
    assert wanted.radial_range == pytest.approx((two_theta[~mask].min(), two_theta[~mask].max()))


def given(poni, **config):
    return open_geometry(load_config({"calibration": str(poni), **config}))


def test_a_radius_on_a_tilted_detector_is_called_approximate(poni, caplog):
    given(poni, diff_units="r [mm]", diff_ranges=[[10, 20, 4, 16]])
    assert "the detector is tilted by 3.3°" in caplog.text
    assert 'range_unit "same"' in caplog.text


def test_no_such_word_where_limits_are_radii_or_open(poni, caplog):
    given(poni, diff_units="r [mm]", range_unit="same", diff_ranges=[[10, 20, 4, 16]])
    given(poni, diff_units="r [mm]", diff_ranges=[[10, 20, None, None]])
    assert "tilted" not in caplog.text


def test_reported_arcs(poni):
    wanted = ranges(poni, diff_ranges=[[350, 10, None, None], [170, 190, None, None], [0, 360, None, None]])
    assert [each.azimuth_range for each in wanted] == [(-10.0, 10.0), (170.0, 190.0), (-180.0, 180.0)]


@pytest.mark.parametrize(
    ("units", "range_unit", "limits"),
    [
        ("2th [deg]", "q [1/A]", [35, 40]),
        ("r [mm]", "2th [deg]", [95, 120]),
        ("2th [deg]", "d [A]", [0.01, 0.1]),
        ("q [1/A]", "d [A]", [-1, 3]),
    ],
)
def test_an_inner_limit_that_no_pixel_can_reach_is_refused_when_it_is_given(poni, units, range_unit, limits):
    with pytest.raises(ConfigError, match=r"diff_ranges\[0\]"):
        given(poni, diff_units=units, range_unit=range_unit, diff_ranges=[[None, None, *limits]])


@pytest.mark.parametrize("unit", ["2th [deg]", "q [1/A]", "r [mm]", "r [pixel]", "d [A]"])
@pytest.mark.parametrize(("limits", "value"), [([40, None], 40), ([None, 0.05], 0.05)])
def test_a_single_limit_on_the_wrong_side_of_the_detector_is_refused_with_what_there_is(tmp_path, unit, limits, value):
    """The beam passes beside the detector, which sees 2θ from some 3° to some 36°."""
    poni = write_poni(tmp_path / "off.poni", shape=(60, 60), pixel=(1e-3, 1e-3), centre=(-5, 30))
    with pytest.raises(ConfigError, match=rf"diff_ranges\[0\] = {float(value)}: .* leaves no pixel") as error:
        ranges(poni, diff_ranges=[[None, None, *limits]], diff_units=unit, method="no")
    covers = re.search(r"covers (\S+) to (\S+) deg", str(error.value))
    two_theta = pyFAI.load(str(poni)).center_array((60, 60), unit="2th_deg")
    assert [float(each) for each in covers.groups()] == pytest.approx([two_theta.min(), two_theta.max()], rel=0.02)
    assert ranges(poni, diff_ranges=[[None, None, 5, None]], diff_units=unit)


def test_an_outer_limit_beyond_every_pixel_is_none(poni):
    (wanted,) = ranges(poni, diff_units="2th [deg]", range_unit="q [1/A]", diff_ranges=[[None, None, 2, 40]])
    (open_end,) = ranges(poni, diff_units="2th [deg]", range_unit="q [1/A]", diff_ranges=[[None, None, 2, None]])
    assert wanted.radial_range == open_end.radial_range


@pytest.mark.parametrize(
    ("limits", "expected"), [([1.5, None], (None, 4.18879)), ([None, 3], (2.0944, None)), ([1.5, 3], (2.0944, 4.18879))]
)
def test_limits_in_d_on_an_axis_in_q_change_places(poni, limits, expected):
    """q = 2π/d."""
    (wanted,) = ranges(poni, diff_units="q [1/A]", range_unit="d [A]", diff_ranges=[[None, None, *limits]])
    for ours, theirs in zip(wanted.radial_range, expected, strict=True):
        if theirs is not None:
            assert ours == pytest.approx(theirs, rel=1e-5)
    assert wanted.radial_range[0] < wanted.radial_range[1]


def test_a_pixel_in_the_beam_does_not_spoil_the_axis_of_d(tmp_path):
    poni = write_poni(tmp_path / "x.poni", centre=(100.5, 100.5))
    (wanted,) = ranges(poni, diff_units="d [A]")
    assert np.isfinite(wanted.radial_range).all()
