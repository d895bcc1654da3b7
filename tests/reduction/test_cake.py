"""Cakes: against pyFAI's integrate2d, numpy's histogram, and the diffractograms of the same frame."""

from __future__ import annotations

import numpy as np
import pyFAI
import pytest

from bluesky_diffractogram.config import CakeConfig, ConfigError, configuration, load_config
from bluesky_diffractogram.reduction.frame import Frame
from bluesky_diffractogram.reduction.reducer import Reducer, open_geometry


def reducer_for(poni, shape, cake, **config):
    config = load_config(
        {"calibration": str(poni), "diff_units": "2th_deg", "npt": 80, "peaks": False, "cake": cake, **config}
    )
    return Reducer(config, open_geometry(config), shape)


@pytest.mark.parametrize("unit", ["2th_deg", "q_A^-1", "r_mm"])
@pytest.mark.parametrize("method", ["no", "bbox", "full"])
def test_it_is_pyfais(poni, rings, unit, method):
    dark = np.full(rings.shape, 3.0)
    limits = {"2th_deg": (4, 16), "q_A^-1": (1.0, 4.0), "r_mm": (8, 30)}[unit]
    reducer = reducer_for(
        poni, rings.shape, {"npt_rad": 60, "npt_azim": 36, "range": [-60, 120, *limits]}, diff_units=unit,
        range_unit="same", method=method, dark=dark,
    )  # fmt: skip
    ours = reducer.reduce(Frame(rings, 0.0, monitor=2.0)).cake
    theirs = pyFAI.load(str(poni)).integrate2d_ng(
        rings, 60, 36, unit=unit, radial_range=limits, azimuth_range=(-60, 120), method=(method, "csr", "cython"),
        dark=dark, normalization_factor=2.0,
    )  # fmt: skip
    empty = np.asarray(theirs.count) == 0
    np.testing.assert_allclose(ours.radial, theirs.radial, rtol=1e-7)
    np.testing.assert_allclose(ours.azimuthal, theirs.azimuthal, rtol=1e-7)
    np.testing.assert_array_equal(np.isnan(ours.intensity), empty)
    np.testing.assert_allclose(ours.intensity[~empty], theirs.intensity[~empty], rtol=1e-6)


def test_without_splitting_it_is_a_histogram(poni, rings):
    cake = {"npt_rad": 40, "npt_azim": 30, "range": [-90, 90, 4, 14]}
    ours = reducer_for(poni, rings.shape, cake, method="no", correct_solid_angle=False).reduce(Frame(rings, 0.0)).cake
    ai = pyFAI.load(str(poni))
    two_theta, chi = (
        ai.center_array(rings.shape, unit="2th_deg"),
        np.rad2deg(ai.center_array(rings.shape, unit="chi_rad")),
    )
    bins = {"bins": (30, 40), "range": ((-90, 90), (4, 14))}
    count, *_ = np.histogram2d(chi.ravel(), two_theta.ravel(), **bins)
    total, *_ = np.histogram2d(chi.ravel(), two_theta.ravel(), weights=rings.ravel().astype(float), **bins)
    differ = ours.normalization[1:-1, 1:-1] != count[1:-1, 1:-1]  # a pixel on the edge of a bin may be in the next
    assert differ.mean() < 0.01
    np.testing.assert_allclose(ours.signal[1:-1, 1:-1][~differ], total[1:-1, 1:-1][~differ])


@pytest.mark.parametrize("method", ["no", "bbox", "full"])
def test_summed_over_the_azimuths_it_is_the_diffractogram(poni, rings, method):
    """Of the same bins: Σ signal / Σ normalization."""
    spoilt = rings.copy()
    spoilt[100:120, 50:70] = 65535
    reducer = reducer_for(
        poni, rings.shape, {"npt_rad": 80, "npt_azim": 90, "range": [None, None, 4, 16]},
        diff_ranges=[[None, None, 4, 16]], method=method,
    )  # fmt: skip
    reduction = reducer.reduce(Frame(spoilt, 0.0))
    (curve,), cake = reduction.diffractograms, reduction.cake
    np.testing.assert_allclose(cake.radial, curve.radial, rtol=1e-6)
    np.testing.assert_allclose(cake.signal.sum(0) / cake.normalization.sum(0), curve.intensity, rtol=2e-3)
    np.testing.assert_allclose(cake.normalization.sum(0), curve.normalization, rtol=2e-3)


def test_invalid_pixels_leave_the_axes_as_they_are(poni, rings):
    reducer = reducer_for(poni, rings.shape, {"npt_rad": 50, "npt_azim": 40})
    whole = reducer.reduce(Frame(rings, 0.0)).cake
    half = rings.astype(float)
    half[:, :130] = np.nan
    cut = reducer.reduce(Frame(half, 0.0)).cake
    np.testing.assert_array_equal(cut.radial, whole.radial)
    assert np.isnan(cut.intensity).sum() > np.isnan(whole.intensity).sum() + 200
    both = np.isfinite(cut.intensity) & np.isfinite(whole.intensity)
    assert both.sum() > 400
    assert whole.azimuthal[0] == pytest.approx(-175.5)
    assert whole.azimuthal[-1] == pytest.approx(175.5)


def test_none_is_made_where_none_is_wanted(poni, rings):
    assert reducer_for(poni, rings.shape, None).reduce(Frame(rings, 0.0)).cake is None


def test_it_comes_back_as_it_was_written(poni):
    config = load_config({"calibration": str(poni), "cake": True})
    assert config.cake == CakeConfig(npt_rad=500, npt_azim=360, range=None)
    assert load_config(configuration(config)) == config
    config = load_config({"calibration": str(poni), "cake": {"npt_azim": 72, "range": [0, 90, None, 5]}})
    assert configuration(config)["cake"] == {"npt_azim": 72, "range": [0, 90, None, 5]}
    assert load_config(configuration(config)) == config


@pytest.mark.parametrize(("cake", "said"), [
    (7, r"cake = 7: allowed: a mapping with any of npt_rad, npt_azim, range; true; false or null for none"),
    ({"npt_rad": 0}, r"cake\.npt_rad = 0: allowed: an integer of at least 1"),
    ({"npt": 5}, r"cake\.npt = 5: unknown key"),
    ({"range": [0, 90]}, r"cake\.range = \[0, 90\]"),
    ({"range": [170, 190, None, None]}, r"cake\.range = .*pyFAI would cut it there.*does not cross 180°"),
])  # fmt: skip
def test_what_cannot_be_is_refused(poni, cake, said):
    with pytest.raises(ConfigError, match=said):
        load_config({"calibration": str(poni), "cake": cake})
