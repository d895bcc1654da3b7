"""The compiled parts of the peak search against the same written with numpy and scipy, array by array."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from plain_noise import plain_blocks
from plain_scales import contrast, own_scale, plain_prominence
from plain_shapes import plain_measure
from powder_curves import calibrant_curve

from bluesky_diffractogram.reduction.noise import curve_noise
from bluesky_diffractogram.reduction.noise_kernel import blocks_of_noise, deviation
from bluesky_diffractogram.reduction.peak_scale import Curve, own_sizes, scales
from bluesky_diffractogram.reduction.peak_shape import measure
from bluesky_diffractogram.reduction.peaks import _by_prominence

NAMES = ("AgBh", "alpha_Al2O3", "CeO2", "Cr2O3", "LaB6", "Ni", "quartz", "vanadinite")


@pytest.fixture(scope="module", params=[False, True], ids=["whole", "with gaps"])
def curves(request):
    """Diffractograms of calibrants, as `Curve` and `CurveNoise` too."""
    rng = np.random.default_rng(17)
    found = []
    for name in NAMES:
        for fwhm, width in ((3.0, 0.0), (6.0, 2.8), (15.0, 6.0)):
            each = calibrant_curve(name, rng, n=1000, fwhm=fwhm, width=width).diffractogram
            if request.param:
                each.intensity[rng.integers(0, 1000, 12)] = np.nan
                each.intensity[600:640] = np.inf
            found.append((each, Curve(each.intensity), curve_noise(each)))
    return found


def test_the_noise_of_blocks(curves):
    for each, _, _ in curves:
        y = np.where(np.isfinite(each.intensity), each.intensity, np.nan)
        root = np.sqrt(each.normalization)
        for lag in (1, 3):
            with np.errstate(all="ignore"):
                expected = plain_blocks(y, lag, root)
            for found, column in zip(blocks_of_noise(y, lag, root), expected, strict=True):
                np.testing.assert_allclose(found, column, rtol=1e-12)


def test_the_deviation_of_a_bin(curves):
    _, curve, noise = curves[0]
    bins = np.arange(len(curve.intensity))
    for level in (curve.intensity, 30.0 * curve.intensity, np.full(len(bins), -5.0)):
        found = [deviation(level[i], noise.quiet[i], noise.background[i], 0.0) for i in bins]
        np.testing.assert_allclose(found, noise.sigma(bins, level), rtol=1e-12)


def test_what_stands_out_of_the_noise_of_a_bin(curves):
    many = 0
    for _, curve, noise in curves:
        expected = plain_prominence(curve, noise, 4.0)
        for found, column in zip(_by_prominence(curve, noise, 4.0), expected, strict=True):
            np.testing.assert_array_equal(found, column)
        many += len(expected[0])
    assert many > 200


def test_the_scales_of_tops(curves):
    for _, curve, noise in curves:
        tops = np.flatnonzero(curve.finite)[::37]
        sizes, far = scales(len(curve.finite)), np.full(len(tops), np.iinfo(np.intp).max)
        sigma = noise.sigma(tops, curve.intensity[tops])
        expected = sizes[own_scale(*contrast(curve, sigma, noise.correlation, tops, far, sizes), 5.0)]
        np.testing.assert_array_equal(own_sizes(curve, noise, tops, 5.0), expected)


def test_figures_of_peaks(curves):
    for _, curve, noise in curves:
        tops, scale = _by_prominence(curve, noise, 4.0)
        found, expected = measure(curve, noise, tops, scale), plain_measure(curve, noise, tops, scale)
        for field in fields(expected):
            np.testing.assert_allclose(getattr(found, field.name), getattr(expected, field.name), rtol=1e-8)
