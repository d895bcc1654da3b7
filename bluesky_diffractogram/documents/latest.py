"""The latest reduction with all that belongs to it."""

from __future__ import annotations

from dataclasses import dataclass

from ..reduction.diffractogram import Reduction
from ..reduction.reducer import Reducer
from .messages import OriginOfFrame


@dataclass(frozen=True, eq=False, slots=True)
class LatestReduction:
    """A reduction, and where its frame came from.

    Attributes
    ----------
    reduction, reducer
        What was computed, and with what.
    run_uid, origin
        The raw run, and which frame of it.
    """

    reduction: Reduction
    reducer: Reducer
    run_uid: str
    origin: OriginOfFrame
