"""Arcs of azimuths, in degrees, modulo 360."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Azimuths closer than this, in degrees, are the same one: far below any pixel, far above float rounding.
_SAME = 1e-9


@dataclass(frozen=True, slots=True)
class Arc:
    """An arc of azimuths (pyFAI's χ), running in the positive direction from `start` over `span`.

    Attributes
    ----------
    start
        Where it begins, in degrees, in [-180, 180); the full ring begins at -180.
    span
        How far it goes, in degrees, over 0 and up to 360.
    end
        ``start + span``, in degrees, beyond 180 when the arc crosses the discontinuity there. Kept apart
        from the sum so that a number that a user wrote comes back without rounding.

    Raises
    ------
    ValueError
        `start` or `span` is out of bounds.
    """

    start: float
    span: float
    end: float = field(default=math.nan, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not -180 <= self.start < 180:
            raise ValueError(f"an arc starts in [-180, 180), not at {self.start}")
        if not 0 < self.span <= 360:
            raise ValueError(f"an arc spans more than 0 and at most 360 degrees, not {self.span}")
        if self.full and self.start != -180:
            raise ValueError(f"the full ring starts at -180, not at {self.start}")
        if math.isnan(self.end):
            object.__setattr__(self, "end", self.start + self.span)

    @staticmethod
    def between(start: float, end: float) -> Arc:
        """The arc from `start` in the positive direction to `end`, degrees modulo 360.

        Raises
        ------
        ValueError
            `start` and `end` are the same azimuth, unless `end` is ahead of `start` by full turns.
        """
        forward = end - start
        if forward >= 360 - _SAME:
            return FULL_RING
        span = forward if forward > 0 else forward % 360
        if min(span, 360 - span) < _SAME:
            raise ValueError("both ends are the same azimuth; for the full ring write -180, 180 or null, null")
        turns = math.floor((start + 180) / 360)
        # The sum above may have rounded to the wrong turn, of a start within 1e-13 of the seam.
        turns += (start - 360 * turns >= 180) - (start - 360 * turns < -180)
        first = max(start - 360 * turns, -180.0)
        last = end - 360 * turns
        if last <= first:
            last += 360 * (math.floor((first - last) / 360) + 1)
        return Arc(float(first), float(last - first), float(last))

    @property
    def full(self) -> bool:
        """Whether this is the full ring."""
        return self.span >= 360

    def parts(self) -> tuple[tuple[float, float], ...]:
        """The arc as ``(low, high)`` pairs within [-180, 180]: two when it goes on beyond 180, else one."""
        if self.end <= 180 + _SAME:
            return ((self.start, min(self.end, 180.0)),)
        return ((self.start, 180.0), (-180.0, self.end - 360))

    @property
    def wrapped(self) -> bool:
        """Whether it goes on beyond 180°, where pyFAI would cut it."""
        return len(self.parts()) > 1

    def contains(self, chi_deg: ArrayLike) -> NDArray[np.bool_]:
        """Which azimuths are on the arc, its two ends included.

        Parameters
        ----------
        chi_deg
            Azimuths in degrees, of any shape and in any turn. NaN is on no arc.
        """
        chi = np.asarray(chi_deg, dtype=np.float64)
        # Azimuths within one turn are left as they are: a subtraction would round the ends off the arc.
        outside = (chi < -180) | (chi >= 180)
        chi = np.where(outside, (chi + 180) % 360 - 180, chi)
        inside = np.zeros(chi.shape, dtype=bool)
        for low, high in self.parts():
            inside |= (chi >= low) & (chi <= high)
        if self.end >= 180:
            inside |= chi == -180
        return inside

    def samples(self, n: int) -> NDArray[np.float64]:
        """``(n,)`` azimuths in degrees, the middles of `n` equal pieces of the arc, ascending from `start`.

        Middles, so that their mean is a mean over the arc: no end counts double, on the full ring neither.
        They go on beyond 180 where the arc does.
        """
        return self.start + self.span * (np.arange(n) + 0.5) / n


FULL_RING = Arc(-180.0, 360.0)
