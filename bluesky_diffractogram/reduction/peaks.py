"""Peaks of a diffractogram, found from its own noise and measured above their local background."""

from __future__ import annotations

import numpy as np

from .diffractogram import Diffractogram, Peaks
from .hidden_lines import with_hidden_lines
from .noise import CurveNoise, Shared, curve_noise
from .peak_bend import Bends, bends
from .peak_crowd import crowded_shapes
from .peak_scale import Array, Bins, Curve, Mask, own_sizes, scales
from .peak_shape import Shapes, measure
from .scale_kernel import prominent_peaks

FEWEST_BINS = 5
# If peaks take so much of a curve, its noise is estimated again without them, as long as there is anything beside
# them, and peaks are looked for again if it is so much smaller, and so on.
MANY_LINES, ALL_LINES, QUIETER, MOST_AGAIN = 0.2, 0.85, 0.8, 3
# The bend of a line is found at an eighth of the line's own scale or below; that of a halo, in noise, above.
HALO_BEND = 0.125
# The contrast that makes a scale a peak's own, where no threshold is given.
CLEAR = 5.0


def find_peaks(
    diffractogram: Diffractogram,
    *,
    max_peaks: int = 20,
    min_snr: float = 5.0,
    min_fwhm_bins: float | None = None,
    max_fwhm_bins: float | None = None,
    shared: Shared | None = None,
) -> Peaks:
    """Find the peaks of a diffractogram.

    There are three ways to be one. The maxima of `scipy.signal.find_peaks` whose prominence is at least `min_snr` times
    the noise of a bin (`curve_noise`), if at their own scale their middle is higher than both sides by `min_snr` times
    the noise of that difference: wide peaks and halos. And where the curve, seen at one of eight scales, bends down by
    `min_snr` times the noise of that (`bends`): lines weaker than the noise of a bin, or shoulders of a neighbour. And
    what is left over if those found so far are fitted as lines that are alike (`with_hidden_lines`): lines hidden by a
    neighbour.
    Both flanks must be seen: bins that are NaN or infinite split the curve, and nothing is known beyond its ends.

    Parameters
    ----------
    diffractogram
        With uniform bins.
    max_peaks
        At most so many, the highest above their background.
    min_snr
        Signal to noise.
    min_fwhm_bins
        Narrower peaks are left out: a single hot bin has a width of 1.
    max_fwhm_bins
        Wider peaks are left out: the halo of a glass capillary is one.
    shared
        How neighbouring bins share their noise, where it is known (`curve_noise`).

    Returns
    -------
    Peaks
        The highest above their background first; nothing is fitted, so `position_error` is the bin step. No peaks
        if the curve is all zero, flat, all NaN, or shorter than five bins.

    Notes
    -----
    How peaks are measured is said in `measure`. On simulated lines with counting noise, alone on a flat background,
    positions scatter as the Cramér-Rao bound says (3 to 80 bins wide, signal to noise above 5; up to 1.6 times that
    at the threshold) without a bias. Where noise is small, Gaussians come out to 3 % in height and 4 % in width from
    3 bins up; half-Lorentzian lines 2 to 4 % too low, 2 to 6 % too wide and 6 to 9 % too small in area, because their
    tails reach below the feet. At the threshold noise has helped: heights are 10 % and areas 30 % too large. The two
    of a close pair (less than two widths apart) have their background between them, and are too low, too narrow and
    pushed apart, unless a hidden line was found beside them: then figures are those of a joint fit. Noise alone gives
    at most one false peak in a hundred curves of 1000 bins at ``min_snr=5``, and so do whole simulated frames of
    powders (``tests/benchmarks/peaks.py``). A wide maximum of the background is a peak too.
    """
    curve = Curve(diffractogram.intensity)
    if int(curve.finite.sum()) < FEWEST_BINS:
        return Peaks.none()
    noise = curve_noise(diffractogram, None, shared)
    tops, scale = _by_prominence(curve, noise, min_snr)
    for _ in range(MOST_AGAIN):
        lines = _under(tops, scale, len(curve.finite))
        if not MANY_LINES < lines.mean() < ALL_LINES:
            break
        beside = curve_noise(diffractogram, lines, shared)
        if beside.quiet.mean() > QUIETER * noise.quiet.mean():
            break
        noise = beside
        tops, scale = _by_prominence(curve, noise, min_snr)
    bent = bends(curve, noise, min_snr)
    tops, scale = _joined(tops, scale, bent, curve, noise, min_snr)
    if not len(tops):
        return Peaks.none()
    shapes = crowded_shapes(measure(curve, noise, tops, scale), curve, tops, bent)
    shapes = with_hidden_lines(shapes, curve, noise, min_snr)
    good = (shapes.fwhm > 0.0) & (shapes.fwhm >= (min_fwhm_bins or 0.0)) & (shapes.net_height > 0.0)
    if max_fwhm_bins is not None:
        good &= shapes.fwhm <= max_fwhm_bins
    strongest = np.argsort(np.where(good, -shapes.net_height, np.inf), kind="stable")
    return peaks_of(diffractogram.radial, shapes, strongest[: min(int(good.sum()), max_peaks)])


