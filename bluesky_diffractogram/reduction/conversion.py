"""Radial values from one unit to another, on a detector that may be tilted."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..config import Arc, RadialUnit
from ..config.units import R_MM
from .geometry import Geometry

ARC_SAMPLES = 180


def convert_limit(value: float, source: RadialUnit, target: RadialUnit, arc: Arc, geometry: Geometry) -> float:
    """One radial limit of `arc` from unit `source` to `target`.

    2θ, q and d are functions of each other (q = 4π/λ·sin θ, d = 2π/q). r is the distance from the beam axis
    of the point where the ray of that 2θ and azimuth meets the plane of the detector, averaged over the arc.

    Returns
    -------
    float
        Infinite or NaN where there is no such point (a ray that misses the plane, d at 2θ = 0).
    """
    if source.name == target.name:
        return value
    two_theta = _two_theta(value, source, arc, geometry)
    return float(np.mean(_from_two_theta(two_theta, target, arc, geometry)))


def _azimuths(arc: Arc) -> NDArray[np.float64]:
    return np.deg2rad(arc.samples(ARC_SAMPLES))


def _two_theta(value: float, unit: RadialUnit, arc: Arc, geometry: Geometry) -> NDArray[np.float64]:
    """2θ in radians at each sampled azimuth of the arc."""
    if unit.name == "r_pixel":
        value, unit = value / pixels_per_mm(geometry, arc), R_MM
    return two_theta_along(value, unit, _azimuths(arc), geometry)


def two_theta_along(
    value: float, unit: RadialUnit, azimuth: NDArray[np.float64], geometry: Geometry
) -> NDArray[np.float64]:
    """2θ, in radians, of one radial value at several azimuths.

    Parameters
    ----------
    value, unit
        The value and its unit; not ``r_pixel``, whose scale belongs to a whole arc.
    azimuth
        In radians, of any shape.

    Returns
    -------
    numpy.ndarray
        Of the shape of `azimuth`; NaN where no angle gives the value (q beyond 4π/λ, d not above λ/2).
    """
    if unit.name == "2th_deg":
        return np.full(azimuth.shape, math.radians(value))
    if unit.name == "2th_rad":
        return np.full(azimuth.shape, value)
    if unit.name[0] in "qd":
        q_nm = value / unit.si_scale if unit.name[0] == "q" else 20.0 * math.pi / value if value > 0 else math.inf
        sine = q_nm * _wavelength_nm(geometry) / (4.0 * math.pi)
        return np.full(azimuth.shape, 2.0 * math.asin(sine) if abs(sine) <= 1.0 else math.nan)
    radius = value * 1e-3
    along, across = _normal_along(geometry, azimuth)
    # From r = D·tan 2θ / (n∥ + n⊥·tan 2θ), which radius_of_two_theta states, solved for 2θ.
    return np.arctan2(radius * along, geometry.distance - radius * across)


def _from_two_theta(
    two_theta: NDArray[np.float64], unit: RadialUnit, arc: Arc, geometry: Geometry
) -> NDArray[np.float64]:
    if unit.name == "2th_deg":
        return np.rad2deg(two_theta)
    if unit.name == "2th_rad":
        return two_theta
    if unit.name[0] in "qd":
        q_nm = 4.0 * math.pi / _wavelength_nm(geometry) * np.sin(two_theta / 2.0)
        if unit.name == "d_A":
            with np.errstate(divide="ignore"):
                return 20.0 * math.pi / q_nm
        return q_nm * unit.si_scale
    radius_mm = 1e3 * radius_of_two_theta(two_theta, _azimuths(arc), geometry)
    return radius_mm * pixels_per_mm(geometry, arc) if unit.name == "r_pixel" else radius_mm


def radius_of_two_theta(
    two_theta: NDArray[np.float64], azimuth: NDArray[np.float64], geometry: Geometry
) -> NDArray[np.float64]:
    """Distance from the beam axis, in metres, at which rays meet the plane of the detector.

    The plane is n·x = D with the rotated normal n and the distance D; the ray is t·(sin 2θ·sin χ, sin 2θ·cos χ,
    cos 2θ) on pyFAI's axes 1, 2, 3; so r = t·sin 2θ = D·sin 2θ / (n₃·cos 2θ + (n₁·sin χ + n₂·cos χ)·sin 2θ).

    Parameters
    ----------
    two_theta, azimuth
        In radians, of one shape.

    Returns
    -------
    numpy.ndarray
        Infinite where the ray does not meet the plane.
    """
    along, across = _normal_along(geometry, azimuth)
    denominator = along * np.cos(two_theta) + across * np.sin(two_theta)
    meets = denominator > 1e-9
    return np.where(meets, geometry.distance * np.sin(two_theta) / np.where(meets, denominator, 1.0), np.inf)


def _normal_along(geometry: Geometry, azimuth: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """The normal's component along the beam, and those across it in the directions of `azimuth`."""
    n1, n2, n3 = geometry.normal
    return float(n3), n1 * np.sin(azimuth) + n2 * np.cos(azimuth)


def pixels_per_mm(geometry: Geometry, arc: Arc) -> float:
    """lavue's ``r [pixel]`` per ``r [mm]``: pixels per millimetre along each azimuth, averaged over the arc.

    Along χ it is √((cos(χ + rot3) / (p₂·cos rot1))² + (sin(χ + rot3) / (p₁·cos rot2))²), with the pixel sizes
    p₁ and p₂ in mm.
    """
    rot1, rot2, rot3 = geometry.rotations
    slow, fast = (1e3 * size for size in geometry.pixel_size)
    azimuth = _azimuths(arc) + rot3
    along_fast = np.cos(azimuth) / (fast * math.cos(rot1))
    along_slow = np.sin(azimuth) / (slow * math.cos(rot2))
    return float(np.mean(np.hypot(along_fast, along_slow)))


def _wavelength_nm(geometry: Geometry) -> float:
    if geometry.wavelength is None:
        raise ValueError("the calibration has no wavelength")
    return geometry.wavelength * 1e9
