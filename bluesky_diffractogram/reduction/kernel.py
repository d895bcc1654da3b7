"""The compiled loops: each used pixel of a frame is read once, tested, and added to its bins."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(nogil=True, cache=True)
def _count_rows(owner: NDArray, reached: NDArray) -> int:
    rows = 0
    i = 0
    while i < len(owner):
        pair = i + 1 < len(owner) and owner[i + 1] == owner[i] and reached[i + 1] == reached[i] + 1
        i += 2 if pair else 1
        rows += 1
    return rows


@njit(nogil=True, cache=True)
def pair_rows(owner: NDArray, reached: NDArray, part: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Pair the entries of a sparse matrix that take one pixel to neighbouring bins.

    Parameters
    ----------
    owner, reached, part
        ``(entries,)`` pixel, bin and coefficient; the entries of a pixel stand together, its bins ascending.

    Returns
    -------
    pixel, first_bin, coefficient
        ``(rows,)``, ``(rows,)`` and ``(rows, 2)``; the second coefficient is 0 where there is no neighbour.
    """
    n = _count_rows(owner, reached)
    pixel = np.empty(n, np.int64)
    first = np.empty(n, np.int64)
    coefficient = np.zeros((n, 2), np.float32)
    i = 0
    for row in range(n):
        pixel[row], first[row], coefficient[row, 0] = owner[i], reached[i], part[i]
        pair = i + 1 < len(owner) and owner[i + 1] == owner[i] and reached[i + 1] == reached[i] + 1
        if pair:
            coefficient[row, 1] = part[i + 1]
        i += 2 if pair else 1
    return pixel, first, coefficient


@njit(nogil=True, cache=True, inline="always")
def _valid(value: float, rules: NDArray, marks: NDArray) -> bool:
    """The rules in full, for the few values outside the interval in which all are valid."""
    if not np.isfinite(value):
        return False
    if not (rules[0, 0] <= value <= rules[0, 1]):
        return False
    for i in range(1, len(rules)):
        if rules[i, 0] <= value <= rules[i, 1]:
            return False
    for mark in marks:  # noqa: SIM110  (numba compiles no generator expressions)
        if value == mark:
            return False
    return True


@njit(nogil=True, cache=True)
def add_rows(
    image: NDArray,
    pixel: NDArray,
    first_bin: NDArray,
    coefficient: NDArray,
    start: int,
    stop: int,
    used: int,
    low: float,
    high: float,
    rules: NDArray,
    marks: NDArray,
    signal: NDArray,
    bad_rows: NDArray,
    bad_used: NDArray,
) -> int:
    """Add the rows ``start:stop`` of a table to the bins.

    Parameters
    ----------
    image
        ``(ny·nx,)`` raw counts in their own dtype.
    pixel, first_bin, coefficient
        Of `PixelTable`.
    used
        How many pixels of the table stand before `start`.
    low, high
        Of `image`'s dtype: between them, inclusive, every value is valid.
    rules, marks
        ``(n, 2)`` and ``(m,)`` float64: the valid limits first, then intervals that are invalid; values that are.
    signal
        ``(bins,)`` float64, added to.
    bad_rows, bad_used
        At least as long as there are rows: filled with the rows of invalid pixels and with which used pixel it was.

    Returns
    -------
    int
        How many rows belong to invalid pixels.
    """
    n_bad = 0
    last = np.int64(-1)
    used -= 1
    value = 0.0
    good = True
    for row in range(start, stop):
        here = np.int64(pixel[row])
        if here != last:
            last = here
            used += 1
            raw = image[here]
            value = np.float64(raw)
            good = low <= raw <= high
            if not good:
                good = _valid(value, rules, marks)
        if good:
            bin = first_bin[row]
            signal[bin] += value * coefficient[row, 0]
            signal[bin + 1] += value * coefficient[row, 1]
        else:
            bad_rows[n_bad] = row
            bad_used[n_bad] = used
            n_bad += 1
    return n_bad


@njit(nogil=True, cache=True)
def add_rows_with_variance(
    image: NDArray,
    pixel: NDArray,
    first_bin: NDArray,
    coefficient: NDArray,
    start: int,
    stop: int,
    used: int,
    low: float,
    high: float,
    rules: NDArray,
    marks: NDArray,
    signal: NDArray,
    bad_rows: NDArray,
    bad_used: NDArray,
    variance: NDArray,
) -> int:
    """As `add_rows`, and Σ c²·max(raw, 1) into `variance` ``(bins,)``: Poisson's, as pyFAI has it."""
    n_bad = 0
    last = np.int64(-1)
    used -= 1
    value = 0.0
    spread = 0.0
    good = True
    for row in range(start, stop):
        here = np.int64(pixel[row])
        if here != last:
            last = here
            used += 1
            raw = image[here]
            value = np.float64(raw)
            spread = max(value, 1.0)
            good = low <= raw <= high
            if not good:
                good = _valid(value, rules, marks)
        if good:
            bin = first_bin[row]
            one, two = np.float64(coefficient[row, 0]), np.float64(coefficient[row, 1])
            signal[bin] += value * one
            signal[bin + 1] += value * two
            variance[bin] += spread * one * one
            variance[bin + 1] += spread * two * two
        else:
            bad_rows[n_bad] = row
            bad_used[n_bad] = used
            n_bad += 1
    return n_bad


@njit(nogil=True, cache=True)
def take_away(
    bad_rows: NDArray,
    bad_used: NDArray,
    first_bin: NDArray,
    coefficient: NDArray,
    weight: NDArray,
    out: NDArray,
) -> None:
    """Subtract from `out` ``(bins,)`` Σ c·weight over rows of invalid pixels."""
    for i in range(len(bad_rows)):
        row = bad_rows[i]
        factor = np.float64(weight[bad_used[i]])
        bin = first_bin[row]
        out[bin] -= factor * coefficient[row, 0]
        out[bin + 1] -= factor * coefficient[row, 1]


@njit(nogil=True, cache=True)
def discount(bad_rows: NDArray, first_bin: NDArray, coefficient: NDArray, count: NDArray) -> None:
    """Take the rows of invalid pixels off the pixels' `count` ``(bins,)``."""
    for row in bad_rows:
        bin = first_bin[row]
        count[bin] -= coefficient[row, 0] != 0
        count[bin + 1] -= coefficient[row, 1] != 0
