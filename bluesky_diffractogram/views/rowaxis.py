"""The y axis of a heat-map: rows are equally high, ticks stand at round values of whatever the rows stand for."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.ticker import AutoLocator, Formatter, Locator, MaxNLocator
from numpy.typing import NDArray

from .labels import reading_label
from .rows import Rows

TIME_LABEL = "time since first frame (s)"
FRAME_LABEL = "frame"
ROUND_STEPS = [1, 2, 5, 10]
_MOST_DECIMALS = 9


class RowScale:
    """Which value stands at which row.

    Frames are seldom equally spaced in time or temperature, while an image's rows are; so the image stays in rows and
    the ticks are put where a round value is reached, linearly between the rows.

    Parameters
    ----------
    positions
        ``(n,)`` row positions, ascending.
    values
        ``(n,)`` what the rows stand for; they only rise or only fall, see `monotonic`.
    """

    def __init__(self, positions: NDArray, values: NDArray) -> None:
        positions, values = np.asarray(positions, float), np.asarray(values, float)
        # several frames at one value: the value belongs to the middle of them
        starts = np.flatnonzero(np.r_[True, np.diff(values) != 0])
        ends = np.r_[starts[1:], len(values)] - 1
        self._positions = (positions[starts] + positions[ends]) / 2
        self._values = values[starts]
        self._order = slice(None, None, 1 if self._values[0] <= self._values[-1] else -1)

    def __len__(self) -> int:
        return len(self._values)

    def value(self, position: float) -> float:
        """The value at a row position; beyond the first and the last row, that row's."""
        return float(np.interp(position, self._positions, self._values))

    def position(self, values: NDArray) -> NDArray[np.float64]:
        """Row positions ``(m,)`` at which `values` stand; those that no row reaches are left out."""
        ascending = self._values[self._order]
        inside = (values >= ascending[0]) & (values <= ascending[-1])
        return np.interp(values[inside], ascending, self._positions[self._order])


def monotonic(values: NDArray) -> bool:
    """Whether `values` only rise or only fall (they may stay), and so can label rows. Not with NaN or infinities."""
    steps = np.diff(values)
    return bool(len(values) and np.isfinite(values).all() and ((steps >= 0).all() or (steps <= 0).all()))


def row_values(rows: Rows, row_axis: str) -> tuple[str, NDArray]:
    """What the rows stand for, and the values ``(n,)`` at them: the frames' numbers, if nothing better is there.

    Parameters
    ----------
    rows
        The rows.
    row_axis
        ``"frame"``, ``"time"``, a carried reading, or ``"auto"``; see `LiveDiffractogramGrid`.
    """
    if row_axis == "time" and monotonic(rows.seconds):
        return TIME_LABEL, rows.seconds
    for name in rows.stream.dimensions if row_axis == "auto" else (row_axis,):
        values = rows.carried.get(name)
        if values is None or not monotonic(values):
            continue
        if row_axis != "auto" or values[0] != values[-1]:  # what stays as it is says nothing of the rows
            return reading_label(rows.stream, name), values
    several = len(rows.run_labels)
    return f"{FRAME_LABEL} ({several} runs)" if several > 1 else FRAME_LABEL, rows.seq_nums


class FrameFormatter(Formatter):
    """Writes the number of the frame at each row; for rows of several runs, whose numbers begin anew.

    Parameters
    ----------
    first
        The position of the first row.
    seq_nums
        ``(n,)``
    """

    def __init__(self, first: int, seq_nums: NDArray) -> None:
        self._first, self._seq_nums = first, seq_nums

    def __call__(self, x: float, pos: int | None = None) -> str:
        row = round(x) - self._first
        return str(self._seq_nums[row]) if 0 <= row < len(self._seq_nums) else ""


class RowLocator(Locator):
    """Ticks at round values of a `RowScale`; at integers alone, if it is one of `integer` values."""

    def __init__(self, scale: RowScale, *, integer: bool = False) -> None:
        self.scale = scale
        self._round = MaxNLocator("auto", integer=True, steps=ROUND_STEPS) if integer else AutoLocator()

    def set_axis(self, axis: Any) -> None:
        super().set_axis(axis)
        self._round.set_axis(axis)

    def __call__(self) -> list[float]:
        return self.tick_values(*self.axis.get_view_interval())  # type: ignore[union-attr]

    def tick_values(self, vmin: float, vmax: float) -> list[float]:
        ends = sorted((self.scale.value(vmin), self.scale.value(vmax)))
        wanted = self._round.tick_values(*ends) if ends[0] < ends[1] else np.array(ends[:1])
        positions = np.sort(self.scale.position(np.asarray(wanted)))
        # a pause between two frames has many round values, and no room for them
        room = abs(vmax - vmin) / (self.axis.get_tick_space() + 1)  # type: ignore[union-attr]
        kept: list[float] = []
        for position in positions:
            if not kept or position - kept[-1] >= room:
                kept.append(float(position))
        return kept


class RowFormatter(Formatter):
    """Writes the values of a `RowScale` with as many decimals as the steps between the ticks need."""

    def __init__(self, scale: RowScale) -> None:
        self.scale = scale
        self._decimals: int | None = None

    def set_locs(self, locs: list[float]) -> None:
        super().set_locs(locs)
        steps = np.abs(np.diff([self.scale.value(position) for position in locs]))
        self._decimals = _decimals(float(steps[steps > 0].min())) if (steps > 0).any() else None

    def __call__(self, x: float, pos: int | None = None) -> str:
        value = self.scale.value(x)
        if self._decimals is None:  # one tick alone
            return self.fix_minus(f"{value:.6g}")
        return self.fix_minus(f"{round(value, self._decimals) + 0.0:.{self._decimals}f}")


def _decimals(step: float) -> int:
    for decimals in range(_MOST_DECIMALS):
        if abs(round(step, decimals) - step) < 1e-3 * step:
            return decimals
    return _MOST_DECIMALS
