"""The baseline of a run: what is read before it and after it, beside its frames."""

from __future__ import annotations

import math
import operator
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from numbers import Real

from .messages import Document, Reading
from .readings import readings_of

BASELINE = "baseline"
"""The stream into which bluesky's SupplementalData reads devices before a run and after it."""

MOST_EVENTS = 1000


@dataclass
class Baseline:
    """The readings of one run's baseline, by when they were made.

    It is gone by times and not by the order of documents, as stores may give the events of a stream all at once.
    """

    _read: list[tuple[float, dict[str, Reading]]] = field(default_factory=list)
    _until: list[dict[str, Reading]] = field(default_factory=list)

    def event(self, descriptor: Document, event: Document) -> None:
        """Take an event of the baseline; what is configured there counts as well."""
        when = _when(event)
        if when is None:
            return
        in_order = not self._read or when >= self._read[-1][0]
        self._read.append((when, readings_of(descriptor, event)))
        if in_order:  # as nearly always: what was known before stays
            self._until.append((self._until[-1] if self._until else {}) | self._read[-1][1])
        else:
            self._read.sort(key=lambda each: each[0])
            self._until = list(accumulate((readings for _, readings in self._read), operator.or_))
        del self._read[:-MOST_EVENTS], self._until[:-MOST_EVENTS]

    def before(self, event: Document) -> Mapping[str, Reading]:
        """The latest readings before an event; those that come first where its clock is behind."""
        when = _when(event)
        if not self._read or when is None:
            return {}
        earlier = bisect_right(self._read, when, key=lambda each: each[0])
        return self._until[max(earlier - 1, 0)]


def _when(event: Document) -> float | None:
    """The time of an event, if that is one."""
    time = event.get("time")
    try:
        when = float(time) if isinstance(time, Real) else math.nan
    except OverflowError:
        return None
    return None if math.isnan(when) else when
