"""At which scale maxima stand out, with numpy and scipy: what the compiled loops are compared with."""

from __future__ import annotations

import numpy as np
from scipy import signal

from bluesky_diffractogram.reduction.peak_scale import scales
from bluesky_diffractogram.reduction.scale_kernel import DROPPED, DROPPED_SIGMA, LOOK_AHEAD, ONE_SIDED


@np.errstate(all="ignore")
def contrast(curve, sigma, correlation, tops, reach, sizes):
    """How far each top stands out at each scale.

    The mean over about ``2 s / 3`` bins is compared with those of two windows ``s / 2`` wide that begin at the
    distance ``s``, in units of the difference's standard deviation.

    Parameters
    ----------
    sigma
        ``(n,)`` standard deviation of a bin at the height of each top.
    correlation
        Over how many bins noise is spread.
    tops
        ``(n,)`` bins.
    reach
        ``(n,)`` distance to the next higher maximum: no top stands for a scale whose middle holds a higher one.
    sizes
        The scales, in bins.

    Returns
    -------
    contrast
        ``(n, len(sizes))`` above the mean of both windows, but at most 1.5 times `least`: a bulge of a slope is no
        peak. −inf where a scale is beyond the reach, or a window is not inside the top's stretch.
    least
        ``(n, len(sizes))`` above the higher of them.
    """
    at, s = tops[:, None], sizes[None, :]
    core, side = s // 3, np.maximum(s // 2, 2)
    usable = (at - s - side + 1 >= curve.first[tops][:, None]) & (at + s + side <= curve.end[tops][:, None])
    usable &= core < reach[:, None]
    s, core, side = (np.where(usable, each, fill) for each, fill in ((s, 0), (core, 0), (side, 1)))
    middle = curve.mean(at - core, at + core + 1)
    left, right = curve.mean(at - s - side + 1, at - s + 1), curve.mean(at + s, at + s + side)
    of_middle = 1.0 / np.maximum((2 * core + 1) / correlation, 1.0)
    of_side = 1.0 / np.maximum(side / correlation, 1.0)
    found = (middle - (left + right) / 2.0) / (sigma[:, None] * np.sqrt(of_middle + of_side / 2.0))
    least = (middle - np.maximum(left, right)) / (sigma[:, None] * np.sqrt(of_middle + of_side))
    found = np.minimum(found, ONE_SIDED * least)
    usable &= ~np.isnan(found)
    return np.where(usable, found, -np.inf), np.where(usable, least, -np.inf)


@np.errstate(all="ignore")
def own_scale(contrast, least, enough):
    """``(n,)`` which scale is each top's own: the first with `enough` contrast that beats those after it in `least`.

    Not all after it: a line on a halo stands out twice, first as itself and then with the halo, and so does one
    of a close pair. It is compared with scales up to 2.8 times as large (three columns), because noise makes
    small maxima on the way up to that of a wide peak; or up to where `least` has fallen by more than noise can
    do. Where there is none, the scale of the highest contrast.
    """
    columns = least.shape[1]
    padded = np.hstack([least, np.full((len(least), LOOK_AHEAD), -np.inf)])
    fallen = np.minimum(DROPPED * least, least - DROPPED_SIGMA)
    own, still = contrast >= enough, np.ones(least.shape, dtype=bool)
    for ahead in range(1, LOOK_AHEAD + 1):
        after = padded[:, ahead : ahead + columns]
        own &= ~still | (after <= least)
        still &= after > fallen
    return np.where(own.any(axis=1), own.argmax(axis=1), contrast.argmax(axis=1))


def plain_prominence(curve, noise, min_snr):
    """The top bins and scales of peaks whose highest bin stands out from the noise of a bin, from left to right."""
    # A gap is a wall: no maximum beside it, and no base of a peak beyond it.
    walled = np.where(curve.finite, curve.intensity, np.inf)
    tops = signal.find_peaks(walled)[0]
    tops = tops[curve.finite[tops]]
    height = curve.intensity[tops]
    sigma = noise.sigma(tops, height)
    prominent = signal.peak_prominences(walled, tops)[0] >= min_snr * sigma
    if not prominent.any():
        return tops[:0], tops[:0]
    reach = _to_higher(tops, height, prominent)
    tops, height, sigma = tops[prominent], height[prominent], sigma[prominent]

    sizes = scales(len(curve.finite))
    standing, least = contrast(curve, sigma, noise.correlation, tops, reach, sizes)
    own = own_scale(standing, least, min_snr)
    scale = sizes[own]
    enough = standing[np.arange(len(tops)), own] >= min_snr
    # Still rising where the next higher maximum comes into its middle: a part of that peak.
    whole = np.append(sizes, 0)[own + 1] // 3 < reach
    kept = enough & whole & ~_eclipsed(tops, scale, height)
    return tops[kept], scale[kept]


def _to_higher(tops, height, which):
    """How many bins it is from each of `which` maxima to the nearest higher one of all."""
    distance = np.abs(tops[which, None] - tops)
    return np.where(_higher(height, which), distance, np.iinfo(np.intp).max).min(axis=1)


def _eclipsed(tops, scale, height):
    """``(n,)`` which candidates are only another maximum of a higher peak at least half as narrow as they are.

    Noise gives the top of a wide peak several maxima; each of them is the peak.
    """
    near = np.abs(tops[:, None] - tops) < 0.5 * np.maximum(scale[:, None], scale)
    wider = scale[:, None] > 0.5 * scale
    return (near & wider & _higher(height, np.ones(len(tops), dtype=bool))).any(axis=1)


def _higher(height, which):
    """``(k, n)`` which of all are higher than each of `which`; of equals (counts often are) the first is."""
    rank = np.empty(len(height), dtype=np.intp)
    rank[np.argsort(-height, kind="stable")] = np.arange(len(height))
    return rank < rank[which, None]
