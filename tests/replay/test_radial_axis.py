"""Radial axes from unit to unit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyFAI.units import to_unit

from bluesky_diffractogram.config import parse_unit
from bluesky_diffractogram.replay.radial_axis import converted

NAMES = ("q_nm^-1", "q_A^-1", "2th_deg", "2th_rad", "d_A")


@pytest.mark.parametrize("source", NAMES)
@pytest.mark.parametrize("target", NAMES)
def test_two_units_of_one_pixel_agree_with_pyfai(source: str, target: str) -> None:
    x = np.array([0.01, 0.05])
    z = np.full(2, 0.1)
    axis = {
        name: to_unit(name).equation(x, 0 * x, z, 0.4e-10) * to_unit(name).scale
        for name in {source, target}
    }  # fmt: skip
    got = converted(axis[source], parse_unit(source), parse_unit(target), 0.4e-10)
    np.testing.assert_allclose(got, axis[target], rtol=1e-12)


@given(st.sampled_from(NAMES), st.sampled_from(NAMES), st.floats(0.5, 170.0), st.floats(1e-11, 3e-10))
def test_there_and_back_is_the_same(source: str, target: str, two_theta: float, wavelength: float) -> None:
    radial = converted(np.array([two_theta]), parse_unit("2th_deg"), parse_unit(source), wavelength)
    there = converted(radial, parse_unit(source), parse_unit(target), wavelength)
    np.testing.assert_allclose(converted(there, parse_unit(target), parse_unit(source), wavelength), radial, rtol=1e-9)


def test_what_no_scattering_angle_has_is_nan() -> None:
    assert np.isnan(converted(np.array([400.0]), parse_unit("q_nm^-1"), parse_unit("2th_deg"), 0.4e-10))[0]
    assert np.isnan(converted(np.array([0.1]), parse_unit("d_A"), parse_unit("2th_deg"), 0.4e-10))[0]


def test_q_and_d_need_no_wavelength_among_themselves() -> None:
    assert converted(np.array([2.0 * np.pi]), parse_unit("q_A^-1"), parse_unit("d_A"), None) == pytest.approx([1.0])
    assert np.isinf(converted(np.array([0.0]), parse_unit("q_nm^-1"), parse_unit("d_A"), None))[0]


def test_an_unknown_wavelength_and_a_radius_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"q \[1/A\] cannot be written as 2th \[deg\].*wavelength"):
        converted(np.ones(3), parse_unit("q_A^-1"), parse_unit("2th_deg"), None)
    with pytest.raises(ValueError, match=r"r \[mm\] cannot be written as 2th \[deg\].*tilt"):
        converted(np.ones(3), parse_unit("r_mm"), parse_unit("2th_deg"), 1e-10)
