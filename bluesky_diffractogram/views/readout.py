"""What is under the cursor, in words: for the toolbar's line, which every toolkit has."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bluesky_diffractogram.config import Arc, parse_unit
from bluesky_diffractogram.config.arc import FULL_RING
from bluesky_diffractogram.config.units import TTH_DEG
from bluesky_diffractogram.reduction.conversion import convert_limit
from bluesky_diffractogram.reduction.geometry import Geometry
from bluesky_diffractogram.reduction.pixel_angles import pixel_angles
from bluesky_diffractogram.reduction.preview import DetectorView
from bluesky_diffractogram.reduction.transformation import transform

from .derived import CakeAxes, Stream
from .labels import frame_text, quantity_text, reading_text
from .rows import Rows

SEPARATOR = "  "


class SeenFrame(Protocol):
    """A frame with its geometry, as the worker offers it."""

    @property
    def image(self) -> NDArray:
        """``(ny, nx)`` as it was read."""

    @property
    def detector(self) -> DetectorView:
        """How it is shown."""


def image_text(frame: SeenFrame, column: float, row: float) -> str:
    """The pixel under the cursor, its 2θ, q, d, χ and r, and its raw counts.

    Angles are those of the pixel's centre, as pyFAI has them.
    """
    ny, nx = frame.detector.shape
    x, y = round(column), round(row)
    if not (0 <= x < nx and 0 <= y < ny):
        return ""
    at = pixel_angles(frame.detector.projection.geometry, y, x)
    words = [f"x {x} y {y}", f"2θ {_number(at.two_theta, 3)}°"]
    if at.q is not None:
        words.append(f"q {_number(at.q, 3)} nm⁻¹")
    if at.d is not None:
        words.append(f"d {_number(at.d, 4)} Å")
    words += [f"χ {_number(at.chi, 2)}°", f"r {_number(at.r, 2)} mm"]
    value = transform(frame.image, frame.detector.transformation)[y, x]
    return SEPARATOR.join([*words, f"I {value:.6g}" + (" masked" if frame.detector.mask[y, x] else "")])


def row_index(rows: Rows, y: float) -> int | None:
    """Which of the rows is at a position of the y axis; None beside them."""
    index = round(y) - rows.first
    return index if 0 <= index < len(rows.intensity) else None


def row_words(rows: Rows, index: int) -> list[str]:
    """A row's frame, with its run where there are several, and its readings: ``["frame 17", "temperature 350 K"]``."""
    readings = [reading_text(rows.stream, name, float(values[index])) for name, values in rows.carried.items()]
    run = f"{rows.run_labels[rows.runs[index]]} " if len(rows.run_labels) > 1 else ""
    return [run + frame_text(int(rows.seq_nums[index]), int(rows.indices[index])), *readings]


def heatmap_text(rows: Rows, number: int, x: float, y: float) -> str:
    """The frame under the cursor, its time and its readings, and the bin there with its intensity."""
    index = row_index(rows, y)
    radial = rows.stream.ranges[number].radial
    bin_ = nearest_bin(radial, x)
    if index is None or bin_ is None:
        return ""
    frame, *readings = row_words(rows, index)
    return SEPARATOR.join([
        frame,
        f"t {rows.seconds[index]:.2f} s",
        *readings,
        quantity_text(rows.stream, float(radial[bin_])),
        f"I {rows.intensity[index, bin_]:.6g}",
    ])  # fmt: skip


def curves_text(
    stream: Stream,
    curves: Mapping[int, NDArray],
    x: float,
    y: float,
    wavelength: float | None = None,
    geometry: Geometry | None = None,
) -> str:
    """The radial value under the cursor, its d, and the intensity there of the line that is nearest.

    Parameters
    ----------
    curves
        ``(2, npt)`` by range: radial, intensity.
    x, y
        The cursor.
    wavelength, geometry
        In m, and of the detector, to give d for an angle or a radius; None if they are not known.
    """
    words = [quantity_text(stream, x)]
    d = spacing(stream.unit, x, wavelength, geometry, *stream.first_arc())
    if d is not None and stream.unit != "d_A":
        words.append(f"d {_number(d, 4)} Å")
    number = nearest_curve(curves, x, y)
    if number is not None:
        radial, intensity = curves[number]
        bin_ = nearest_bin(radial, x)
        words.append(f"range {number}: I {intensity[bin_]:.6g}")
    return SEPARATOR.join(words)


