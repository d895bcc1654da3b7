"""What the curves show of one event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bluesky_diffractogram.config.moving import told_wavelength

from .derived import Stream, as_floats, frame_of
from .labels import frame_text, reading_text

SEPARATOR = "  ·  "


@dataclass(frozen=True, eq=False, slots=True)
class ShownEvent:
    """One event as curves.

    Attributes
    ----------
    stream
        Its stream.
    curves
        ``(2, npt)`` by range: radial, intensity; NaN in empty bins.
    peaks
        ``(2, n)`` by range: positions, heights of the peaks that there are.
    caption
        The frame and its carried readings in words.
    wavelength
        In m; None where it is not known.
    """

    stream: Stream
    curves: Mapping[int, NDArray[np.float64]]
    peaks: Mapping[int, NDArray[np.float64]]
    caption: str
    wavelength: float | None = None


def read_event(stream: Stream, doc: Mapping[str, Any], *, with_peaks: bool) -> ShownEvent:
    """Read an event of `stream`.

    Raises
    ------
    ValueError
        A diffractogram, or its peaks, are no array of two dimensions.
    """
    data = doc["data"]
    curves = {n: as_floats(data[f"diff_{n}"], 2) for n in stream.ranges if f"diff_{n}" in data}
    peaks = {n: _listed(data[f"peaks_{n}"]) for n in curves if with_peaks and f"peaks_{n}" in data}
    words = [frame_text(*frame_of(doc))]
    words += [reading_text(stream, name, data[name]) for name in stream.dimensions if name in data]
    length = told_wavelength(data)
    return ShownEvent(stream, curves, peaks, SEPARATOR.join(words), stream.wavelength if length is None else length)


def _listed(peaks: Any) -> NDArray[np.float64]:
    """``(2, n)`` the peaks that there are, of an array padded with NaN."""
    array = as_floats(peaks, 2)
    return array[:, np.isfinite(array).all(axis=0)]
