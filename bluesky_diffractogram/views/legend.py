"""The legend of the curves: which line is which range."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

MOST_INSIDE = 8
MOST_ABOVE = 6


def write_legend(
    ax: Axes, lines: Mapping[str, Line2D], others: Sequence[tuple[Artist, str]] = (), *, above: bool = False
) -> None:
    """Write, or write anew, the legend of `ax`.

    Parameters
    ----------
    ax
        The axes.
    lines
        The ranges' lines by what is written beside them. Of many, only the first are named.
    others
        What else is explained, and its texts: frozen curves, the lines of a powder.
    above
        Put it above the axes, where it hides nothing and has room for less.
    """
    from matplotlib.lines import Line2D

    entries: list[tuple[Artist, str]] = [(line, text) for text, line in lines.items()]
    most = MOST_ABOVE - len(others) if above else MOST_INSIDE
    if len(entries) > most:
        more = len(entries) - most + 1
        entries[most - 1 :] = [(Line2D([], [], linestyle="none"), f"… and {more} more")]
    entries += others
    place: dict[str, Any] = {"loc": "upper right", "framealpha": 0.85}
    if above:
        columns = max(2, ceil(len(entries) / 2))
        place = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0.2, "ncols": columns}
        place |= {"frameon": False, "borderpad": 0}
    handles, texts = [entry[0] for entry in entries], [entry[1] for entry in entries]
    ax.legend(handles, texts, fontsize="small", **place)
