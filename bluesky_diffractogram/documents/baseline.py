"""The baseline of a run: what is read before it and after it, beside its frames."""

from __future__ import annotations

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
        if not isinstance(event.get("time"), Real):
            return
        self._read.append((float(event["time"]), readings_of(descriptor, event)))
        self._read = sorted(self._read, key=lambda each: each[0])[-MOST_EVENTS:]
        self._until = list(accumulate((readings for _, readings in self._read), operator.or_))

    def before(self, event: Document) -> Mapping[str, Reading]:
        """The latest readings before an event; those that come first where its clock is behind."""
        if not self._read or not isinstance(event.get("time"), Real):
            return {}
        earlier = bisect_right(self._read, float(event["time"]), key=lambda each: each[0])
        return self._until[max(earlier - 1, 0)]
