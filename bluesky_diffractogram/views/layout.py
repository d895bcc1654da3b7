"""Where the panels of the figure are, in inches: text needs the same room whatever the size of the window."""

from __future__ import annotations

from dataclasses import dataclass

Box = tuple[float, float, float, float]
"""Left, bottom, width and height, as fractions of the figure."""

LEFT, RIGHT, TOP, BOTTOM = 0.85, 0.2, 0.4, 0.55
BETWEEN_ROWS = 0.95  # the heat-maps' x labels, the curves' title
TITLE = 0.45  # two lines above a heat-map
HEATMAP_SHARE = 0.56  # of the height left for data
BETWEEN_PANELS = 0.22
BAR_GAP, BAR_WIDTH, BAR_TEXT = 0.06, 0.11, 0.62
SMALLEST = 0.2


@dataclass(frozen=True)
class Layout:
    """Boxes of the heat-maps from left to right, of their colour bars, and of the curves."""

    heatmaps: tuple[Box, ...]
    bars: tuple[Box, ...]
    curves: Box


def two_rows(width: float, height: float, panels: int) -> Layout:
    """Heat-maps side by side over the curves; their outer edges are aligned.

    Parameters
    ----------
    width, height
        Of the figure, in inches.
    panels
        The number of heat-maps; with none the curves have the whole figure.
    """

    def box(left: float, bottom: float, wide: float, high: float) -> Box:
        return (left / width, bottom / height, max(wide, SMALLEST) / width, max(high, SMALLEST) / height)

    inner = width - LEFT - RIGHT
    if panels == 0:
        return Layout((), (), box(LEFT, BOTTOM, inner, height - TOP - BOTTOM))
    data = height - TOP - TITLE - BETWEEN_ROWS - BOTTOM
    high = HEATMAP_SHARE * data
    bottom = height - TOP - TITLE - high
    beside = BAR_GAP + BAR_WIDTH + BAR_TEXT
    pitch = (inner + BETWEEN_PANELS) / panels
    image = pitch - BETWEEN_PANELS - beside
    lefts = [LEFT + index * pitch for index in range(panels)]
    return Layout(
        heatmaps=tuple(box(left, bottom, image, high) for left in lefts),
        bars=tuple(box(left + image + BAR_GAP, bottom, BAR_WIDTH, high) for left in lefts),
        curves=box(LEFT, BOTTOM, inner, (1 - HEATMAP_SHARE) * data),
    )
