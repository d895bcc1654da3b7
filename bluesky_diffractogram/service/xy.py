"""Diffractograms as columns of text, one file for each frame and range."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

RUN = "diffractogram"


class XyFiles:
    """Writes the diffractograms of a derived run as ``<frame>_range<i>.xy``.

    Called with the documents of derived runs. Columns are radial, intensity, and sigma where there is one;
    empty bins are left out, since few programs read NaN.

    Parameters
    ----------
    folder
        Where the files go; it is there.

    Attributes
    ----------
    written
        How many files were written.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.written = 0
        self._labels: dict[str, str] = {}
        self._names: set[str] = set()

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take one document; an event gives one file for each range."""
        if name == "descriptor":
            axis = doc.get("configuration", {}).get(RUN, {}).get("data", {})
            self._labels[doc["uid"]] = axis.get("unit_label", "")
        elif name == "event" and doc["descriptor"] in self._labels:
            self._write_all(doc["data"], self._labels[doc["descriptor"]])

    def _write_all(self, data: Mapping[str, Any], label: str) -> None:
        stem = self._free_name(file_stem(data["imagename"]))
        for number in sorted(int(key[5:]) for key in data if re.fullmatch(r"diff_\d+", key)):
            path = self.folder / f"{stem}_range{number}.xy"
            columns = [*np.asarray(data[f"diff_{number}"], dtype=float)]
            if f"sigma_{number}" in data:
                columns.append(np.asarray(data[f"sigma_{number}"], dtype=float))
            _write(path, np.stack(columns, axis=1), _header(data, number, label, len(columns) > 2))
            self.written += 1

    def _free_name(self, stem: str) -> str:
        """`stem`, numbered where that name was used before (files of one name in two folders)."""
        free, n = stem, 1
        while free in self._names:
            n += 1
            free = f"{stem}-{n}"
        self._names.add(free)
        return free


def file_stem(imagename: str) -> str:
    """A file name for a frame: ``scan.h5[3]`` gives ``scan_00003``, ``a/b_01.tif`` gives ``b_01``."""
    match = re.fullmatch(r"(.*)\[(\d+)\]", imagename)
    path, index = (match[1], f"_{int(match[2]):05d}") if match else (imagename, "")
    name = PurePath(path).name or "frame"
    stem = name[: -len(PurePath(name).suffix)] if PurePath(name).suffix else name
    return re.sub(r"[^\w.+-]", "_", stem) + index


def _header(data: Mapping[str, Any], number: int, label: str, with_sigma: bool) -> list[str]:
    start, end = data[f"azimuth_range_{number}"]
    low, high = data[f"radial_range_{number}"]
    return [
        f"frame: {data['imagename']}",
        f"range {number}: azimuth {start:g} to {end:g} deg, {label} {low:g} to {high:g}",
        f"unit: {data['unit']}",
        f"calibration: {data['calibration']}",
        "columns: " + label.replace(" ", "_") + " intensity" + (" sigma" if with_sigma else ""),
    ]


def _write(path: Path, columns: NDArray[np.float64], header: list[str]) -> None:
    filled = np.isfinite(columns[:, 1])
    if not filled.all():
        header = [*header[:-1], f"empty bins left out: {int((~filled).sum())} of {len(filled)}", header[-1]]
    np.savetxt(path, columns[filled], fmt="%.9g", header="\n".join(header), encoding="utf-8")
