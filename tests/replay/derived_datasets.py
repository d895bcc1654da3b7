"""Datasets of diffractograms for the tests of the exports: made by hand, and reduced from a simulated scan."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import xarray
from bluesky import RunEngine
from bluesky.plans import count

from bluesky_diffractogram.config import parse_unit
from bluesky_diffractogram.documents.callback import ReductionCallback
from bluesky_diffractogram.sim.beamline import simulated_beamline
from bluesky_diffractogram.sim.scan import heating_scan

WAVELENGTH = 0.4e-10
PONI = """\
# an older calibration
Distance: 0.2
Wavelength: 7e-11
# the one that counts
poni_version: 2
Detector: Detector
Detector_config: {"pixel1": 1e-4, "pixel2": 1e-4, "max_shape": [100, 100]}
Distance: 0.1
Poni1: 0.005
Poni2: 0.005
Rot1: 0.01
Rot2: 0.0
Rot3: 0.0
Wavelength: 4e-11
"""
AXES = {
    "q_nm^-1": (5.0, 60.0), "q_A^-1": (0.5, 6.0), "2th_deg": (2.0, 22.0), "2th_rad": (0.03, 0.4),
    "r_mm": (3.0, 40.0), "r_pixel": (30.0, 400.0), "d_A": (1.0, 12.0),
}  # fmt: skip


def made(
    unit: str = "q_A^-1", *, frames: int = 3, npt: int = 40, ranges: int = 2, sigma: bool = True,
    dim: str = "furnace", poni: str = PONI, cake: tuple[int, int] | None = None, **settings: Any,
) -> xarray.Dataset:  # fmt: skip
    """A dataset of curves with empty bins at the start (range 1: two, and one amid), by a fixed seed.

    `cake` is how many bins of azimuth and radial value there are, of which a corner is empty.
    """
    rng = np.random.default_rng(3)
    config = {"calibration": "/data/lab6.poni", "diff_units": parse_unit(unit).label, "npt": npt, **settings}
    variables: dict[str, Any] = {}
    coordinates: dict[str, Any] = {
        "time": (dim, np.datetime64("2024-03-01T10:00:00.000000001", "ns") + np.arange(frames) * 1_500_000_000),
        "seq_num": (dim, np.arange(1, frames + 1)),
        "frame_index": (dim, np.zeros(frames, dtype=int)),
        "ring_current": (dim, np.linspace(100.0, 99.0, frames), {"units": "mA"}),
    }
    if dim != "frame":
        coordinates[dim] = (dim, 300.0 + 12.5 * np.arange(frames), {"units": "K"})
    for i in range(1, ranges + 1):
        radial = np.linspace(*AXES[unit], npt + i)
        values = rng.normal(100.0 * i, 10.0, (frames, npt + i))
        if i == 1:
            values[:, :2] = np.nan
            values[:, 7] = np.nan
        attrs = {"azimuth_range": [170.0, 190.0], "radial_range": list(AXES[unit]), "units": "counts"}
        symbol = parse_unit(unit).symbol
        coordinates[f"radial_{i}"] = (f"radial_{i}", radial, {"units": symbol, "long_name": parse_unit(unit).label})
        variables[f"diff_{i}"] = ((dim, f"radial_{i}"), values, attrs)
        if sigma:
            variables[f"sigma_{i}"] = ((dim, f"radial_{i}"), np.sqrt(np.abs(values)) / 3.0, {"units": "counts"})
        variables[f"peaks_{i}_position"] = ((dim, "peak"), rng.uniform(*AXES[unit], (frames, 4)))
        variables[f"peaks_{i}_height"] = ((dim, "peak"), rng.uniform(1, 2, (frames, 4)))
        variables[f"peak_{i}_position"] = (dim, rng.uniform(*AXES[unit], frames), {"units": symbol})
        variables[f"n_peaks_{i}"] = (dim, np.arange(frames))
        variables[f"mean_{i}"] = (dim, np.nanmean(values, axis=1), {"units": "counts"})
    if cake is not None:
        images = rng.normal(100.0, 10.0, (frames, *cake)).astype(np.float32)
        images[:, :3, -4:] = np.nan
        coordinates["cake_azimuthal"] = ("cake_azimuthal", np.linspace(-175.0, 175.0, cake[0]), {"units": "deg"})
        coordinates["cake_radial"] = ("cake_radial", np.linspace(*AXES[unit], cake[1]), {"units": symbol})
        variables["cake"] = ((dim, "cake_azimuthal", "cake_radial"), images, {"units": "counts"})
    variables["imagename"] = (dim, np.array([f"scan.h5[{n}]" for n in range(frames)], dtype=object))
    attributes = {
        "raw_uid": "0b1c9c3e-8a52-4f5e-9d0e-1a2b3c4d5e6f", "raw_scan_id": 7, "configuration": json.dumps(config),
        "calibration": poni, "calibration_sha256": "00ff", "versions": json.dumps({"pyFAI": "2026.9", "numpy": "2"}),
    }  # fmt: skip
    return xarray.Dataset(variables, coordinates, attributes)


def reduced(folder: Path, *, num: int = 4, still: bool = False, **settings: Any) -> xarray.Dataset:
    """A heating scan of the small simulated beamline (or frames without a motor), reduced as it runs."""
    beamline = simulated_beamline(folder, detector="small")
    documents: list[tuple[str, dict[str, Any]]] = []
    callback = ReductionCallback({**beamline.configuration, "npt": 200, **settings}, background=False, strict=True)
    callback.subscribe(lambda name, doc: documents.append((name, doc)))
    engine = RunEngine({})
    engine.subscribe(callback)
    if still:
        engine(count([beamline.detector], num=num))
    else:
        engine(heating_scan(beamline.detector, beamline.furnace, 300, 1500, num))
    return collected(documents, "frame" if still else "furnace")


def collected(documents: list[tuple[str, dict[str, Any]]], dim: str) -> xarray.Dataset:
    """The dataset of one derived run with one stream."""
    start = next(doc for name, doc in documents if name == "start")
    descriptor = next(doc for name, doc in documents if name == "descriptor")
    events = [doc for name, doc in documents if name == "event"]
    keys, axes = descriptor["data_keys"], descriptor["configuration"]["diffractogram"]["data"]
    column = {name: [event["data"][name] for event in events] for name in keys}
    variables: dict[str, Any] = {}
    coordinates: dict[str, Any] = {
        "time": (dim, (1e9 * np.array(column["timestamp"])).astype("i8").astype("datetime64[ns]")),
        "seq_num": (dim, [event["seq_num"] for event in events]),
        "frame_index": (dim, column["frame_index"]),
    }
    if dim != "frame":
        coordinates[dim] = (dim, column[dim])
    for i in sorted(int(name[5:]) for name in keys if re.fullmatch(r"diff_\d+", name)):
        symbol = keys[f"radial_range_{i}"]["units"]
        radial = np.array(axes[f"radial_{i}"])
        coordinates[f"radial_{i}"] = (f"radial_{i}", radial, {"units": symbol, "long_name": axes["unit_label"]})
        variables[f"diff_{i}"] = (
            (dim, f"radial_{i}"),
            np.stack(column[f"diff_{i}"])[:, 1],
            {"azimuth_range": axes[f"azimuth_range_{i}"], "radial_range": axes[f"radial_range_{i}"], "units": "counts"},
        )
        if f"sigma_{i}" in keys:
            variables[f"sigma_{i}"] = ((dim, f"radial_{i}"), np.stack(column[f"sigma_{i}"]))
        for row, name in enumerate(("position", "height")):
            variables[f"peaks_{i}_{name}"] = ((dim, "peak"), np.stack(column[f"peaks_{i}"])[:, row])
        for name in (f"mean_{i}", f"total_{i}", f"n_peaks_{i}", f"peak_{i}_position", f"peak_{i}_height"):
            variables[name] = (dim, column[name], {"units": keys[name]["units"]})
    variables["imagename"] = (dim, np.array(column["imagename"], dtype=object))
    attributes = {
        "raw_uid": start["raw_uid"], "raw_scan_id": start.get("raw_scan_id", 0),
        "configuration": start["configuration"], "calibration": start["calibration"]["text"],
        "calibration_sha256": start["calibration"]["sha256"], "versions": json.dumps(start["versions"]),
    }  # fmt: skip
    return xarray.Dataset(variables, coordinates, attributes)
