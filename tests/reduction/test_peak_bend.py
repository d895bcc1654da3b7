"""The compiled search for bends against one written with numpy and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from plain_bends import plain_bends
from powder_curves import calibrant_curve
from scipy import ndimage, signal

from bluesky_diffractogram.reduction.bend_kernel import convolve
from bluesky_diffractogram.reduction.maxima_kernel import local_maxima, prominence
from bluesky_diffractogram.reduction.noise import curve_noise
from bluesky_diffractogram.reduction.peak_bend import bends
from bluesky_diffractogram.reduction.peak_scale import Curve


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("width", [0.0, 2.8, 6.0])
def test_it_finds_what_numpy_and_scipy_find(width, gaps):
    rng = np.random.default_rng(13)
    many = 0
    for name in ("AgBh", "alpha_Al2O3", "CeO2", "LaB6", "quartz", "vanadinite"):
        for fwhm in (3.0, 9.0):
            curve = calibrant_curve(name, rng, n=1000, fwhm=max(fwhm, 1.2 * width), width=width).diffractogram
            if gaps:
                curve.intensity[rng.integers(0, 1000, 9)] = np.nan
                curve.intensity[400:430] = np.inf
            each = Curve(curve.intensity), curve_noise(curve), 4.0
            found, expected = bends(*each), plain_bends(*each)
            np.testing.assert_array_equal(found.bins, expected.bins)
            for column in ("position", "scale", "strength"):
                np.testing.assert_allclose(getattr(found, column), getattr(expected, column), rtol=1e-9)
            many += len(found.bins)
    assert many > 100


def test_convolution_is_scipys():
    rng = np.random.default_rng(1)
    y, half = rng.normal(size=50), np.array([0.4, 0.3, -0.2, 0.1])
    seen = np.empty(50)
    convolve(y, half, 3, seen, np.empty(60))
    whole = np.concatenate([half[:0:-1], half])
    np.testing.assert_allclose(seen, ndimage.convolve1d(y, whole, mode="nearest"), rtol=1e-12, atol=1e-14)


def test_maxima_and_prominences_are_scipys():
    rng = np.random.default_rng(2)
    for _ in range(200):
        y = rng.integers(0, 6, rng.integers(3, 40)).astype(float)  # with plateaus
        y[rng.integers(0, len(y))] = rng.choice([np.inf, np.nan, 9.0])
        expected = signal.find_peaks(y)[0]
        found = local_maxima(y)
        np.testing.assert_array_equal(found, expected)
        out = [prominence(y, at) for at in found]
        np.testing.assert_array_equal(out, signal.peak_prominences(y, expected)[0])
