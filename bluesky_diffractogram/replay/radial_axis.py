"""Radial axes from one unit to another, where no detector is needed for it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..config import RadialUnit

Array = NDArray[np.float64]


def converted(radial: Array, unit: RadialUnit, target: RadialUnit, wavelength: float | None) -> Array:
    """A radial axis in another unit.

    q = 4π/λ·sin(2θ/2) and d = 2π/q; r depends on the tilt of the detector and on the azimuth.

    Parameters
    ----------
    radial
        ``(npt,)`` in `unit`.
    unit, target
        From which unit to which.
    wavelength
        In m; None if it is not known.

    Returns
    -------
    numpy.ndarray
        ``(npt,)`` in `target`, in the order of `radial`; NaN where there is no such value (a q beyond 4π/λ, a d
        below λ/2), infinite for d at q = 0.

    Raises
    ------
    ValueError
        From or to r, or the wavelength is needed and not known.
    """
    if unit.name == target.name:
        return np.asarray(radial, dtype=float)
    for side in (unit, target):
        if side.name.startswith("r_"):
            raise ValueError(
                f"an axis in {unit.label} cannot be written as {target.label}: r is a function of 2θ, q or d "
                "only together with the detector's tilt; reduce with diff_units in 2θ, q or d"
            )
    if wavelength is None and _is_angle(unit) != _is_angle(target):
        raise ValueError(
            f"an axis in {unit.label} cannot be written as {target.label}: neither the configuration nor the "
            "calibration of this dataset tells the wavelength"
        )
    if _is_angle(unit) and _is_angle(target):
        return np.rad2deg(radial) if target.name == "2th_deg" else np.deg2rad(radial)
    with np.errstate(divide="ignore", invalid="ignore"):
        return _from_q(_to_q(np.asarray(radial, dtype=float), unit, wavelength), target, wavelength)


def _is_angle(unit: RadialUnit) -> bool:
    return unit.name.startswith("2th")


def _to_q(radial: Array, unit: RadialUnit, wavelength: float | None) -> Array:
    """q in 1/nm."""
    if _is_angle(unit):
        two_theta = np.deg2rad(radial) if unit.name == "2th_deg" else radial
        return _limit_q(wavelength) * np.sin(two_theta / 2.0)
    return 20.0 * math.pi / radial if unit.name == "d_A" else radial / unit.si_scale


def _from_q(q: Array, target: RadialUnit, wavelength: float | None) -> Array:
    if _is_angle(target):
        two_theta = 2.0 * np.arcsin(q / _limit_q(wavelength))
        return np.rad2deg(two_theta) if target.name == "2th_deg" else two_theta
    return 20.0 * math.pi / q if target.name == "d_A" else q * target.si_scale


def _limit_q(wavelength: float | None) -> float:
    """4π/λ in 1/nm, the q of radiation that is scattered straight back."""
    assert wavelength is not None
    return 4.0 * math.pi / (wavelength * 1e9)
