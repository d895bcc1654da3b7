"""Ranges: an arc of azimuths with limits on the radial axis, and the rules for writing them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from .arc import FULL_RING, Arc
from .errors import ConfigError
from .values import as_real

logger = logging.getLogger(__name__)

ALLOWED_RANGE = (
    "[azimuth start, azimuth end, radial start, radial end], each a number or null; or null for the whole detector"
)


@dataclass(frozen=True, slots=True)
class DiffractogramRange:
    """What one diffractogram is integrated over.

    Attributes
    ----------
    number
        Which range, from 1.
    arc
        The azimuths.
    radial_min, radial_max
        Limits in the configuration's ``range_unit``, `radial_min` below `radial_max`; None is the detector's
        own limit on that side.
    azimuth_given
        False where no azimuth was written, so that the arc is the full ring for want of another.
    """

    number: int
    arc: Arc = FULL_RING
    radial_min: float | None = None
    radial_max: float | None = None
    azimuth_given: bool = False


def four_entries(entry: Any, number: int) -> tuple[float | None, float | None, float | None, float | None] | None:
    """The entry of range `number` as four numbers or Nones; None, the whole detector, for None.

    Raises
    ------
    ConfigError
        It is not a list of four, or an entry is neither null nor a finite number.
    """
    if entry is None:
        return None
    key = f"diff_ranges[{number - 1}]"
    if isinstance(entry, np.ndarray):
        entry = entry.tolist()
    if not isinstance(entry, Sequence) or isinstance(entry, str):
        raise ConfigError(key, entry, ALLOWED_RANGE, f"range {number} is not a list of four")
    if len(entry) != 4:
        raise ConfigError(key, entry, ALLOWED_RANGE, f"range {number} has {_counted(len(entry))}, not four")
    numbers = [None if part is None else as_real(part) for part in entry]
    for part, kept in zip(entry, numbers, strict=True):
        if kept is None and part is not None:
            reason = f"{part!r} in range {number} is neither a finite number nor null"
            raise ConfigError(key, entry, ALLOWED_RANGE, reason)
    # An integer stays one, so that what was written comes back as it was.
    a, b, c, d = (int(part) if isinstance(part, Integral) else kept for part, kept in zip(entry, numbers, strict=True))
    return a, b, c, d


def _counted(n: int) -> str:
    return {0: "no entries", 1: "one entry"}.get(n, f"{n} entries")


def parse_range(entry: Sequence[float | None] | None, number: int) -> DiffractogramRange:
    """Range `number` out of the four entries that a user writes.

    An arc of more than 180 degrees written backwards and reversed radial limits are taken, with a warning.

    Parameters
    ----------
    entry
        ``[azimuth start, azimuth end, radial start, radial end]``, azimuths in degrees, radial limits in the
        configuration's ``range_unit``; null is 0 for the first and 360 for the second azimuth if only one is
        null, else no limit. None is the whole detector.
    number
        Which range, from 1; for messages, which count list positions from 0.

    Raises
    ------
    ConfigError
        There are not four entries, one is no finite number, or the two azimuths or radial limits are equal.
    """
    four = four_entries(entry, number)
    if four is None:
        return DiffractogramRange(number)
    entry = list(four)  # as it is shown in messages
    start, end, low, high = four
    key = f"diff_ranges[{number - 1}]"
    arc, azimuth_given = FULL_RING, not (start is None and end is None)
    if azimuth_given:
        start, end = 0.0 if start is None else start, 360.0 if end is None else end
        try:
            arc = Arc.between(start, end)
        except ValueError as error:
            raise ConfigError(
                key,
                entry,
                "two different azimuths",
                f"the azimuths {start:g} and {end:g} of range {number}: {error}",
            ) from None
        if end < start and arc.span > 180:
            logger.warning(
                "%s: range %d runs from %g in the positive direction to %g, an arc of %g degrees; "
                "the arc of %g degrees between them is [%g, %g]",
                key,
                number,
                start,
                end,
                arc.span,
                360 - arc.span,
                arc.end - 360,
                arc.start,
            )
    if low is not None and high is not None:
        if low == high:
            raise ConfigError(
                key,
                entry,
                "two different radial limits, or null for the detector's own",
                f"both radial limits of range {number} are {low:g}",
            )
        if low > high:
            logger.warning("%s: the radial limits of range %d, %g and %g, are swapped", key, number, low, high)
            low, high = high, low
    low, high = (None if limit is None else float(limit) for limit in (low, high))
    return DiffractogramRange(number, arc, low, high, azimuth_given)
