"""Positions written at the peaks, as many as have room."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
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
MOST_POINTS = 20.0


class PeakLabels:
    """Texts above the markers of peaks, the highest first.

    One that would lie on another, on a marker, on the curve of another range, or on the flank of a neighbour, as at a
    doublet, is put a little to the side, and left out where that does not help.

    Parameters
    ----------
    ax
        The axes.
    """

    def __init__(self, ax: Axes) -> None:
        self._ax = ax
        self._texts: list[Text] = []

    def show(
        self, peaks: Mapping[int, NDArray], colors: Mapping[int, str], curves: Mapping[int, NDArray[np.float64]]
    ) -> None:
        """Write positions anew; the limits of the axes must be those with which they will be seen.

        Parameters
        ----------
        peaks
            ``(2, n)`` by range: positions and heights.
        colors
            By range.
        curves
            ``(2, npt)`` by range: radial, intensity. Their bins say how many decimals are worth writing.
        """
        left = list(self._texts)
        for label in _placed(self._ax, peaks, curves):
            text = left.pop(0) if left else self._new()
            text.set(text=label.words, color=colors[label.number], visible=True, position=label.offset)
            text.xy = label.at  # type: ignore[attr-defined]
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


@dataclass(frozen=True, slots=True)
class _Label:
    """Words for a peak of a range at a point of the axes, moved from there by points of the screen."""

    number: int
    at: tuple[float, float]
    offset: tuple[float, float]
    words: str


def _placed(ax: Axes, peaks: Mapping[int, NDArray], curves: Mapping[int, NDArray[np.float64]]) -> list[_Label]:
    """The labels that have room."""
    every = [(number, x, y) for number, each in peaks.items() for x, y in each.T]
    if not every:
        return []
    # of equal peaks, that of the first range: its colour should not change from frame to frame
    highest = max(abs(y) for *_, y in every) or 1.0
    every.sort(key=lambda peak: (-round(peak[2] / highest, 2), peak[0]))
    with np.errstate(invalid="ignore"):
        pixels = ax.transData.transform([(x, y) for _, x, y in every])
        drawn = {number: ax.transData.transform(curves[number].T) for number in peaks}
    segments = {number: _segments(line) for number, line in drawn.items()}
    decimals = {number: _decimals(curve[0]) for number, curve in curves.items()}
    point = float(ax.figure.dpi) / 72
    side, tall = MARKER_POINTS * point / 2, MARKER_POINTS * point
    markers = np.column_stack([pixels[:, 0] - side, pixels[:, 1], pixels[:, 0] + side, pixels[:, 1] + tall])
    box = ax.get_window_extent()
    taken = np.empty((0, 4))
    labels: list[_Label] = []
    for (number, x, y), (at, bottom) in zip(every, pixels, strict=True):
        words = f"{x:.{decimals[number]}f}"
        half = WIDE * FONT_POINTS * point * len(words) / 2
        # the same peak of several ranges: above all their markers, and above the line, where a fit is lower than that
        same = (np.abs(pixels[:, 0] - at) <= side) & (np.abs(pixels[:, 1] - bottom) <= tall)
        line = drawn[number]
        here, beside = (
            float(line[(np.abs(line[:, 0] - at) <= far) & np.isfinite(line[:, 1]), 1].max(initial=bottom))
            for far in (side, half)
        )
        low = max(float(pixels[same, 1].max(initial=bottom)), here) + ABOVE_POINTS * point
        if here < beside and low - bottom > MOST_POINTS * point:
            continue  # on the flank of a neighbour; farther up nobody would know whose it is
        for shift in (0.0, half - side, side - half):
            area = (at + shift - half, low, at + shift + half, low + HIGH * FONT_POINTS * point)
            inside = box.x0 <= area[0] and area[2] <= box.x1 and box.y0 <= bottom and area[3] <= box.y1
            obstacles = np.concatenate([taken, markers[~same]])
            if not inside or _touches(area, obstacles) or _crosses(line, area):
                continue
            if not any(_touches(area, each) for other, each in segments.items() if other != number):
                taken = np.concatenate([taken, [area]])
                labels.append(_Label(number, (float(x), float(y)), (shift / point, (low - bottom) / point), words))
                break
        if len(labels) == MOST:
            break
    return labels


def _decimals(radial: NDArray[np.float64]) -> int:
    """As many as resolve a tenth of a bin."""
    step = abs(float(radial[-1] - radial[0])) / max(len(radial) - 1, 1)
    return max(0, 1 - math.floor(math.log10(step))) if step > 0 and math.isfinite(step) else 3


def _touches(area: tuple[float, ...], boxes: NDArray[np.float64]) -> bool:
    """Whether a box of left, bottom, right, top has a part in common with any of ``(n, 4)`` others."""
    left, bottom, right, top = boxes.T
    return bool(np.any((area[0] < right) & (left < area[2]) & (area[1] < top) & (bottom < area[3])))


def _crosses(curve: NDArray[np.float64], area: tuple[float, ...]) -> bool:
    """Whether a curve of ``(npt, 2)`` pixels reaches into a box, or beyond it, from below."""
    beside = (curve[:, 0] >= area[0]) & (curve[:, 0] <= area[2])
    return bool(np.any(curve[beside, 1] > area[1]))


def _segments(curve: NDArray[np.float64]) -> NDArray[np.float64]:
    """``(npt - 1, 4)`` left, bottom, right, top of what lies between the points of a curve; NaN in its gaps."""
    return np.hstack([np.minimum(curve[:-1], curve[1:]), np.maximum(curve[:-1], curve[1:])])
