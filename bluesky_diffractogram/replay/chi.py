"""The .chi format, FIT2D's χPLOT: four lines of head, then two columns.

The first line is a title, the second and third label the axes, the fourth is the number of points
(https://esrf.fr/computing/scientific/FIT2D/FIT2D_REF/node115.html). GSAS-II takes a file for one in 2θ by the
words "2-theta" among these lines, and for one in q by a "q" with a blank after it, whereupon it wants a
wavelength; a title of ours can hold neither by chance.
"""

from __future__ import annotations

import numpy as np

from ..config import RadialUnit, parse_unit
from .curve import Curve
from .radial_axis import converted

AXIS_LABELS = {
    "2th_deg": "2-Theta Angle (Degrees)",
    "q_nm^-1": "Q (Inverse Nanometres)",
    "d_A": "D-spacing (Angstroms)",
    "r_mm": "Radial Distance (mm)",
}
"""FIT2D's label of the axis for each unit that it integrates in."""


def chi_unit(text: str) -> RadialUnit:
    """The unit that `text` names, if FIT2D has it.

    Raises
    ------
    ValueError
        It is no unit, or none of FIT2D's.
    """
    unit = parse_unit(text)
    if unit.name not in AXIS_LABELS:
        raise ValueError(f"unit = {text!r}: a .chi file is in one of FIT2D's units: {', '.join(AXIS_LABELS)}")
    return unit


def chi_text(curve: Curve, unit: RadialUnit) -> str:
    """The text of a .chi file.

    Its axis ascends. Empty bins are left out, and the count is of the points that are there: FIT2D itself writes
    zeros, which no reader can tell from a measured zero. There is no column for sigma.

    Raises
    ------
    ValueError
        The axis cannot be converted to `unit`.
    """
    radial = converted(curve.radial, curve.unit, unit, curve.wavelength)
    kept = curve.filled & np.isfinite(radial)
    order = np.argsort(radial[kept], kind="stable")
    start, end = curve.azimuth_range
    head = [
        f"{curve.name}: azimuth {start:g} to {end:g} deg",
        AXIS_LABELS[unit.name],
        "Intensity",
        f"{int(kept.sum()):>12d}",
    ]
    points = zip(radial[kept][order], curve.intensity[kept][order], strict=True)
    return "\n".join([*head, *(f" {x:14.7E} {y:14.7E}" for x, y in points), ""])
