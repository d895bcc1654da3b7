"""How the noise of neighbouring bins hangs together: from the table where there is one, else from the counts."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .covariance_kernel import shared_variance, widest_pixel
from .diffractogram import Diffractogram
from .noise import LARGEST_WIDTH, VaryingNoise, splitting_width
from .table import PixelTable

MOST_REACH = 64


@dataclass(frozen=True, eq=False, slots=True)
class BinCovariance:
    """What counting statistics say of the bins of one range, but for the intensity.

    Attributes
    ----------
    per_level
        ``(npt,)``: the variance of a bin's intensity is this times the expected intensity, divided by the bin's
        normalization and the monitor. Σ c²·w / Σ c·w, which is 1 where no pixel is split.
    of_dark
        ``(npt,)``: Σ c²·dark / Σ c·w, what the dark that was subtracted adds in place of the expected intensity;
        None without a dark.
    correlation
        ``(npt, reach + 1)`` of the noise of bin i and bin i + k.
    """

    per_level: NDArray[np.float64]
    of_dark: NDArray[np.float64] | None
    correlation: NDArray[np.float64]


def covariance_of_table(table: PixelTable, number: int) -> BinCovariance:
    """The covariance of range `number`, counted from 0: C_ij ∝ Σ c_i·c_j·w over the pixels that reach both bins.

    A pixel counts with a variance in proportion to its w = flat·Ω·P, as the intensity that it sees is much the same
    in all bins it reaches.
    """
    begin, end = int(table.bins[number]), int(table.bins[number + 1]) - 1  # one unused bin behind each range
    rows = (table.pixel, table.first_bin, table.first_part, table.second_part)
    reach = min(int(widest_pixel(rows[0], rows[1], rows[3], begin, end)), MOST_REACH)
    shared = shared_variance(*rows, table.weight, begin, end, reach)
    own = shared[:, 0]
    normalization = table.normalization[begin:end]
    filled = (own > 0.0) & (normalization > 0.0)
    root = np.sqrt(np.where(filled, own, np.inf))
    correlation = np.zeros_like(shared)
    for k in range(reach + 1):
        correlation[: len(own) - k, k] = shared[: len(own) - k, k] / (root[: len(own) - k] * root[k:])
    per_level = np.where(filled, own, 0.0) / np.where(filled, normalization, 1.0)
    return with_dark_of(table, number, BinCovariance(per_level, None, correlation))


def with_dark_of(table: PixelTable, number: int, covariance: BinCovariance) -> BinCovariance:
    """The covariance of range `number`, counted from 0, with the dark of `table` in place of its own."""
    if table.dark is None:
        return replace(covariance, of_dark=None)
    begin, end = int(table.bins[number]), int(table.bins[number + 1]) - 1
    rows = (table.pixel, table.first_bin, table.first_part, table.second_part)
    dark, normalization = shared_variance(*rows, table.dark, begin, end, 0)[:, 0], table.normalization[begin:end]
    of_dark = np.where(normalization > 0.0, dark, 0.0) / np.where(normalization > 0.0, normalization, 1.0)
    return replace(covariance, of_dark=of_dark)


def shared_noise(table: PixelTable, number: int, most_rows: int = 400_000) -> tuple[float, ...]:
    """What a bin of range `number` shares with itself, the next one, and so on, averaged over the range.

    Told from a part of the table, as it is the same everywhere on a detector but for the direction of its pixels.

    Parameters
    ----------
    most_rows
        How much of the table is looked at, in stretches from all over it.
    """
    begin, end = int(table.bins[number]), int(table.bins[number + 1]) - 1
    pixels = len(table.pixel)
    stretches = max(1, min(64, most_rows // 1000))
    length = most_rows // stretches
    pick: slice | NDArray[np.intp] = slice(None)
    if pixels > stretches * length:  # else the stretches would overlap, and be all of it
        starts = np.linspace(0, pixels - length, stretches).astype(np.intp)
        pick = (starts[:, None] + np.arange(length)).ravel()
    rows = table.pixel[pick], table.first_bin[pick], table.first_part[pick], table.second_part[pick]
    reach = min(int(widest_pixel(rows[0], rows[1], rows[3], begin, end)), MOST_REACH)
    shared = shared_variance(*rows, np.ones(len(rows[0]), np.float32), begin, end, reach)
    own = shared[:, 0].sum()
    return tuple(round(float(each), 3) for each in shared.sum(axis=0) / own) if own > 0.0 else (1.0,)


def varying_noise(table: PixelTable, number: int) -> VaryingNoise:
    """As `shared_noise`, for each bin of range `number` by itself, from the whole table."""
    begin, end = int(table.bins[number]), int(table.bins[number + 1]) - 1
    rows = (table.first_bin >= begin) & (table.first_bin < end)
    whole = float(table.first_part[rows].sum(dtype=np.float64) + table.second_part[rows].sum(dtype=np.float64))
    width = float(table.count[begin:end].sum()) / whole if whole > 0.0 else 1.0
    covariance = covariance_of_table(table, number)
    return VaryingNoise(min(max(width, 1.0), LARGEST_WIDTH), covariance.per_level, covariance.correlation)


def correlation_of_width(npt: int, width: float) -> NDArray[np.float64]:
    """``(npt, reach + 1)``: what two bins share of pixels that are evenly `width` bins wide and split over them.

    The correlation of two trapezoids, each a box of one bin seen through a box of `width` less one, the splitting
    width being the sum of both.
    """
    box = max(width - 1.0, 0.0)
    reach = min(math.ceil(box + 1.0) - 1, MOST_REACH) if box > 0.0 else 0
    if not reach:
        return np.ones((npt, 1))

    def shared(distance: float) -> float:
        second = ((-1, 1.0), (0, -2.0), (1, 1.0))
        return sum(a * b * abs(distance + i + j * box) ** 3 for i, a in second for j, b in second)

    row = np.array([shared(float(k)) for k in range(reach + 1)]) / shared(0.0)
    return np.tile(row, (npt, 1))


def correlation_of_counts(diffractogram: Diffractogram) -> NDArray[np.float64]:
    """``(npt, reach + 1)`` where there is no table: as of pixels that are all split as they are on average."""
    return correlation_of_width(len(diffractogram.radial), round(splitting_width(diffractogram), 1))
