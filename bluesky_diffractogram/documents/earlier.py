"""Frames that an earlier derived run of the same raw run holds already."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from .messages import OriginOfFrame

logger = logging.getLogger(__name__)

References = tuple[float | int | None, ...]


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

    def has(self, run_uid: str, event_uid: str, index: int) -> bool:
        """Whether the frame `index` of a raw event is there."""
        ...

    def take(self, run_uid: str, event_uid: str, index: int) -> EarlierEvent | None:
        """The event of a frame, once; None where there is none."""
        ...

    def refuse(self, run_uid: str) -> None:
        """What is there of a raw run is not wanted."""
        ...


class TakingOver:
    """What may be taken over of one raw run.

    Nothing, before a frame was computed here and came out as it stands in the earlier run: with that, the
    frames are the same ones, and so are axes and limits.

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

    def has(self, event_uid: str, index: int) -> bool:
        """Whether a frame may be taken over, once one was computed."""
        return self._earlier.has(self._run_uid, event_uid, index)

    def take(self, event_uid: str, index: int) -> EarlierEvent | None:
        """The earlier event of a frame, for the stream `stream`; None where the frame is to be computed."""
        return None if self.stream is None else self._earlier.take(self._run_uid, event_uid, index)

    def count(self) -> None:
        """A frame was taken over."""
        self._earlier.taken += 1

    def compare(self, stream: Hashable, origin: OriginOfFrame, data: Mapping[str, Any]) -> None:
        """Compare an event that was computed for the run's first stream, if nothing has been compared yet."""
        if self.stream is not None or self._refused:
            return
        found = self._earlier.take(self._run_uid, origin.event_uid, origin.frame_index)
        if found is None:
            return
        other = [key for key, value in data.items() if not _same(value, found.data.get(key))]
        if other:
            self._refused = True
            self._earlier.refuse(self._run_uid)
            what = "run %s: nothing is taken over of the earlier derived run: seq_num %s has another %s there"
            logger.warning(what, self._run_uid, origin.seq_num, other[0])
            return
        self.stream = stream


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


def _same(value: Any, stored: Any) -> bool:
    try:
        return np.array_equal(value, as_computed(value, stored), equal_nan=isinstance(value, (float, np.ndarray)))
    except ValueError:
        return False
