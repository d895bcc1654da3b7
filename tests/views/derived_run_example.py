"""Derived runs as the documents room emits them, made of Gaussian peaks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import event_model
import numpy as np

T0 = 1_700_000_000.0
MAX_PEAKS = 20
LABELS = {
    "q_nm^-1": "q [1/nm]",
    "2th_deg": "2th [deg]",
    "r_pixel": "r [pixel]",
    "r_mm": "r [mm]",
    "d_A": "d [A]",
}
SYMBOLS = {"q_nm^-1": "1/nm", "2th_deg": "deg", "r_pixel": "pixel", "r_mm": "mm", "d_A": "Å"}


@dataclass
class RangeExample:
    """One range: its limits and the centres of its peaks as fractions of the radial range."""

    azimuth: tuple[float, float] = (10.0, 20.0)
    radial: tuple[float, float] = (0.0, 10.0)
    npt: int = 200
    centres: tuple[float, ...] = (0.25, 0.6)
    gap: slice | None = None

    def axis(self) -> np.ndarray:
        edges = np.linspace(*self.radial, self.npt + 1)
        return (edges[1:] + edges[:-1]) / 2

    def curve(self, drift: float, scale: float) -> tuple[np.ndarray, np.ndarray]:
        """The curve, and ``(2, n)`` its peaks, moved by the fraction `drift` of the range."""
        low, high = self.radial
        x = self.axis()
        positions = np.array([low + (high - low) * (centre + drift) for centre in self.centres])
        heights = scale * np.linspace(1.0, 0.5, len(positions)) if len(positions) else np.empty(0)
        background = lambda at: 0.2 * scale * np.exp(-(at - low) / (high - low))  # noqa: E731
        width = (high - low) / 120
        y = background(x) + sum(
            height * np.exp(-0.5 * ((x - position) / width) ** 2)
            for position, height in zip(positions, heights, strict=True)
        )
        if self.gap is not None:
            y[self.gap] = np.nan
        return y, np.array([positions, heights + background(positions)])


@dataclass
class CakeExample:
    """The axes of a cake, whose rings are those of the first range."""

    radial: tuple[float, float] = (0.0, 10.0)
    azimuth: tuple[float, float] = (-180.0, 180.0)
    shape: tuple[int, int] = (36, 50)
    gap: tuple[slice, slice] = (slice(0, 4), slice(40, 50))

    def axes(self) -> tuple[np.ndarray, np.ndarray]:
        """``(npt_rad,)`` and ``(npt_azim,)`` bin centres."""
        edges = np.linspace(*self.azimuth, self.shape[0] + 1), np.linspace(*self.radial, self.shape[1] + 1)
        azimuthal, radial = ((each[1:] + each[:-1]) / 2 for each in edges)
        return radial, azimuthal

    def image(self, frame: int) -> np.ndarray:
        """``(npt_azim, npt_rad)`` float32: a ring that grows, brighter towards larger azimuths; NaN in the gap."""
        radial, azimuthal = self.axes()
        width = (self.radial[1] - self.radial[0]) / 30
        centre = self.radial[0] + (self.radial[1] - self.radial[0]) * (0.3 + 0.05 * frame)
        ring = np.exp(-(((radial - centre) / width) ** 2))
        image = 10.0 + 1000.0 * (1.5 + np.sin(np.deg2rad(azimuthal)))[:, None] * ring
        image[self.gap] = np.nan
        return image.astype(np.float32)


@dataclass
class DerivedRun:
    """The documents of one derived run.

    `change(frame, number, intensity)` may write into each curve; `readings(frame)` gives the carried ones.
    """

    ranges: Sequence[RangeExample] = (RangeExample(),)
    frames: int = 5
    unit: str = "q_nm^-1"
    configuration: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    scan_id: int | None = 12
    readings: Callable[[int], Mapping[str, float]] = lambda frame: {}
    reading_units: Mapping[str, str] = field(default_factory=dict)
    change: Callable[[int, int, np.ndarray], None] = lambda frame, number, intensity: None
    times: Callable[[int], float] = float
    scale: float = 1000.0
    noise: int | None = None
    drift: float = 0.1
    t0: float = T0
    raw_uid: str = field(default_factory=lambda: f"raw123-{uuid4()}")
    cake: CakeExample | None = None

    def __post_init__(self) -> None:
        self.settings = {
            "diff_units": LABELS[self.unit],
            "diff_number": len(self.ranges),
            "diff_ranges": [[*of.azimuth, *of.radial] for of in self.ranges],
            **self.configuration,
        }
        names = list(self.readings(0))
        identity = {} if self.scan_id is None else {"raw_scan_id": self.scan_id}
        self._rng = None if self.noise is None else np.random.default_rng(self.noise)
        self.bundle = event_model.compose_run(
            time=self.t0,
            metadata={
                "purpose": "diffractogram",
                "raw_uid": self.raw_uid,
                "plan_name": "scan",
                "hints": {"dimensions": [[[name], "diffractogram"] for name in names] or [[["time"], "primary"]]},
                "configuration": json.dumps(self.settings),
                **identity,
                **self.metadata,
            },
        )
        self.start = self.bundle.start_doc

    def begin(self, name: str = "diffractogram", configuration: Mapping[str, Any] | None = None) -> tuple[str, dict]:
        """Open a stream with the present ranges and unit; its descriptor."""
        settings = self.settings if configuration is None else {**self.settings, **configuration}
        keys, axis = (
            {},
            {"unit": self.unit, "unit_label": LABELS[self.unit], "configuration": json.dumps(settings)},
        )
        units = {"units": SYMBOLS[self.unit]}
        for i, of in enumerate(self.ranges, 1):
            axis |= {f"radial_{i}": of.axis(), f"npt_{i}": of.npt}
            axis |= {f"radial_range_{i}": np.array(of.radial), f"azimuth_range_{i}": np.array(of.azimuth)}
            shapes = {f"diff_{i}": [2, of.npt], f"radial_range_{i}": [2], f"azimuth_range_{i}": [2]}
            shapes |= {
                f"peaks_{i}": [2, MAX_PEAKS],
                f"n_peaks_{i}": [],
                f"peak_{i}_position": [],
                f"mean_{i}": [],
            }
            keys |= {
                key: {"source": "test", "shape": shape, "dtype": "array" if shape else "number", **units}
                for key, shape in shapes.items()
            }
            keys[f"mean_{i}"]["units"] = "counts"
        for key in ("timestamp", "imagename", "nrdiffs", "unit", "raw_seq_num", "frame_index"):
            keys[key] = {
                "source": "test",
                "shape": [],
                "dtype": "string" if key in ("imagename", "unit") else "number",
            }
        if self.cake is not None:
            radial, azimuthal = self.cake.axes()
            axis |= {"cake_radial": radial.tolist(), "cake_azimuthal": azimuthal.tolist()}
            keys["cake"] = {"source": "test", "shape": list(self.cake.shape), "dtype": "array", "units": "counts"}
        for data_key in keys.values():  # as of those that are computed; readings are of other devices
            data_key["object_name"] = "diffractogram"
        for key in self.readings(0):
            of_reading = {"units": self.reading_units[key]} if key in self.reading_units else {}
            dtype = "string" if isinstance(self.readings(0)[key], str) else "number"
            keys[key] = {"source": "test", "shape": [], "dtype": dtype, **of_reading}
        described = {
            key: {
                "source": "test",
                "shape": list(np.shape(value)),
                "dtype": "array" if np.ndim(value) else "string",
            }
            for key, value in axis.items()
        }
        configuration = {
            "diffractogram": {
                "data": axis,
                "timestamps": dict.fromkeys(axis, self.t0),
                "data_keys": described,
            }
        }
        self.stream = self.bundle.compose_descriptor(
            name=name, data_keys=keys, configuration=configuration, object_keys={"diffractogram": list(keys)}
        )
        return "descriptor", self.stream.descriptor_doc

    def event(self, frame: int, seq_num: int | None = None) -> tuple[str, dict]:
        """The event of `frame`, from 0 on."""
        when = self.t0 + self.times(frame)
        data: dict[str, Any] = {
            "timestamp": when,
            "imagename": f"frame_{frame:04d}",
            "nrdiffs": len(self.ranges),
            "unit": self.unit,
            "raw_seq_num": frame + 1 if seq_num is None else seq_num,  # a frame taken again
            "frame_index": 0,
            **self.readings(frame),
        }
        for i, of in enumerate(self.ranges, 1):
            y, peaks = of.curve(self.drift * frame / max(self.frames - 1, 1), self.scale)
            if self._rng is not None:
                y = np.where(np.isnan(y), np.nan, self._rng.poisson(np.nan_to_num(y)))
            self.change(frame, i, y)
            padded = np.full((2, MAX_PEAKS), np.nan)
            padded[:, : peaks.shape[1]] = peaks
            data |= {
                f"diff_{i}": np.array([of.axis(), y]),
                f"peaks_{i}": padded,
                f"n_peaks_{i}": peaks.shape[1],
            }
            data |= {f"radial_range_{i}": np.array(of.radial), f"azimuth_range_{i}": np.array(of.azimuth)}
            data[f"mean_{i}"] = float(np.nanmean(y)) if np.isfinite(y).any() else np.nan
            data[f"peak_{i}_position"] = peaks[0, 0] if peaks.size else np.nan
        if self.cake is not None:
            data["cake"] = self.cake.image(frame)
        event = self.stream.compose_event(data=data, timestamps=dict.fromkeys(data, when), time=when, seq_num=seq_num)
        return "event", event

    def stop(self) -> tuple[str, dict]:
        """The stop document."""
        return "stop", self.bundle.compose_stop()

    def documents(self) -> Iterator[tuple[str, dict]]:
        """The whole run, in order."""
        yield "start", self.start
        yield self.begin()
        for frame in range(self.frames):
            yield self.event(frame)
        yield self.stop()

    def feed(self, view: Callable[[str, dict], Any]) -> None:
        """Give the whole run to `view`."""
        for name, doc in self.documents():
            view(name, doc)
