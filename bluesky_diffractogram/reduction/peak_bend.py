"""Where a curve bends down by more than noise can do, at any of several scales.

A line that is weaker than its neighbour, or hardly above the noise of a bin, bends the curve all the same. The bend
at the scale t is −y'' of the curve seen through a Gaussian of the deviation t, in units of its own noise. All lengths
are in bins.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import ndimage, signal

from .bin_covariance import correlation_of_width
from .noise import CurveNoise
from .peak_scale import Array, Bins, Curve, Mask

# Deviations of the Gaussians: lines up to some 30 bins wide; wider ones need no such help.
SCALES = tuple(float(t) for t in 2.0 ** (np.arange(8) / 2.0))
# But none that is finer than so much of a pixel's width: at that, the edges of pixels are seen.
OF_PIXEL = 0.5
REACH = 3.5
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


@lru_cache(maxsize=64)
def _kernels(t: float) -> tuple[Array, Array]:
    """A Gaussian of deviation `t`, and its negative second derivative with no response to a straight line."""
    x = np.arange(-round(REACH * t + 0.5), round(REACH * t + 0.5) + 1)
    gauss = np.exp(-0.5 * (x / t) ** 2)
    bend = (1.0 - (x / t) ** 2) * gauss
    bend -= gauss * (bend.sum() / gauss.sum())
    return gauss / gauss.sum(), bend


@lru_cache(maxsize=256)
def _noise_factors(t: float, correlation: float | tuple[float, ...]) -> tuple[float, float]:
    """How much larger the variance of `_kernels` is than with independent bins."""
    known = isinstance(correlation, tuple)
    shared = np.array(correlation) if known else correlation_of_width(1, correlation)[0]  # type: ignore[arg-type]
    factors = []
    for kernel in _kernels(t):
        own = np.correlate(kernel, kernel, "full")[len(kernel) - 1 :]
        reach = min(len(own), len(shared))
        factors.append(float(own[0] + 2.0 * (own[1:reach] * shared[1:reach]).sum()) / own[0])
    return factors[0], factors[1]


@dataclass(frozen=True, eq=False, slots=True)
class Bends:
    """Where lines bend a curve, from left to right.

    Attributes
    ----------
    bins
        ``(n,)`` where the bend is strongest.
    position
        ``(n,)`` the same between bins.
    scale
        ``(n,)`` at which it was seen.
    strength
        ``(n,)`` the response of the kernel there.
    """

    bins: Bins
    position: Array
    scale: Array
    strength: Array

    def height(self, fwhm: Array) -> Array:
        """``(n,)`` how high Gaussians of these widths are that bend so much."""
        sigma, t = fwhm / np.sqrt(8.0 * np.log(2.0)), self.scale
        together = sigma * t / np.hypot(sigma, t)
        return self.strength * np.hypot(sigma, t) ** 2 / (np.sqrt(2.0 * np.pi) * together * t**2)


@np.errstate(all="ignore")
def bends(curve: Curve, noise: CurveNoise, min_snr: float) -> Bends:
    """Find where lines bend the curve.

    Parameters
    ----------
    curve, noise
        Of one diffractogram.
    min_snr
        How many standard deviations the bend must be.
    """
    n = len(curve.finite)
    y = _filled(curve)
    variance = noise.sigma(np.arange(n), ndimage.uniform_filter1d(y, 3, mode="nearest")) ** 2
    least = OF_PIXEL * (noise.correlation - 1.0)
    sizes = [t for t in SCALES if least <= t and REACH * t <= n / 4.0]
    if not len(sizes) or not (variance > 0.0).any():
        return Bends(np.empty(0, np.intp), *np.empty((3, 0)))
    spread = noise.correlation if noise.shared is None else noise.shared
    strengths = np.array([ndimage.convolve1d(y, _kernels(t)[1], mode="nearest") for t in sizes])
    responses = np.array([_in_sigma(*each, variance, spread) for each in zip(strengths, sizes, strict=True)])
    found: list[tuple[int, float, float, float]] = []
    for t, strength, response in zip(sizes, strengths, responses, strict=True):
        every, of_each = signal.find_peaks(response, height=min_snr, prominence=APART * min_snr)
        every = every[of_each["prominences"] >= DIP * of_each["peak_heights"]]
        room = np.minimum(every - curve.first[every], curve.end[every] - 1 - every)
        at = every[curve.finite[every] & (room >= ROOM * t)]
        known = np.array(sorted(each[0] for each in found), dtype=np.intp)
        at = at[~_known(at, known, response, SAME * max(t, 1.5))]
        if not len(at):
            continue
        largest = np.array([sizes[k] for k in _best_scale(responses[:, every])])
        at = at[_falls(y, variance, spread, at, t) | _beside(at, every, response, t, largest)]
        before, here, after = strength[at - 1], strength[at], strength[at + 1]
        off = 0.5 * (before - after) / (before - 2.0 * here + after)
        found += zip(at.tolist(), (at + np.clip(off, -0.5, 0.5)).tolist(), [t] * len(at), here.tolist(), strict=True)
    columns = np.array(sorted(found), dtype=np.float64).reshape(-1, 4).T
    columns = columns[:, np.isfinite(columns).all(axis=0)]
    columns = columns[:, ~_ripples(columns[0].astype(np.intp), responses, np.array(sizes))]
    return Bends(columns[0].astype(np.intp), *columns[1:])


def _filled(curve: Curve) -> Array:
    """The intensity, with straight lines over the gaps."""
    if curve.finite.all():
        return curve.intensity
    there = np.flatnonzero(curve.finite)
    return np.interp(np.arange(len(curve.finite)), there, curve.intensity[there])


def _in_sigma(strength: Array, t: float, variance: Array, correlation: float | tuple[float, ...]) -> Array:
    """``(npt,)`` the bend in units of its own noise."""
    spread = _noise_factors(t, correlation)[1] * ndimage.convolve1d(variance, _kernels(t)[1] ** 2, mode="nearest")
    return strength / np.where(spread > 0.0, np.sqrt(spread), np.inf)


def _best_scale(responses: Array) -> Bins:
    """``(n,)`` which of the scales sees a bend best: the last to which `responses` ``(scales, n)`` rise."""
    falls = np.vstack([responses[1:] < responses[:-1], np.ones_like(responses[:1], dtype=bool)])
    return falls.argmax(axis=0)


def _falls(y: Array, variance: Array, correlation: float | tuple[float, ...], at: Bins, t: float) -> Mask:
    """``(n,)`` whether the curve, seen at the scale, falls to both sides."""
    gauss = _kernels(t)[0]
    smooth = ndimage.convolve1d(y, gauss, mode="nearest")
    spread = _noise_factors(t, correlation)[0] * ndimage.convolve1d(variance, gauss**2, mode="nearest")
    steps = np.arange(round(FALLS_WITHIN * t) + 1)
    left = smooth[np.maximum(at[:, None] - steps, 0)].min(axis=1)
    right = smooth[np.minimum(at[:, None] + steps, len(y) - 1)].min(axis=1)
    return smooth[at] - np.maximum(left, right) >= FALLS_BY * np.sqrt(spread[at])


def _ripples(at: Bins, responses: Array, sizes: Array) -> Mask:
    """``(n,)`` which bends are far too sharp for lines beside a strong one, as the lines of a powder are alike.

    They are what grains and the edges of pixels make of its flanks.
    """
    largest = sizes[_best_scale(responses[:, at])]
    strength = responses[:, at].max(axis=0, initial=0.0)
    near = np.abs(at[:, None] - at) <= RIPPLE_WITHIN * largest
    sharper = (largest[:, None] <= RIPPLE * largest) & (RIPPLE_OF * strength[:, None] < strength)
    return (near & sharper).any(axis=1)


def _known(at: Bins, known: Bins, response: Array, near: float) -> Mask:
    """``(n,)`` which bends are those that are `known` ``(m,)``: near to one, or with no dip between."""
    if not len(known):
        return np.zeros(len(at), dtype=bool)
    same = (np.abs(at[:, None] - known) < near).any(axis=1)
    place = np.searchsorted(known, at)
    for k in np.flatnonzero(~same):
        for other in known[max(place[k] - 1, 0) : place[k] + 1]:
            between = response[min(at[k], other) : max(at[k], other) + 1]
            same[k] |= between.min() > DIP * min(response[at[k]], response[other])
    return same


def _beside(at: Bins, every: Bins, response: Array, t: float, largest: Array) -> Mask:
    """``(n,)`` which of the bends are shoulders of a stronger one.

    A shoulder is a line like the other: it is seen at a scale at which the other still is a line by itself.

    Parameters
    ----------
    every
        ``(m,)`` all bends at the scale `t`.
    largest
        ``(m,)`` at which scale each of these is seen best.
    """
    own, others = response[at][:, None], response[every][None, :]
    stronger = (np.abs(at[:, None] - every) <= SHOULDER_WITHIN * t) & (others > own) & (t <= SHARP * largest)[None, :]
    strongest = np.where(stronger, others, 0.0).max(axis=1, initial=0.0)
    return (strongest > 0.0) & (response[at] >= SHOULDER_OF * strongest)
