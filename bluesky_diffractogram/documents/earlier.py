"""Frames that an earlier derived run of the same raw run holds already."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..reduction.moved import Moved
from .messages import OriginOfFrame

logger = logging.getLogger(__name__)

Reference = float | int | tuple[float, Moved] | None
References = tuple[Reference, ...]
Digest = Callable[[], str]
"""What a frame is known by now (`digests.frame_digest`), asked for where the frame is there at all."""

MOST_IN_VAIN = 8


@dataclass(frozen=True, eq=False, slots=True)
class EarlierEvent:
    """An event of an earlier derived run.

    Attributes
    ----------
    data
        As it was stored.
    references
        What the followed peaks of each range were known by before it (`derived_keys.references_after`).
    """

    data: Mapping[str, Any]
    references: References


class Earlier(Protocol):
    """The first streams of earlier derived runs that were computed under the same configuration.

    Attributes
    ----------
    taken
        How many frames were taken over.
    """

    taken: int

    def has(self, run_uid: str, event_uid: str, index: int, digest: Digest) -> bool:
        """Whether the frame `index` of a raw event is there, as it is now."""
        ...

    def take(self, run_uid: str, event_uid: str, index: int, digest: Digest) -> EarlierEvent | None:
        """The event of a frame as it is now, once; None where there is none."""
        ...

    def refuse(self, run_uid: str) -> None:
        """What is there of a raw run is not wanted."""
        ...


class TakingOver:
    """What may be taken over of one raw run: frames whose files, or pixels, are what they were.

    Nothing, before one of them was computed here and came out as it stands in the earlier run: with that, axes and
    limits are the same.

    Parameters
    ----------
    run_uid
        The raw run.
    earlier
        What there is.
    """

    def __init__(self, run_uid: str, earlier: Earlier) -> None:
        self._run_uid, self._earlier = run_uid, earlier
        self.stream: Hashable = None
        self._refused = False
        self._in_vain = 0

    def has(self, event_uid: str, index: int, digest: Digest) -> bool:
        """Whether a frame may be taken over, once one was computed."""
        return self._earlier.has(self._run_uid, event_uid, index, digest)

    def take(self, event_uid: str, index: int, digest: Digest) -> EarlierEvent | None:
        """The earlier event of a frame, for the stream `stream`; None where the frame is to be computed."""
        return None if self.stream is None else self._earlier.take(self._run_uid, event_uid, index, digest)

    def count(self) -> None:
        """A frame was taken over."""
        self._earlier.taken += 1
        self._in_vain = 0

    def not_wanted(self) -> None:
        """What was taken is not the same now, for what was followed before it; after several no more is tried."""
        self._in_vain += 1
        if self._in_vain >= MOST_IN_VAIN:
            self._refuse("other peaks are followed there")

    def compare(self, stream: Hashable, origin: OriginOfFrame, data: Mapping[str, Any]) -> None:
        """Compare an event that was computed for the run's first stream, if nothing has been compared yet."""
        if self.stream is not None or self._refused:
            return
        digest = str(data["frame_digest"])
        found = self._earlier.take(self._run_uid, origin.event_uid, origin.frame_index, lambda: digest)
        if found is None:
            return
        other = [key for key, value in data.items() if not same_value(value, found.data.get(key))]
        if other:
            self._refuse(f"seq_num {origin.seq_num} has another {other[0]} there")
            return
        self.stream = stream

    def _refuse(self, why: str) -> None:
        self._refused = True
        self._earlier.refuse(self._run_uid)
        logger.warning("run %s: no more is taken over of the earlier derived run: %s", self._run_uid, why)


def as_computed(like: Any, stored: Any) -> Any:
    """A stored value of an event as it was computed: arrays float64, NaN where JSON has null.

    Parameters
    ----------
    like
        What the same data key was in another event.
    stored
        The value.

    Raises
    ------
    ValueError
        It is of another kind or shape.
    """
    try:
        if isinstance(like, np.ndarray):
            array = np.array(stored, dtype=np.float64)
            if array.shape != like.shape:
                raise ValueError(f"shape {array.shape}, expected {like.shape}")
            return array
        if isinstance(like, float):
            return float("nan") if stored is None else float(stored)
        if isinstance(like, type(stored)):
            return stored
    except TypeError as error:
        raise ValueError(str(error)) from error
    raise ValueError(f"{type(stored).__name__}, expected {type(like).__name__}")


def same_value(value: Any, stored: Any) -> bool:
    """Whether a stored value of an event is the one that was computed, NaN like NaN, and null too."""
    try:
        return np.array_equal(value, as_computed(value, stored), equal_nan=isinstance(value, (float, np.ndarray)))
    except ValueError:
        return False
