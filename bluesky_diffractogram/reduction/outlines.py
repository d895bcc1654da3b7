"""The outlines of ranges and the rings of lines, as pixel coordinates on a detector that may be tilted."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..config.units import parse_unit
from .conversion import two_theta_along
from .limits import IntegrationRange
from .projection import Projection

STEP = math.radians(0.5)  # chords of a ring of 5000 pixels are then within 0.05 pixels of it
RAY_POINTS = 33
# steps along the radius and the arc, and the distance to the edge as a part of the detector
LABEL_GRIDS = ((9, 37, 0.04), (41, 361, 0.005))
FAN = math.radians(25.0)

Polyline = NDArray[np.float64]
"""``(n, 2)`` columns and rows in pixels, 0 in the centre of the first."""


@dataclass(frozen=True, eq=False, slots=True)
class Outline:
    """The outline of one range.

    Attributes
    ----------
    number
        The range, from 1.
    rings
        Closed polygons, the first point repeated at the end, that go on beyond the detector: one around a sector, two
        for a full ring. A pixel is inside if they go around it an odd number of times; the inner one runs backwards.
    border
        The parts of the detector's edge that are inside the range.
    label
        Column and row of a place inside both range and detector; None if there is none, and nothing to be seen.
    """

    number: int
    rings: tuple[Polyline, ...]
    border: tuple[Polyline, ...]
    label: tuple[float, float] | None


def outline(wanted: IntegrationRange, projection: Projection) -> Outline:
    """The outline of a range: arcs of constant radial value, rays of constant azimuth, and the detector's edge."""
    arc = wanted.arc
    start, end = math.radians(arc.start), math.radians(arc.start + arc.span)
    azimuth = np.linspace(start, end, 1 + max(1, math.ceil((end - start) / STEP)))
    low, high = _limits(wanted, azimuth, projection)
    inner, outer = projection.pixels(low, azimuth), projection.pixels(high, azimuth)
    if arc.full:
        # the last point is the first again, but for rounding
        inner[-1], outer[-1] = inner[0], outer[0]
        rings: tuple[Polyline, ...] = (outer, inner[::-1]) if np.nanmax(low) > 0 else (outer,)
    else:
        share = np.linspace(0, 1, RAY_POINTS)
        first = projection.pixels(low[0] + share * (high[0] - low[0]), np.full(RAY_POINTS, start))
        last = projection.pixels(high[-1] + share * (low[-1] - high[-1]), np.full(RAY_POINTS, end))
        rings = (np.concatenate([first, outer[1:], last[1:], inner[-2::-1]]),)
    rings = tuple(polygon[np.isfinite(polygon).all(axis=1)] for polygon in rings)
    edge = _edge(projection.shape)
    two_theta, chi = projection.angles(*edge.T)
    reaches = _limits(wanted, chi, projection)
    inside = arc.contains(np.rad2deg(chi)) & (two_theta >= reaches[0]) & (two_theta <= reaches[1])
    return Outline(wanted.number, rings, _runs(edge, inside), _label(wanted, projection, float(two_theta.max())))


def ring(two_theta: float, projection: Projection) -> Polyline:
    """The full ring of one 2θ, in radians; NaN where it goes beyond the plane of the detector."""
    azimuth = np.linspace(-math.pi, math.pi, 1 + round(2 * math.pi / STEP))
    return projection.pixels(np.full(azimuth.shape, two_theta), azimuth)


def farthest(projection: Projection) -> float:
    """The largest 2θ on the detector, in radians."""
    return float(projection.angles(*_edge(projection.shape).T)[0].max())


def _limits(wanted: IntegrationRange, azimuth: NDArray, projection: Projection) -> tuple[NDArray, NDArray]:
    """The range's limits as 2θ in radians at each azimuth, the smaller first, within what the plane can see."""
    unit = parse_unit(wanted.unit.pyfai)
    ends = [two_theta_along(limit, unit, azimuth, projection.geometry) for limit in wanted.pyfai_limits]
    # what no angle gives is a q too large or a d too small
    ends = [projection.bounded(np.where(np.isnan(end), math.pi, end), azimuth) for end in ends]
    return np.minimum(*ends), np.maximum(*ends)


def _edge(shape: tuple[int, int]) -> Polyline:
    """The detector's outer edge, a point for each pixel, closed."""
    ny, nx = shape
    columns, rows = np.arange(nx) - 0.5, np.arange(ny) - 0.5
    right, top = nx - 0.5, ny - 0.5
    sides = [
        np.stack([columns, np.full(nx, -0.5)], axis=1),
        np.stack([np.full(ny, right), rows], axis=1),
        np.stack([right - np.arange(nx), np.full(nx, top)], axis=1),
        np.stack([np.full(ny, -0.5), top - np.arange(ny)], axis=1),
    ]
    return np.concatenate([*sides, [[-0.5, -0.5]]])


def _runs(edge: Polyline, inside: NDArray[np.bool_]) -> tuple[Polyline, ...]:
    """The runs of a closed line that are inside."""
    if inside.all():
        return (edge,)
    if not inside.any():
        return ()
    begin = int(np.flatnonzero(~inside)[0])
    points, kept = np.roll(edge[:-1], -begin, axis=0), np.roll(inside[:-1], -begin)
    steps = np.flatnonzero(np.diff(np.r_[False, kept, False].astype(np.int8)))
    return tuple(points[first:last] for first, last in zip(steps[::2], steps[1::2], strict=True))


def _label(wanted: IntegrationRange, projection: Projection, largest: float) -> tuple[float, float] | None:
    """Where the range's number is written: as near to the middle of the range as the detector lets it."""
    arc, (ny, nx) = wanted.arc, projection.shape
    span = math.radians(arc.span)
    start = math.radians(arc.start)
    # the numbers of full rings are fanned out, those of sectors are apart by themselves
    middle = FAN * (wanted.number - 1) if arc.full else start + span / 2
    for radial_steps, azimuth_steps, share_of_edge in LABEL_GRIDS:
        azimuth = middle + span * (np.arange(azimuth_steps) / (azimuth_steps - 1) - 0.5) * 0.9
        low, high = _limits(wanted, azimuth, projection)
        high = np.minimum(high, largest)
        share = (np.arange(radial_steps) + 0.5)[:, None] / radial_steps
        two_theta = low + share * (high - low)
        pixels = projection.pixels(two_theta.ravel(), np.broadcast_to(azimuth, two_theta.shape).ravel())
        column, row = pixels.T
        margin = share_of_edge * min(ny, nx)
        fits = (column > margin) & (column < nx - 1 - margin) & (row > margin) & (row < ny - 1 - margin)
        fits &= np.broadcast_to(low < high, two_theta.shape).ravel()
        if fits.any():
            far = np.abs(share - 0.5) + np.abs(azimuth - middle) / span
            best = int(np.argmin(np.where(fits, far.ravel(), np.inf)))
            return float(column[best]), float(row[best])
    return None
