"""Derived documents as xarray data sets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..config import parse_unit
from ..documents.derived_keys import OBJECT
from ..documents.derived_run import PURPOSE
from ..documents.provenance import provenance_of
from ..reduction.buffer_snapshot import utc
from .errors import ReplayError
from .values import column, plain

if TYPE_CHECKING:
    from xarray import Dataset

Document = Mapping[str, Any]
Key = tuple[str, str]

# Of an event's data these are the same in all, and become attributes.
_CONSTANT = re.compile(r"(radial_range|azimuth_range)_\d+|nrdiffs|calibration|unit|timestamp|raw_seq_num|frame_index")
_OURS = ("time", "seq_num", "frame_index", "frame", "peak")


@dataclass
class _Stream:
    """One derived stream: its descriptor, and its rows by seq_num, of which a rewind replaces one."""

    start: Document
    descriptor: Document
    rows: dict[int, tuple[float, dict[str, Any]]] = field(default_factory=dict)


class DerivedRows:
    """Collects the events of derived runs, called with their documents like any subscriber.

    What it holds is what the data sets will: an axis once, and of each frame its intensities.
    """

    def __init__(self) -> None:
        self._starts: dict[str, Document] = {}
        self._streams: dict[str, _Stream] = {}
        self._stops: dict[str, Document] = {}

    def __call__(self, name: str, doc: Document) -> None:
        """Take one document; those of other runs are passed over."""
        if name == "start" and doc.get("purpose") == PURPOSE:
            self._starts[doc["uid"]] = doc
        elif name == "descriptor" and doc["run_start"] in self._starts and OBJECT in doc["configuration"]:
            self._streams[doc["uid"]] = _Stream(self._starts[doc["run_start"]], doc)
        elif name == "event" and doc["descriptor"] in self._streams:
            self._event(doc)
        elif name == "event_page" and doc["descriptor"] in self._streams:
            from event_model import unpack_event_page

            for event in unpack_event_page(doc):  # type: ignore[arg-type]
                self._event(event)
        elif name == "stop":
            self._stops[doc["run_start"]] = doc

    def _event(self, doc: Document) -> None:
        data = dict(doc["data"])
        for key in [key for key in data if re.fullmatch(r"diff_\d+", key)]:
            data[key] = np.array(data[key][1], dtype=np.float64)
        if "cake" in data:  # of a store it may be lists, which take eight times as much memory
            data["cake"] = np.asarray(data["cake"], dtype=np.float32)
        self._streams[doc["descriptor"]].rows[doc["seq_num"]] = (doc["time"], data)

    def datasets(self) -> dict[Key, Dataset]:
        """A data set for each derived stream that holds frames, by raw uid and name of the stream."""
        return {
            (stream.start["raw_uid"], stream.descriptor["name"]): _dataset(stream, self._stops.get(stream.start["uid"]))
            for stream in self._streams.values()
            if stream.rows
        }


def pick(datasets: Mapping[Key, Dataset], run: str | None, stream: str | None) -> Dataset:
    """The one data set that is meant.

    Parameters
    ----------
    datasets
        As `DerivedRows.datasets` gives them.
    run
        The raw run's uid, or how it begins; None where there is one run only.
    stream
        The name of the derived stream; None where the run has one only.

    Raises
    ------
    ReplayError
        There is none.
    ValueError
        There are several.
    """
    found = {
        key: each
        for key, each in datasets.items()
        if (run is None or key[0].startswith(run)) and (stream is None or key[1] == stream)
    }
    if len(found) == 1:
        return next(iter(found.values()))
    there = ", ".join(f"run={uid!r}, stream={name!r}" for uid, name in datasets)
    if not found:
        raise ReplayError(f"there is no such data set; there are: {there or 'none, as no frame was reduced'}")
    raise ValueError(f"there are several data sets, give one of: {there}")


def _dataset(stream: _Stream, stop: Document | None) -> Dataset:
    from xarray import Dataset  # takes half a second to import

    start, descriptor = stream.start, stream.descriptor
    settings, keys = descriptor["configuration"][OBJECT]["data"], descriptor["data_keys"]
    rows = [row for _, row in sorted(stream.rows.items())]
    data = {key: [row[1].get(key) for row in rows] for key in keys if key != "cake"}
    ours = [key for key in keys if keys[key].get("object_name") == OBJECT]
    carried = {carried_name(key): key for key in keys if key not in ours}
    dim = _frame_dimension(start, carried)

    coords: dict[str, Any] = {
        new: (dim, column(data[key], keys[key]), _units(keys[key])) for new, key in carried.items()
    }
    coords["time"] = (dim, utc(np.array([time for time, _ in rows], dtype=np.float64)))
    coords["seq_num"] = (dim, column(data["raw_seq_num"], keys["raw_seq_num"]), {"long_name": "seq_num of the raw run"})
    coords["frame_index"] = (dim, column(data["frame_index"], keys["frame_index"]))
    variables: dict[str, Any] = {}
    for key in ours:
        if key == "cake":
            azimuthal = np.array(settings["cake_azimuthal"], dtype=np.float64)
            coords["cake_azimuthal"] = ("cake_azimuthal", azimuthal, {"units": "deg", "long_name": "azimuth [deg]"})
            coords["cake_radial"] = _axis(settings, "cake_radial")
            dims = (dim, "cake_azimuthal", "cake_radial")
            variables[key] = (dims, _cakes([row for _, row in rows]), _units(keys[key]))
            continue
        match = re.fullmatch(r"(diff|sigma|count|peaks)_(\d+)", key)
        if match is None:
            if not _CONSTANT.fullmatch(key):
                variables[key] = (dim, column(data[key], keys[key]), _units(keys[key]))
            continue
        kind, i = match.groups()
        if kind == "peaks":
            position, height = keys[key]["units"].split(", ")
            peaks = np.array(data[key], dtype=np.float64)
            variables[f"{key}_position"] = ((dim, "peak"), peaks[:, 0], {"units": position})
            variables[f"{key}_height"] = ((dim, "peak"), peaks[:, 1], {"units": height})
            continue
        units = keys[key]["units"].split(", ")[-1]
        coords.setdefault(f"radial_{i}", _axis(settings, f"radial_{i}"))
        attrs = {"units": units, **_limits(settings, i)}
        variables[key] = ((dim, f"radial_{i}"), np.array(data[key], dtype=keys[key]["dtype_numpy"]), attrs)
    return Dataset(variables, coords, _attributes(start, descriptor, settings, stop))


def _cakes(rows: Sequence[dict[str, Any]]) -> NDArray[np.float32]:
    """``(n, npt_azim, npt_rad)`` cakes of the `rows`, which then hold parts of it: none is in memory twice."""
    together = np.empty((len(rows), *np.shape(rows[0]["cake"])), dtype=np.float32)
    for n, row in enumerate(rows):
        together[n] = row["cake"]
        row["cake"] = together[n]
    return together


def carried_name(key: str) -> str:
    """What a carried reading is called, beside what is always there."""
    return f"carried_{key}" if key in _OURS else key


def _frame_dimension(start: Document, carried: Iterable[str]) -> str:
    """The carried reading that was scanned, if it was one alone."""
    dimensions = [fields for fields, _ in (start.get("hints") or {}).get("dimensions") or ()]
    hinted = dimensions[0][0] if len(dimensions) == 1 and len(dimensions[0]) == 1 else None
    return hinted if hinted in set(carried) else "frame"


def _axis(settings: Document, name: str) -> tuple[str, NDArray[np.float64], dict[str, str]]:
    unit = parse_unit(settings["unit"])
    attrs = {"units": unit.symbol, "long_name": unit.label, "unit": unit.name}
    return name, np.array(settings[name], dtype=np.float64), attrs


def _limits(settings: Document, i: str) -> dict[str, list[float]]:
    return {
        f"{kind}_range": [float(limit) for limit in settings[f"{kind}_range_{i}"]] for kind in ("azimuth", "radial")
    }


def _units(key: Document) -> dict[str, str]:
    return {"units": key["units"]} if key.get("units") else {}


def _attributes(start: Document, descriptor: Document, settings: Document, stop: Document | None) -> dict[str, Any]:
    """What the numbers come from; text and numbers only, so that any file format takes them."""
    described = provenance_of(start, descriptor)
    attrs: dict[str, Any] = {
        "raw_uid": start["raw_uid"],
        "uid": start["uid"],
        "stream": descriptor["name"],
        "unit": settings["unit"],
        "configuration": settings["configuration"],
        "calibration": described["calibration"]["text"],
        "calibration_sha256": described["calibration"]["sha256"],
        "arrays": json.dumps(plain(described["arrays"])),
        "versions": json.dumps(plain(start["versions"])),
    }
    if described["merge"]:
        attrs["merge"] = json.dumps(plain(described["merge"]))
    for key in ("raw_scan_id", "plan_name", "sample"):
        if start.get(key) is not None:
            value = start[key]
            attrs[key] = value if isinstance(value, (str, int, float)) else json.dumps(plain(value), default=str)
    if stop is not None:
        attrs["exit_status"] = stop["exit_status"]
        attrs["frames"] = json.dumps(plain(stop.get("frames") or {}))
    return attrs
