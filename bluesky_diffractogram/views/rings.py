"""The lines of a known powder as rings on an image, as many as can be told apart."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bluesky_diffractogram.reduction.calibrant import two_theta_of_lines
from bluesky_diffractogram.reduction.outlines import Polyline, farthest, ring
from bluesky_diffractogram.reduction.preview import DetectorView

from .lines import Lines
from .outlines import cut_at_edge

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

MOST_RINGS = 150
RING = {"colors": "#C02040", "linewidths": 0.6, "linestyles": (0, (4, 3)), "alpha": 0.7}
APART = 4.0
"""So many pixels of the screen are between rings that can be told apart, with the image seen between them."""
NEIGHBOURS = 5
"""Over so many gaps that is averaged: lines that all but coincide are no reason to end."""


class DrawnRings:
    """Thin rings on axes whose coordinates are pixels: from the inside out, as long as they do not bury the image.

    Zoomed into, the image has more of them.

    Parameters
    ----------
    ax
        The axes.

    Attributes
    ----------
    artists
        All that is drawn.
    """

    def __init__(self, ax: Axes) -> None:
        self._ax = ax
        self.artists: list[Artist] = []
        self._of: tuple[Lines | None, DetectorView | None] = (None, None)
        self._rings: list[Polyline] = []
        self._gaps: NDArray[np.float64] = np.empty(0)
        self._drawn = 0

    def follow(self, lines: Lines | None, detector: DetectorView) -> None:
        """Draw the rings of `lines` on a detector as it is seen now, instead of those that were there."""
        anew = self._of != (lines, detector)
        if anew:
            self._of = (lines, detector)
            self._rings = [] if lines is None else _rings(lines, detector)
            self._gaps = _gaps(self._rings)
        number = self._number()
        if anew or number != self._drawn:
            self._draw(number, detector.shape)

    def _number(self) -> int:
        """How many can be told apart on the screen."""
        if not self._rings:
            return 0
        low, high = sorted(self._ax.get_xlim())
        screen = self._ax.get_window_extent().width / max(high - low, 1e-9)
        return separable(self._gaps * screen)

    def _draw(self, number: int, shape: tuple[int, int]) -> None:
        from matplotlib.collections import LineCollection

        for artist in self.artists:
            artist.remove()
        self.artists, self._drawn = [], number
        if number:
            rings = LineCollection(self._rings[:number], zorder=1.8, **RING)
            self.artists = [cut_at_edge(self._ax, rings, shape)]


def separable(gaps: NDArray[np.float64]) -> int:
    """How many rings are drawn, from the innermost on.

    Parameters
    ----------
    gaps
        ``(n - 1,)`` how far each of `n` rings is from the next, in pixels of the screen.
    """
    for first in range(len(gaps)):
        if np.mean(gaps[first : first + NEIGHBOURS]) < APART and len(gaps) - first >= NEIGHBOURS:
            return first + 1
    return len(gaps) + 1


def _rings(lines: Lines, detector: DetectorView) -> list[Polyline]:
    """The rings of `lines` that can meet the detector, from the inside out."""
    projection = detector.projection
    wavelength = projection.geometry.wavelength
    if wavelength is None:
        return []
    angles = np.sort(two_theta_of_lines(lines.spacings, wavelength))
    return [ring(float(angle), projection) for angle in angles[angles <= farthest(projection)][:MOST_RINGS]]


def _gaps(rings: list[Polyline]) -> NDArray[np.float64]:
    """``(n - 1,)`` how far each ring is from the next, in pixels of the detector; the median over the azimuth."""
    apart = [np.hypot(*(outer - inner).T) for inner, outer in pairwise(rings)]
    return np.array([float(np.median(each[np.isfinite(each)])) if np.isfinite(each).any() else 0.0 for each in apart])
