"""What the views need to know of a derived run, read from its documents."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bluesky_diffractogram.config import Arc
from bluesky_diffractogram.config.changes import NUMBERS
from bluesky_diffractogram.config.moving import OF_WAVELENGTH, RECORDED
from bluesky_diffractogram.config.quantities import HC

PURPOSE = "diffractogram"
COMPUTED = ("calibration", "arrays", "merge")
"""What documents tell of how the numbers were computed, beside the configuration."""


@dataclass(frozen=True, eq=False, slots=True)
class RangeAxis:
    """One range as a stream of the derived run describes it.

    Attributes
    ----------
    number
        The range's number, from 1.
    radial
        ``(npt,)`` bin centres in the stream's unit.
    radial_range, azimuth_range
        The effective limits, in the stream's unit and in degrees; NaN where the stream does not say.
    """

    number: int
    radial: NDArray[np.float64]
    radial_range: tuple[float, float]
    azimuth_range: tuple[float, float]


@dataclass(frozen=True, eq=False, slots=True)
class CakeAxes:
    """The axes of the cakes of a stream.

    Attributes
    ----------
    radial, azimuthal
        ``(npt_rad,)`` and ``(npt_azim,)`` bin centres, in the stream's unit and in degrees.
    units
        Of the intensities; empty if the stream does not say.
    """

    radial: NDArray[np.float64]
    azimuthal: NDArray[np.float64]
    units: str = ""

    @property
    def shape(self) -> tuple[int, int]:
        """That of a cake, ``(npt_azim, npt_rad)``."""
        return len(self.azimuthal), len(self.radial)


@dataclass(frozen=True, eq=False, slots=True)
class Stream:
    """One event stream of a derived run: one axis, one unit, one meaning.

    Attributes
    ----------
    run_uid, raw_uid, name
        The derived run, the raw one, and the name of the stream.
    run_label
        The raw run as people call it: ``scan 12 [1f3c9a]``.
    unit, unit_label
        pyFAI's name of the radial unit, and what users write.
    configuration
        The configuration that the run was reduced with, as its start document gives it.
    ranges
        The ranges by their number.
    dimensions
        Carried readings that could be the row axis, the most likely first.
    carried, scalars
        All carried readings that are numbers, and all such data keys, also those that were computed.
    units
        The units of the scalar data keys that have some.
    provenance
        What else than the configuration decides over the numbers: SHA-256 of calibration and masks.
    wavelength
        In m, as configuration or calibration tell it; None if they do not, or each event tells its own.
    moves
        Whether events tell of a geometry of their own.
    cake
        The axes of the cakes; None if its events have none.
    """

    run_uid: str
    raw_uid: str
    name: str
    run_label: str
    unit: str
    unit_label: str
    configuration: Mapping[str, Any]
    ranges: Mapping[int, RangeAxis]
    dimensions: tuple[str, ...] = ()
    carried: tuple[str, ...] = ()
    scalars: frozenset[str] = frozenset()
    units: Mapping[str, str] = field(default_factory=dict)
    provenance: str = ""
    wavelength: float | None = None
    moves: bool = False
    cake: CakeAxes | None = None

    def first_arc(self) -> tuple[Arc, ...]:
        """The arc of the first range, if the stream says it."""
        azimuths = self.ranges[min(self.ranges)].azimuth_range
        return (Arc.between(*azimuths),) if np.isfinite(azimuths).all() else ()

    def meaning(self) -> tuple[Any, ...]:
        """What must be equal for the frames of two streams to stand in one heat-map."""
        numbers = {key: self.configuration[key] for key in NUMBERS if key in self.configuration}
        return (
            self.unit,
            *(of.radial.tobytes() for of in self.ranges.values()),
            repr([(number, of.radial_range, of.azimuth_range) for number, of in self.ranges.items()]),
            json.dumps(numbers, sort_keys=True, default=str),
            self.provenance,
        )


class DerivedRuns:
    """Keeps the open derived runs and their streams; knows nothing of any other run."""

    def __init__(self) -> None:
        self._starts: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {}
        self._streams: dict[str, Stream] = {}

    def start(self, doc: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Take a start document; its configuration if it begins a derived run, else None."""
        if doc.get("purpose") != PURPOSE:
            return None
        configuration = read_mapping(doc.get("configuration"))
        self._starts[doc["uid"]] = (doc, configuration)
        return configuration

    def descriptor(self, doc: Mapping[str, Any]) -> Stream | None:
        """Take a descriptor; the stream it opens if that holds diffractograms of a known run, else None."""
        known = self._starts.get(doc["run_start"])
        if known is None:
            return None
        start, configuration = known
        axis = doc.get("configuration", {}).get(PURPOSE, {}).get("data", {})
        scalars = {key: of for key, of in doc["data_keys"].items() if _is_number(of)}
        ranges = {number: _range_axis(number, axis) for number in _numbers(doc["data_keys"], axis)}
        if not ranges:
            return None
        # a stream that begins in mid-run has settings of its own
        configuration = read_mapping(axis.get("configuration")) or configuration
        computed = {key: start.get(key) for key in COMPUTED} | dict(read_mapping(axis.get("provenance")))
        stream = Stream(
            run_uid=start["uid"],
            raw_uid=str(start.get("raw_uid", start["uid"])),
            name=doc.get("name", ""),
            run_label=_run_label(start),
            unit=str(axis.get("unit", "")),
            unit_label=str(axis.get("unit_label", axis.get("unit", "radial"))),
            configuration=configuration,
            ranges=ranges,
            dimensions=tuple(_dimensions(start, configuration, doc["data_keys"])),
            carried=tuple(key for key, of in scalars.items() if of.get("object_name") != PURPOSE),
            scalars=frozenset(scalars),
            units={key: str(of["units"]) for key, of in scalars.items() if of.get("units")},
            provenance=_provenance(computed),
            wavelength=None if set(OF_WAVELENGTH) & set(doc["data_keys"]) else _wavelength(computed, configuration),
            moves=any(key.startswith(RECORDED) for key in doc["data_keys"]),
            cake=_cake_axes(doc["data_keys"], axis),
        )
        self._streams[doc["uid"]] = stream
        return stream

    def stream_of(self, event: Mapping[str, Any]) -> Stream | None:
        """The stream that `event` belongs to; None if that is none of ours."""
        return self._streams.get(event["descriptor"])

    def stop(self, doc: Mapping[str, Any]) -> None:
        """Take a stop document: forget the run."""
        uid = doc["run_start"]
        self._starts.pop(uid, None)
        self._streams = {key: stream for key, stream in self._streams.items() if stream.run_uid != uid}


