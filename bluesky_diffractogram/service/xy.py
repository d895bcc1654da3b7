"""Diffractograms as columns of text, one file for each frame and range."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..config import parse_unit
from ..replay.columns import write_text
from ..replay.curve import Curve
from ..replay.names import FreeNames, file_stem
from ..replay.xy import xy_text


class XyFiles:
    """Writes the diffractograms of a derived run as ``<frame>_range<i>.xy``, each as soon as it is there.

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
        self._streams: set[str] = set()
        self._names = FreeNames()

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take one document; an event gives one file for each range."""
        if name == "descriptor":
            self._streams.add(doc["uid"])
        elif name == "event" and doc["descriptor"] in self._streams:
            self._write_all(doc["data"])

    def _write_all(self, data: Mapping[str, Any]) -> None:
        stem = self._names.free(file_stem(data["imagename"]))
        for number in sorted(int(key[5:]) for key in data if re.fullmatch(r"diff_\d+", key)):
            curve = _curve(data, number, stem)
            write_text(self.folder / f"{curve.name}.xy", xy_text(curve))
            self.written += 1


def _curve(data: Mapping[str, Any], number: int, stem: str) -> Curve:
    radial, intensity = np.asarray(data[f"diff_{number}"], dtype=float)
    sigma = data.get(f"sigma_{number}")
    start, end = data[f"azimuth_range_{number}"]
    low, high = data[f"radial_range_{number}"]
    return Curve(
        stem=stem,
        number=number,
        unit=parse_unit(data["unit"]),
        radial=radial,
        intensity=intensity,
        sigma=None if sigma is None else np.asarray(sigma, dtype=float),
        azimuth_range=(start, end),
        radial_range=(low, high),
        imagename=data["imagename"],
        calibration=data["calibration"],
    )
