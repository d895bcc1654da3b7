"""Peaks fitted with pseudo-Voigt lines on a linear background, with standard uncertainties."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .bin_covariance import BinCovariance, correlation_of_counts
from .diffractogram import Diffractogram, FittedPeaks, Peaks
from .fit_kernel import fit_lines
from .fit_windows import LEAST_REACH, windows, windows_of_each
from .noise import ROUNDING, curve_noise

Array = NDArray[np.float64]

# So many lines at most are fitted jointly.
MOST_JOINT = 8


def fit_peaks(
    diffractogram: Diffractogram,
    peaks: Peaks,
    covariance: BinCovariance | None = None,
    *,
    poisson: bool = False,
    exposures: int = 1,
) -> FittedPeaks:
    """Fit the peaks of a diffractogram.

    Each peak, or several jointly that stand within four FWHM, is fitted with pseudo-Voigt lines on a linear background
    over three FWHM to both sides, or half-way to the next peak that is not fitted with it. Weights are the reciprocal
    variances of the fitted curve's own level, not those of the data, which would pull it down where counts are few.

    Parameters
    ----------
    diffractogram
        With uniform bins.
    peaks
        Where to start, as a finder gives them.
    covariance
        Of the bins. If None, their variance is `diffractogram.sigma` squared, or else is told from the curve's noise,
        and pixels are taken as all split alike.
    poisson
        Whether counts are those of photons; if not, variances are scaled so that they agree with the curve's noise:
        the scatter of a bin's few pixels is too uncertain for a weight, and on the flank of a line is also its slope.
    exposures
        How many frames were added up, and as often the dark subtracted.

    Returns
    -------
    FittedPeaks
        Highest above its background first, with uncertainties: of the generalised kind that hold for correlated bins,
        (JᵀWJ)⁻¹ JᵀWCWJ (JᵀWJ)⁻¹. `height` is the background's plus that of the line. A peak whose fit finds no minimum
        keeps its figures; its uncertainties are NaN, but for the position's, the bin step.
    """
    n, npt, radial = len(peaks), len(diffractogram.radial), diffractogram.radial
    figures, deviations = np.full((n, 6), np.nan), np.full((n, 4), np.nan)
    order = np.argsort(peaks.position)
    step = (radial[-1] - radial[0]) / (npt - 1) if npt > 1 else 1.0
    if n and npt >= LEAST_REACH:
        start = (peaks.position[order] - radial[0]) / step
        width = np.where(np.isfinite(peaks.fwhm), peaks.fwhm, 4.0 * step)[order] / step
        noise = _noise(diffractogram, covariance, poisson, exposures)
        each = (start, peaks.net_height[order], width)
        figures, deviations, _ = fit_lines(
            diffractogram.intensity, *noise, *each, *windows(start, width, npt, MOST_JOINT)
        )
        failed = np.isnan(figures[:, 0])
        if failed.any() and n > 1:  # one line that is none spoils the group; each has another chance by itself
            alone = (*(part[failed] for part in windows_of_each(start, width, npt)), np.arange(failed.sum() + 1))
            again = fit_lines(diffractogram.intensity, *noise, *(part[failed] for part in each), *alone)
            figures[failed], deviations[failed] = again[0], again[1]
    return _put_together(peaks, order, figures, deviations, float(radial[0]) if npt else 0.0, step)


def _put_together(
    peaks: Peaks, order: NDArray[np.intp], figures: Array, deviations: Array, zero: float, step: float
) -> FittedPeaks:
    """The peaks with what was fitted, the highest first."""
    position, height, fwhm, area, _, background = figures.T
    fitted = np.isfinite(position) & np.isfinite(deviations).all(axis=1)

    def either(new: Array, old: Array) -> Array:
        return np.where(fitted, new, old[order])

    net_height = either(height, peaks.net_height)
    highest = np.argsort(-net_height, kind="stable")
    return FittedPeaks(
        position=either(zero + step * position, peaks.position)[highest],
        height=either(height + background, peaks.height)[highest],
        net_height=net_height[highest],
        fwhm=either(step * fwhm, peaks.fwhm)[highest],
        area=either(step * area, peaks.area)[highest],
        position_error=either(step * deviations[:, 0], peaks.position_error)[highest],
        height_error=np.where(fitted, deviations[:, 1], np.nan)[highest],
        fwhm_error=np.where(fitted, step * deviations[:, 2], np.nan)[highest],
        area_error=np.where(fitted, step * deviations[:, 3], np.nan)[highest],
    )


def _variance(sigma: Array, normalization: Array) -> Array:
    """``(npt,)`` of each bin; where pixels show no scatter, as one alone does, that of others with as many pixels."""
    variance = np.nan_to_num(sigma) ** 2
    known = variance > 0.0
    typical = float(np.median((variance * normalization)[known])) if known.any() else 0.0
    return np.where(known, variance, typical / np.where(normalization > 0.0, normalization, np.inf))


@np.errstate(all="ignore")
def _noise(
    diffractogram: Diffractogram, covariance: BinCovariance | None, poisson: bool, exposures: int
) -> tuple[Array, Array, Array, Array]:
    """What `fit_lines` wants of the noise: variance for a level, constant variance, least level, correlation."""
    intensity, normalization = diffractogram.intensity, diffractogram.normalization
    nothing = np.zeros(len(intensity))
    if covariance is None:
        correlation = correlation_of_counts(diffractogram)
        if diffractogram.sigma is not None:
            return nothing, _variance(diffractogram.sigma, normalization), nothing, correlation
        noise = curve_noise(diffractogram)
        sigma = noise.sigma(np.arange(len(intensity)), np.nan_to_num(intensity))
        return nothing, sigma**2, nothing, correlation
    filled = np.isfinite(intensity) & (normalization > 0.0)
    level = np.where(filled, intensity, 0.0)
    # The monitor, which the diffractogram does not hold: Σ signal over what it would be without.
    divisor = float((normalization * level).sum())
    monitor = float(diffractogram.signal[filled].sum()) / divisor if divisor else 1.0
    monitor = monitor if np.isfinite(monitor) and monitor > 0.0 else 1.0
    safe = np.where(filled, normalization, np.inf) * monitor
    per_level = covariance.per_level / safe
    constant = nothing if covariance.of_dark is None else exposures * covariance.of_dark / (safe * monitor)
    least = 1.0 / safe
    if not poisson:
        shared = covariance.correlation[filled].mean(axis=0) if filled.any() else np.ones(1)
        noise = curve_noise(diffractogram, shared=tuple(shared.tolist()))
        expected = np.maximum(noise.background, least) * per_level + constant
        there = filled & (expected > 0.0)
        scale = float(np.median(noise.quiet[there] ** 2 / expected[there])) if there.any() else 0.0
        per_level, constant = scale * per_level, scale * constant
    # A sum in float32 is not better, and where there is no noise at all the weights must be numbers.
    return per_level, constant + (ROUNDING * (np.abs(level).max(initial=0.0))) ** 2, least, covariance.correlation
