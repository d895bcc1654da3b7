"""The outlines of ranges, drawn on the axes of an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bluesky_diffractogram.reduction.outlines import Outline

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.text import Text

    from .colors import RangeColors

HALO, LINE = 3.0, 1.5


class DrawnOutlines:
    """Outlines on axes whose coordinates are pixels, cut at the detector's edge.

    Parameters
    ----------
    ax
        The axes.
    tint
        How opaque the areas are filled, 0 to 1; 0 leaves what is under them as it is.

    Attributes
    ----------
    artists
        All that is drawn.
    labels
        The ranges' numbers as texts, by number; those that are not on the detector have none.
    """

    def __init__(self, ax: Axes, *, tint: float = 0.0) -> None:
        self._ax = ax
        self._tint = tint
        self.artists: list[Artist] = []
        self.labels: Mapping[int, Text] = {}

    def show(self, outlines: Sequence[Outline], colors: RangeColors, shape: tuple[int, int]) -> None:
        """Draw `outlines` on a detector of ``(ny, nx)`` pixels, instead of those that were there."""
        self.clear()
        for each in outlines:
            self._draw(each, colors[each.number], shape)
        self.labels = {each.number: self._label(each, colors[each.number]) for each in outlines if each.label}
        self.artists += self.labels.values()

    def clear(self) -> None:
        """Draw none."""
        for artist in self.artists:
            artist.remove()
        self.artists, self.labels = [], {}

    def _draw(self, drawn: Outline, color: str, shape: tuple[int, int]) -> None:
        from matplotlib.collections import LineCollection
        from matplotlib.patches import PathPatch
        from matplotlib.path import Path

        lines = [*drawn.rings, *drawn.border]
        parts: list[Any] = [
            LineCollection(lines, colors="white", linewidths=HALO, alpha=0.6, zorder=2, capstyle="round"),
            LineCollection(lines, colors=color, linewidths=LINE, zorder=2.1, capstyle="round"),
        ]
        if self._tint:
            area = Path.make_compound_path(*(Path(polygon, closed=True) for polygon in drawn.rings))
            parts.append(PathPatch(area, facecolor=color, alpha=self._tint, linewidth=0, zorder=1.5))
        for part in parts:
            self.artists.append(cut_at_edge(self._ax, part, shape))

    def _label(self, drawn: Outline, color: str) -> Text:
        box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": color, "alpha": 0.85}
        assert drawn.label is not None
        return self._ax.text(
            *drawn.label, str(drawn.number),
            ha="center", va="center", fontsize="small", color=color, bbox=box, zorder=3, clip_on=True,
        )  # fmt: skip


def cut_at_edge(ax: Axes, artist: Any, shape: tuple[int, int]) -> Artist:
    """Add an artist to `ax`, cut at the detector's edge."""
    from matplotlib.path import Path

    ax.add_collection(artist, autolim=False) if hasattr(artist, "get_paths") else ax.add_patch(artist)
    ny, nx = shape
    corners = np.array([(-0.5, -0.5), (nx - 0.5, -0.5), (nx - 0.5, ny - 0.5), (-0.5, ny - 0.5), (-0.5, -0.5)])
    artist.set_clip_path(Path(corners), ax.transData)
    return artist
