"""Where lines of the sample come to lie on a radial axis, when the geometry moves."""

from __future__ import annotations

import math

from ..config import RadialUnit
from ..config.units import R_MM, TTH_RAD
from .conversion import convert_limit
from .geometry import Geometry
from .limits import IntegrationRange


def shifted(position: float, wanted: IntegrationRange, before: Geometry, after: Geometry) -> float:
    """Where a line is on the axis of a range in one geometry, that is at `position` in another one.

    q and d are the sample's own, and stay. By Bragg's law sin θ goes with the wavelength; r follows from 2θ and the
    geometry, as a mean over the arc. The axis of ``r_pixel`` has the range's own scale, in all geometries.

    Parameters
    ----------
    position
        In the unit of the range.
    wanted
        The range.
    before, after
        In which geometry it is there, and in which it is looked for.

    Returns
    -------
    float
        NaN or infinite where it is nowhere.
    """
    unit = wanted.unit
    one, other = before.wavelength, after.wavelength
    same_wavelength = one is None or other is None or one == other
    if before is after or unit.name[0] in "qd" or (unit.name[0] == "2" and same_wavelength):
        return position
    two_theta = convert_limit(*_without_pixels(position, wanted), TTH_RAD, wanted.arc, before)
    if one is not None and other is not None and not same_wavelength:
        sine = math.sin(two_theta / 2.0) * other / one
        two_theta = 2.0 * math.asin(sine) if abs(sine) <= 1.0 else math.nan
    return _on_axis(two_theta, TTH_RAD, wanted, after)


def placed(value: float, unit: RadialUnit, wanted: IntegrationRange, calibrated: Geometry, geometry: Geometry) -> float:
    """Where on the axis of a range a value of another unit is in a geometry.

    Values in q and d are those of a line; what is given in 2θ or r is where a line is in the calibration's geometry.

    Parameters
    ----------
    value, unit
        What is looked for.
    wanted
        The range.
    calibrated, geometry
        The calibration's geometry, and the one in which it is looked for.

    Returns
    -------
    float
        NaN or infinite where it is nowhere.
    """
    if geometry is calibrated:
        return convert_limit(value, unit, wanted.unit, wanted.arc, geometry)
    if unit.name[0] in "qd":
        return _on_axis(value, unit, wanted, geometry)
    return shifted(convert_limit(value, unit, wanted.unit, wanted.arc, calibrated), wanted, calibrated, geometry)


def _without_pixels(position: float, wanted: IntegrationRange) -> tuple[float, RadialUnit]:
    return (position / wanted.scale, R_MM) if wanted.unit.name == "r_pixel" else (position, wanted.unit)


def _on_axis(value: float, unit: RadialUnit, wanted: IntegrationRange, geometry: Geometry) -> float:
    axis = R_MM if wanted.unit.name == "r_pixel" else wanted.unit
    return convert_limit(value, unit, axis, wanted.arc, geometry) * wanted.scale
