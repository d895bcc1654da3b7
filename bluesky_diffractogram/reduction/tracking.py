"""Peaks that keep their names from frame to frame: through drift, weakening, and crossings."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from .diffractogram import Peaks
from .tracked_lines import TrackedLine

Array = NDArray[np.float64]

# A peak may be so many of its widths from where it is expected, but at least and at most so many bins.
WIDTHS, LEAST_BINS, MOST_BINS = 1.0, 5.0, 25.0
# For every frame in which it was not seen that grows by so much, up to so many times as much.
GROWS, MOST_GROWN = 0.25, 3.0
# How fast the drift that is expected follows what is seen, and for how many unseen frames it goes on.
DRIFT_GAIN, MOST_COASTED = 0.4, 8
# What the costs of one unit are: a height or a width e times another one. A match that costs more is none.
HEIGHT_COST, WIDTH_COST, MOST_COST = 0.25, 0.5, 4.0
# A peak that was never seen gets one only if no peak that was seen wants it.
NEWCOMER = 2.0
# Two that are expected within so many widths are one peak, if there is but one, and it tells the drift of neither.
MERGED = 0.8


@dataclass(frozen=True, slots=True)
class Measured:
    """What a tracked peak is in one frame, in the units of the diffractogram."""

    position: float
    height: float
    fwhm: float


@dataclass(frozen=True, slots=True)
class _Track:
    """What is known of a peak; all None before it was seen first."""

    last: Measured | None = None
    drift: float = 0.0
    unseen: int = 0

    @property
    def expected(self) -> float:
        """Where it should be in the next frame."""
        assert self.last is not None
        return self.last.position + self.drift * min(self.unseen + 1, MOST_COASTED)


class PeakTracker:
    """Follows the tracked peaks of one range.

    Each is expected where its drift takes it, about as high and as wide as it was. Of all ways to give the peaks of a
    frame to those that are followed it takes the one that fits best as a whole, so that two that cross change their
    places and not their names. One that is not near enough to where it is expected is lost, and found again when it
    comes back; one that was lost is also looked for where it was first expected. Peaks that none of these is are, the
    strongest first, what those follow that may be anywhere and have not followed any yet.

    What it knows depends on nothing but what `follow` gave, or `resume` was told, one frame after the other.

    Parameters
    ----------
    lines
        What is followed.
    step
        Width of a bin, in the radial unit.
    """

    def __init__(self, lines: Sequence[TrackedLine], step: float) -> None:
        self.lines = tuple(lines)
        self._step = abs(step)
        self._tracks = [_Track() for _ in self.lines]

    def move(self, lines: Sequence[TrackedLine], shift: Callable[[float], float]) -> None:
        """Go on in another geometry, where a line that was at a position is at ``shift(position)``.

        Parameters
        ----------
        lines
            The same, and where they are looked for now.
        shift
            Gives what is not finite for a line that is nowhere; its peak begins anew.
        """
        self.lines = tuple(lines)
        self._tracks = [self._moved(track, shift) for track in self._tracks]

    def _moved(self, track: _Track, shift: Callable[[float], float]) -> _Track:
        if track.last is None:
            return track
        position, step = track.last.position, self._step
        here = shift(position)
        stretch = abs(shift(position + step) - here) / step if step else 1.0
        if not (math.isfinite(here) and math.isfinite(stretch)):
            return _Track()
        last = replace(track.last, position=here, fwhm=track.last.fwhm * stretch)
        return replace(track, last=last, drift=track.drift * stretch)

    def follow(self, peaks: Peaks) -> tuple[int | None, ...]:
        """Which of the `peaks` of the next frame each tracked one is, None where it is lost."""
        which: list[int | None] = [None] * len(self.lines)
        free = [k for k, line in enumerate(self.lines) if line.anywhere and self._tracks[k].last is None]
        if len(peaks) and self.lines:
            costs = self._costs(peaks)
            costs[free] = np.inf
            lost = np.full((len(self.lines), len(self.lines)), MOST_COST + 2.0 * NEWCOMER)
            tracks, found = linear_sum_assignment(np.hstack([np.minimum(costs, 1e6), lost]))
            for track, peak in zip(tracks, found, strict=True):
                if peak < len(peaks) and np.isfinite(costs[track, peak]):
                    which[track] = int(peak)
            self._take_from_nameless(which, costs)
            # What has no name follows what is left, be that less than there are places.
            left = [int(peak) for peak in np.argsort(-peaks.net_height, kind="stable") if peak not in which]
            for track, peak in zip(free, left, strict=False):
                which[track] = peak
        self.resume([None if k is None else _measured(peaks, k) for k in which])
        return tuple(which)

    def _take_from_nameless(self, which: list[int | None], costs: Array) -> None:
        """A peak in the window of a name that is looked for there is that, though it was followed without a name."""
        for k, line in enumerate(self.lines):
            if which[k] is not None or not self._in_window(line, self._tracks[k]):
                continue
            held = [
                (costs[k, peak], j)
                for j, peak in enumerate(which)
                if peak is not None and self.lines[j].anywhere and np.isfinite(costs[k, peak])
            ]
            if held:
                _, j = min(held)
                which[k], which[j] = which[j], None

    @staticmethod
    def _in_window(line: TrackedLine, track: _Track) -> bool:
        """Whether a peak that has a name is looked for where it was first expected."""
        return not line.anywhere and (track.last is None or track.unseen > MOST_COASTED)

    def resume(self, frame: Sequence[Measured | None]) -> None:
        """Know what the next frame was, from elsewhere; None for a peak that was lost in it."""
        merged = self._merged(frame)
        found = [
            seen
            for line, track, seen in zip(self.lines, self._tracks, frame, strict=True)
            if seen is not None and self._in_window(line, track)
        ]
        self._tracks = [
            _Track() if self._has_name_now(line, track, seen, found) else self._after(track, seen, together)
            for line, track, seen, together in zip(self.lines, self._tracks, frame, merged, strict=True)
        ]

    def _has_name_now(self, line: TrackedLine, track: _Track, seen: Measured | None, found: Sequence[Measured]) -> bool:
        """Whether what was followed without a name is one of those that were `found` in their windows."""
        if not line.anywhere or seen is not None or track.last is None:
            return False
        near = self._reach(track.last.fwhm)
        return any(abs(each.position - track.expected) < near for each in found)

    def _after(self, track: _Track, seen: Measured | None, merged: bool) -> _Track:
        if seen is None:
            return track if track.last is None else replace(track, unseen=track.unseen + 1)
        if track.last is None:
            return _Track(seen)
        if merged:  # what is seen is both: it goes on as it did
            last = replace(track.last, position=track.last.position + track.drift)
            return _Track(last, track.drift, 0)
        frames = track.unseen + 1
        speed = (seen.position - track.last.position) / frames
        drift = track.drift + DRIFT_GAIN * (speed - track.drift)
        reach = self._reach(seen.fwhm) / 2.0
        return _Track(seen, float(np.clip(drift, -reach, reach)))

    def _merged(self, frame: Sequence[Measured | None]) -> list[bool]:
        """For each peak that was seen, whether another one that was not should have been at the same place."""
        known = [k for k, track in enumerate(self._tracks) if track.last is not None]
        merged = [False] * len(frame)
        for k in known:
            here = frame[k]
            if here is None:
                continue
            near = MERGED * (here.fwhm if here.fwhm > 0.0 else self._step)
            merged[k] = any(
                frame[j] is None
                and self._tracks[j].unseen < MOST_COASTED
                and abs(self._tracks[j].expected - self._tracks[k].expected) < near
                for j in known
                if j != k
            )
        return merged

    def _reach(self, fwhm: float) -> float:
        """How far a peak of that width may be from where it is expected."""
        return float(np.clip(WIDTHS * np.nan_to_num(fwhm), LEAST_BINS * self._step, MOST_BINS * self._step))

    def _costs(self, peaks: Peaks) -> Array:
        """``(tracks, n)`` what it costs to take a peak for a tracked one; infinite where it cannot be."""
        costs = np.full((len(self.lines), len(peaks)), np.inf)
        strength = np.log(np.maximum(peaks.net_height, 1e-300) / max(float(peaks.net_height.max()), 1e-300))
        for k, (line, track) in enumerate(zip(self.lines, self._tracks, strict=True)):
            newcomer = (peaks.position >= line.low) & (peaks.position <= line.high)
            if self._in_window(line, track):
                cost = NEWCOMER - np.maximum(0.1 * strength, -NEWCOMER)  # the strongest in the window
                costs[k] = np.where(newcomer, cost, np.inf)
            if track.last is None:
                continue
            reach = self._reach(track.last.fwhm) * min(1.0 + GROWS * track.unseen, MOST_GROWN)
            away = (peaks.position - track.expected) / reach
            cost = away**2 + HEIGHT_COST * _log_ratio(peaks.net_height, track.last.height) ** 2
            cost += WIDTH_COST * _log_ratio(peaks.fwhm, track.last.fwhm) ** 2
            near = np.abs(away) <= 1.0
            costs[k] = np.minimum(costs[k], np.where(near, np.minimum(cost, MOST_COST), np.inf))
        return costs


def _measured(peaks: Peaks, k: int) -> Measured:
    return Measured(float(peaks.position[k]), float(peaks.net_height[k]), float(peaks.fwhm[k]))


@np.errstate(all="ignore")
def _log_ratio(values: Array, reference: float) -> Array:
    """``(n,)`` log(values / reference), 0 where that is no number."""
    ratio = np.log(values / reference)
    return np.where(np.isfinite(ratio), ratio, 0.0)
