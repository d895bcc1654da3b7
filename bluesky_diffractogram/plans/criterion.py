"""When a peak appears, vanishes, or crosses a position: decided from its positions, point by point."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

UNTIL = ("appears", "vanishes", "crosses")


@dataclass(slots=True)
class PeakCriterion:
    """Watches one peak.

    Attributes
    ----------
    until
        ``"appears"``: the peak is there. ``"vanishes"``: it was there and no longer is. ``"crosses"``: it is on the
        other side of `position` than it was first, or on it.
    peak
        Where it is looked for, within `tolerance`; None is any peak, and for ``"crosses"`` the one that is followed.
        A peak that crosses is followed from there.
    tolerance
        How far from `peak`, and from point to point.
    position
        What is crossed.
    confirm
        At so many points in a row it must be so.
    """

    until: str
    peak: float | None = None
    tolerance: float = math.inf
    position: float = math.nan
    confirm: int = 1
    _was_there: bool = False
    _side: float | None = None
    _in_a_row: int = 0
    last: float = field(default=math.nan)

    def met(self, positions: NDArray[np.float64], followed: float) -> bool:
        """Take another point.

        Parameters
        ----------
        positions
            ``(n,)`` of its peaks, strongest first.
        followed
            Of the peak that the reduction follows, NaN if it is not seen.

        Returns
        -------
        bool
            Whether it is so now.
        """
        self.last = self._seen(positions, followed)
        now = self._crossed() if self.until == "crosses" else self._as_wanted()
        self._in_a_row = self._in_a_row + 1 if now else 0
        return self._in_a_row >= self.confirm

    def _seen(self, positions: NDArray[np.float64], followed: float) -> float:
        """Where the peak is; NaN if it is not there."""
        if self.peak is None:
            if self.until == "crosses":
                return followed
            return float(positions[0]) if len(positions) else math.nan
        distances = np.abs(positions - self.peak)
        if not len(positions) or distances.min() > self.tolerance:
            return math.nan
        seen = float(positions[distances.argmin()])
        if self.until == "crosses":
            self.peak = seen
        return seen

    def _as_wanted(self) -> bool:
        there = math.isfinite(self.last)
        if self.until == "appears":
            return there
        self._was_there |= there
        return self._was_there and not there

    def _crossed(self) -> bool:
        if not math.isfinite(self.last):
            return False
        side = float(np.sign(self.last - self.position))
        if self._side is None:
            self._side = side
        return side == 0.0 or side != self._side