def _joined(tops: Bins, scale: Bins, bent: Bends, curve: Curve, noise: CurveNoise, min_snr: float) -> tuple[Bins, Bins]:
    """The top bins and scales of what was found either way, ``(n,)`` each, from left to right."""
    at = bent.bins
    if not len(at):
        return tops, scale
    # One that is found both ways is one, several are themselves; a halo on which lines stand is none.
    distance = np.abs(tops[:, None] - at)
    near = distance <= np.maximum(0.5 * scale, 2.0)[:, None]
    # Noise puts the highest bin of a halo and its sharpest bend in different places.
    halo = (distance <= scale[:, None]) & (bent.scale >= HALO_BEND * scale[:, None])
    near |= halo & ~near.any(axis=1)[:, None] & ~near.any(axis=0)
    several = near.sum(axis=1) > 1
    one = near.sum(axis=1) == 1
    new = ~near[one].any(axis=0)
    own_of_bent = own_sizes(curve, noise, at, min_snr, among=True)
    every = np.append(tops[~several], at[new])
    own = np.append(scale[~several], own_of_bent[new])
    order = np.argsort(every)
    return every[order], own[order]


def _by_prominence(curve: Curve, noise: CurveNoise, min_snr: float) -> tuple[Bins, Bins]:
    """The top bins and scales of peaks whose highest bin stands out from the noise of a bin, from left to right."""
    walled = np.where(curve.finite, curve.intensity, np.inf)
    of_curve = (curve.intensity, walled, curve.sums, curve.first, curve.end)
    tops, scale = prominent_peaks(*of_curve, *noise.columns, scales(len(walled)), min_snr)
    return tops, scale


def _under(tops: Bins, scale: Bins, n: int) -> Mask:
    """``(n,)`` the bins that peaks take: some three widths each, which is a scale to either side and a little more."""
    reach = scale + scale // 5
    edges = np.zeros(n + 1, dtype=np.intp)
    np.add.at(edges, np.maximum(tops - reach, 0), 1)
    np.add.at(edges, np.minimum(tops + reach + 1, n), -1)
    return np.cumsum(edges[:-1]) > 0


def shapes_at(diffractogram: Diffractogram, tops: Bins) -> Shapes:
    """Measure what is at `tops` ``(n,)``, finite bins that somebody else takes for peaks, each at its own scale."""
    curve = Curve(diffractogram.intensity)
    noise = curve_noise(diffractogram)
    return measure(curve, noise, tops, own_sizes(curve, noise, tops, CLEAR))


def peaks_of(radial: Array, shapes: Shapes, order: Bins) -> Peaks:
    """Turn figures in bins into those in the unit of `radial` ``(npt,)``, in the given order."""
    bins = np.arange(len(radial))
    left, centre, right = (
        np.interp(each[order], bins, radial) for each in (shapes.left, shapes.position, shapes.right)
    )
    step = np.interp(shapes.position[order], bins[:-1] + 0.5, np.diff(radial))
    return Peaks(
        position=centre,
        height=shapes.height[order],
        net_height=shapes.net_height[order],
        fwhm=right - left,
        area=shapes.area[order] * step,
        position_error=step,
    )
