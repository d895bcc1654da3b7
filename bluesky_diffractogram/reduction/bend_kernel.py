"""The compiled loops that find where a curve bends down, as `peak_bend` says it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .compiled import compiled
from .maxima_kernel import local_maxima, prominence

# A bend between two others is one of its own if it stands out from them by so much more than it has to be.
APART = 1.15
# The response between them must fall by this part: on the flat top of a wide line there are ripples.
DIP = 0.5
# So many scales from a bend that was found at a finer scale, one at a coarser scale is the same.
SAME = 1.25
# So much smaller a scale than that of a line so many times as strong, within so many of its scales, is no line's.
RIPPLE, RIPPLE_OF, RIPPLE_WITHIN = 0.2, 3.0, 1.5
# So many scales from a gap or an end nothing is looked for.
ROOM = 3.0
# The curve, seen at that scale, must fall to both sides, within so many scales and by so many deviations. Else it is a
# shoulder, which counts beside a line only, if it bends so much as this part of it.
FALLS_WITHIN, FALLS_BY = 3.5, 2.5
SHOULDER_OF, SHOULDER_WITHIN, SHARP = 0.08, 5.0, 0.75


@compiled
def convolve(y: NDArray, kernel: NDArray, half: int, seen: NDArray, padded: NDArray) -> None:
    """Fill `seen` ``(npt,)`` with `y` through the symmetric kernel whose middle and right half are `kernel`.

    Beyond its ends the curve goes on as it ends. The inner loop runs over the curve, so that the processor does
    several bins at once, but not where an index is computed. `padded` ``(npt + 2 half,)`` is room to work in.
    """
    n = len(y)
    for i in range(half):
        padded[i], padded[half + n + i] = y[0], y[n - 1]
    middle = padded[half : half + n]
    for i in range(n):
        middle[i] = y[i]
        seen[i] = kernel[0] * y[i]
    for j in range(1, half + 1):
        weight, left, right = kernel[j], padded[half - j : half - j + n], padded[half + j : half + j + n]
        for i in range(n):
            seen[i] += weight * (left[i] + right[i])


@compiled
def _same_as_known(at: int, known: NDArray, many: int, response: NDArray, near: float) -> bool:
    """Whether a bend is one of the first `many` of `known`, in ascending order: near to one, or with no dip between."""
    place = 0
    while place < many and known[place] < at:
        place += 1
    for k in range(max(place - 1, 0), min(place + 1, many)):
        other = known[k]
        if abs(at - other) < near:
            return True
        least = response[at]
        for i in range(min(at, other), max(at, other) + 1):
            least = min(least, response[i])
        if least > DIP * min(response[at], response[other]):
            return True
    return False


@compiled
def _best_scale(responses: NDArray, at: int) -> int:
    """Which of the scales sees a bend best: the last to which `responses` ``(scales, npt)`` rise."""
    k = 0
    while k + 1 < len(responses) and not responses[k + 1, at] < responses[k, at]:
        k += 1
    return k


@compiled
def _falls(smooth: NDArray, at: int, steps: int, by: float) -> bool:
    """Whether the curve, seen at a scale, falls to both sides."""
    left = right = smooth[at]
    for i in range(1, steps + 1):
        left = min(left, smooth[max(at - i, 0)])
        right = min(right, smooth[min(at + i, len(smooth) - 1)])
    return smooth[at] - max(left, right) >= by


@compiled
def _beside(at: int, every: NDArray, many: int, response: NDArray, largest: NDArray, t: float) -> bool:
    """Whether a bend is the shoulder of a stronger one of the first `many` of `every`.

    A shoulder is a line like the other: it is seen at a scale at which the other still is a line by itself, which is
    so up to the scale that sees it best, `largest`.
    """
    strongest = 0.0
    for k in range(many):
        other = every[k]
        if abs(at - other) <= SHOULDER_WITHIN * t and response[other] > response[at] and t <= SHARP * largest[k]:
            strongest = max(strongest, response[other])
    return strongest > 0.0 and response[at] >= SHOULDER_OF * strongest


@compiled
def _ripple(found: NDArray, many: int, k: int, strength: NDArray, largest: NDArray) -> bool:
    """Whether one of the `many` bends is far too sharp for a line beside a strong one.

    The lines of a powder are alike. Such are what grains and the edges of pixels make of its flanks.
    """
    for j in range(many):
        near = abs(found[0, k] - found[0, j]) <= RIPPLE_WITHIN * largest[j]
        if near and largest[k] <= RIPPLE * largest[j] and RIPPLE_OF * strength[k] < strength[j]:
            return True
    return False


@compiled
def _insert(columns: NDArray, many: int, at: float, place: float, t: float, strength: float) -> None:
    """Put a bend among the first `many` columns, which are in the order of their bins."""
    k = many
    while k > 0 and columns[0, k - 1] > at:
        for row in range(4):
            columns[row, k] = columns[row, k - 1]
        k -= 1
    columns[0, k], columns[1, k], columns[2, k], columns[3, k] = at, place, t, strength


@compiled
def find_bends(
    y: NDArray,
    variance: NDArray,
    finite: NDArray,
    first: NDArray,
    end: NDArray,
    sizes: NDArray,
    halves: NDArray,
    kernels: NDArray,
    spreads: NDArray,
    min_snr: float,
) -> NDArray:
    """Where lines bend the curve.

    Parameters
    ----------
    y, variance
        ``(npt,)`` the curve, with straight lines over its gaps, and the variance of independent bins.
    finite, first, end
        ``(npt,)`` of a `Curve`.
    sizes, halves
        ``(scales,)`` the deviations of the Gaussians and how far the kernels reach, in bins.
    kernels
        ``(4, scales, largest half + 1)`` middles and right halves of the Gaussians, of the bends, and of their squares.
    spreads
        ``(2, scales)`` how much larger the variance of each is than with independent bins.
    min_snr
        How many standard deviations the bend must be.

    Returns
    -------
    numpy.ndarray
        ``(4, n)``, from left to right: bin, place between bins, scale, response of the kernel.
    """
    n, scales = len(y), len(sizes)
    strengths, responses, smooth = np.empty((scales, n)), np.empty((scales, n)), np.empty(n)
    padded = np.empty(n + 2 * kernels.shape[2])
    for k in range(scales):
        response, strength = responses[k], strengths[k]
        convolve(y, kernels[1, k], halves[k], strength, padded)
        convolve(variance, kernels[3, k], halves[k], response, padded)
        for i in range(n):
            spread = spreads[1, k] * response[i]
            response[i] = strength[i] / np.sqrt(spread) if spread > 0.0 else 0.0
    found, known = np.empty((4, n)), np.empty(n, np.int64)
    largest = np.empty(n)
    many = 0
    for k in range(scales):
        t, half, response, strength = sizes[k], halves[k], responses[k], strengths[k]
        every = local_maxima(response)
        kept = 0
        for at in every:
            if response[at] >= min_snr:
                out = prominence(response, at)
                if out >= APART * min_snr and out >= DIP * response[at]:
                    every[kept] = at
                    largest[kept] = sizes[_best_scale(responses, at)]
                    kept += 1
        before_this = many
        for j in range(many):
            known[j] = np.int64(found[0, j])
        smoothed = False
        for m in range(kept):
            at = every[m]
            room = min(at - first[at], end[at] - 1 - at)
            if not finite[at] or room < ROOM * t:
                continue
            if _same_as_known(at, known, before_this, response, SAME * max(t, 1.5)):
                continue
            if not smoothed:
                convolve(y, kernels[0, k], half, smooth, padded)
                smoothed = True
            own = kernels[2, k, 0] * variance[at]
            for j in range(1, half + 1):
                own += kernels[2, k, j] * (variance[max(at - j, 0)] + variance[min(at + j, n - 1)])
            by = FALLS_BY * np.sqrt(spreads[0, k] * own)
            falls = _falls(smooth, at, int(np.rint(FALLS_WITHIN * t)), by)
            if not falls and not _beside(at, every, kept, response, largest, t):
                continue
            here, curvature = strength[at], strength[at - 1] - 2.0 * strength[at] + strength[at + 1]
            if curvature != 0.0 and np.isfinite(curvature):
                off = 0.5 * (strength[at - 1] - strength[at + 1]) / curvature
                _insert(found, many, float(at), at + min(max(off, -0.5), 0.5), t, here)
                many += 1
    strength = np.empty(many)
    for j in range(many):
        at = np.int64(found[0, j])
        largest[j] = sizes[_best_scale(responses, at)]
        strength[j] = 0.0
        for k in range(scales):
            strength[j] = max(strength[j], responses[k, at])
    kept = 0
    columns = np.empty((4, many))
    for j in range(many):
        if not _ripple(found, many, j, strength, largest):
            for row in range(4):
                columns[row, kept] = found[row, j]
            kept += 1
    return columns[:, :kept]
