"""Positions written at the peaks, as many as have room."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text

MOST = 16
FONT_POINTS = 7.5
# of a digit's width and height to the size of the font, with some air
WIDE, HIGH = 0.62, 1.15
MARKER_POINTS = 7.0
ABOVE_POINTS = 7.5  # the marker is below


class PeakLabels:
    """Texts above the markers of peaks, the highest first; one that would touch another is left out.

    Parameters
    ----------
    ax
        The axes.
    """

    def __init__(self, ax: Axes) -> None:
        self._ax = ax
        self._texts: list[Text] = []

    def show(self, peaks: Mapping[int, NDArray], colors: Mapping[int, str], steps: Mapping[int, float]) -> None:
        """Write positions anew; the limits of the axes must be those with which they will be seen.

        Parameters
        ----------
        peaks
            ``(2, n)`` by range: positions and heights.
        colors
            By range.
        steps
            By range the width of a bin, which says how many decimals are worth writing.
        """
        decimals = {number: _decimals(step) for number, step in steps.items()}
        left = list(self._texts)
        for number, x, y, words in _placed(self._ax, peaks, decimals):
            text = left.pop(0) if left else self._new()
            text.set(text=words, color=colors[number], visible=True)
            text.xy = (x, y)  # type: ignore[attr-defined]
        for text in left:
            text.set_visible(False)

    def texts(self) -> list[Text]:
        """What is written."""
        return [text for text in self._texts if text.get_visible()]

    def _new(self) -> Text:
        text = self._ax.annotate(
            "", (0, 0), xytext=(0, ABOVE_POINTS), textcoords="offset points", ha="center", va="bottom",
            fontsize=FONT_POINTS, zorder=4, annotation_clip=True,
        )  # fmt: skip
        self._texts.append(text)
        return text


def _placed(ax: Axes, peaks: Mapping[int, NDArray], decimals: Mapping[int, int]) -> list[tuple[int, float, float, str]]:
    """Number, position, height and text of the peaks that have room for one."""
    every = [(number, x, y) for number, each in peaks.items() for x, y in each.T]
    if not every:
        return []
    # of equal peaks, that of the first range: its colour should not change from frame to frame
    highest = max(abs(y) for *_, y in every) or 1.0
    every.sort(key=lambda peak: (-round(peak[2] / highest, 2), peak[0]))
    with np.errstate(invalid="ignore"):
        pixels = ax.transData.transform([(x, y) for _, x, y in every])
    point = ax.figure.dpi / 72
    box = ax.get_window_extent()
    high = HIGH * FONT_POINTS * point
    side, tall = MARKER_POINTS * point / 2, MARKER_POINTS * point
    markers = [(at - side, bottom, at + side, bottom + tall) for at, bottom in pixels]
    taken: list[tuple[float, float, float, float]] = []
    placed = []
    for (number, x, y), (at, bottom) in zip(every, pixels, strict=True):
        words = f"{x:.{decimals[number]}f}"
        half = WIDE * FONT_POINTS * point * len(words) / 2
        low = bottom + ABOVE_POINTS * point
        area = (at - half, low, at + half, low + high)
        if not (box.x0 <= area[0] and area[2] <= box.x1 and box.y0 <= bottom and area[3] <= box.y1):
            continue
        others = [marker for marker in markers if abs((marker[0] + marker[2]) / 2 - at) > side]
        if any(_touch(area, other) for other in (*taken, *others)):
            continue
        taken.append(area)
        placed.append((number, float(x), float(y), words))
        if len(placed) == MOST:
            break
    return placed


def _decimals(step: float) -> int:
    """As many as resolve a tenth of `step`."""
    return max(0, 1 - math.floor(math.log10(step))) if step > 0 and math.isfinite(step) else 3


def _touch(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Whether two boxes of left, bottom, right, top have a part in common."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
