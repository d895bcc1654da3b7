"""The covariance of bins against the dense matrix product that it is."""

from __future__ import annotations

import numpy as np
import pytest
from ponis import write_poni

from bluesky_diffractogram.config import load_config
from bluesky_diffractogram.reduction.bin_covariance import correlation_of_width, covariance_of_table
from bluesky_diffractogram.reduction.opening import open_geometry
from bluesky_diffractogram.reduction.reducer import Reducer

SHAPE = (60, 65)


@pytest.fixture(scope="module")
def poni(tmp_path_factory):
    path = tmp_path_factory.mktemp("poni") / "coarse.poni"
    return write_poni(path, shape=SHAPE, pixel=(1.2e-3, 1e-3), rot=(0.03, -0.05, 0.4))


def table_of(poni, method, **settings):
    config = {"calibration": str(poni), "diff_ranges": [[10, 60, 4, 16], [170, 200, None, None]], "npt": [80, 60]}
    config = load_config({**config, "method": method, "peaks": False, "diff_units": "2th [deg]", **settings})
    return Reducer(config, open_geometry(config), SHAPE).prepared.table


def dense(table, number):
    """``(npt, pixels in use)`` the coefficients of a range."""
    used, which = np.unique(table.pixel, return_inverse=True)
    matrix = np.zeros((int(table.bins[-1]) + 2, len(used)))
    np.add.at(matrix, (table.first_bin.astype(int), which), table.first_part)
    np.add.at(matrix, (table.first_bin.astype(int) + 1, which), table.second_part)
    return matrix[table.bins[number] : table.bins[number + 1] - 1]


@pytest.mark.parametrize("method", ["no", "bbox", "full"])
@pytest.mark.parametrize("number", [0, 1])
def test_it_is_the_matrix_product_of_the_splitting(poni, method, number):
    table = table_of(poni, method)
    coefficients = dense(table, number)
    expected = (coefficients * table.weight) @ coefficients.T
    found = covariance_of_table(table, number)
    filled = np.diag(expected) > 0.0
    normalization = (coefficients * table.weight).sum(axis=1)
    np.testing.assert_allclose(found.per_level[filled], (np.diag(expected) / normalization)[filled], rtol=1e-5)
    deviation = np.sqrt(np.diag(expected))
    reach = found.correlation.shape[1] - 1
    assert reach == 0 if method == "no" else reach > 0
    for k in range(len(expected)):
        along = np.diagonal(expected, k)
        if k > reach:
            assert not along.any()
            continue
        of = filled[: len(filled) - k] & filled[k:]
        correlation = along[of] / (deviation[: len(filled) - k] * deviation[k:])[of]
        np.testing.assert_allclose(found.correlation[: len(filled) - k, k][of], correlation, rtol=1e-5, atol=1e-12)
    assert np.isfinite(found.correlation).all()


def test_a_dark_adds_its_own(poni):
    dark = np.random.default_rng(3).uniform(5.0, 20.0, SHAPE)
    table = table_of(poni, "bbox", dark=dark)
    coefficients = dense(table, 0)
    expected = (coefficients**2) @ dark.ravel()[np.unique(table.pixel)]
    normalization = (coefficients * table.weight).sum(axis=1)
    filled = normalization > 0.0
    found = covariance_of_table(table, 0)
    np.testing.assert_allclose(found.of_dark[filled], (expected[filled] / normalization[filled]), rtol=1e-5)


@pytest.mark.parametrize("width", [1.0, 1.7, 4.3])
def test_without_a_table_it_is_that_of_boxes(width):
    rng = np.random.default_rng(0)
    box, bins, pixels = width - 1.0, 30, 200_000
    low = rng.uniform(5.0, 25.0, pixels)[:, None]
    edges = np.arange(bins)
    if box == 0.0:
        covered = ((low >= edges) & (low < edges + 1)).astype(float)
    else:
        covered = np.clip(np.minimum(low + box, edges + 1) - np.maximum(low, edges), 0.0, None) / box
    shared = covered.T @ covered
    row = correlation_of_width(5, width)
    assert row.shape[0] == 5
    for k in range(min(row.shape[1] + 1, 8)):
        expected = np.diagonal(shared[12:20, 12:20], k).mean() / np.diag(shared[12:20, 12:20]).mean()
        assert (row[0, k] if k < row.shape[1] else 0.0) == pytest.approx(expected, abs=0.02)
