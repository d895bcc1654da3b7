"""Raster: means over blocks, colour limits, columns."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluesky_diffractogram.views.raster import block_mean, color_limits, equidistant_columns


@given(
    shape=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    by_row=st.integers(1, 5),
    by_column=st.integers(1, 5),
    seed=st.integers(0, 999),
)
def test_block_mean_is_the_mean_of_each_block_without_nan(shape, by_row, by_column, seed):
    rng = np.random.default_rng(seed)
    rows = np.where(rng.random(shape) < 0.3, np.nan, rng.normal(size=shape))
    expected = []
    for top in range(0, shape[0], by_row):
        blocks = [rows[top : top + by_row, left : left + by_column] for left in range(0, shape[1], by_column)]
        expected.append([np.mean(b[~np.isnan(b)]) if (~np.isnan(b)).any() else np.nan for b in blocks])
    np.testing.assert_allclose(block_mean(rows, by_row, by_column), expected, rtol=1e-12, atol=1e-12)


def test_block_mean_leaves_the_rows_as_they_were():
    rows = np.arange(12.0).reshape(3, 4)
    block_mean(rows, 2, 2)
    np.testing.assert_array_equal(rows, np.arange(12.0).reshape(3, 4))


def test_color_limits_are_the_percentiles():
    rows = np.random.default_rng(0).permutation(np.arange(1001.0)).reshape(7, 143)
    assert color_limits(rows, (1.0, 99.5)) == (10.0, 995.0)


def test_color_limits_are_not_moved_by_a_spike_nor_by_gaps():
    rows = np.random.default_rng(0).normal(100, 5, (1, 200))
    clean = color_limits(rows, (1.0, 99.5))
    spoilt = rows.copy()
    spoilt[0, 17] = 1e9
    spoilt[0, 30:34] = np.nan
    spoilt[0, 40] = np.inf
    low, high = color_limits(spoilt, (1.0, 99.5))
    assert clean[0] <= low <= clean[0] + 2
    assert high <= rows.max()
    assert high > clean[1] - 2


def test_color_limits_look_at_the_newest_row_of_many():
    rows = np.zeros((2000, 3))
    rows[-1] = 7.0
    assert color_limits(rows, (0.0, 100.0)) == (0.0, 7.0)


@pytest.mark.parametrize("value", [0.0, 100.0, -3.0])
def test_color_limits_of_a_flat_heat_map_differ_and_enclose_it(value):
    low, high = color_limits(np.full((4, 5), value), (1.0, 99.5))
    assert low < value < high


def test_color_limits_of_few_counts_reach_from_the_smallest_to_the_largest():
    rows = np.zeros((10, 100))
    rows[3, 4] = 2.0
    assert color_limits(rows, (1.0, 99.5)) == (0.0, 2.0)


def test_color_limits_of_a_logarithmic_scale_are_positive():
    rows = np.linspace(-50, 50, 101).reshape(1, -1)
    low, high = color_limits(rows, (0.0, 100.0), positive=True)
    assert (low, high) == (1.0, 50.0)


@pytest.mark.parametrize("rows", [np.full((2, 3), np.nan), np.empty((0, 3))])
def test_there_are_no_color_limits_without_values(rows):
    assert color_limits(rows, (1.0, 99.5)) is None


def test_equidistant_bins_are_columns_and_end_half_a_bin_beyond_their_centres():
    edges, columns = equidistant_columns(np.array([1.0, 1.5, 2.0]))
    assert edges == (0.75, 2.25)
    assert columns is None


def test_one_bin_has_a_width():
    edges, columns = equidistant_columns(np.array([3.0]))
    assert edges == (2.5, 3.5)
    assert columns is None


@pytest.mark.parametrize("backwards", [False, True])
def test_other_bins_are_shown_where_they_are_nearest(backwards):
    radial = 2 * np.pi / np.linspace(2.0, 10.0, 50)  # d of equidistant q, descending
    radial = radial if backwards else radial[::-1]
    (left, right), columns = equidistant_columns(radial)
    edges = np.linspace(left, right, 51)
    centres = (edges[1:] + edges[:-1]) / 2
    expected = [np.argmin(np.abs(radial - centre)) for centre in centres]
    np.testing.assert_array_equal(columns, expected)
