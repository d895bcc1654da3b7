"""The data keys of a derived stream, and the values of one reduction under them."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..config import DiffractogramConfig
from ..config.moving import RECORDED
from ..reduction.diffractogram import Peaks, Reduction
from ..reduction.follow import follow
from ..reduction.moved import UNITS
from ..reduction.reducer import Reducer
from ..reduction.tracking import PeakTracker
from .earlier import EarlierEvent, References, as_computed
from .followed import COUNTS, SEEN, as_measured, figure, figures, references_after
from .messages import Document, OriginOfFrame
from .moved_others import recorded_of_others, told_of_others
from .moving import recorded_parameters
from .moving_peaks import MovingPeaks
from .provenance import inputs_text

logger = logging.getLogger(__name__)

SOURCE = "bluesky-diffractogram"
OBJECT = "diffractogram"
READBACK = "diffractogram_readback"
"""The raw stream in which plans read the results of a point after the point: it has the point's motors again."""


MERGED = "merged_"
"""How the data keys begin that say whether an optional detector, whose data key follows, is in a frame's curves."""


def optional_ones(config: DiffractogramConfig) -> list[str]:
    """The data keys of the optional detectors."""
    return [each.image_key for each in config.merge if each.optional]


def dark_numbers(config: DiffractogramConfig) -> dict[str, tuple[int, str | None]]:
    """The data keys that tell the darks of a run, of the first detector first; the detector's number and data key."""
    if config.dark_of_run is None:
        return {}
    of_others = enumerate(config.merge, 1)
    return {
        "dark_seq_num": (0, config.image_key),
        **{f"dark_seq_num_{each.image_key}": (i, each.image_key) for i, each in of_others if each.dark is None},
    }


def _array(shape: tuple[int, ...], dims: tuple[str, ...], units: str, dtype_numpy: str = "<f8") -> dict[str, Any]:
    return {
        "source": SOURCE, "dtype": "array", "shape": list(shape), "dims": list(dims), "units": units,
        "dtype_numpy": dtype_numpy, "object_name": OBJECT,
    }  # fmt: skip


def _number(units: str = "", dtype: str = "number", dtype_numpy: str = "<f8") -> dict[str, Any]:
    return {
        "source": SOURCE, "dtype": dtype, "shape": [], "units": units, "dtype_numpy": dtype_numpy,
        "object_name": OBJECT,
    }  # fmt: skip


def _text() -> dict[str, Any]:
    return {"source": SOURCE, "dtype": "string", "shape": [], "object_name": OBJECT}


def data_keys(reducer: Reducer, carried: Mapping[str, Document]) -> dict[str, Any]:
    """The data keys of the stream that `reducer` fills.

    Parameters
    ----------
    reducer
        Tells ranges, units and sizes.
    carried
        Raw data keys of the readings that are copied into the events.
    """
    config = reducer.config
    unit = config.unit.symbol
    counts = COUNTS if config.normalization is None else f"{COUNTS}/{config.normalization}"
    keys: dict[str, Any] = {}
    for wanted in reducer.ranges:
        i, npt = wanted.number, wanted.npt
        keys[f"diff_{i}"] = _array((2, npt), ("radial_intensity", f"radial_{i}"), f"{unit}, {counts}")
        if config.error_model is not None:
            keys[f"sigma_{i}"] = _array((npt,), (f"radial_{i}",), counts)
        if config.count:
            keys[f"count_{i}"] = _array((npt,), (f"radial_{i}",), "", "<i8")
        keys[f"radial_range_{i}"] = _array((2,), ("limits",), unit)
        keys[f"azimuth_range_{i}"] = _array((2,), ("limits",), "deg")
        if config.peaks is not None:
            size = (2, config.peaks.max_peaks)
            keys[f"peaks_{i}"] = _array(size, ("position_height", "peak"), f"{unit}, {counts}")
            keys[f"n_peaks_{i}"] = _number(dtype="integer", dtype_numpy="<i8")
            keys[f"peaks_{i}_error"] = _number(unit)
            for name, units in figures(config).items():
                keys[f"peak_{i}_{name}"] = _number(units)
            for line in reducer.tracked[i - 1]:
                for name, units in figures(config).items():
                    keys[f"peak_{i}_{line.name}_{name}"] = _number(units)
                keys[f"peak_{i}_{line.name}_{SEEN}"] = _number(dtype="integer", dtype_numpy="<i8")
        keys[f"mean_{i}"] = _number(counts)
        keys[f"total_{i}"] = _number(COUNTS)
    if reducer.cake is not None and config.cake is not None:
        shape, dims = (config.cake.npt_azim, config.cake.npt_rad), ("cake_azimuthal", "cake_radial")
        keys["cake"] = _array(shape, dims, counts, "<f4")
    for name in recorded_parameters(config):
        keys[RECORDED + name] = _number(UNITS[name])
    for key, (_, name) in recorded_of_others(config).items():
        keys[key] = _number(UNITS[name])
    keys.update(
        imagename=_text(),
        timestamp=_number("s"),
        nrdiffs=_number(dtype="integer", dtype_numpy="<i8"),
        calibration=_text(),
        unit=_text(),
        raw_event=_text(),
        raw_seq_num=_number(dtype="integer", dtype_numpy="<i8"),
        frame_index=_number(dtype="integer", dtype_numpy="<i8"),
        frame_digest=_text(),
    )
    keys |= {name: _number(dtype="integer", dtype_numpy="<i8") for name in dark_numbers(config)}
    for detector in optional_ones(config):
        keys[MERGED + detector] = _number(dtype="integer", dtype_numpy="<i8")
    for name, raw_key in carried.items():
        keys[name] = {**raw_key}
    return keys


