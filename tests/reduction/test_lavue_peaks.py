"""lavue's two finders, by what their description says of curves made by hand."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from peak_curves import area, binned_line, plain

from bluesky_diffractogram.reduction.lavue_peaks import lavue_peaks, lavue_simple_peaks
from bluesky_diffractogram.reduction.peaks import find_peaks

BOTH = pytest.mark.parametrize("finder", [lavue_peaks, lavue_simple_peaks])


def test_spline_finds_the_stationary_points_of_a_polynomial_exactly():
    # a quartic spline through a quartic is that quartic: stationary at -1, 0.25 and 2, the middle one a minimum
    curve = np.polynomial.Polynomial.fromroots([-1.0, 0.25, 2.0]).integ() * -1.0 + 10.0
    x = np.linspace(-2.0, 3.0, 41)
    peaks = lavue_peaks(plain(curve(x), radial=x))
    expected = sorted([-1.0, 0.25, 2.0], key=lambda at: -curve(at))
    np.testing.assert_allclose(peaks.position, expected, atol=1e-9)
    np.testing.assert_allclose(peaks.height, curve(np.array(expected)), rtol=1e-9)
    np.testing.assert_allclose(peaks.position_error, 0.125)


def test_spline_lists_the_highest_first_and_no_more_than_asked():
    x = np.linspace(0.0, 20.0, 801)
    curve = plain((20.0 - x) * (1.2 + np.sin(2.0 * np.pi * x)), radial=x)
    peaks = lavue_peaks(curve, max_peaks=3)
    np.testing.assert_allclose(peaks.position, [0.24, 1.24, 2.24], atol=0.02)
    assert (np.diff(peaks.height) < 0.0).all()
    np.testing.assert_array_equal(lavue_peaks(curve, max_peaks=10).position[:3], peaks.position)


def test_spline_looks_at_all_roots_not_only_at_the_first_twenty():
    # lavue 3.16 gives up after twenty roots, minima included, and misses what lies beyond
    x = np.linspace(0.0, 40.0, 2001)
    peaks = lavue_peaks(plain((1.0 + x) * (1.2 + np.sin(2.0 * np.pi * x)), radial=x))
    assert len(peaks) == 20
    assert peaks.position[0] == pytest.approx(39.25, abs=0.02)


def test_spline_error_is_the_largest_step_of_the_axis():
    x = np.concatenate([np.linspace(0.0, 5.0, 51), np.linspace(5.3, 10.0, 48)])
    peaks = lavue_peaks(plain(np.exp(-((x - 4.0) ** 2)), radial=x))
    np.testing.assert_allclose(peaks.position_error, 0.3)


def test_spline_finds_nothing_inside_a_gap():
    x = np.arange(200.0)
    intensity = 10.0 + 100.0 * np.exp(-(((x - 60.0) / 8.0) ** 2)) + 80.0 * np.exp(-(((x - 140.0) / 8.0) ** 2))
    intensity[130:150] = np.nan  # a spline across this has its maximum in it
    peaks = lavue_peaks(plain(intensity))
    assert peaks.position[0] == pytest.approx(60.0, abs=1e-3)
    assert not ((peaks.position > 129.0) & (peaks.position < 150.0)).any()


def test_greedy_takes_the_highest_and_strikes_out_what_falls_from_it():
    #         0    1    2    3    4    5    6    7    8    9
    curve = [1.0, 3.0, 9.0, 4.0, 4.0, 2.0, 5.0, 7.0, 6.0, 0.0]
    peaks = lavue_simple_peaks(plain(curve))
    # 9 with 1 3 . 4; then 7 with 2 5 . 6 0; then the 4 that was left, which fell no further
    np.testing.assert_array_equal(peaks.position, [2.0, 7.0, 4.0])
    np.testing.assert_array_equal(peaks.height, [9.0, 7.0, 4.0])


def test_greedy_takes_the_first_of_equals_and_stops_at_a_level_stretch():
    peaks = lavue_simple_peaks(plain([0.0, 2.0, 2.0, 2.0, 0.0, 1.0]))
    np.testing.assert_array_equal(peaks.position, [1.0, 2.0, 3.0, 5.0])
    peaks = lavue_simple_peaks(plain([3.0, 3.0, 9.0, 4.0, 4.0]))
    np.testing.assert_array_equal(peaks.position, [2.0, 4.0, 0.0])


def test_greedy_takes_no_more_than_asked_and_nothing_that_is_not_positive():
    curve = plain([-1.0, 5.0, -2.0, 4.0, -3.0, 3.0, -4.0, 0.0, -1.0, -0.5])
    np.testing.assert_array_equal(lavue_simple_peaks(curve).position, [1.0, 3.0, 5.0])
    np.testing.assert_array_equal(lavue_simple_peaks(curve, max_peaks=2).position, [1.0, 3.0])


def test_greedy_leaves_out_bins_without_a_pixel():
    nan = np.nan
    peaks = lavue_simple_peaks(plain([nan, 1.0, 6.0, nan, 4.0, 2.0, 3.0, np.inf, 1.0]))
    np.testing.assert_array_equal(peaks.position, [2.0, 6.0])
    np.testing.assert_array_equal(peaks.position_error, [1.0, 1.0])


def test_greedy_error_is_the_larger_step_beside_the_bin():
    x = np.array([0.0, 1.0, 2.0, 4.0, 5.0, 8.0])
    peaks = lavue_simple_peaks(plain([0.0, 0.0, 9.0, 1.0, 0.0, 5.0], radial=x))
    np.testing.assert_array_equal(peaks.position, [2.0, 8.0])
    np.testing.assert_array_equal(peaks.position_error, [2.0, 3.0])


@BOTH
def test_height_above_the_background_width_and_area_are_those_of_the_default_finder(finder):
    radial = np.linspace(2.0, 7.0, 1000)
    step = radial[1] - radial[0]
    intensity = 40.0 + 100.0 * binned_line(1000, 300.0, 8.0) + 50.0 * binned_line(1000, 700.0, 20.0)
    curve = plain(intensity, radial=radial)
    ours, theirs = find_peaks(curve), finder(curve, max_peaks=2)
    np.testing.assert_allclose(theirs.height, [140.0, 90.0], rtol=0.01)
    np.testing.assert_allclose(theirs.net_height, [100.0, 50.0], rtol=0.02)
    np.testing.assert_allclose(theirs.fwhm, ours.fwhm, rtol=1e-9)
    np.testing.assert_allclose(theirs.area, [100.0 * area(8.0) * step, 50.0 * area(20.0) * step], rtol=0.01)


@BOTH
@pytest.mark.parametrize(
    "intensity",
    [[], [3.0], [1.0, 2.0], np.zeros(50), np.full(50, 4.0), np.full(50, np.nan), np.full(50, np.inf)],
    ids=["empty", "one", "two", "zero", "flat", "NaN", "inf"],
)
def test_what_is_no_curve_raises_nothing(finder, intensity):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        peaks = finder(plain(intensity))
    assert len(peaks) == (1 if finder is lavue_simple_peaks and len(intensity) == 2 else 0)


@BOTH
@settings(max_examples=80, deadline=None)
@given(
    intensity=arrays(
        np.float64,
        st.integers(0, 60),
        elements=st.one_of(
            st.integers(-2, 5).map(float), st.floats(-1e9, 1e9), st.sampled_from([np.nan, np.inf, -np.inf])
        ),
    )
)
def test_whatever_the_curve_heights_are_in_order_and_positions_on_the_axis(finder, intensity):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        peaks = finder(plain(intensity), max_peaks=4)
    assert len(peaks) <= 4
    assert np.isfinite(peaks.height).all()
    assert (np.diff(peaks.height) <= 0.0).all()
    assert ((peaks.position >= 0.0) & (peaks.position <= max(len(intensity) - 1, 0))).all()
    assert {len(values) for values in (peaks.net_height, peaks.fwhm, peaks.area, peaks.position_error)} == {len(peaks)}
