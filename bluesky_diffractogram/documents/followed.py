"""The figures of peaks that are followed from event to event, and what the peaks are known by."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..config import DiffractogramConfig
from ..reduction.diffractogram import Peaks
from ..reduction.moved import Moved
from ..reduction.tracking import Measured
from .earlier import Reference, References
from .moving import moved_in

COUNTS = "counts"
SEEN = "seen"
"""1 where a peak that is followed by name was seen, 0 where it is lost and its figures are NaN."""
FOLLOWED_BY = ("position", "height", "fwhm")


def figures(config: DiffractogramConfig) -> dict[str, str]:
    """The figures of a peak that is followed, and their units."""
    unit, counts = config.unit.symbol, COUNTS if config.normalization is None else f"{COUNTS}/{config.normalization}"
    of_peak = {"position": unit, "height": counts, "fwhm": unit, "area": f"{counts} {unit}"}
    fitted = config.peaks is not None and config.peaks.fit is not None
    return of_peak | {f"{name}_error": units for name, units in of_peak.items() if fitted}


def figure(peaks: Peaks, name: str) -> np.ndarray:
    """``(n,)`` one of `figures`."""
    return getattr(peaks, "net_height" if name == "height" else name)


def references_after(before: References, data: Mapping[str, Any]) -> References:
    """What a followed peak of each range is known by, after an event with `data`.

    Where it was last seen, with the geometry there if the data tell it; or, where peaks are followed by name, a digest
    of all that was seen of them.
    """
    moved = moved_in(data)
    return tuple(_reference_after(old, i, data, moved) for i, old in enumerate(before, 1))


def _reference_after(old: Reference, i: int, data: Mapping[str, Any], moved: Moved | None) -> Reference:
    named = [key.removesuffix(SEEN) for key in data if key.startswith(f"peak_{i}_") and key.endswith(f"_{SEEN}")]
    if named:
        values = [data.get(stem + name) for stem in sorted(named) for name in FOLLOWED_BY]
        told = () if moved is None else moved.told().values()
        return hash((old, *(None if value is None or math.isnan(value) else float(value) for value in values), *told))
    position = data.get(f"peak_{i}_position")
    if position is None or math.isnan(position):
        return old
    return float(position) if moved is None else (float(position), moved)


def as_measured(data: Mapping[str, Any], stem: str) -> Measured | None:
    """What the data keys that begin with `stem` say of a peak; None where it was lost."""
    values = [float(data[stem + name]) for name in FOLLOWED_BY]
    return None if math.isnan(values[0]) else Measured(*values)
