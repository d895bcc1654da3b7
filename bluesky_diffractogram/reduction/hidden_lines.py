"""Lines that hide beside others: what a fit of those that are known leaves over.

Two lines a width apart make one maximum if one is much higher, and a curve that bends hardly more than the high one's
flank does. But lines of a powder are alike: fitted with one width for all that stand together, the known ones leave
over what is not theirs. All lengths are in bins.
"""

from __future__ import annotations

import numpy as np

from .fit_windows import windows
from .hidden_kernel import find_hidden
from .noise import CurveNoise
from .peak_scale import Curve
from .peak_shape import Shapes

# So many lines at most share a width, so many neighbouring bins are averaged for a bin's level.
MOST_JOINT, LEVEL_OVER = 6, 5


@np.errstate(all="ignore")
def with_hidden_lines(shapes: Shapes, curve: Curve, noise: CurveNoise, min_snr: float) -> Shapes:
    """Look for lines that hide beside others.

    Lines that stand within four widths are fitted jointly with pseudo-Voigt lines of a common width and mixing on a
    parabola. Where another line like them would be higher than nothing by 1.25 times `min_snr` standard uncertainties,
    with all parameters of the known ones free (Rao's score test), it is fitted too. It is kept if in the joint fit it
    still is, at least 0.8 widths and at first at most two from a known one, and higher by as much than 2 % of those
    within three, which lines of another shape leave over. A line whose own width explains more than another line would
    is given that instead; and nothing is found where the fit is bad.

    Parameters
    ----------
    shapes
        Of known peaks ``(n,)``.
    curve, noise
        Of one diffractogram.
    min_snr
        Signal to noise.

    Returns
    -------
    Shapes
        Those that were known, in their order, and then those that were found. Where some were found, figures of the
        known ones beside them are those of the joint fit.
    """
    known = np.flatnonzero((shapes.fwhm > 0.0) & (shapes.net_height > 0.0) & np.isfinite(shapes.position))
    if not len(known):
        return shapes
    known = known[np.argsort(shapes.position[known], kind="stable")]
    position, fwhm = shapes.position[known], np.maximum(shapes.fwhm[known], 1.0)
    npt = len(curve.finite)
    averaged = np.ones(LEVEL_OVER)
    there = np.maximum(np.convolve(curve.finite, averaged, "same"), 1.0)
    level = np.convolve(curve.intensity, averaged, "same") / there
    variance = noise.sigma(np.arange(npt), level) ** 2
    intensity = np.where(curve.finite, curve.intensity, np.nan)
    shared = np.array(noise.shared if noise.shared is not None else (1.0,), dtype=np.float64)
    lines = (position, shapes.net_height[known], fwhm)
    found = find_hidden(intensity, variance, shared, *lines, *windows(position, fwhm, npt, MOST_JOINT), min_snr)
    if not found.shape[1]:
        return shapes
    place, height, width, area, which = found
    new = which < 0
    index = np.append(known[which[~new].astype(np.intp)], len(shapes.position) + np.arange(int(new.sum())))
    order = np.append(np.flatnonzero(~new), np.flatnonzero(new))
    apex = np.interp(place[new], np.flatnonzero(curve.finite), curve.intensity[curve.finite])

    def with_found(old: np.ndarray, figures: np.ndarray) -> np.ndarray:
        every = np.append(old, np.empty(int(new.sum())))
        every[index] = figures[order]
        return every

    return Shapes(
        position=with_found(shapes.position, place),
        height=np.append(shapes.height, apex),
        net_height=with_found(shapes.net_height, height),
        left=with_found(shapes.left, place - 0.5 * width),
        right=with_found(shapes.right, place + 0.5 * width),
        area=with_found(shapes.area, area),
    )
