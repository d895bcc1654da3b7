"""Angles of single points, against pyFAI's arrays of all pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from ponis import write_poni

from bluesky_diffractogram.config import Arc, parse_unit
from bluesky_diffractogram.reduction.calibration import load_geometry
from bluesky_diffractogram.reduction.pixel_angles import pixel_angles, radial_at

TILTS = [(0.0, 0.0, 0.0), (0.1, -0.2, 0.4), (-0.3, 0.15, 2.9)]
POINTS = np.random.default_rng(3).integers((0, 0), (240, 260), (40, 2))


def oriented(path, rot, orientation):
    poni = write_poni(path / "tilted.poni", rot=rot)
    text = poni.read_text().replace('"max_shape"', f'"orientation": {orientation}, "max_shape"')
    poni.write_text(text.replace("poni_version: 2\n", "poni_version: 2.1\n"))
    return load_geometry(poni)


@pytest.mark.parametrize("rot", TILTS)
@pytest.mark.parametrize("orientation", [1, 2, 3, 4])
def test_every_pixel_has_the_angles_that_pyfai_gives_for_its_centre(tmp_path, rot, orientation):
    geometry = oriented(tmp_path, rot, orientation)
    assert geometry._ai.detector.orientation == orientation
    arrays = {unit: geometry.pixels("center", unit) for unit in ("2th_rad", "chi_rad", "r_m", "q_nm^-1", "d_m")}
    for row, column in POINTS:
        at = pixel_angles(geometry, row, column)
        expected = {unit: float(array[row, column]) for unit, array in arrays.items()}
        assert math.radians(at.two_theta) == pytest.approx(expected["2th_rad"], abs=1e-14)
        assert math.radians(at.chi) == pytest.approx(expected["chi_rad"], abs=1e-14)
        assert at.r == pytest.approx(1e3 * expected["r_m"], rel=1e-13)
        assert at.q == pytest.approx(expected["q_nm^-1"], rel=1e-12)
        assert at.d == pytest.approx(1e10 * expected["d_m"], rel=1e-12)


@pytest.mark.parametrize("unit", ["q_nm^-1", "q_A^-1", "2th_deg", "2th_rad", "r_mm", "d_A"])
def test_radial_values_are_those_of_pyfais_units(poni, unit):
    geometry = load_geometry(poni)
    expected = geometry._ai.array_from_unit((240, 260), "center", unit, scale=True)
    rows, columns = POINTS.T
    given = radial_at(geometry, parse_unit(unit), Arc(10, 20), rows.astype(float), columns.astype(float))
    np.testing.assert_allclose(given, expected[rows, columns], rtol=1e-12)


def test_without_a_tilt_a_pixel_of_radius_is_a_pixel(tmp_path):
    geometry = load_geometry(write_poni(tmp_path / "square.poni", pixel=(3e-4, 3e-4), centre=(120.5, 130.5)))
    radius = radial_at(geometry, parse_unit("r_pixel"), Arc(10, 20), np.array([120.0, 123.0]), np.array([180.0, 134.0]))
    np.testing.assert_allclose(radius, [50.0, 5.0], rtol=1e-12)


def test_without_a_wavelength_there_is_no_q(tmp_path):
    geometry = load_geometry(write_poni(tmp_path / "white.poni", wavelength=None))
    at = pixel_angles(geometry, 10.0, 20.0)
    assert (at.q, at.d) == (None, None)
    assert at.two_theta > 0
    with pytest.raises(ValueError, match="no wavelength"):
        radial_at(geometry, parse_unit("q [1/A]"), Arc(10, 20), np.zeros(1), np.zeros(1))


def test_azimuths_are_given_from_minus_180_wherever_pyfai_puts_its_discontinuity(poni):
    geometry = load_geometry(poni)
    before = pixel_angles(geometry, 10.0, 120.0).chi
    geometry._ai.setChiDiscAtZero()
    assert before < 0
    assert pixel_angles(geometry, 10.0, 120.0).chi == pytest.approx(before, abs=1e-12)


def test_where_the_beam_meets_the_detector_there_is_no_d(tmp_path):
    geometry = load_geometry(write_poni(tmp_path / "hit.poni", centre=(120.5, 130.5)))
    at = pixel_angles(geometry, 120.0, 130.0)
    assert at.two_theta == pytest.approx(0.0, abs=1e-9)
    assert at.d is None or at.d > 1e6
