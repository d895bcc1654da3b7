"""What the calibration says of single points of the detector."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..config import Arc, RadialUnit, parse_unit
from .conversion import pixels_per_mm
from .geometry import Geometry


@dataclass(frozen=True, slots=True)
class PixelAngles:
    """One point of the detector, in every unit.

    Attributes
    ----------
    two_theta, chi
        In degrees, χ in [−180, 180).
    r
        Distance from the beam axis, in mm.
    q, d
        In nm⁻¹ and in Å; None without a wavelength, and no d where the beam meets the detector.
    """

    two_theta: float
    chi: float
    r: float
    q: float | None
    d: float | None


def pixel_angles(geometry: Geometry, row: float, column: float) -> PixelAngles:
    """What pyFAI gives for one point; q = 4π/λ·sin θ, d = 2π/q.

    Parameters
    ----------
    row, column
        As the calibration counts the pixels of the transformed image; a whole number is the centre of a pixel.
    """
    two_theta, chi, r = (float(each[0]) for each in angles_at(geometry, np.array([row]), np.array([column])))
    q = d = None
    if geometry.wavelength is not None:
        q = 4e-9 * math.pi / geometry.wavelength * math.sin(two_theta / 2)
        d = 20 * math.pi / q if q > 0 else None
    return PixelAngles(math.degrees(two_theta), wrapped(math.degrees(chi)), 1e3 * r, q, d)


def radial_at(
    geometry: Geometry, unit: RadialUnit, arc: Arc, rows: NDArray[np.float64], columns: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The radial values ``(n,)`` in `unit` of points of the detector.

    Parameters
    ----------
    unit, arc
        The arc matters to ``r [pixel]`` alone, whose scale is a mean over it.
    rows, columns
        ``(n,)``, see `pixel_angles`.

    Raises
    ------
    ValueError
        `unit` needs a wavelength, and there is none.
    """
    two_theta, _, r = angles_at(geometry, rows, columns)
    if unit.needs_wavelength:
        if geometry.wavelength is None:
            raise ValueError(f"the calibration has no wavelength, which {unit.label} needs")
        q = 4e-9 * math.pi / geometry.wavelength * np.sin(two_theta / 2)
        if unit == parse_unit("d_A"):
            with np.errstate(divide="ignore"):
                return 20 * math.pi / q
        return q * unit.si_scale
    if unit.name in ("r_mm", "r_pixel"):
        return 1e3 * r * (pixels_per_mm(geometry, arc) if unit.name == "r_pixel" else 1.0)
    return two_theta * unit.si_scale


def angles_at(
    geometry: Geometry, rows: NDArray[np.float64], columns: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """2θ and χ in radians and r in metres, ``(n,)`` each, of points of the detector; see `pixel_angles`.

    From their positions on pyFAI's axes 1, 2 and 3 (3 along the beam): tan 2θ = r/t₃, tan χ = t₁/t₂, r² = t₁² + t₂².
    """
    first, second, third = geometry.positions(rows, columns)
    r = np.hypot(first, second)
    return np.arctan2(r, third), np.arctan2(first, second), r


def wrapped(degrees: float) -> float:
    """An azimuth in [−180, 180)."""
    return (degrees + 180) % 360 - 180
