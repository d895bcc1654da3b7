"""A copy of the rows of one heat-map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .derived import Stream


@dataclass(frozen=True, eq=False, slots=True)
class Rows:
    """A consistent copy of the rows of one range.

    Attributes
    ----------
    stream
        The stream of the newest row; all rows have its axis and unit.
    intensity
        ``(n, npt)``, the oldest first; NaN in empty bins.
    first
        The position of the oldest row, counted from 1 since the rows were last emptied.
    seq_nums, indices
        ``(n,)`` the number of each frame's raw event, and which of the event's frames it is, from 0.
    seconds
        ``(n,)`` frame times in seconds since the first frame after the rows were emptied.
    carried
        Readings ``(n,)`` by their name.
    runs
        ``(n,)`` the raw run of each, as its place in `run_labels`.
    run_labels
        The raw runs whose frames are among the rows, the oldest first.
    emptied
        How often the rows had been emptied.
    """

    stream: Stream
    intensity: NDArray[np.float64]
    first: int
    seq_nums: NDArray[np.int64]
    indices: NDArray[np.int64]
    seconds: NDArray[np.float64]
    carried: Mapping[str, NDArray[np.float64]]
    runs: NDArray[np.intp]
    run_labels: tuple[str, ...]
    emptied: int