def carried_keys(
    descriptor: Mapping[str, Any], wanted: tuple[str, ...] | None, hints: Mapping[str, Any]
) -> dict[str, Document]:
    """The raw data keys of the readings to copy.

    Parameters
    ----------
    descriptor
        The raw stream's.
    wanted
        As configured; None for the fields of the hinted dimensions.
    hints
        Of the raw start document.

    Returns
    -------
    dict
        Of those that `descriptor` has and that are scalars.
    """
    if wanted is None:
        dimensions = hints.get("dimensions") or ()
        streams = descriptor["name"], READBACK
        wanted = tuple(field for fields, stream in dimensions if stream in streams for field in fields)
    raw_keys = descriptor["data_keys"]
    return {
        name: raw_keys[name]
        for name in wanted
        if name in raw_keys and not raw_keys[name].get("shape") and "external" not in raw_keys[name]
    }


def stream_configuration(reducer: Reducer, described: Mapping[str, Any], time: float) -> dict[str, Any]:
    """A derived descriptor's ``configuration``: axis, limits and coverage of every range, unit, all settings.

    The settings may be others than those in the start document, where they were changed in mid-run.

    Parameters
    ----------
    reducer
        Whose stream it is.
    described
        How the numbers are computed (`provenance.provenance`).
    time
        For the timestamps.
    """
    config = reducer.config
    values: dict[str, Any] = {
        "unit": config.unit.name,
        "unit_label": config.unit.label,
        "configuration": described["configuration"],
        "provenance": inputs_text(described),
    }
    keys: dict[str, Any] = {name: _text() for name in values}
    for wanted, axis, coverage in zip(reducer.ranges, reducer.axes, reducer.coverage, strict=True):
        i, symbol = wanted.number, config.unit.symbol
        values |= {
            f"radial_{i}": axis.tolist(),
            f"radial_range_{i}": list(wanted.radial_range),
            f"azimuth_range_{i}": list(wanted.azimuth_range),
            f"npt_{i}": wanted.npt,
            f"coverage_{i}": coverage.tolist(),
        }
        keys |= {
            f"radial_{i}": _array((wanted.npt,), ("radial",), symbol),
            f"radial_range_{i}": _array((2,), ("limits",), symbol),
            f"azimuth_range_{i}": _array((2,), ("limits",), "deg"),
            f"npt_{i}": _number(dtype="integer", dtype_numpy="<i8"),
            f"coverage_{i}": _array((wanted.npt,), ("radial",), "", "<i8"),
        }
    if reducer.cake is not None:
        axes = {
            "radial": (reducer.cake.radial, config.unit.symbol), "azimuthal": (reducer.cake.azimuthal, "deg"),
        }  # fmt: skip
        for name, (axis, units) in axes.items():
            values[f"cake_{name}"] = axis.tolist()
            keys[f"cake_{name}"] = _array(axis.shape, (name,), units)
    return {OBJECT: {"data": values, "timestamps": dict.fromkeys(values, time), "data_keys": keys}}


