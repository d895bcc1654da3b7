"""What one peak of a curve is: its local background, and the figures measured above that.

All lengths are in bins, which are uniform. Nothing here decides what is a peak; `peaks` and `lavue_peaks` do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .noise import CurveNoise
from .peak_scale import Array, Bins, Curve
from .shape_kernel import measure_peaks

# ∫ of a line of height 1 and width 1: π/2 if it is Lorentzian, ½√(π / ln 2) if it is Gaussian.
LORENTZ_AREA, GAUSS_AREA = 0.5 * np.pi, 0.5 * np.sqrt(np.pi / np.log(2.0))


@dataclass(frozen=True, eq=False, slots=True)
class Shapes:
    """Figures of ``n`` peaks, ``(n,)`` each, in bins (counted from 0) and units of intensity.

    Attributes
    ----------
    position
        Where the centre is.
    height, net_height
        The apex, and how far it is above the background there.
    left, right
        Where the flanks cross half of the net height; NaN where one of them does not.
    area
        Net intensity times bins; NaN as `left` and `right`.
    """

    position: Array
    height: Array
    net_height: Array
    left: Array
    right: Array
    area: Array

    @property
    def fwhm(self) -> Array:
        """``(n,)`` full width at half of the net height."""
        return self.right - self.left


def measure(curve: Curve, noise: CurveNoise, tops: Bins, scale: Bins) -> Shapes:
    """Measure peaks above the line between their feet.

    Parameters
    ----------
    tops
        ``(n,)`` bins at or near the maxima.
    scale
        ``(n,)`` each one's own scale, in bins.

    Notes
    -----
    Height: apex of a parabola through the logarithm of the net intensity above half of it, weighted with its
    square (Guo, IEEE Signal Processing Magazine 28 (2011) 134). Width: where straight lines between cells cross
    half of that. Position: the centroid under a Gaussian window as wide as the peak, iterated.
    """
    of_curve = (curve.intensity, curve.sums, curve.first, curve.end)
    return Shapes(*measure_peaks(*of_curve, *noise.columns, tops, scale))
