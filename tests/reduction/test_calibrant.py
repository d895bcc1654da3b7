"""Lines of known powders: against tabulated angles, and against pyFAI's own."""

from __future__ import annotations

import math

import numpy as np
import pyFAI
import pytest
from ponis import write_poni

from bluesky_diffractogram.config import parse_unit
from bluesky_diffractogram.config.arc import FULL_RING
from bluesky_diffractogram.reduction.calibrant import line_curves, line_positions, two_theta_of_lines
from bluesky_diffractogram.reduction.calibration import load_geometry
from bluesky_diffractogram.reduction.conversion import pixels_per_mm
from bluesky_diffractogram.reduction.pyfai_library import calibrant_lines

CU = 1.54056e-10


def test_braggs_law():
    # silicon, Cu Kα1 (NIST SRM 640): 28.443, 47.303, 56.123 degrees
    a = 5.43088
    spacings = [a / math.sqrt(square) for square in (3, 8, 11)]
    np.testing.assert_allclose(np.rad2deg(two_theta_of_lines(spacings, CU)), [28.443, 47.303, 56.123], atol=3e-3)
    assert np.isnan(two_theta_of_lines([0.7], CU)).all()


@pytest.mark.parametrize("label", ["q [1/nm]", "q [1/A]", "2th [deg]", "2th [rad]", "d [A]"])
def test_lines_are_where_pyfai_has_them(label):
    from pyFAI.calibrant import get_calibrant
    from pyFAI.units import to_unit

    unit = parse_unit(label)
    calibrant = get_calibrant("LaB6")
    calibrant.wavelength = CU
    expected = np.array(calibrant.get_peaks(unit.pyfai)) if unit.name != "d_A" else calibrant.dspacing
    found = line_positions(calibrant_lines("LaB6"), unit, CU)
    assert to_unit(unit.pyfai)
    assert len(expected) > 10
    np.testing.assert_allclose(found[: len(expected)], expected, rtol=1e-9)


def test_on_a_detector_that_faces_the_beam_the_radius_is_the_tangent(tmp_path):
    geometry = load_geometry(str(write_poni(tmp_path / "a.poni", distance=0.2)))
    found = line_positions([3.0, 1.5], parse_unit("r [mm]"), 4e-11, geometry)
    expected = 200 * np.tan(two_theta_of_lines([3.0, 1.5], 4e-11))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    # square pixels of 0.25 mm in the one direction, 0.3 in the other: between both
    in_pixels = line_positions([3.0, 1.5], parse_unit("r [pixel]"), 4e-11, geometry)
    assert (expected / 0.3 < in_pixels).all()
    assert (in_pixels < expected / 0.25).all()


def test_what_is_not_known_gives_no_lines():
    assert line_positions([3.0], parse_unit("2th [deg]"), None).size == 0
    assert line_positions([3.0], parse_unit("r [mm]"), 1e-10).size == 0


def test_near_names_are_offered_for_one_that_is_none():
    with pytest.raises(ValueError, match=r"'CeO3'.*CeO2"):
        calibrant_lines("CeO3")
    np.testing.assert_array_equal(calibrant_lines("ceo2"), calibrant_lines("CeO2"))
    with pytest.raises(ValueError, match="LaB6"):
        calibrant_lines("nothing of the kind")


@pytest.mark.parametrize("unit", ["r_mm", "r_pixel"])
def test_a_line_on_a_tilted_detector_has_its_radius_at_every_azimuth(poni, unit):
    """Against pyFAI's own arrays: pixels near to the line's 2θ have its radius, each at its azimuth."""
    geometry = load_geometry(str(poni))
    ai = pyFAI.load(str(poni))
    two_theta, chi = ai.center_array((240, 260), unit="2th_deg"), ai.center_array((240, 260), unit="chi_deg")
    radius = ai.center_array((240, 260), unit="r_mm")
    azimuth = np.linspace(-180, 180, 721)
    d = 1e10 * ai.wavelength / (2 * np.sin(np.deg2rad(12.0) / 2))
    (line,) = line_curves([d, 1e-3], parse_unit(unit), ai.wavelength, azimuth, geometry)  # of 0.001 Å there is none
    near = np.abs(two_theta - 12.0) < 0.02
    assert near.sum() > 20
    assert np.ptp(radius[near]) > 0.2
    scale = 1.0 if unit == "r_mm" else pixels_per_mm(geometry, FULL_RING)
    np.testing.assert_allclose(np.interp(chi[near], azimuth, line) / scale, radius[near], rtol=3e-3)
    assert line_curves([d], parse_unit(unit), ai.wavelength, azimuth).shape == (0, 721)  # without the detector


def test_lines_in_other_units_are_the_same_at_every_azimuth():
    spacings, azimuth = [3.0, 2.0], np.linspace(0, 90, 5)
    for unit in ("q_nm^-1", "q_A^-1", "2th_deg", "2th_rad", "d_A"):
        curves = line_curves(spacings, parse_unit(unit), 4e-11, azimuth)
        expected = line_positions(spacings, parse_unit(unit), 4e-11)
        np.testing.assert_array_equal(curves, expected[:, None] * np.ones(5))
