"""The compiled loops over the pixels of each bin, for what is more than a sum of them.

In all of them, of a frame: `image` ``(ny·nx,)`` the raw counts in their own dtype; `low`, `high`, `rules` and `marks`
which of them are valid (`kernel.add_rows`). Of the bins: those from `first` to `stop` are done, whose entries begin at
`start` ``(bins + 1,)``; of each entry ``(entries,)``: `pixel`, which index the pixel has in the stored frame, `part`,
how much of it is in the bin, `weight`, its flat·Ω·P, and `dark`, which is subtracted `exposures` times, or empty.
What comes out: `sums` ``(4, bins)``, Σ c·(I − dark), Σ c·flat·Ω·P, the variance of the former, and how many pixels it
is of.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from numpy.typing import NDArray

from .compiled import compiled
from .kernel import is_valid

_compiled = partial(compiled, error_model="numpy")


@_compiled
def sort_by_bin(
    pixel: NDArray, first_bin: NDArray, first_part: NDArray, second_part: NDArray, bins: int
) -> tuple[NDArray, NDArray, NDArray]:
    """The `start`, `pixel` and `part` of the entries that the rows of a `PixelTable` stand for.

    In each of `bins` bins they are in the order of the rows.
    """
    start = np.zeros(bins + 1, np.int64)
    for row in range(len(pixel)):
        bin = np.int64(first_bin[row])
        start[bin + 1] += first_part[row] != 0
        if second_part[row] != 0:
            start[bin + 2] += 1
    start = np.cumsum(start)
    free = start.copy()
    sorted_pixel, part = np.empty(start[-1], pixel.dtype), np.empty(start[-1], np.float32)
    for row in range(len(pixel)):
        for second in range(2):
            bin = np.int64(first_bin[row]) + second
            coefficient = second_part[row] if second else first_part[row]
            if coefficient != 0:
                place = free[bin]
                sorted_pixel[place], part[place] = pixel[row], coefficient
                free[bin] += 1
    return start, sorted_pixel, part


@_compiled
def scatter_about_mean(
    image: NDArray, low: float, high: float, rules: NDArray, marks: NDArray, exposures: int,
    start: NDArray, pixel: NDArray, part: NDArray, weight: NDArray, dark: NDArray,
    first: int, stop: int, sums: NDArray,
) -> None:  # fmt: skip
    """Means, with the variance that the scatter of the pixels in each bin tells (pyFAI's ``"azimuthal"``).

    As pixel after pixel comes, Σ ω²·(x − m)·(x − m′) is added up with ω = c·flat·Ω·P, x = (I − dark) / (flat·Ω·P), and
    m and m′ the weighted means before and after it. Where all ω are alike this is Σ ω²·(x − mean)²; else it depends on
    the order of the pixels, which is that of the calibration's image, as pyFAI's is.
    """
    for bin in range(first, stop):
        signal, normalization, variance, mean, n = 0.0, 0.0, 0.0, 0.0, 0
        for i in range(start[bin], start[bin + 1]):
            raw = image[pixel[i]]
            if not low <= raw <= high and not is_valid(np.float64(raw), rules, marks):
                continue
            value = np.float64(raw)
            if len(dark):
                value -= exposures * np.float64(dark[i])
            omega = np.float64(part[i]) * np.float64(weight[i])
            signal += part[i] * value
            normalization += omega
            before, mean = mean, signal / normalization
            if n:
                x = value / weight[i]
                variance += omega * omega * (before - x) * (mean - x)
            n += 1
        sums[0, bin], sums[1, bin], sums[2, bin], sums[3, bin] = signal, normalization, variance, n


@_compiled
def _averaged(
    n: int, value: NDArray, part: NDArray, weight: NDArray, spread: NDArray, by_scatter: bool
) -> tuple[float, float, float, float]:
    """Signal, normalization, variance and Σ ω² of the first `n`, by their scatter or of what each has."""
    signal, normalization, variance, squares, mean = 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(n):
        omega = part[i] * weight[i]
        signal += part[i] * value[i]
        normalization += omega
        squares += omega * omega
        if by_scatter:
            before, mean = mean, signal / normalization
            if i:
                x = value[i] / weight[i]
                variance += omega * omega * (before - x) * (mean - x)
        else:
            variance += part[i] * part[i] * spread[i]
    return signal, normalization, variance, squares


@_compiled
def clipped_mean(
    image: NDArray, low: float, high: float, rules: NDArray, marks: NDArray, exposures: int,
    start: NDArray, pixel: NDArray, part: NDArray, weight: NDArray, dark: NDArray,
    first: int, stop: int, sums: NDArray, thres: float, max_iter: int, poisson: bool,
) -> None:  # fmt: skip
    """Means of the pixels that are not too far from them, as pyFAI's ``sigma_clip_ng``.

    Up to `max_iter` times those are left out that are further from the mean than `thres` or, if that is more, by
    Chauvenet's √(2·ln(n/√(2π))) standard deviations of the pixels about it; the variance of the mean is that of their
    scatter, or with `poisson` in the end that of counts.
    """
    most = 0
    for bin in range(first, stop):
        most = max(most, start[bin + 1] - start[bin])
    values, parts, weights, spreads = np.empty(most), np.empty(most), np.empty(most), np.empty(most)
    for bin in range(first, stop):
        n = 0
        for i in range(start[bin], start[bin + 1]):
            raw = image[pixel[i]]
            if not low <= raw <= high and not is_valid(np.float64(raw), rules, marks):
                continue
            values[n] = np.float64(raw)
            if len(dark):
                values[n] -= exposures * np.float64(dark[i])
            parts[n], weights[n], spreads[n] = part[i], weight[i], max(np.float64(raw), 1.0)
            n += 1
        by_scatter = not poisson or max_iter > 0
        signal, normalization, variance, squares = _averaged(n, values, parts, weights, spreads, by_scatter)
        for iteration in range(max_iter):
            if not n:
                break
            mean, deviation = signal / normalization, math.sqrt(variance / squares)
            chauvenet = math.sqrt(2.0 * math.log(max(3.0, float(n)) / math.sqrt(2.0 * math.pi)))
            most_away, kept = max(thres, chauvenet) * deviation, 0
            for i in range(n):
                if not abs(values[i] / weights[i] - mean) > most_away:
                    values[kept], parts[kept] = values[i], parts[i]
                    weights[kept], spreads[kept] = weights[i], spreads[i]
                    kept += 1
            all_stay, n = kept == n, kept
            if all_stay and not poisson:
                break
            by_scatter = not (poisson and (all_stay or iteration + 1 == max_iter))
            signal, normalization, variance, squares = _averaged(n, values, parts, weights, spreads, by_scatter)
            if all_stay:
                break
        sums[0, bin], sums[1, bin], sums[2, bin], sums[3, bin] = signal, normalization, variance, n


@_compiled
def _order(value: np.float32) -> np.int64:
    """A whole number that is larger where `value` is."""
    bits = np.int64(np.float32(value).view(np.int32))
    return bits if bits >= 0 else np.int64(-0x80000000) - bits


@_compiled
def between_percentiles(
    image: NDArray, low: float, high: float, rules: NDArray, marks: NDArray, exposures: int,
    start: NDArray, pixel: NDArray, part: NDArray, weight: NDArray, dark: NDArray,
    first: int, stop: int, sums: NDArray, lower: float, upper: float,
) -> None:  # fmt: skip
    """Means of the pixels between two quantiles of each bin, as pyFAI's ``medfilt1d_ng`` defines them.

    The pixels of a bin are sorted by (I − dark) / (flat·Ω·P), their c·flat·Ω·P added up in that order, and the mean is
    taken over those at which the sum passes the quantile, or lies between the two: with `lower` = `upper` = 0.5 it is
    the median. The variance is that of counts. pyFAI's own compiled loop sorts wrongly where pixels are invalid.
    """
    most = 0
    for bin in range(first, stop):
        most = max(most, start[bin + 1] - start[bin])
    keys, values, spreads = np.empty(most, np.int64), np.empty(most, np.float32), np.empty(most)
    for bin in range(first, stop):
        begin, n, total = start[bin], 0, 0.0
        for i in range(begin, start[bin + 1]):
            raw = image[pixel[i]]
            if not low <= raw <= high and not is_valid(np.float64(raw), rules, marks):
                continue
            value = np.float32(raw)
            if len(dark):
                value -= np.float32(exposures) * dark[i]
            values[i - begin], spreads[i - begin] = value, max(np.float64(raw), 1.0)
            # One number holds both what is sorted by and whose it is, which is faster than sorting indices.
            keys[n] = _order(value / weight[i]) * np.int64(0x100000000) + (i - begin)
            total += np.float64(part[i]) * np.float64(weight[i])
            n += 1
        ordered = np.sort(keys[:n])
        signal, normalization, variance, below = 0.0, 0.0, 0.0, 0.0
        for key in ordered:
            place = key & np.int64(0xFFFFFFFF)
            c = np.float64(part[begin + place])
            omega = c * np.float64(weight[begin + place])
            if below + omega >= lower * total and below <= upper * total:
                signal += c * values[place]
                normalization += omega
                variance += c * c * spreads[place]
            below += omega
        sums[0, bin], sums[1, bin], sums[2, bin], sums[3, bin] = signal, normalization, variance, n
