"""The arrays of a geometry that splitting by bounding boxes needs, computed side by side."""

from __future__ import annotations

import copy
import math
from functools import partial
from typing import Any

from numpy.typing import NDArray

from .geometry_kernel import half_widths
from .pyfai_library import array_space, copied
from .threads import side_by_side

AZIMUTHAL_UNIT = "chi_rad"
# What pyFAI computes in compiled loops, in which the azimuths of corners come out alike, beside whichever of them.
_COMPILED_SPACES = ("r", "q", "2th")


def compute_arrays(
    integrator: Any, shape: tuple[int, int], unit: str, *, azimuthal: bool = True, solid_angle: bool = True
) -> None:
    """Have an integrator keep what splitting by bounding boxes needs of every pixel, as far as it does not yet.

    They are most of the time that the first frame waits for. pyFAI computes one array of a geometry at a time, so
    the centres are those of a copy; and its half widths take several passes over arrays of all corners, where a
    loop takes one.

    Parameters
    ----------
    integrator
        Of a geometry, whose cached arrays are added to.
    shape
        ``(ny, nx)`` of the frame.
    unit
        pyFAI's radial unit.
    azimuthal
        Whether χ is needed too, which a full ring does without.
    solid_angle
        Whether that is needed.
    """
    arrays = integrator._cached_array
    spaces = {each: array_space(each) for each in ([unit, AZIMUTHAL_UNIT] if azimuthal else [unit])}
    missing = [each for each, space in spaces.items() if arrays.get(f"{space}_delta") is None]
    if not missing:
        return
    one, other = _apart(integrator), _apart(integrator)

    def corners_and_solid_angle() -> list[NDArray]:
        of_unit = one.array_from_unit(shape, "corner", unit, scale=False)
        if solid_angle:
            integrator.solidAngleArray(shape)
        return [of_unit] * len(missing)

    def centres_of_the_copy() -> list[NDArray]:
        return [other.array_from_unit(shape, "center", each, scale=False) for each in missing]

    corners, centres = side_by_side([corners_and_solid_angle, centres_of_the_copy])
    if AZIMUTHAL_UNIT in missing and spaces[unit] not in _COMPILED_SPACES:
        corners[-1] = other.array_from_unit(shape, "corner", "r_mm", scale=False)
    coordinates = [(1, 2 * math.pi) if each == AZIMUTHAL_UNIT else (0, 0.0) for each in missing]
    widths = side_by_side(
        partial(half_widths, centre, corner, *coordinate)
        for centre, corner, coordinate in zip(centres, corners, coordinates, strict=True)
    )
    for each, centre, width in zip(missing, centres, widths, strict=True):
        arrays[f"{spaces[each]}_center"], arrays[f"{spaces[each]}_delta"] = centre, width


def _apart(integrator: Any) -> Any:
    """A copy whose detector is its own: positions are computed for one thread at a time, and some units leave the
    detector with others, in single precision, for whatever comes next."""
    new = copied(integrator)
    new.detector = copy.deepcopy(integrator.detector)
    return new
