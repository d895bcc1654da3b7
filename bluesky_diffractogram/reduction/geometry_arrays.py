"""The arrays of a geometry that splitting by bounding boxes needs, computed side by side."""

from __future__ import annotations

import copy
import math
from functools import partial
from typing import Any

from numpy.typing import NDArray

from .geometry_kernel import half_widths
from .pyfai_library import array_space
from .threads import side_by_side

AZIMUTHAL_UNIT = "chi_rad"


def compute_arrays(integrator: Any, shape: tuple[int, int], unit: str, *, azimuthal: bool = True) -> None:
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
    """
    arrays = integrator._cached_array
    spaces = {each: array_space(each) for each in ([unit, AZIMUTHAL_UNIT] if azimuthal else [unit])}
    missing = [each for each, space in spaces.items() if arrays.get(f"{space}_delta") is None]
    if not missing:
        return
    other = copy.copy(integrator)
    # The positions of pixels too are computed for one thread at a time.
    other.detector = copy.deepcopy(integrator.detector)

    def corners_and_solid_angle() -> list[NDArray]:
        corners = integrator.array_from_unit(shape, "corner", unit, scale=False)
        integrator.solidAngleArray(shape)
        return [corners]

    def centres_of_the_copy() -> list[NDArray]:
        return [other.array_from_unit(shape, "center", each, scale=False) for each in missing]

    (corners,), centres = side_by_side([corners_and_solid_angle, centres_of_the_copy])
    # The azimuths of corners are the same beside every radial unit.
    coordinates = [(1, 2 * math.pi) if each == AZIMUTHAL_UNIT else (0, 0.0) for each in missing]
    widths = side_by_side(
        partial(half_widths, centre, corners, *coordinate)
        for centre, coordinate in zip(centres, coordinates, strict=True)
    )
    for each, centre, width in zip(missing, centres, widths, strict=True):
        arrays[f"{spaces[each]}_center"], arrays[f"{spaces[each]}_delta"] = centre, width
    # Four times as large as any other, and of no more use.
    arrays.pop(f"{spaces[unit]}_corner", None)
