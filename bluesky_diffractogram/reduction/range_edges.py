"""The edges of ranges on the detector: which one is near a point, and the ranges after one has been moved there."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..config import Arc, ConfigError, DiffractogramConfig, DiffractogramRange
from ..config.arc import FULL_RING
from .conversion import convert_limit
from .geometry import Geometry
from .limits import given_limits
from .pixel_angles import angles_at, radial_at, wrapped

Side = Literal["start", "end", "low", "high"]
Entry = tuple[float | None, float | None, float | None, float | None]

_PLACE: dict[Side, int] = {"start": 0, "end": 1, "low": 2, "high": 3}
_STEP = 0.5  # of a pixel, for slopes


@dataclass(frozen=True, slots=True)
class Edge:
    """One edge of a range.

    Attributes
    ----------
    number
        The range's, from 1.
    side
        Where its arc starts or ends, or the lower or higher of its radial limits as they are written.
    """

    number: int
    side: Side


@dataclass(frozen=True, slots=True)
class _Point:
    """A point of the detector: its radial value, its azimuth in degrees, and how much they rise by a pixel."""

    radial: float
    azimuth: float
    radial_slope: float
    azimuth_slope: float


def nearest_edge(
    config: DiffractogramConfig,
    geometry: Geometry,
    row: float,
    column: float,
    within: float,
    calibrated: Geometry | None = None,
) -> Edge | None:
    """The edge nearest to a point, of those that are drawn; open limits and full rings have none.

    Distances follow from the point's own radial value and azimuth, so that they hold on a tilted detector.

    Parameters
    ----------
    config, geometry
        Checked against each other.
    row, column
        The point, as the calibration counts the pixels of the transformed image.
    within
        How many pixels away an edge may be.
    calibrated
        The geometry in which limits are what they are written as; None for `geometry`.
    """
    # The point is the same for all ranges but on the axis of pixels, whose scale is that of an arc.
    shared = None if config.unit.name == "r_pixel" else _point(geometry, config, FULL_RING, row, column)
    found = []
    for each in config.ranges:
        point = shared or _point(geometry, config, each.arc, row, column)
        for side, distance in _distances(each, config, calibrated or geometry, point, within):
            if distance <= within:
                found.append((distance, each.number, side))
    if not found:
        return None
    _, number, side = min(found)
    return Edge(number, side)


def _distances(
    wanted: DiffractogramRange, config: DiffractogramConfig, geometry: Geometry, point: _Point, within: float
) -> Iterator[tuple[Side, float]]:
    """How many pixels away the edges of a range are, as far as the point is beside them."""
    unit = config.unit
    try:
        limits = given_limits(wanted, config.radial_limit_unit or unit, unit, geometry)
    except ConfigError:
        return
    low = -math.inf if limits[0] is None else limits[0]
    high = math.inf if limits[1] is None else limits[1]
    margin = within * point.radial_slope
    if not wanted.arc.full and low - margin <= point.radial <= high + margin:
        yield "start", abs(wrapped(point.azimuth - wanted.arc.start)) / point.azimuth_slope
        yield "end", abs(wrapped(point.azimuth - wanted.arc.end)) / point.azimuth_slope
    beyond = within * point.azimuth_slope
    outside = min(abs(wrapped(point.azimuth - azimuth)) for azimuth in (wanted.arc.start, wanted.arc.end))
    if wanted.arc.contains(point.azimuth) or outside <= beyond:
        sides: tuple[Side, Side] = ("high", "low") if _turned(config) else ("low", "high")
        for side, limit in zip(sides, (low, high), strict=True):
            if math.isfinite(limit):
                yield side, abs(point.radial - limit) / point.radial_slope


def _turned(config: DiffractogramConfig) -> bool:
    """Whether the lower limit as it is written is the higher one on the axis: d falls where 2θ rises."""
    return ((config.radial_limit_unit or config.unit).name == "d_A") != (config.unit.name == "d_A")


def _point(geometry: Geometry, config: DiffractogramConfig, arc: Arc, row: float, column: float) -> _Point:
    rows = row + _STEP * np.array([0.0, 1.0, -1.0, 0.0, 0.0])
    columns = column + _STEP * np.array([0.0, 0.0, 0.0, 1.0, -1.0])
    radial = radial_at(geometry, config.unit, arc, rows, columns)
    azimuth = np.rad2deg(angles_at(geometry, rows, columns)[1])
    across = [wrapped(azimuth[2 * each + 1] - azimuth[2 * each + 2]) for each in (0, 1)]
    return _Point(
        float(radial[0]),
        float(azimuth[0]),
        max(math.hypot(radial[1] - radial[2], radial[3] - radial[4]) / (2 * _STEP), 1e-300),
        max(math.hypot(*across) / (2 * _STEP), 1e-300),
    )


def moved_edge(
    config: DiffractogramConfig,
    geometry: Geometry,
    edge: Edge,
    row: float,
    column: float,
    calibrated: Geometry | None = None,
) -> list[Entry | None]:
    """All ``diff_ranges`` with one edge moved to a point, rounded to what a pixel there resolves.

    Parameters
    ----------
    config, geometry, row, column, calibrated
        As `nearest_edge` takes them.
    edge
        Which one.

    Raises
    ------
    ValueError
        The point has no value in the limits' unit.
    """
    wanted = config.ranges[edge.number - 1]
    point = _point(geometry, config, wanted.arc, row, column)
    entry = list(_entries(config)[edge.number - 1] or (None, None, None, None))
    if edge.side in ("start", "end"):
        azimuth = _rounded(point.azimuth, point.azimuth_slope)
        if edge.side == "start":
            end = 360.0 if entry[1] is None else entry[1]
            entry[:2] = [_rounded(end - (end - azimuth) % 360, point.azimuth_slope), end]
        else:
            start = 0.0 if entry[0] is None else entry[0]
            entry[:2] = [start, _rounded(start + (azimuth - start) % 360, point.azimuth_slope)]
    else:
        entry[_place(edge.side, entry)] = _limit(config, calibrated or geometry, wanted.arc, point)
    entries = _entries(config)
    entries[edge.number - 1] = (entry[0], entry[1], entry[2], entry[3])
    return entries


def _place(side: Side, entry: list[float | None]) -> int:
    """Where the limit is written; reversed limits stay reversed."""
    low, high = entry[2], entry[3]
    if low is not None and high is not None and low > high:
        return 5 - _PLACE[side]
    return _PLACE[side]


def _entries(config: DiffractogramConfig) -> list[Entry | None]:
    """The ranges as written, the missing ones among the active as null."""
    missing = config.diff_number - len(config.diff_ranges)
    return [*config.diff_ranges, *[None] * missing]


def _limit(config: DiffractogramConfig, geometry: Geometry, arc: Arc, point: _Point) -> float:
    target = config.radial_limit_unit or config.unit
    here, beside = (
        convert_limit(value, config.unit, target, arc, geometry)
        for value in (point.radial, point.radial + point.radial_slope)
    )
    if not math.isfinite(here):
        raise ValueError(f"there is no {target.label} at this point")
    return _rounded(here, abs(beside - here) if math.isfinite(beside) else 0.01)


def _rounded(value: float, resolution: float) -> float:
    """`value` with as many decimals as make steps of less than half the resolution."""
    decimals = math.ceil(-math.log10(max(resolution, 1e-12) / 2))
    return round(value, max(decimals, 0)) + 0.0
