"""How noisy a diffractogram is, told from the curve itself.

Pixel splitting puts one pixel into several neighbouring bins, so neighbours share their noise and a curve
looks smoother than it is. What differences of near bins show of the noise is known from the width over which
pixels are spread; near bins are taken because those far apart differ by the peaks, and the median of the
differences, for the same reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .diffractogram import Diffractogram
from .noise_kernel import LOW_PART, ROUNDING, blocks_of_noise

Array = NDArray[np.float64]

LARGEST_WIDTH = 64.0
LEAST_PART = 0.03


@dataclass(frozen=True, eq=False, slots=True)
class VaryingNoise:
    """How the noise of bins hangs together where that is another along the curve, as on several detectors.

    Attributes
    ----------
    width
        Into how many bins a pixel is split, on average.
    per_level
        ``(npt,)`` variance of a bin, relative to that of a bin of the same normalization whose pixels are not split.
    correlation
        ``(npt, reach + 1)`` of the noise of bin i and bin i + k.
    """

    width: float
    per_level: Array
    correlation: Array

    def part(self, lag: int) -> Array:
        """``(npt,)`` as `visible_part`, of the second difference whose middle is each bin."""
        near, far = self._at(lag), self._at(2 * lag)
        before, over = (np.concatenate([np.zeros(lag), each[:-lag]]) for each in (near, far))
        return np.sqrt(np.maximum(3.0 - 2.0 * (before + near) + over, LEAST_PART) / 3.0)

    def mean(self) -> tuple[float, ...]:
        """The correlation of a bin with itself, the next one, and so on, averaged over the bins that have any."""
        own = self.correlation[self.correlation[:, 0] > 0.0]
        return tuple(map(float, own.mean(axis=0))) if len(own) else (1.0,)

    def _at(self, distance: int) -> Array:
        known = distance < self.correlation.shape[1]
        return self.correlation[:, distance] if known else np.zeros(len(self.correlation))


@dataclass(frozen=True, eq=False, slots=True)
class CurveNoise:
    """The noise of one curve.

    Attributes
    ----------
    quiet
        ``(npt,)`` standard deviation of one bin at the level of the background, in the intensity's unit.
    background
        ``(npt,)`` the coarse level that `quiet` belongs to, in the intensity's unit.
    given
        ``(npt,)`` the diffractogram's own sigma with zeros for NaN, or None.
    correlation
        Over how many bins the noise of one pixel is spread; 1 where bins are independent.
    shared
        As `curve_noise` was given it, averaged over the curve.
    """

    quiet: Array
    background: Array
    given: Array | None
    correlation: float
    shared: tuple[float, ...] | None = None

    @property
    def columns(self) -> tuple[Array, Array, Array, float]:
        """What compiled loops want: `quiet`, `background`, `given` or zeros, and `correlation`."""
        given = np.zeros(len(self.quiet)) if self.given is None else self.given
        return self.quiet, self.background, given, self.correlation

    @np.errstate(all="ignore")
    def sigma(self, bins: NDArray[np.intp], level: Array) -> Array:
        """Standard deviation ``(n,)`` of `bins` ``(n,)`` at which the curve is as high as `level` ``(n,)``.

        Above the background it grows with the square root of the level, as counting statistics do: else every
        ripple on top of a strong peak would be a peak. An error model's sigma is taken where it is the larger:
        it knows nothing of a detector's gain or of coarse grains (on frames of a Pixium detector the scatter
        from frame to frame was 1.4 times the Poisson sigma).
        """
        quiet = self.quiet[bins]
        base = np.maximum(self.background[bins], quiet)
        growth = np.sqrt(np.fmax(level / base, 1.0))
        found = np.fmax(quiet * growth, ROUNDING * np.abs(level))
        return found if self.given is None else np.maximum(found, self.given[bins])


Shared = tuple[float, ...] | VaryingNoise


@np.errstate(all="ignore")
def curve_noise(
    diffractogram: Diffractogram, lines: NDArray[np.bool_] | None = None, shared: Shared | None = None
) -> CurveNoise:
    """Estimate the noise of a diffractogram, in blocks of a hundred bins or more.

    From the median of ``|y[i] - (y[i - k] + y[i + k]) / 2|`` at a lag k of a quarter of the splitting width,
    divided by what that difference shows of the noise (`visible_part`). Where the background is empty, the noise is
    that of one count. Where it is flat there is none.

    Parameters
    ----------
    diffractogram
        Bins of its `intensity` ``(npt,)`` that are NaN or infinite are left out.
    lines
        ``(npt,)`` True where peaks are known to be: left out as well.
    shared
        Correlation of the noise of a bin with itself, the next one, and so on, where it is known; else it is told
        from the splitting width, as if pixels were all alike, which makes the noise a third too large. Or how it varies
        along the curve.
    """
    usable = np.isfinite(diffractogram.intensity)
    if lines is not None:
        usable &= ~lines
    y = np.where(usable, diffractogram.intensity, np.nan)
    width = shared.width if isinstance(shared, VaryingNoise) else splitting_width(diffractogram)
    if width >= 1.5:
        lag, part = max(1, round(width / 4.0)), None
    else:
        lag, part = _lag_of_curve(y), 1.0
        width = max(width, float(lag))
    lag = max(1, min(lag, (len(y) - 1) // 4))
    # Within a block the number of pixels may change much, at the ends of a range above all.
    root = np.sqrt(diffractogram.normalization)
    if isinstance(shared, VaryingNoise):
        root = np.where(shared.per_level > 0.0, root / np.sqrt(shared.per_level), 0.0)
    root = np.where(root > 0.0, root, 1.0)
    if isinstance(shared, VaryingNoise):
        quiet, background = _in_blocks(y, lag, root / (shared.part(lag) if part is None else part))
        quiet /= root
        shared = shared.mean()
    else:
        if part is None:
            part = visible_part(lag, round(width - 1.0, 1)) if shared is None else known_part(lag, shared)
        quiet, background = _in_blocks(y, lag, root)
        quiet /= part * root
    empty = background == 0.0
    if empty.any():
        quiet = np.where(empty, np.maximum(quiet, _one_quantum(y, diffractogram)), quiet)
    given = diffractogram.sigma
    if given is not None:
        given = np.where(np.isfinite(given), given, 0.0)
    return CurveNoise(quiet, background, given, width, shared)


def splitting_width(diffractogram: Diffractogram) -> float:
    """Into how many bins a pixel is split, on average; between 1 and 64.

    A pixel that reaches m bins is counted m times and normalises once: Σ count / Σ normalization. Solid angle
    and polarization make that somewhat too large, which does little harm.
    """
    total = float(diffractogram.normalization.sum())
    width = float(diffractogram.count.sum()) / total if total > 0.0 else 1.0
    return min(max(width, 1.0), LARGEST_WIDTH)


@lru_cache(maxsize=256)
def visible_part(lag: int, width: float) -> float:
    """Standard deviation of the second difference at `lag`, relative to that of independent bins; 0 to 1.

    For pixels that are `width` bins wide, evenly split: two bins at a distance share
    the overlap of two boxes, twice, whose correlation is a second difference of a second difference of |x|³.
    """
    if width < 0.1:
        return 1.0

    def shared(distance: float) -> float:
        second = ((-1, 1.0), (0, -2.0), (1, 1.0))
        return sum(a * b * abs(distance + i + j * width) ** 3 for i, a in second for j, b in second)

    near, far = shared(lag) / shared(0.0), shared(2 * lag) / shared(0.0)
    return float(np.sqrt((4.0 * (1.0 - near) - (1.0 - far)) / 3.0))


def known_part(lag: int, shared: tuple[float, ...]) -> float:
    """As `visible_part`, where the correlation of bins at every distance is known."""
    near, far = (shared[k] if k < len(shared) else 0.0 for k in (lag, 2 * lag))
    return float(np.sqrt(max(4.0 * (1.0 - near) - (1.0 - far), LEAST_PART) / 3.0))


def _differences(y: Array, lag: int) -> Array:
    """``(npt - 2 lag,)`` absolute second differences, scaled to the deviation of independent bins."""
    return np.abs(y[lag:-lag] - (y[: -2 * lag] + y[2 * lag :]) / 2.0) / np.sqrt(1.5)


def _level(y: Array, lag: int) -> Array:
    """``(npt - 2 lag,)`` means of the bins that make the differences."""
    return (y[: -2 * lag] + y[lag:-lag] + y[2 * lag :]) / 3.0


def _lag_of_curve(y: Array) -> int:
    """The lag from which on the noise no longer grows, where pixel counts tell nothing of the splitting.

    pyFAI's histogram methods report no pixel counts, and a detector's point spread correlates bins too. Noise
    that is spread over many bins makes the differences grow by up to 2.5 when the lag is doubled; a smooth
    curve without noise makes them grow fourfold, and there the least lag is right.
    """
    lag, here = 1, 0.0
    while lag <= 16 and 4 * lag < len(y):
        found, level = _differences(y, lag), _level(y, lag)
        there = np.isfinite(found)
        if not there.any():
            break
        # Lines make differences grow with the lag as well.
        found = found[there & (level <= np.quantile(level[there], LOW_PART))]
        now = float(np.median(found))
        if lag > 1 and now > 3.0 * here:
            return 1
        if lag > 1 and now < 1.25 * here:
            break
        lag, here = 2 * lag, now
    return max(1, lag // 2)


def _in_blocks(y: Array, lag: int, root: Array) -> tuple[Array, Array]:
    """Deviation times `root` and level of the background, ``(npt,)`` each, from blocks of equally many usable bins."""
    quiet, background, centres = blocks_of_noise(y, lag, root)
    blocks = len(quiet)
    if not blocks:
        return np.zeros(len(y)), np.zeros(len(y))
    if blocks == 1:
        return np.full(len(y), quiet[0]), np.full(len(y), background[0])
    if blocks > 2:  # a block may be full of peaks
        quiet = _median_of_three(quiet)
    bins = np.arange(len(y))
    return np.interp(bins, centres, quiet), np.interp(bins, centres, background)


def _median_of_three(values: Array) -> Array:
    ends = np.concatenate([values[:1], values, values[-1:]])
    return np.sort(np.stack([ends[:-2], ends[1:-1], ends[2:]]), axis=0)[1]


def _one_quantum(y: Array, diffractogram: Diffractogram) -> Array | float:
    """What one count makes of a bin, ``(npt,)``, or the curve's own small values where those are smaller."""
    values = np.abs(y[np.isfinite(y)])
    values = values[values > 0.0]
    if not len(values):
        return 0.0
    small = float(np.quantile(values, 0.25))
    one_count = np.abs(y / diffractogram.signal)
    return np.where(np.isfinite(one_count), np.minimum(one_count, small), small)
