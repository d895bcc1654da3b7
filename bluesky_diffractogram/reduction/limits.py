"""Radial limits: from what users write to what pyFAI is asked for, and back for what is reported."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..config import Arc, DiffractogramConfig, DiffractogramRange, RadialUnit
from .geometry import Geometry

logger = logging.getLogger(__name__)

ARC_SAMPLES = 181
TILT_WORTH_A_WARNING_DEG = 1.0


@dataclass(frozen=True, slots=True)
class IntegrationRange:
    """A range with everything that stays the same from frame to frame.

    Attributes
    ----------
    number
        From 1, as in ``diff_1``.
    arc
        The azimuths, in degrees.
    unit
        Unit of the output.
    npt
        Number of bins.
    pyfai_limits
        ``(low, high)`` radial limits in the unit that pyFAI integrates in, `RadialUnit.pyfai`.
    scale
        Factor from that unit to `unit`: 1 but for ``r_pixel``.
    """

    number: int
    arc: Arc
    unit: RadialUnit
    npt: int
    pyfai_limits: tuple[float, float]
    scale: float = 1.0

    @property
    def radial_range(self) -> tuple[float, float]:
        """The effective radial limits in `unit`."""
        return self.pyfai_limits[0] * self.scale, self.pyfai_limits[1] * self.scale

    @property
    def azimuth_range(self) -> tuple[float, float]:
        """The effective azimuthal limits in degrees, the start in [−180, 180)."""
        return self.arc.start, self.arc.end


def integration_ranges(
    config: DiffractogramConfig, geometry: Geometry, mask: NDArray[np.bool_] | None
) -> tuple[IntegrationRange, ...]:
    """The configured ranges in the output unit, their open limits taken from the unmasked pixels.

    Raises
    ------
    ConfigError
        A limit that cannot be expressed in the output unit.
    """
    unit, limit_unit = config.unit, config.radial_limit_unit
    bounds = _OpenLimits(geometry, config.split_method[0], mask)
    return tuple(
        _integration_range(wanted, npt, unit, limit_unit or unit, geometry, bounds)
        for wanted, npt in zip(config.ranges, config.npts, strict=True)
    )


def _integration_range(
    wanted: DiffractogramRange,
    npt: int,
    unit: RadialUnit,
    limit_unit: RadialUnit,
    geometry: Geometry,
    bounds: _OpenLimits,
) -> IntegrationRange:
    given = (wanted.radial_min, wanted.radial_max)
    converted = [None if g is None else convert_limit(g, limit_unit, unit, wanted.arc, geometry) for g in given]
    if unit.name == "d_A":  # d falls where 2θ rises
        converted.reverse() if limit_unit.name != "d_A" else None
    scale = pixels_per_mm(geometry, wanted.arc) if unit.name == "r_pixel" else 1.0
    limits = []
    for value, side in zip(converted, (0, 1), strict=True):
        if value is None or not math.isfinite(value):
            limits.append(bounds(unit)[side])
        else:
            limits.append(value / scale)
    if (
        limit_unit.name[0] != "r"
        and unit.name[0] == "r"
        and geometry.tilt > TILT_WORTH_A_WARNING_DEG
        and any(g is not None for g in given)
    ):
        logger.warning(
            "range %d: the detector is tilted by %.1f°, so that a limit in %s is no single radius: its mean over "
            'the arc is taken; range_unit "same" takes limits in %s',
            wanted.number, geometry.tilt, limit_unit.label, unit.label,
        )  # fmt: skip
    return IntegrationRange(wanted.number, wanted.arc, unit, npt, (limits[0], limits[1]), scale)


class _OpenLimits:
    """The detector's own radial limits, computed when first needed."""

    def __init__(self, geometry: Geometry, split: str, mask: NDArray[np.bool_] | None) -> None:
        self._geometry, self._split, self._mask = geometry, split, mask
        self._known: dict[str, tuple[float, float]] = {}

    def __call__(self, unit: RadialUnit) -> tuple[float, float]:
        if unit.pyfai not in self._known:
            self._known[unit.pyfai] = open_limits(self._geometry, unit, self._split, self._mask)
        return self._known[unit.pyfai]


def open_limits(
    geometry: Geometry, unit: RadialUnit, split: str, mask: NDArray[np.bool_] | None
) -> tuple[float, float]:
    """The radial limits that pyFAI takes when it is given none: those of the unmasked pixels' own extents.

    Parameters
    ----------
    geometry
        Of known shape.
    unit
        The result is in its `RadialUnit.pyfai`.
    split
        ``"no"`` takes pixel centres, ``"bbox"`` the centres ± half widths, ``"full"`` the corners.
    mask
        ``(ny, nx)``, True where masked.
    """
    used = slice(None) if mask is None or mask.all() else ~mask
    if split == "full":
        corner = geometry.pixels("corner", unit.pyfai)[..., 0][used]
        low, high = corner.min(), corner.max()
    else:
        centre = geometry.pixels("center", unit.pyfai)[used]
        delta = geometry.pixels("delta", unit.pyfai)[used] if split == "bbox" else 0.0
        low, high = (centre - delta).min(), (centre + delta).max()
    return max(0.0, float(low)) * unit.si_scale, float(high) * unit.si_scale


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
    return np.deg2rad(np.linspace(arc.start, arc.end, ARC_SAMPLES))


def _two_theta(value: float, unit: RadialUnit, arc: Arc, geometry: Geometry) -> NDArray[np.float64]:
    """2θ in radians at each sampled azimuth of the arc."""
    if unit.name == "2th_deg":
        return np.full(ARC_SAMPLES, math.radians(value))
    if unit.name == "2th_rad":
        return np.full(ARC_SAMPLES, value)
    if unit.name[0] in "qd":
        q_nm = value / unit.si_scale if unit.name[0] == "q" else 20.0 * math.pi / value if value > 0 else math.inf
        sine = q_nm * _wavelength_nm(geometry) / (4.0 * math.pi)
        return np.full(ARC_SAMPLES, 2.0 * math.asin(sine) if abs(sine) <= 1.0 else math.nan)
    radius = value * 1e-3
    if unit.name == "r_pixel":
        radius /= pixels_per_mm(geometry, arc)
    along, across = _normal_along(geometry, _azimuths(arc))
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
