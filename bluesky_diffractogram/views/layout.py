"""Where the panels of the figure are, in inches: text needs the same room whatever the size of the window."""

from __future__ import annotations

import math
from dataclasses import dataclass

Box = tuple[float, float, float, float]
"""Left, bottom, width and height, as fractions of the figure."""

LEFT, RIGHT, TOP, BOTTOM = 0.85, 0.2, 0.36, 0.5
BETWEEN_ROWS = 0.84  # the heat-maps' x labels, the curves' legend
TITLE = 0.43  # two lines above a heat-map, or of a legend above the curves
HEATMAP_SHARE = 0.56  # of the height left for data
BETWEEN_PANELS = 0.22
BAR_GAP, BAR_WIDTH, BAR_TEXT = 0.06, 0.11, 0.68
BESIDE = BAR_GAP + BAR_WIDTH + BAR_TEXT
SMALLEST = 0.2
# with a main panel: its part of the height, and at most of the width; what another needs beside it
MAIN_SHARE = 0.68
MAIN_WIDTH = 0.6
# with less height for data than that, curves are beside the main panel, and no other panels are there
TWO_ROWS_FROM = 2.6
MAIN_BESIDE_CURVES = 0.5
ROWS_TEXT = 0.65  # the row labels of a heat-map that is not at the left edge
OTHER_WIDTH = 1.15
STRIP_GAP = 0.1


@dataclass(frozen=True)
class Strip:
    """Room kept free for controls, in inches: a row of that `height` at the bottom, or a column at the right."""

    height: float = 0.0
    width: float = 0.0


@dataclass(frozen=True)
class Layout:
    """Boxes of the panels.

    Attributes
    ----------
    heatmaps, bars
        Of the heat-maps from left to right, and of their colour bars. With a main panel there may be fewer than were
        asked for: those that have room.
    curves
        Of the curves.
    image, image_bar
        Of the image, or a cake, and its colour bar; or None.
    row, column
        What is kept free for controls, or None.
    """

    heatmaps: tuple[Box, ...]
    bars: tuple[Box, ...]
    curves: Box
    image: Box | None = None
    image_bar: Box | None = None
    row: Box | None = None
    column: Box | None = None


def arrange(
    width: float,
    height: float,
    panels: int,
    *,
    image: float | None = None,
    main: bool = False,
    strip: Strip | None = None,
) -> Layout:
    """Heat-maps side by side over the curves, perhaps after a larger main panel; their outer edges are aligned.

    In a low window that has no room for two rows, the main panel, or the first heat-map, is beside the curves.

    Parameters
    ----------
    width, height
        Of the figure, in inches.
    panels
        The number of heat-maps; with none, and no image, the curves have the whole figure.
    image
        Width over height of the image, which is the main panel then; infinite for one that takes whatever room there
        is, a cake; None without one.
    main
        Whether the first heat-map is the main panel.
    strip
        What is kept free for controls.
    """
    strip = strip or Strip()
    below = strip.height + STRIP_GAP if strip.height else 0.0
    right = strip.width + STRIP_GAP if strip.width else 0.0

    def box(left: float, bottom: float, wide: float, high: float) -> Box:
        return (left / width, bottom / height, max(wide, SMALLEST) / width, max(high, SMALLEST) / height)

    row = box(STRIP_GAP, STRIP_GAP, width - 2 * STRIP_GAP, strip.height) if strip.height else None
    beyond = height - below - 2 * STRIP_GAP
    column = box(width - right, below + STRIP_GAP, strip.width, beyond) if strip.width else None
    inner = width - LEFT - RIGHT - right
    bottom_of_curves = BOTTOM + below
    if panels == 0 and image is None:
        curves = box(LEFT, bottom_of_curves, inner, height - TOP - bottom_of_curves)
        return Layout((), (), curves, row=row, column=column)
    data = height - TOP - TITLE - BETWEEN_ROWS - bottom_of_curves
    if data < TWO_ROWS_FROM:
        high = max(height - TOP - TITLE - bottom_of_curves, SMALLEST)
        room = MAIN_BESIDE_CURVES * inner - BESIDE
        wide, tall = (room, high) if image is None else _fitting(image, room, high)
        main_box = box(LEFT, bottom_of_curves + high - tall, wide, tall)
        bar = box(LEFT + wide + BAR_GAP, bottom_of_curves + high - tall, BAR_WIDTH, tall)
        left = LEFT + wide + BESIDE + BETWEEN_PANELS + ROWS_TEXT
        curves = box(left, bottom_of_curves, width - RIGHT - right - left, high)
        if image is None:
            return Layout((main_box,), (bar,), curves, row=row, column=column)
        return Layout((), (), curves, image=main_box, image_bar=bar, row=row, column=column)
    high = (HEATMAP_SHARE if image is None and not main else MAIN_SHARE) * data
    top = height - TOP - TITLE
    widths, left_of_all, image_box, image_bar = [], LEFT, None, None
    if image is not None:
        wide, tall = _fitting(image, (MAIN_WIDTH if panels else 1.0) * inner - BESIDE, max(high, SMALLEST))
        image_box = box(LEFT, top - tall, wide, tall)
        image_bar = box(LEFT + wide + BAR_GAP, top - tall, BAR_WIDTH, tall)
        left_of_all = LEFT + wide + BESIDE + BETWEEN_PANELS + ROWS_TEXT
        widths = _equal(width - RIGHT - right - left_of_all, panels)
    elif main and panels > 1:
        widths = [MAIN_WIDTH * inner - BESIDE]
        widths += _equal((1 - MAIN_WIDTH) * inner - BETWEEN_PANELS, panels - 1)
        if len(widths) == 1:
            widths = [inner - BESIDE]
    else:
        widths = [(inner + BETWEEN_PANELS) / panels - BETWEEN_PANELS - BESIDE] * panels
    lefts = [left_of_all + sum(widths[:index]) + index * (BESIDE + BETWEEN_PANELS) for index in range(len(widths))]
    bottom = top - high
    return Layout(
        heatmaps=tuple(box(left, bottom, wide, high) for left, wide in zip(lefts, widths, strict=True)),
        bars=tuple(
            box(left + wide + BAR_GAP, bottom, BAR_WIDTH, high) for left, wide in zip(lefts, widths, strict=True)
        ),
        curves=box(LEFT, bottom_of_curves, inner, data - high),
        image=image_box,
        image_bar=image_bar,
        row=row,
        column=column,
    )


def _fitting(ratio: float, width: float, height: float) -> tuple[float, float]:
    """Width and height of what has that ratio of them, within `width` and `height`; all of both if it is infinite."""
    wide = min(height * ratio, width)
    return wide, height if math.isinf(ratio) else wide / ratio


def _equal(room: float, panels: int) -> list[float]:
    """The widths of as many of `panels` heat-maps as have room beside a main panel."""
    most = int((room + BETWEEN_PANELS) / (OTHER_WIDTH + BESIDE + BETWEEN_PANELS))
    panels = max(0, min(panels, most))
    return [(room + BETWEEN_PANELS) / panels - BETWEEN_PANELS - BESIDE] * panels if panels else []
