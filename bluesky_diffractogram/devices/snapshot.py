"""What devices read of a reduced frame: the scalars of its derived event, all of one frame."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from ophyd import Component, Device, Kind
from ophyd.utils import ReadOnlyError

from ..config import DiffractogramConfig
from ..documents.derived_keys import COUNTS
from ..documents.followed import SEEN
from ..documents.results import tool_results
from ..reduction.diffractogram import Reduction
from ..reduction.reducer import Reducer
from .mirror import MirrorSignal

NO_PEAKS = np.full((2, 0), np.nan)


def scalars(i: int) -> tuple[str, ...]:
    """The names of the numbers of range `i`, which are those of derived events."""
    of_peak = (f"peak_{i}_{name}" for name in ("position", "height", "fwhm", "area"))
    return (*of_peak, f"mean_{i}", f"total_{i}", f"n_peaks_{i}", f"peaks_{i}_error")


COMMON: Mapping[str, Any] = {"unit": "", "raw_uid": "", "raw_event": "", "raw_seq_num": 0, "frame_index": 0, "valid": 0}
"""What is the same for all ranges, and what it is where there is no result."""

_INTEGERS = ("raw_seq_num", "frame_index", "valid")


@dataclass(frozen=True, eq=False, slots=True)
class Snapshot:
    """The results of one frame, or of none.

    Attributes
    ----------
    values
        By the name of the signal; see `scalars` and `COMMON`. ``peaks_i`` is ``(2, max_peaks)``, positions and heights,
        NaN where there are no more; ``(2, 0)`` where there is no result. All that the event says of peaks with names
        is there as well.
    timestamp
        When the frame was taken; when it was found out that there is none. In seconds since the epoch.
    reduced
        What was computed, and with what; None where there is no result.
    """

    values: Mapping[str, Any]
    timestamp: float
    reduced: tuple[Reduction, Reducer] | None = None

    @property
    def results(self) -> dict[str, Any]:
        """lavue's dictionary of the same frame, made anew each time; empty where there is no result."""
        return {} if self.reduced is None else tool_results(*self.reduced)

    @property
    def valid(self) -> bool:
        """Whether there is a result."""
        return bool(self.values["valid"])

    @staticmethod
    def none(ranges: int, timestamp: float) -> Snapshot:
        """No result: NaN for every number."""
        return Snapshot({**_missing(ranges), **COMMON}, timestamp)

    @staticmethod
    def of(
        ranges: int, data: Mapping[str, Any], raw_uid: str, reduced: tuple[Reduction, Reducer] | None = None
    ) -> Snapshot:
        """The scalars in the data of a derived event; NaN for ranges and peaks that it has not.

        Parameters
        ----------
        ranges
            How many are wanted.
        data
            Of a derived event.
        raw_uid
            Of the run that brought the frame.
        reduced
            The reduction that they are of, and its reducer.
        """
        missing = _missing(ranges)
        values: dict[str, Any] = {name: data.get(name, nothing) for name, nothing in missing.items()}
        values |= {f"n_peaks_{i}": float(values[f"n_peaks_{i}"]) for i in range(1, ranges + 1)}
        values |= {name: data.get(name, nothing) for name, nothing in COMMON.items()}
        values |= {"raw_uid": raw_uid, "valid": 1}
        values |= {name: value for name, value in data.items() if name.startswith("peak_") and name not in values}
        return Snapshot(values, float(data["timestamp"]), reduced)


def _missing(ranges: int) -> dict[str, Any]:
    missing: dict[str, Any] = {name: math.nan for i in range(1, ranges + 1) for name in scalars(i)}
    missing |= {f"peaks_{i}": NO_PEAKS for i in range(1, ranges + 1)}
    return missing


class ResultSignal(MirrorSignal):
    """One of the results; the reduction writes it, nobody else."""

    def put(self, value: Any, **kwargs: Any) -> None:
        """Refused."""
        raise ReadOnlyError(f"{self.name} is a result")

    def set(self, value: Any, **kwargs: Any) -> Any:
        """Refused."""
        raise ReadOnlyError(f"{self.name} is a result")

    def value_now(self) -> Any:
        """That of the latest frame."""
        return self.value_in(self.parent.snapshot)

    @property
    def timestamp(self) -> float:
        """Of the latest frame, in seconds since the epoch."""
        return self.parent.snapshot.timestamp

    def value_in(self, snapshot: Snapshot) -> Any:
        """That of the frame of `snapshot`."""
        return snapshot.values[self.attr_name]

    def describe(self) -> dict[str, Any]:
        """The data key, with the unit of the configuration in force."""
        key = data_key(self.attr_name, self.parent.config, self.value_now())
        return {self.name: {"source": f"SIM:{self.name}", **key}}