def cake_text(
    stream: Stream, axes: CakeAxes, intensity: NDArray, x: float, y: float, geometry: Geometry | None = None
) -> str:
    """The bin under the cursor: its radial value, azimuth and d, and the intensity there.

    Parameters
    ----------
    axes, intensity
        A cake of `stream`, ``(npt_azim, npt_rad)``.
    x, y
        The cursor.
    geometry
        As for `curves_text`.
    """
    column, row = nearest_bin(axes.radial, x), nearest_bin(axes.azimuthal, y)
    if column is None or row is None:
        return ""
    radial, azimuth, value = float(axes.radial[column]), float(axes.azimuthal[row]), float(intensity[row, column])
    words = [quantity_text(stream, radial), f"χ {_number(azimuth, 2)}°"]
    d = spacing(stream.unit, radial, stream.wavelength, geometry, *_arc_of(axes))
    if d is not None and stream.unit != "d_A":
        words.append(f"d {_number(d, 4)} Å")
    return SEPARATOR.join([*words, f"I {value:.6g}" if math.isfinite(value) else "no valid pixel"])


def _arc_of(axes: CakeAxes) -> tuple[Arc, ...]:
    """The arc of a cake's azimuths, if there are several."""
    ends = axes.azimuthal[[0, -1]]
    return (Arc.between(float(ends[0]), float(ends[1])),) if ends[1] > ends[0] else ()


def nearest_curve(curves: Mapping[int, NDArray], x: float, y: float) -> int | None:
    """The range whose curve is nearest to `y` in the bin at `x`; None where none has a value."""
    away = {}
    for number, (radial, intensity) in curves.items():
        bin_ = nearest_bin(radial, x)
        if bin_ is not None and np.isfinite(intensity[bin_]):
            away[number] = abs(float(intensity[bin_]) - y)
    return min(away, key=away.__getitem__) if away else None


def nearest_bin(radial: NDArray, x: float) -> int | None:
    """The bin whose centre is nearest to `x`; None if that is farther than the axis goes."""
    bin_ = int(np.argmin(np.abs(radial - x)))
    if len(radial) > 1:
        beside = radial[bin_ - 1] if bin_ else radial[1]
        if abs(radial[bin_] - x) > abs(radial[bin_] - beside):
            return None
    return bin_


def spacing(
    unit: str, value: float, wavelength: float | None, geometry: Geometry | None = None, arc: Arc = FULL_RING
) -> float | None:
    """d in Å of a radial value: 2π/q, or λ / (2 sin θ); None where that is not known.

    Parameters
    ----------
    unit
        pyFAI's name.
    value
        In that unit.
    wavelength
        In metres.
    geometry, arc
        For radii: the detector, and the azimuths over which a radius is averaged.
    """
    if value <= 0:
        return None
    if unit == "d_A":
        return value
    if unit in ("q_nm^-1", "q_A^-1"):
        return 2 * math.pi / value * (10 if unit == "q_nm^-1" else 1)
    if unit in ("2th_deg", "2th_rad") and wavelength is not None:
        sine = math.sin((math.radians(value) if unit == "2th_deg" else value) / 2)
        return wavelength * 1e10 / (2 * sine) if sine > 0 else None
    if unit in ("r_mm", "r_pixel") and geometry is not None:
        degrees = convert_limit(value, parse_unit(unit), TTH_DEG, arc, geometry)
        return spacing(TTH_DEG.name, degrees, wavelength)
    return None


def _number(value: float, decimals: int) -> str:
    return f"{value:.{decimals}f}".replace("-", "−")
