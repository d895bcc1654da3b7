"""The lines of a known powder over the curves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bluesky_diffractogram.config.units import parse_unit
from bluesky_diffractogram.reduction.calibrant import line_positions
from bluesky_diffractogram.reduction.geometry import Geometry

from .derived import Stream

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import LineCollection

COLOR = "#C02040"  # as the rings on the image


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of a powder.

    Attributes
    ----------
    name
        What it is called in the legend.
    spacings
        d in Å.
    """

    name: str
    spacings: tuple[float, ...]


class DrawnLines:
    """Upright lines on axes whose x axis is radial.

    Parameters
    ----------
    ax
        The axes.
    """

    def __init__(self, ax: Axes) -> None:
        self._ax = ax
        self.artist: LineCollection | None = None

    def show(self, lines: Lines | None, stream: Stream, wavelength: float | None, geometry: Geometry | None) -> None:
        """Draw `lines` in the unit of `stream` instead of those that were there.

        Angles and radii need the wavelength in m, radii also the `geometry` of the detector; they are averaged over the
        arc of the first range.
        """
        from matplotlib.collections import LineCollection

        if self.artist is not None:
            self.artist.remove()
            self.artist = None
        if lines is None:
            return
        try:
            unit = parse_unit(stream.unit)
        except ValueError:
            return
        at = line_positions(lines.spacings, unit, wavelength, geometry, *stream.first_arc())
        low = min(axis.radial[[0, -1]].min() for axis in stream.ranges.values())
        high = max(axis.radial[[0, -1]].max() for axis in stream.ranges.values())
        at = at[(at >= low) & (at <= high)]
        segments = np.stack([np.stack([at, np.full_like(at, end)], axis=1) for end in (0.0, 1.0)], axis=1)
        self.artist = LineCollection(
            list(segments), colors=COLOR, linewidths=0.8, linestyles=[(0, (4, 3))], alpha=0.7, zorder=1.2,
            transform=self._ax.get_xaxis_transform(),
        )  # fmt: skip
        self._ax.add_collection(self.artist, autolim=False)