class EventData:
    """Makes the data of derived events; remembers which peak of each range is which.

    ``peak_i`` is the first of those that are followed by name; where there is none, the one that was the strongest
    when a peak was first seen: it does not jump to another line that becomes stronger.
    """

    def __init__(self, reducer: Reducer) -> None:
        self._reducer = reducer
        self._references: References = (None,) * len(reducer.ranges)
        self._trackers = [
            PeakTracker(lines, _step(axis)) for lines, axis in zip(reducer.tracked, reducer.axes, strict=True)
        ]
        self._figures = tuple(figures(reducer.config))
        self._dark_numbers = dark_numbers(reducer.config)
        self._optional = optional_ones(reducer.config)
        self._of_others = recorded_of_others(reducer.config)
        self._moving = MovingPeaks(reducer)
        self._like: dict[str, Any] = {}

    def data(self, reduction: Reduction, origin: OriginOfFrame) -> dict[str, Any]:
        """The values under `data_keys`, but for what is carried; what is missing is NaN."""
        config = self._reducer.config
        told = self._moving.recorded(reduction.frame.moved)
        self._moving.go_on(told, self._trackers)
        data: dict[str, Any] = {}
        each = zip(self._reducer.ranges, reduction.diffractograms, reduction.peaks, strict=True)
        for wanted, diffractogram, peaks in each:
            i = wanted.number
            data[f"diff_{i}"] = np.stack([diffractogram.radial, diffractogram.intensity])
            if diffractogram.sigma is not None:
                data[f"sigma_{i}"] = diffractogram.sigma
            if config.count:
                data[f"count_{i}"] = diffractogram.count
            data[f"radial_range_{i}"] = np.array(wanted.radial_range)
            data[f"azimuth_range_{i}"] = np.array(wanted.azimuth_range)
            if config.peaks is not None:
                data |= self._peaks(i, peaks, config.peaks.max_peaks, diffractogram.radial)
            filled = np.isfinite(diffractogram.intensity)
            data[f"mean_{i}"] = float(diffractogram.intensity[filled].mean()) if filled.any() else math.nan
            data[f"total_{i}"] = float(diffractogram.signal.sum())
        if reduction.cake is not None:
            data["cake"] = reduction.cake.intensity
        frame = reduction.frame
        data |= told | told_of_others(self._of_others, self._reducer, frame)
        data |= {
            "imagename": frame.imagename,
            "timestamp": frame.timestamp,
            "nrdiffs": len(reduction.diffractograms),
            "calibration": config.calibration,
            "unit": config.unit.name,
            "raw_event": origin.event_uid,
            "raw_seq_num": origin.seq_num,
            "frame_index": origin.frame_index,
            "frame_digest": frame.digest,
        }
        lacking = {key for key, _ in frame.lacks}
        for name, (place, key) in self._dark_numbers.items():
            data[name] = 0 if frame.dark is None or key in lacking else frame.dark.numbers[place]
        data |= {MERGED + detector: int(detector not in lacking) for detector in self._optional}
        self._references = references_after(self._references, data)
        self._like = data
        return data

    def again(self, earlier: EarlierEvent, origin: OriginOfFrame) -> dict[str, Any] | None:
        """The same out of an earlier derived run, after at least one `data`.

        None if other peaks were followed there, so that the frame would not give the same now, or if what was stored
        is no such event.
        """
        if self._reducer.config.peaks is not None and earlier.references != self._references:
            return None
        try:
            data = {key: as_computed(like, earlier.data[key]) for key, like in self._like.items()}
            self._moving.go_on(data, self._trackers)
        except (KeyError, ValueError) as error:
            logger.warning("an event of the earlier derived run is not taken over: %s", error)
            return None
        data |= {"raw_event": origin.event_uid, "raw_seq_num": origin.seq_num, "frame_index": origin.frame_index}
        self._references = references_after(self._references, data)
        for i, tracker in enumerate(self._trackers, 1):
            tracker.resume([as_measured(data, f"peak_{i}_{line.name}_") for line in tracker.lines])
        return data

    def _peaks(self, i: int, peaks: Peaks, most: int, radial: np.ndarray) -> dict[str, Any]:
        listed = np.full((2, most), np.nan)
        n = min(len(peaks), most)
        listed[0, :n], listed[1, :n] = peaks.position[:n], peaks.height[:n]
        tracker = self._trackers[i - 1]
        named = tracker.follow(peaks)
        which = named[0] if named else follow(self._moving.here(self._references[i - 1], i), peaks, _step(radial))[0]
        data = {
            f"peaks_{i}": listed,
            f"n_peaks_{i}": n,
            f"peaks_{i}_error": float(np.max(peaks.position_error)) if n else math.nan,
            **self._figures_of(f"peak_{i}_", peaks, which),
        }
        for line, k in zip(tracker.lines, named, strict=True):
            data |= self._figures_of(f"peak_{i}_{line.name}_", peaks, k)
            seen = f"peak_{i}_{line.name}_{SEEN}"
            data[seen] = int(k is not None)
            if k is None and self._like.get(seen) == 1:
                logger.info("range %d: the peak %s is lost", i, line.name)
        return data

    def _figures_of(self, stem: str, peaks: Peaks, which: int | None) -> dict[str, float]:
        return {stem + name: math.nan if which is None else float(figure(peaks, name)[which]) for name in self._figures}


def _step(radial: np.ndarray) -> float:
    return float(radial[1] - radial[0]) if len(radial) > 1 else 0.0
