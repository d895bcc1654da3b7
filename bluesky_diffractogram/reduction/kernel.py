"""The compiled loops: each used pixel of a frame is read once, tested, and added to its bins."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .compiled import compiled


@compiled
def _count_rows(owner: NDArray, reached: NDArray) -> int:
    rows = 0
    i = 0
    while i < len(owner):
        pair = i + 1 < len(owner) and owner[i + 1] == owner[i] and reached[i + 1] == reached[i] + 1
        i += 2 if pair else 1
        rows += 1
    return rows


@compiled
def pair_rows(owner: NDArray, reached: NDArray, part: NDArray) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Pair the entries of a sparse matrix that take one pixel to neighbouring bins.

    Parameters
    ----------
    owner, reached, part
        ``(entries,)`` pixel, bin and coefficient; the entries of a pixel stand together, its bins ascending.

    Returns
    -------
    pixel, first_bin, first_part, second_part
        ``(rows,)`` each; the second coefficient is 0 where there is no neighbour.
    """
    n = _count_rows(owner, reached)
    pixel = np.empty(n, np.int64)
    first = np.empty(n, np.int64)
    one = np.zeros(n, np.float32)
    two = np.zeros(n, np.float32)
    i = 0
    for row in range(n):
        pixel[row], first[row], one[row] = owner[i], reached[i], part[i]
        pair = i + 1 < len(owner) and owner[i + 1] == owner[i] and reached[i + 1] == reached[i] + 1
        if pair:
            two[row] = part[i + 1]
        i += 2 if pair else 1
    return pixel, first, one, two


@compiled
def sum_rows(
    pixel: NDArray, first_bin: NDArray, first_part: NDArray, second_part: NDArray, value: NDArray, bins: int
) -> NDArray[np.float64]:
    """Σ c·value in each of `bins` bins, over all rows; `value` is per pixel of the flattened frame."""
    one, two = np.zeros(bins), np.zeros(bins)
    for row in range(len(pixel)):
        amount = np.float64(value[pixel[row]])
        bin = first_bin[row]
        one[bin] += amount * first_part[row]
        two[bin + 1] += amount * second_part[row]
    return one + two


@compiled
def count_pixels(first_bin: NDArray, first_part: NDArray, second_part: NDArray, bins: int) -> NDArray[np.int64]:
    """How many pixels reach each of `bins` bins."""
    count = np.zeros(bins, np.int64)
    for row in range(len(first_bin)):
        bin = first_bin[row]
        count[bin] += first_part[row] != 0
        count[bin + 1] += second_part[row] != 0
    return count


@compiled
def is_valid(value: float, rules: NDArray, marks: NDArray) -> bool:
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


@compiled
def add_rows(
    image: NDArray,
    pixel: NDArray,
    first_bin: NDArray,
    first_part: NDArray,
    second_part: NDArray,
    start: int,
    stop: int,
    low: float,
    high: float,
    rules: NDArray,
    marks: NDArray,
    signal: NDArray,
    bad: NDArray,
) -> int:
    """Add the rows ``start:stop`` of a table to the bins.

    Parameters
    ----------
    image
        ``(ny·nx,)`` raw counts in their own dtype.
    pixel, first_bin, first_part, second_part
        Of `PixelTable`. Each is a stream of its own: the processor fetches four of them ahead faster than one in
        which they alternate.
    low, high
        Of `image`'s dtype: between them, inclusive, every value is valid.
    rules, marks
        ``(n, 2)`` and ``(m,)`` float64: the valid limits first, then intervals that are invalid; values that are.
    signal
        ``(bins,)`` float64, added to.
    bad
        As long as there are rows: filled with the rows of invalid pixels.

    Returns
    -------
    int
        How many rows belong to invalid pixels.
    """
    doubtful = 0
    for row in range(start, stop):
        raw = image[pixel[row]]
        if low <= raw <= high:
            value = np.float64(raw)
            bin = first_bin[row]
            signal[bin] += value * first_part[row]
            signal[bin + 1] += value * second_part[row]
        else:
            bad[doubtful] = row
            doubtful += 1
    n = 0
    for i in range(doubtful):
        row = bad[i]
        value = np.float64(image[pixel[row]])
        if is_valid(value, rules, marks):
            bin = first_bin[row]
            signal[bin] += value * first_part[row]
            signal[bin + 1] += value * second_part[row]
        else:
            bad[n] = row
            n += 1
    return n


@compiled
def add_variance(
    image: NDArray,
    pixel: NDArray,
    first_bin: NDArray,
    first_part: NDArray,
    second_part: NDArray,
    start: int,
    stop: int,
    bad: NDArray,
    variance: NDArray,
) -> None:
    """Add Σ c²·max(raw, 1), pyFAI's Poisson variance, over ``start:stop`` without the `bad` rows, to `variance`."""
    skipped = 0
    for row in range(start, stop):
        if skipped < len(bad) and bad[skipped] == row:
            skipped += 1
            continue
        spread = max(np.float64(image[pixel[row]]), 1.0)
        one, two = np.float64(first_part[row]), np.float64(second_part[row])
        bin = first_bin[row]
        variance[bin] += spread * one * one
        variance[bin + 1] += spread * two * two


@compiled
def _which_used(row: int, pixel: NDArray, used_at: NDArray, stride: int) -> np.int64:
    """Which of the table's pixels, counted from 0, a row belongs to."""
    begin = row // stride * stride
    which = np.int64(used_at[row // stride])
    for other in range(begin + 1, row + 1):
        which += pixel[other] != pixel[other - 1]
    return which


@compiled
def take_away(
    bad: NDArray,
    pixel: NDArray,
    used_at: NDArray,
    stride: int,
    first_bin: NDArray,
    first_part: NDArray,
    second_part: NDArray,
    weight: NDArray,
    factor: float,
    out: NDArray,
) -> None:
    """Subtract Σ c·weight·factor over the rows of invalid pixels from `out` ``(bins,)``; `weight` is per used pixel."""
    for row in bad:
        amount = factor * weight[_which_used(row, pixel, used_at, stride)]
        bin = first_bin[row]
        out[bin] -= amount * first_part[row]
        out[bin + 1] -= amount * second_part[row]


@compiled
def discount(bad: NDArray, first_bin: NDArray, first_part: NDArray, second_part: NDArray, count: NDArray) -> None:
    """Take the rows of invalid pixels off the pixels' `count` ``(bins,)``."""
    for row in bad:
        bin = first_bin[row]
        count[bin] -= first_part[row] != 0
        count[bin + 1] -= second_part[row] != 0
