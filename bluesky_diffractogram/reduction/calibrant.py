"""Where the lines of a known powder are."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..config import Arc, RadialUnit
from ..config.arc import FULL_RING
from ..config.units import TTH_DEG
from .conversion import convert_limit, pixels_per_mm, radius_of_two_theta
from .geometry import Geometry


def two_theta_of_lines(spacings: Sequence[float] | NDArray, wavelength: float) -> NDArray[np.float64]:
    """2θ of lines by Bragg's law, sin θ = λ / 2d.

    Parameters
    ----------
    spacings
        ``(n,)`` d in Å.
    wavelength
        In m.

    Returns
    -------
    numpy.ndarray
        ``(n,)`` in radians; NaN where d is below λ/2.
    """
    sine = 1e10 * wavelength / (2.0 * np.asarray(spacings, np.float64))
    return 2.0 * np.arcsin(np.where(sine <= 1.0, sine, np.nan))


def line_positions(
    spacings: Sequence[float] | NDArray,
    unit: RadialUnit,
    wavelength: float | None,
    geometry: Geometry | None = None,
    arc: Arc = FULL_RING,
) -> NDArray[np.float64]:
    """Lines on a radial axis.

    Parameters
    ----------
    spacings
        ``(n,)`` d in Å.
    unit
        Of the axis.
    wavelength
        In m; q and d need none.
    geometry, arc
        For r: the detector, and the azimuths over which its radius is averaged.

    Returns
    -------
    numpy.ndarray
        ``(m,)`` positions in `unit`, as far as lines have one; none where the wavelength or the detector is needed
        and not known.
    """
    d = np.asarray(spacings, np.float64)
    if unit.name == "d_A":
        return d
    if unit.name[0] == "q":
        return 20.0 * math.pi / d * unit.si_scale
    if wavelength is None or (unit.name[0] == "r" and geometry is None):
        return np.empty(0)
    two_theta = two_theta_of_lines(d, wavelength)
    positions = two_theta * unit.si_scale
    if unit.name[0] == "r":
        assert geometry is not None
        degrees = np.rad2deg(two_theta)
        positions = np.array([convert_limit(float(at), TTH_DEG, unit, arc, geometry) for at in degrees])
    return positions[np.isfinite(positions)]


def line_curves(
    spacings: Sequence[float] | NDArray,
    unit: RadialUnit,
    wavelength: float | None,
    azimuth: NDArray[np.float64],
    geometry: Geometry | None = None,
) -> NDArray[np.float64]:
    """Lines on a grid of radial value and azimuth; the radius of one depends on the azimuth on a tilted detector.

    Parameters
    ----------
    spacings, unit, wavelength, geometry
        As for `line_positions`.
    azimuth
        ``(n,)`` in degrees. That of ``r [pixel]`` is `pixels_per_mm` over their arc times a radius in mm.

    Returns
    -------
    numpy.ndarray
        ``(m, n)`` positions in `unit`, of the lines that have one; NaN where one does not meet the detector's plane.
    """
    if unit.name[0] != "r":
        return np.repeat(line_positions(spacings, unit, wavelength)[:, None], len(azimuth), axis=1)
    if wavelength is None or geometry is None:
        return np.empty((0, len(azimuth)))
    two_theta = two_theta_of_lines(spacings, wavelength)
    two_theta = two_theta[np.isfinite(two_theta)]
    angles = np.broadcast_to(np.deg2rad(azimuth), (len(two_theta), len(azimuth)))
    radius = 1e3 * radius_of_two_theta(np.broadcast_to(two_theta[:, None], angles.shape), angles, geometry)
    if unit.name == "r_pixel":
        radius = radius * pixels_per_mm(geometry, Arc.between(float(azimuth[0]), float(azimuth[-1])))
    return np.where(np.isfinite(radius), radius, np.nan)
