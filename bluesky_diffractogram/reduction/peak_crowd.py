"""Figures of lines so close together that one hides a flank of the other: what can be said before they are fitted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .peak_bend import Bends
from .peak_scale import Bins, Curve
from .peak_shape import GAUSS_AREA, Shapes

# Nearer than this, in the width of what was measured, another line is a part of it; nearer than that, in the width of
# a line, a line hides the flank of another.
WITHIN, BESIDE = 0.8, 3.0
# So much of the way to another line, what was measured is not the line that was found.
STRAYED = 0.5


@np.errstate(all="ignore")
def crowded_shapes(shapes: Shapes, curve: Curve, tops: Bins, bent: Bends) -> Shapes:
    """Put what the bend of the curve tells in the place of what could not be measured, or includes other lines.

    The width is that of the nearest line that could be measured, since the lines of a powder are alike; the height is
    that of a Gaussian of that width with the same bend, a lower bound.

    Parameters
    ----------
    shapes
        Measured at `tops` ``(n,)``.
    curve
        The diffractogram's.
    bent
        Where it is bent.
    """
    if not len(bent.bins) or len(tops) < 2:
        return shapes
    fwhm = shapes.fwhm
    distance = np.abs(tops[:, None] - tops).astype(np.float64)
    np.fill_diagonal(distance, np.inf)
    measured = (fwhm > 0.0) & (shapes.net_height > 0.0)
    # A weak line's middle wanders off to a strong neighbour whose flank is in its windows.
    strayed = np.abs(shapes.position - tops) > STRAYED * distance.min(axis=1)
    merged = measured & ((distance.min(axis=1) < WITHIN * fwhm) | strayed)
    alone = measured & ~merged
    apart = np.abs(tops[:, None] - bent.bins)
    which = apart.argmin(axis=1)
    doubtful = ~alone & (apart.min(axis=1) <= 0.5 * distance.min(axis=1))
    if not doubtful.any():
        return shapes
    nearest = np.where(alone[None, :], distance, np.inf)
    width = np.where(alone.any(), fwhm[nearest.argmin(axis=1)], distance.min(axis=1))
    # A line that a gap or an end cuts has no other beside it, and stays unmeasured.
    # What bends the curve at scales beyond a line's width only is no such line but a halo.
    doubtful &= (merged | (distance.min(axis=1) < BESIDE * width)) & (bent.scale[which] <= width)
    if not doubtful.any():
        return shapes
    position = bent.position[which]
    height = Bends(*(column[which] for column in (bent.bins, bent.position, bent.scale, bent.strength))).height(width)

    def either(new: np.ndarray, old: np.ndarray) -> np.ndarray:
        return np.where(doubtful, new, old)

    return replace(
        shapes,
        position=either(position, shapes.position),
        height=either(curve.intensity[tops], shapes.height),
        net_height=either(height, shapes.net_height),
        left=either(position - 0.5 * width, shapes.left),
        right=either(position + 0.5 * width, shapes.right),
        area=either(GAUSS_AREA * height * width, shapes.area),
    )
