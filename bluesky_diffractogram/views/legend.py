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
MOST_ABOVE, ROWS_ABOVE = 12, 2
# of a small character, and of what else an entry needs, in inches
CHARACTER, BESIDE_TEXT = 0.072, 0.55


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
        Put it above the axes, where it hides nothing and has room for less: two rows, in which texts are cut after
        their azimuths if that alone lets all ranges be named.
    """
    from matplotlib.lines import Line2D

    entries: list[tuple[Artist, str]] = [(line, text) for text, line in lines.items()]
    columns, most = 1, MOST_INSIDE
    if above:
        texts, beside = list(lines), [text for _, text in others]
        if ROWS_ABOVE * _columns(ax, [*texts, *beside]) < len(texts) + len(beside):
            texts = [text.partition(",")[0] for text in texts]
        entries = list(zip(lines.values(), texts, strict=True))
        columns = max(1, _columns(ax, [*texts, *beside]))
        most = max(min(ROWS_ABOVE * columns, MOST_ABOVE) - len(others), 1)
    if len(entries) > most:
        more = len(entries) - most + 1
        entries[most - 1 :] = [(Line2D([], [], linestyle="none"), f"… and {more} more")]
    entries += others
    place: dict[str, Any] = {"loc": "upper right", "framealpha": 0.85}
    if above:
        columns = min(columns, len(entries)) if len(entries) <= columns else ceil(len(entries) / ROWS_ABOVE)
        place = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0.2, "ncols": columns}
        place |= {"frameon": False, "borderpad": 0}
    handles, texts = [entry[0] for entry in entries], [entry[1] for entry in entries]
    ax.legend(handles, texts, fontsize="small", **place)


def _columns(ax: Axes, texts: Sequence[str]) -> int:
    """How many entries there is room for side by side."""
    room = ax.get_position().width * ax.figure.get_figwidth()  # type: ignore[union-attr]
    return int(room / (BESIDE_TEXT + CHARACTER * max(map(len, texts), default=0)))
