"""The arrays of a geometry that splitting by bounding boxes needs, computed side by side."""

from __future__ import annotations

import copy
import math
from functools import partial
from typing import Any

from numpy.typing import NDArray

from .geometry_kernel import half_widths
from .pyfai_library import array_space, copied, keep_positions
from .threads import side_by_side

AZIMUTHAL_UNIT = "chi_rad"
_LAST_COMPUTED = {"no": "center", "bbox": "delta", "full": "corner"}
# What pyFAI computes in compiled loops, in which the azimuths of corners come out alike, beside whichever of them.
_COMPILED_SPACES = ("r", "q", "2th")


def compute_arrays(
    integrator: Any,
    shape: tuple[int, int],
    unit: str,
    split: str = "bbox",
    *,
    azimuthal: bool = True,
    solid_angle: bool = True,
) -> None:
    """Have an integrator keep what a splitting needs of every pixel, as far as it does not yet.

    They are most of the time that the first frame waits for. pyFAI computes one array of a geometry at a time, so
    the work is shared among copies; and its half widths take several passes over arrays of all corners, where a
    loop takes one.

    Parameters
    ----------
    integrator
        Of a geometry, whose cached arrays are added to.
    shape
        ``(ny, nx)`` of the frame.
    unit
        pyFAI's radial unit.
    split
        ``"no"`` needs centres, ``"bbox"`` these and half widths, ``"full"`` the corners alone.
    azimuthal
        Whether χ is needed too, which a full ring does without.
    solid_angle
        Whether that is needed.
    """
    arrays = integrator._cached_array
    spaces = {each: array_space(each) for each in (unit, AZIMUTHAL_UNIT)}
    units = [unit, AZIMUTHAL_UNIT] if azimuthal and split != "full" else [unit]
    missing = [each for each in units if arrays.get(f"{spaces[each]}_{_LAST_COMPUTED[split]}") is None]
    one, other = _apart(integrator), _apart(integrator)
    corners: list[NDArray] = []
    centres: list[NDArray] = []

    def solid_angle_and_corners() -> None:
        if solid_angle:
            integrator.solidAngleArray(shape)
        if missing and split != "no":
            corners.append(one.array_from_unit(shape, "corner", unit, scale=False))

    def centres_of_pixels() -> None:
        if missing and split != "full":
            keep_positions(other, shape)
            centres.extend(other.array_from_unit(shape, "center", each, scale=False) for each in missing)

    side_by_side([solid_angle_and_corners, centres_of_pixels])
    if split == "full":
        arrays |= {f"{spaces[unit]}_corner": array for array in corners}
        return
    arrays |= {f"{spaces[each]}_center": array for each, array in zip(missing, centres, strict=True)}
    if split == "bbox":
        work = []
        for each, centre in zip(missing, centres, strict=True):
            if each != AZIMUTHAL_UNIT:
                work.append(partial(half_widths, centre, corners[0], 0, 0.0))
            elif spaces[unit] in _COMPILED_SPACES:
                work.append(partial(half_widths, centre, corners[0], 1, 2 * math.pi))
            else:
                azimuths = other.array_from_unit(shape, "corner", "r_mm", scale=False)
                work.append(partial(half_widths, centre, azimuths, 1, 2 * math.pi))
        arrays |= {f"{spaces[each]}_delta": width for each, width in zip(missing, side_by_side(work), strict=True)}


def _apart(integrator: Any) -> Any:
    """A copy whose detector is its own: positions are computed for one thread at a time, and some units leave the
    detector with others, in single precision, for whatever comes next."""
    new = copied(integrator)
    new.detector = copy.deepcopy(integrator.detector)
    return new
