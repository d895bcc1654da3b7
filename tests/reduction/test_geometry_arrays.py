"""Arrays of a geometry, against pyFAI's own, bit for bit."""

from __future__ import annotations

import numpy as np
import pyFAI
import pytest
from ponis import write_poni

from bluesky_diffractogram.reduction.calibration import load_geometry
from bluesky_diffractogram.reduction.geometry_arrays import compute_arrays
from bluesky_diffractogram.reduction.geometry_kernel import extent, half_widths

UNITS = ["q_nm^-1", "q_A^-1", "2th_deg", "r_mm", "d_A"]
NAMED = """poni_version: 2
Detector: {}
Detector_config: {{}}
Distance: 0.2
Poni1: 0.05
Poni2: 0.04
Rot1: 0.1
Rot2: -0.05
Rot3: 0.3
Wavelength: 1e-10
"""


@pytest.fixture(params=["plain", "Imxpad S10", "Pixirad1"])
def calibration(request, tmp_path):
    """Equal pixels with the beam in the corner of four, pixels of several sizes, hexagons with six corners."""
    if request.param == "plain":
        return write_poni(tmp_path / "plain.poni", rot=(0.0, 0.0, 0.4))
    path = tmp_path / "named.poni"
    path.write_text(NAMED.format(request.param))
    return path


@pytest.mark.parametrize("unit", UNITS)
def test_they_have_the_bits_of_pyfais_own(calibration, unit):
    ours, shape = load_geometry(calibration)._ai, pyFAI.load(str(calibration)).detector.shape
    compute_arrays(ours, shape, unit)
    kept = dict(ours._cached_array)
    assert not any("corner" in name for name in kept)
    for each in (unit, "chi_deg"):
        theirs = pyFAI.load(str(calibration))  # whose azimuths depend on what it has computed before
        for kind in ("center", "delta"):
            expected = theirs.array_from_unit(shape, kind, each, scale=False)
            array = ours.array_from_unit(shape, kind, each, scale=False)
            assert array.dtype == expected.dtype == np.float64
            np.testing.assert_array_equal(array, expected)
            assert any(array is each for each in kept.values())  # and not computed by pyFAI after all


def test_what_is_there_is_not_computed_again(poni):
    ai = load_geometry(poni)._ai
    compute_arrays(ai, (240, 260), "q_nm^-1", azimuthal=False)
    assert "chi_delta" not in ai._cached_array
    radial = ai._cached_array["q_delta"]
    compute_arrays(ai, (240, 260), "q_nm^-1")
    assert ai._cached_array["q_delta"] is radial
    azimuthal = ai._cached_array["chi_delta"]
    compute_arrays(ai, (240, 260), "2th_deg")
    assert ai._cached_array["chi_delta"] is azimuthal


def test_half_widths_of_an_angle_go_the_short_way_round():
    centre, corners = np.array([[3.1]]), np.zeros((1, 1, 4, 2), np.float32)
    corners[0, 0, :, 1] = [3.0, -3.1, 3.1, -3.0]
    expected = 2 * np.pi - (3.1 + np.float64(np.float32(3.0)))
    assert half_widths(centre, corners, 1, 2 * np.pi)[0, 0] == expected
    assert half_widths(centre, corners, 1, 0.0)[0, 0] == 3.1 + np.float64(np.float32(3.1))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("corner", range(4))
def test_a_corner_that_is_nowhere_leaves_no_width(value, corner):
    corners = np.ones((1, 1, 4, 2), np.float32)
    corners[0, 0, corner, 0] = value
    np.testing.assert_array_equal(half_widths(np.zeros((1, 1)), corners, 0, 0.0), [[value]])


def test_the_extent_leaves_out_what_is_masked_or_not_finite():
    centre = np.array([[1.0, 2.0, 3.0, np.inf, 50.0, 7.0]])
    width = np.array([[0.5, np.nan, 0.5, 1.0, 1.0, np.inf]])
    used = np.array([[True, True, True, True, False, True]])
    assert extent(centre, width, used) == (0.5, 3.5)
    assert extent(centre, width, np.zeros_like(used)) == (np.inf, -np.inf)
