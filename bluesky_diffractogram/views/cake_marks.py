"""What is drawn over a cake: ranges as rectangles, and the lines of a powder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from bluesky_diffractogram.config import Arc
from bluesky_diffractogram.config.units import parse_unit
from bluesky_diffractogram.reduction.calibrant import line_curves
from bluesky_diffractogram.reduction.geometry import Geometry

from .colors import RangeColors
from .derived import Stream
from .lines import Lines
from .outlines import HALO, LINE
from .rings import RING

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.text import Text

Edges = tuple[tuple[float, float], tuple[float, float]]
"""The outer edges of a cake, radial and azimuthal."""
Rectangle = tuple[float, float, float, float]
"""Left, bottom, right and top."""

MOST_LINES = 150
MOST_HALOS = 12  # of more ranges, they would hide the cake
MOST_NUMBERS = 64
CURVE_POINTS = 181
POWDER = {**RING, "colors": "#FF8C9C"}  # the rings' own colour is too dark for most of a perceptual colour map
# what a range's number takes, in inches: per digit and around it
DIGIT, AROUND, HIGH = 0.08, 0.08, 0.18
GAP = 0.03


class CakeRanges:
    """The ranges of a stream as rectangles on axes of radial value and azimuth, with their numbers where they fit.

    Parameters
    ----------
    ax
        The axes.

    Attributes
    ----------
    artists
        All that is drawn.
    rectangles
        By range; two of an arc across ±180°, none of a range beside the cake.
    labels
        The ranges' numbers as texts, by number; one that has no room beside others has none.
    """

    def __init__(self, ax: Axes) -> None:
        self._ax = ax
        self._drawn: tuple[Any, ...] = ()
        self.artists: list[Artist] = []
        self.rectangles: Mapping[int, Sequence[Rectangle]] = {}
        self.labels: dict[int, Text] = {}

    def show(self, stream: Stream, edges: Edges, colors: RangeColors | None) -> None:
        """Draw the ranges of `stream` instead of those that were there; None: in the configured colours."""
        box, dpi = self._ax.get_window_extent(), self._ax.figure.dpi
        size = round(box.width / dpi, 2), round(box.height / dpi, 2)
        wanted = (stream, colors, size, self._ax.get_xlim(), self._ax.get_ylim())
        if wanted == self._drawn:
            return
        self._drawn = wanted
        for artist in self.artists:
            artist.remove()
        self.artists, self.labels = [], {}
        self.rectangles = {number: rectangles_of(stream, number, edges) for number in stream.ranges}
        chosen = colors or RangeColors.configured(stream.configuration.get("colors"))
        self._draw(chosen)
        self._write_numbers(chosen, size)

    def _draw(self, colors: RangeColors) -> None:
        from matplotlib.collections import LineCollection

        found = [(each, colors[number]) for number, rectangles in self.rectangles.items() for each in rectangles]
        outlines = [
            [(left, bottom), (right, bottom), (right, top), (left, top), (left, bottom)]
            for (left, bottom, right, top), _ in found
        ]
        drawn = [color for _, color in found]
        lines = [LineCollection(outlines, colors=drawn, linewidths=LINE, zorder=2.1, capstyle="round")]
        if len(self.rectangles) <= MOST_HALOS:
            lines.insert(0, LineCollection(outlines, colors="white", linewidths=HALO, alpha=0.6, zorder=2))
        self.artists += [self._ax.add_collection(each, autolim=False) for each in lines]

    def _write_numbers(self, colors: RangeColors, size: tuple[float, float]) -> None:
        """Write each number at the first place within its rectangle that no other number takes."""
        taken: list[Rectangle] = []
        for number, rectangles in islice(self.rectangles.items(), MOST_NUMBERS):
            wide = DIGIT * len(str(number)) + AROUND
            places = (place for each in rectangles for place in self._places(each, wide, size))
            free = next((place for place in places if not any(_overlap(place, other) for other in taken)), None)
            if free is not None:
                taken.append(free)
                self.labels[number] = self._number(number, free, colors[number], size)
        self.artists += self.labels.values()

    def _places(self, rectangle: Rectangle, wide: float, size: tuple[float, float]) -> list[Rectangle]:
        """Where a number has room within a rectangle, in inches from the axes' corner.

        From the upper left rightwards, then down. A rectangle that is not high enough has it in its middle.
        """
        to_axes = self._ax.transData + self._ax.transAxes.inverted()
        (left, bottom), (right, top) = np.clip(to_axes.transform([rectangle[:2], rectangle[2:]]), 0.0, 1.0)
        left, right = left * size[0] + GAP, right * size[0] - GAP - wide
        bottom, top = bottom * size[1] + GAP, top * size[1] - GAP - HIGH
        if right < left or top - bottom <= -(HIGH + 2 * GAP):  # too narrow, or not in the part that is seen
            return []
        if top < bottom:
            top = bottom = min(max((top + bottom) / 2, GAP), size[1] - GAP - HIGH)
        lefts, bottoms = np.arange(left, right + 1e-9, wide + GAP), np.arange(top, bottom - 1e-9, -(HIGH + GAP))
        return [(float(x), float(y), float(x + wide), float(y + HIGH)) for y in bottoms for x in lefts]

    def _number(self, number: int, place: Rectangle, color: str, size: tuple[float, float]) -> Text:
        box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": color, "alpha": 0.85}
        return self._ax.text(
            (place[0] + place[2]) / 2 / size[0], (place[1] + place[3]) / 2 / size[1], str(number),
            transform=self._ax.transAxes, ha="center", va="center", fontsize="small", color=color, bbox=box, zorder=3,
        )  # fmt: skip


class CakeLines:
    """The lines of a powder on axes of radial value and azimuth: upright, but for radii on a tilted detector.

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

    def show(self, lines: Lines | None, stream: Stream, edges: Edges, geometry: Geometry | None) -> None:
        """Draw `lines` in the unit of `stream` instead of those that were there; radii need the `geometry`."""
        from matplotlib.collections import LineCollection

        for artist in self.artists:
            artist.remove()
        self.artists = []
        if lines is None:
            return
        try:
            unit = parse_unit(stream.unit)
        except ValueError:
            return
        (low, high), arc = edges
        azimuth = np.linspace(*arc, CURVE_POINTS)
        curves = line_curves(lines.spacings, unit, stream.wavelength, azimuth, geometry)
        with np.errstate(invalid="ignore"):
            curves = np.where((curves >= low) & (curves <= high), curves, np.nan)
        seen = [np.stack([curve, azimuth], axis=1) for curve in curves if np.isfinite(curve).any()][:MOST_LINES]
        if seen:
            self.artists = [self._ax.add_collection(LineCollection(seen, zorder=1.8, **POWDER), autolim=False)]


def rectangles_of(stream: Stream, number: int, edges: Edges) -> list[Rectangle]:
    """Where range `number` is on a cake with these `edges`: two rectangles of an arc across ±180°."""
    wanted, ((left, right), (bottom, top)) = stream.ranges[number], edges
    limits = np.array([*wanted.radial_range, *wanted.azimuth_range])
    if not np.isfinite(limits).all():
        return []
    low, high = max(limits[0], left), min(limits[1], right)
    found = []
    for start, end in Arc.between(*wanted.azimuth_range).parts():
        first, last = max(start, bottom), min(end, top)
        if low < high and first < last:
            found.append((float(low), float(first), float(high), float(last)))
    return found


def _overlap(one: Rectangle, other: Rectangle) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
