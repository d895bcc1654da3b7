"""Simulated diffractograms whose peaks are known."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from scipy.sparse import csr_matrix

from bluesky_diffractogram.reduction.diffractogram import Diffractogram


def line(x: np.ndarray, fwhm: float, lorentz: float = 0.0) -> np.ndarray:
    """A pseudo-Voigt line of height 1."""
    u = 2.0 * x / fwhm
    return (1.0 - lorentz) * 0.5 ** (u**2) + lorentz / (1.0 + u**2)


def binned_line(n: int, centre: float, fwhm: float, lorentz: float = 0.0) -> np.ndarray:
    """The mean of `line` over each of `n` bins; bin i is from i − ½ to i + ½."""
    inside = (np.arange(9) - 4) / 9.0
    return line(np.arange(n)[:, None] + inside - centre, fwhm, lorentz).mean(axis=1)


def area(fwhm: float, lorentz: float = 0.0) -> float:
    """Of `line`, to infinity."""
    return fwhm * ((1.0 - lorentz) * np.sqrt(np.pi / np.log(2.0)) / 2.0 + lorentz * np.pi / 2.0)


def plain(intensity, radial=None, sigma=None) -> Diffractogram:
    """A curve as it is, of one pixel per bin."""
    intensity = np.asarray(intensity, dtype=float)
    n = len(intensity)
    return Diffractogram(
        radial=np.arange(n, dtype=float) if radial is None else radial,
        intensity=intensity,
        count=np.ones(n, dtype=np.int64),
        signal=np.nan_to_num(intensity, nan=0.0, posinf=0.0, neginf=0.0),
        normalization=np.ones(n),
        sigma=sigma,
    )


def counted(expected, pixels: float, rng: np.random.Generator) -> Diffractogram:
    """Counting noise in independent bins of `pixels` pixels each."""
    n = len(expected)
    counts = rng.poisson(np.asarray(expected) * pixels).astype(float)
    return Diffractogram(
        radial=np.arange(n, dtype=float),
        intensity=counts / pixels,
        count=np.full(n, int(pixels)),
        signal=counts,
        normalization=np.full(n, float(pixels)),
    )


def split(
    expected: Callable[[np.ndarray], np.ndarray], n: int, pixels: int, width: float, rng: np.random.Generator
) -> Diffractogram:
    """Counting noise in pixels, each about `width` bins wide and split evenly over the bins it covers."""
    table, centre = _split_table(n, pixels, width)
    image = rng.poisson(expected(centre))
    normalization = np.asarray(table.sum(axis=1)).ravel()
    signal = table @ image
    return Diffractogram(
        radial=np.arange(n, dtype=float),
        intensity=signal / normalization,
        count=np.diff(table.indptr).astype(np.int64),
        signal=signal,
        normalization=normalization,
    )


@lru_cache(maxsize=32)
def _split_table(n: int, pixels: int, width: float) -> tuple[csr_matrix, np.ndarray]:
    rng = np.random.default_rng(0)
    centre = rng.uniform(0.0, n, n * pixels)
    widths = width * rng.uniform(0.7, 1.3, n * pixels)
    low, high = centre - widths / 2.0, centre + widths / 2.0
    rows, columns, weights = [], [], []
    for k in range(int(np.ceil(1.3 * width)) + 2):
        bins = np.floor(low).astype(int) + k
        covered = np.minimum(high, bins + 1) - np.maximum(low, bins)
        there = (covered > 0.0) & (bins >= 0) & (bins < n)
        rows.append(bins[there])
        columns.append(np.flatnonzero(there))
        weights.append((covered / widths)[there])
    entries = (np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns)))
    return csr_matrix(entries, shape=(n, n * pixels)), centre - 0.5
