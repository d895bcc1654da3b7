"""Where a curve bends down by more than noise can do, at any of several scales.

A line that is weaker than its neighbour, or hardly above the noise of a bin, bends the curve all the same. The bend
at the scale t is −y'' of the curve seen through a Gaussian of the deviation t, in units of its own noise. All lengths
are in bins.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .bend_kernel import find_bends
from .bin_covariance import correlation_of_width
from .noise import CurveNoise
from .noise_kernel import level_variance
from .peak_scale import Array, Bins, Curve

# Deviations of the Gaussians: lines up to some 30 bins wide; wider ones need no such help.
SCALES = tuple(float(t) for t in 2.0 ** (np.arange(8) / 2.0))
# But none that is finer than so much of a pixel's width: at that, the edges of pixels are seen.
OF_PIXEL = 0.5
REACH = 3.5


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


@dataclass(frozen=True, eq=False, slots=True)
class BendKernels:
    """All that `find_bends` wants besides the curve: the same for all curves of a range.

    Attributes
    ----------
    sizes, halves, kernels, spreads
        As `find_bends` wants them.
    """

    sizes: Array
    halves: Bins
    kernels: Array
    spreads: Array


@lru_cache(maxsize=64)
def bend_kernels(sizes: tuple[float, ...], correlation: float | tuple[float, ...]) -> BendKernels:
    """The kernels of these sizes, for noise that is so correlated."""
    pairs = [_kernels(t) for t in sizes]
    halves = np.array([len(gauss) // 2 for gauss, _ in pairs], dtype=np.intp)
    kernels = np.zeros((4, len(sizes), halves.max(initial=0) + 1))
    for k, pair in enumerate(pairs):
        for which, kernel in enumerate(pair):
            kernels[which, k, : halves[k] + 1] = kernel[halves[k] :]
    kernels[2:] = kernels[:2] ** 2
    factors = np.array([_noise_factors(t, correlation) for t in sizes])
    return BendKernels(np.array(sizes), halves, kernels, factors.reshape(-1, 2).T.copy())


def bends(curve: Curve, noise: CurveNoise, min_snr: float) -> Bends:
    """Find where lines bend the curve.

    Parameters
    ----------
    curve, noise
        Of one diffractogram.
    min_snr
        How many standard deviations the bend must be.
    """
    least, largest = OF_PIXEL * (noise.correlation - 1.0), len(curve.finite) / 4.0
    sizes = tuple(t for t in SCALES if least <= t and REACH * t <= largest)
    if not sizes:
        return Bends(np.empty(0, np.intp), *np.empty((3, 0)))
    kernels = bend_kernels(sizes, noise.correlation if noise.shared is None else noise.shared)
    y = _filled(curve)
    variance = level_variance(y, *noise.columns[:3])
    stretches = (curve.finite, curve.first, curve.end)
    each = (kernels.sizes, kernels.halves, kernels.kernels, kernels.spreads)
    columns = find_bends(y, variance, *stretches, *each, min_snr)
    return Bends(columns[0].astype(np.intp), *columns[1:])


def _filled(curve: Curve) -> Array:
    """The intensity, with straight lines over the gaps."""
    if curve.finite.all():
        return curve.intensity
    there = np.flatnonzero(curve.finite)
    return np.interp(np.arange(len(curve.finite)), there, curve.intensity[there])
