"""The compiled loops that tell at which scale maxima stand out, as `peak_scale` says it."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from .compiled import compiled
from .maxima_kernel import local_maxima, prominence
from .noise_kernel import deviation
from .shape_kernel import mean

# How many larger scales a top is compared at, and by how much (a part, and in sigma) contrast falls beyond a peak.
LOOK_AHEAD, DROPPED, DROPPED_SIGMA = 3, 0.8, 5.0
# A peak stands out from its higher side alone by at least min_snr / 1.5. At / 2 one in twenty sharp steps of the
# background had a false peak beside it.
ONE_SIDED = 1.5
FAR = np.iinfo(np.int64).max

# Infinite contrast where there is no noise, as numpy has it.
_compiled = partial(compiled, error_model="numpy")


@_compiled
def to_higher(tops: NDArray, height: NDArray, k: int) -> int:
    """How many bins it is from one of `tops`, in ascending order, to the nearest higher one; of equals the first is."""
    nearest = FAR
    for j in range(k - 1, -1, -1):
        if height[j] >= height[k]:
            nearest = tops[k] - tops[j]
            break
    for j in range(k + 1, len(tops)):
        if height[j] > height[k]:
            return min(nearest, tops[j] - tops[k])
    return nearest


@_compiled
def _contrast(
    sums: NDArray, low: int, high: int, at: int, sigma: float, correlation: float, reach: int, s: int
) -> tuple[float, float]:
    """How far a top stands out at the scale `s`, above both sides and above the higher one; −inf where it cannot."""
    core, side = s // 3, max(s // 2, 2)
    if at - s - side + 1 < low or at + s + side > high or core >= reach:
        return -np.inf, -np.inf
    middle = mean(sums, at - core, at + core + 1)
    left, right = mean(sums, at - s - side + 1, at - s + 1), mean(sums, at + s, at + s + side)
    of_middle = 1.0 / max((2 * core + 1) / correlation, 1.0)
    of_side = 1.0 / max(side / correlation, 1.0)
    found = (middle - (left + right) / 2.0) / (sigma * np.sqrt(of_middle + of_side / 2.0))
    least = (middle - max(left, right)) / (sigma * np.sqrt(of_middle + of_side))
    if np.isnan(found) or np.isnan(least):
        return -np.inf, -np.inf
    return min(found, ONE_SIDED * least), least


@_compiled
def own_scale(
    sums: NDArray,
    low: int,
    high: int,
    at: int,
    sigma: float,
    correlation: float,
    reach: int,
    sizes: NDArray,
    enough: float,
) -> tuple[int, float]:
    """Which scale is a top's own, and how far it stands out at that.

    Parameters
    ----------
    sums
        ``(npt + 1,)`` of a `Curve`.
    low, high
        Where the stretch begins and ends that the top `at` is in.
    sigma, correlation
        Standard deviation of a bin at its height, and over how many bins noise is spread.
    reach
        Distance to the next higher maximum: no top stands for a scale whose middle holds a higher one.
    sizes
        The scales, in bins.
    enough
        See `own_scales`.
    """
    many = len(sizes)
    contrast, least = np.empty(many), np.full(many + LOOK_AHEAD, -np.inf)
    for k in range(many):
        contrast[k], least[k] = _contrast(sums, low, high, at, sigma, correlation, reach, sizes[k])
    best = 0
    for k in range(many):
        if contrast[k] >= enough:
            fallen = min(DROPPED * least[k], least[k] - DROPPED_SIGMA)
            own = True
            for ahead in range(1, LOOK_AHEAD + 1):
                own = own and least[k + ahead] <= least[k]
                if not least[k + ahead] > fallen:
                    break
            if own:
                return k, contrast[k]
        if contrast[k] > contrast[best]:
            best = k
    return best, contrast[best]


@_compiled
def own_scales(
    y: NDArray,
    sums: NDArray,
    first: NDArray,
    end: NDArray,
    quiet: NDArray,
    background: NDArray,
    given: NDArray,
    correlation: float,
    tops: NDArray,
    among: bool,
    sizes: NDArray,
    enough: float,
) -> NDArray:
    """``(n,)`` which scale is each top's own: the first with `enough` contrast that beats those after it.

    Not all after it: a line on a halo stands out twice, first as itself and then with the halo, and so does one
    of a close pair. It is compared, above its higher side, with scales up to 2.8 times as large (three columns),
    because noise makes small maxima on the way up to that of a wide peak; or up to where that has fallen by more than
    noise can do. Where there is none, the scale of the highest contrast.

    Parameters
    ----------
    y, sums, first, end
        Of a `Curve`.
    quiet, background, given, correlation
        Of its noise.
    tops
        ``(n,)`` bins; in ascending order, if `among`.
    among
        Whether the middle of a top's scale must hold no higher one of the others.
    sizes
        The scales, in bins.
    """
    n = len(tops)
    own = np.empty(n, np.int64)
    height = y[tops]
    for k in range(n):
        at = tops[k]
        sigma = deviation(y[at], quiet[at], background[at], given[at])
        reach = to_higher(tops, height, k) if among else FAR
        own[k], _ = own_scale(sums, first[at], end[at], at, sigma, correlation, reach, sizes, enough)
    return own


@_compiled
def _eclipsed(tops: NDArray, scale: NDArray, height: NDArray, n: int, k: int) -> bool:
    """Whether one of the first `n` tops is only another maximum of a higher peak at least half as narrow as it is.

    Noise gives the top of a wide peak several maxima; each of them is the peak.
    """
    for j in range(n):
        higher = height[j] > height[k] or (height[j] == height[k] and j < k)
        if higher and scale[k] > 0.5 * scale[j] and abs(tops[k] - tops[j]) < 0.5 * max(scale[k], scale[j]):
            return True
    return False


@_compiled
def prominent_peaks(
    y: NDArray,
    walled: NDArray,
    sums: NDArray,
    first: NDArray,
    end: NDArray,
    quiet: NDArray,
    background: NDArray,
    given: NDArray,
    correlation: float,
    sizes: NDArray,
    min_snr: float,
) -> NDArray:
    """Maxima that stand out from the noise of a bin, and at their own scale from both sides.

    Parameters
    ----------
    y, sums, first, end
        Of a `Curve`.
    walled
        ``(npt,)`` its intensity, infinite in gaps: a gap is a wall, with no maximum beside it, and no base of a peak
        beyond it.
    quiet, background, given, correlation
        Of its noise.
    sizes
        The scales, in bins.
    min_snr
        Of prominences, and of contrasts.

    Returns
    -------
    numpy.ndarray
        ``(2, n)``: bins in ascending order, and scales.
    """
    maxima = local_maxima(walled)
    inner = 0
    for at in maxima:
        if np.isfinite(walled[at]):
            maxima[inner] = at
            inner += 1
    maxima = maxima[:inner]
    heights = y[maxima]
    tops, scale, whole = np.empty(inner, np.int64), np.empty(inner, np.int64), np.empty(inner, np.bool_)
    height = np.empty(inner)
    n = 0
    for k in range(inner):
        at = maxima[k]
        sigma = deviation(y[at], quiet[at], background[at], given[at])
        if not prominence(walled, at) >= min_snr * sigma:
            continue
        reach = to_higher(maxima, heights, k)
        own, contrast = own_scale(sums, first[at], end[at], at, sigma, correlation, reach, sizes, min_snr)
        tops[n], scale[n], height[n] = at, sizes[own], heights[k]
        # Still rising where the next higher maximum comes into its middle: a part of that peak.
        next_one = sizes[own + 1] if own + 1 < len(sizes) else 0
        whole[n] = contrast >= min_snr and next_one // 3 < reach
        n += 1
    found = np.empty((2, n), np.int64)
    kept = 0
    for k in range(n):
        if whole[k] and not _eclipsed(tops, scale, height, n, k):
            found[0, kept], found[1, kept] = tops[k], scale[k]
            kept += 1
    return found[:, :kept]