def data_key(name: str, config: DiffractogramConfig, value: Any) -> dict[str, Any]:
    """Type, shape and units of a result."""
    if isinstance(value, np.ndarray):
        return {"dtype": "array", "dtype_numpy": "<f8", "shape": list(peaks_shape(config))}
    if isinstance(value, str):
        return {"dtype": "string", "shape": []}
    if name in _INTEGERS or name.endswith(f"_{SEEN}"):
        return {"dtype": "integer", "dtype_numpy": "<i8", "shape": []}
    return {"dtype": "number", "dtype_numpy": "<f8", "shape": [], "units": units(name, config)}


def units(name: str, config: DiffractogramConfig) -> str:
    """The units of one of `scalars`, or of a figure of a peak with a name, as in the derived run."""
    symbol = config.unit.symbol
    if name.startswith("peak_"):
        name = name.removesuffix("_error")  # which is in the unit of what it is the error of
    counts = COUNTS if config.normalization is None else f"{COUNTS}/{config.normalization}"
    if name.endswith("_area"):
        return f"{counts} {symbol}"
    if name.endswith(("_position", "_fwhm", "_error")):
        return symbol
    if name.startswith("total_"):
        return COUNTS
    return "" if name.startswith("n_peaks_") else counts


def peaks_shape(config: DiffractogramConfig) -> tuple[int, int]:
    """The shape of all peaks of a range, as in derived events."""
    return 2, 0 if config.peaks is None else config.peaks.max_peaks


class PeaksSignal(ResultSignal):
    """All peaks of a range; where there is no result as many NaN."""

    def value_in(self, snapshot: Snapshot) -> Any:
        """``(2, max_peaks)`` positions and heights, as described."""
        peaks = snapshot.values[self.attr_name]
        return peaks if peaks.shape[1] else np.full(peaks_shape(self.parent.config), np.nan)


class ResultsSignal(ResultSignal):
    """lavue's dictionary of the latest frame, as JSON; made when it is asked for."""

    def value_in(self, snapshot: Snapshot) -> str:
        """The JSON text; of an empty dictionary where there is no result."""
        return json.dumps(snapshot.results)


def result_components(ranges: int, common: Collection[str] = tuple(COMMON)) -> dict[str, Component]:
    """A component for every result of so many ranges, and for those of `COMMON` that are wanted, by attribute."""
    components: dict[str, Component] = {}
    for i in range(1, ranges + 1):
        for name in scalars(i):
            components[name] = Component(ResultSignal, value=math.nan, kind=Kind.normal)
        components[f"peaks_{i}"] = Component(PeaksSignal, value=NO_PEAKS, kind=Kind.omitted)
    for name in common:
        components[name] = Component(ResultSignal, value=COMMON[name], kind=Kind.normal)
    components["results"] = Component(ResultsSignal, value="{}", kind=Kind.omitted)
    return components


class SnapshotDevice(Device):
    """A device whose results are all of one frame, whenever it is read.

    Attributes
    ----------
    snapshot : Snapshot
        The latest results, which the signals have.
    latched : Snapshot or None
        What a reading gives instead.
    ranges : int
        How many ranges are read.
    """

    snapshot: Snapshot
    latched: Snapshot | None = None
    ranges: int
    _hinted: frozenset[str] = frozenset()

    @property
    def config(self) -> DiffractogramConfig:
        """The configuration in force."""
        raise NotImplementedError

    def hint(self) -> None:
        """Hint the results that the configuration names, else the peak positions of ranges 1 and 2.

        What was hinted for this reason before is no more; what is of another kind for another reason stays.
        """
        named = frozenset(self.config.hinted or (f"peak_{i}_position" for i in (1, 2)))
        wanted = named & frozenset(self.component_names)
        for name in sorted(wanted ^ self._hinted):
            signal = getattr(self, name) if name in wanted else self._signals[name]
            if isinstance(signal, ResultSignal):
                signal.kind = Kind.hinted if name in wanted else Kind.normal
        self._hinted = wanted

    def take(self, snapshot: Snapshot) -> None:
        """Have `snapshot` as the latest, and tell those who monitor signals."""
        self.snapshot = snapshot
        for signal in tuple(self._signals.values()):
            if isinstance(signal, ResultSignal) and signal.heard:
                signal.announce(signal.value_in(snapshot), snapshot.timestamp)

    def read(self) -> dict[str, Any]:
        """The readings of all signals that are not omitted, those of results out of one snapshot."""
        latched = self.latched
        snapshot = self.snapshot if latched is None else latched
        readings: dict[str, Any] = {}
        for _, signal in self._get_components_of_kind(Kind.normal):
            if isinstance(signal, ResultSignal):
                readings[signal.name] = {"value": signal.value_in(snapshot), "timestamp": snapshot.timestamp}
            else:
                readings.update(signal.read())
        return readings