def read_mapping(text: Any) -> Mapping[str, Any]:
    """A configuration, or a provenance, as documents have it: as JSON; empty if there is none that can be read."""
    if isinstance(text, Mapping):
        return text
    try:
        found = json.loads(text)
    except (TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def frame_of(event: Mapping[str, Any]) -> tuple[int, int]:
    """The number of a frame's raw event, and which of that event's frames it is; of other events their own number."""
    seq_num, index = (event["data"].get(key) for key in ("raw_seq_num", "frame_index"))
    return (int(event["seq_num"]), 0) if seq_num is None else (int(seq_num), int(index or 0))


def as_floats(values: Any, ndim: int) -> NDArray[np.float64]:
    """`values` as floats of dimension `ndim`; None, as document stores give NaN back, becomes NaN.

    Raises
    ------
    ValueError
        `values` has another number of dimensions, or is ragged.
    """
    array = np.asarray(values, dtype=float)
    if array.ndim != ndim:
        raise ValueError(f"an array of {ndim} dimensions was expected, shape {array.shape} was given")
    return array


def _numbers(data_keys: Mapping[str, Any], axis: Mapping[str, Any]) -> Iterator[int]:
    for number in sorted(int(key[5:]) for key in data_keys if key.startswith("diff_") and key[5:].isdigit()):
        if f"radial_{number}" in axis:
            yield number


def _range_axis(number: int, axis: Mapping[str, Any]) -> RangeAxis:
    return RangeAxis(
        number,
        as_floats(axis[f"radial_{number}"], 1),
        _limits(axis.get(f"radial_range_{number}")),
        _limits(axis.get(f"azimuth_range_{number}")),
    )


def _cake_axes(data_keys: Mapping[str, Any], axis: Mapping[str, Any]) -> CakeAxes | None:
    if "cake" not in data_keys or "cake_radial" not in axis or "cake_azimuthal" not in axis:
        return None
    radial, azimuthal = (as_floats(axis[f"cake_{name}"], 1) for name in ("radial", "azimuthal"))
    return CakeAxes(radial, azimuthal, str(data_keys["cake"].get("units") or ""))


def _limits(pair: Any) -> tuple[float, float]:
    if pair is None or len(pair) != 2:
        return (np.nan, np.nan)
    low, high = as_floats(pair, 1)
    return (float(low), float(high))


def _run_label(start: Mapping[str, Any]) -> str:
    uid = str(start.get("raw_uid", start["uid"]))[:6]
    scan_id = start.get("raw_scan_id")
    return f"run {uid}" if scan_id is None else f"scan {scan_id} [{uid}]"


def _dimensions(
    start: Mapping[str, Any], configuration: Mapping[str, Any], data_keys: Mapping[str, Any]
) -> Iterator[str]:
    # bluesky's hints: [[["motor"], "primary"], …], and "time" where nothing is moved
    hinted = [name for names, *_ in start.get("hints", {}).get("dimensions", ()) for name in names]
    for name in dict.fromkeys([*hinted, *(configuration.get("carry") or ())]):
        if name != "time" and _is_number(data_keys.get(name, {})):
            yield name


def _is_number(data_key: Mapping[str, Any]) -> bool:
    return data_key.get("dtype") in ("number", "integer") and not data_key.get("shape")


def _provenance(computed: Mapping[str, Any]) -> str:
    parts = {"calibration": computed.get("calibration"), **(computed.get("arrays") or {})}
    parts |= {f"calibration {i}": part for i, part in enumerate(computed.get("merge") or (), 1)}
    return json.dumps({key: part.get("sha256") for key, part in parts.items() if isinstance(part, Mapping)})


def _wavelength(computed: Mapping[str, Any], configuration: Mapping[str, Any]) -> float | None:
    try:
        if configuration.get("wavelength") is not None:
            return float(configuration["wavelength"])
        if configuration.get("energy") is not None:
            return HC / float(configuration["energy"]) * 1e-10
        text = str((computed.get("calibration") or {}).get("text"))
        found = re.search(r"^\s*Wavelength:\s*(\S+)", text, re.MULTILINE)
        return None if found is None else float(found[1])
    except (AttributeError, TypeError, ValueError):
        return None
