"""The search for bends written with numpy and scipy, array by array: what the compiled one is compared with."""

from __future__ import annotations

import numpy as np
from scipy import ndimage, signal

from bluesky_diffractogram.reduction.bend_kernel import (
    APART,
    DIP,
    FALLS_BY,
    FALLS_WITHIN,
    RIPPLE,
    RIPPLE_OF,
    RIPPLE_WITHIN,
    ROOM,
    SAME,
    SHARP,
    SHOULDER_OF,
    SHOULDER_WITHIN,
)  # fmt: skip
from bluesky_diffractogram.reduction.peak_bend import OF_PIXEL, REACH, SCALES, Bends, _filled, _kernels, _noise_factors


@np.errstate(all="ignore")
def plain_bends(curve, noise, min_snr):
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


def _in_sigma(strength, t, variance, correlation):
    """``(npt,)`` the bend in units of its own noise."""
    spread = _noise_factors(t, correlation)[1] * ndimage.convolve1d(variance, _kernels(t)[1] ** 2, mode="nearest")
    return strength / np.where(spread > 0.0, np.sqrt(spread), np.inf)


def _best_scale(responses):
    """``(n,)`` which of the scales sees a bend best: the last to which `responses` ``(scales, n)`` rise."""
    falls = np.vstack([responses[1:] < responses[:-1], np.ones_like(responses[:1], dtype=bool)])
    return falls.argmax(axis=0)


def _falls(y, variance, correlation, at, t):
    """``(n,)`` whether the curve, seen at the scale, falls to both sides."""
    gauss = _kernels(t)[0]
    smooth = ndimage.convolve1d(y, gauss, mode="nearest")
    spread = _noise_factors(t, correlation)[0] * ndimage.convolve1d(variance, gauss**2, mode="nearest")
    steps = np.arange(round(FALLS_WITHIN * t) + 1)
    left = smooth[np.maximum(at[:, None] - steps, 0)].min(axis=1)
    right = smooth[np.minimum(at[:, None] + steps, len(y) - 1)].min(axis=1)
    return smooth[at] - np.maximum(left, right) >= FALLS_BY * np.sqrt(spread[at])


def _ripples(at, responses, sizes):
    """``(n,)`` which bends are far too sharp for lines beside a strong one, as the lines of a powder are alike.

    They are what grains and the edges of pixels make of its flanks.
    """
    largest = sizes[_best_scale(responses[:, at])]
    strength = responses[:, at].max(axis=0, initial=0.0)
    near = np.abs(at[:, None] - at) <= RIPPLE_WITHIN * largest
    sharper = (largest[:, None] <= RIPPLE * largest) & (RIPPLE_OF * strength[:, None] < strength)
    return (near & sharper).any(axis=1)


def _known(at, known, response, near: float):
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


def _beside(at, every, response, t, largest):
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
