"""Peaks that are followed while the geometry moves: where they were, on the axis as it is now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

from ..config.moving import RECORDED
from ..reduction.geometry import Geometry
from ..reduction.moved import Moved
from ..reduction.reducer import Reducer
from ..reduction.shifted import shifted
from ..reduction.tracking import PeakTracker
from .earlier import Reference
from .moving import moved_in, recorded_parameters

KEPT = 64


class MovingPeaks:
    """Knows the geometry of the frames of one stream, and brings what is followed from one to the next.

    Parameters
    ----------
    reducer
        That of the calibration's own geometry.
    """

    def __init__(self, reducer: Reducer) -> None:
        config = reducer.config
        self._reducer = reducer
        self._names = recorded_parameters(config)
        self._shifts = config.geometry is not None and config.geometry.shifts(config.unit)
        self._geometry = reducer.geometry
        self._of = lru_cache(KEPT)(lambda moved: moved.of(reducer.geometry))

    def recorded(self, moved: Moved | None) -> dict[str, float]:
        """What an event tells of the geometry of its frame."""
        if not self._names:
            return {}
        moved = moved or Moved()
        return {RECORDED + name: value for name, value in moved.effective(self._of(moved), self._names).items()}

    def go_on(self, data: Mapping[str, Any], trackers: Sequence[PeakTracker]) -> None:
        """Go on to the geometry that an event's `data` tell, with the peaks that are followed by name."""
        if not self._shifts:
            return
        before, self._geometry = self._geometry, self._told(data)
        if before is self._geometry or not any(tracker.lines for tracker in trackers):
            return
        lines = self._reducer.tracked_in(self._geometry)
        for wanted, tracker, places in zip(self._reducer.ranges, trackers, lines, strict=True):
            tracker.move(places, partial(shifted, wanted=wanted, before=before, after=self._geometry))

    def here(self, seen: Reference, i: int) -> float | None:
        """Where in range `i` a peak is now that was last seen there."""
        if not isinstance(seen, tuple):
            return seen
        position, moved = seen
        if not self._shifts:
            return position
        return shifted(position, self._reducer.ranges[i - 1], self._of(moved), self._geometry)

    def _told(self, data: Mapping[str, Any]) -> Geometry:
        moved = moved_in(data)
        return self._reducer.geometry if moved is None else self._of(moved)
