"""The .fxye format: GSAS powder data with a column of estimated standard deviations.

A title, comments that start with #, one BANK record, and a line for each point: 2θ in centidegrees, intensity,
ESD. GSAS-II reads x from the column and gives points whose intensity or ESD is not positive no weight.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..config import parse_unit
from .curve import Curve
from .radial_axis import converted

Array = NDArray[np.float64]

RECORD = 80
"""Characters that GSAS keeps of a line."""


def fxye_text(curve: Curve) -> str:
    """The text of an .fxye file.

    Empty bins within the curve are zero with an ESD of zero, which GSAS-II gives no weight, so that the step of
    the BANK record stays true; at the ends they are left out. Without an error model the ESD is the square root
    of the intensity, as GSAS has it for data without ESDs, and a comment says so. The step is the mean one: that
    of an axis converted from q or d is not constant, and then only the column is exact.

    Raises
    ------
    ValueError
        The axis cannot be converted to 2θ.
    """
    x = 100.0 * converted(curve.radial, curve.unit, parse_unit("2th_deg"), curve.wavelength)
    x, intensity, esd = _spanned(x, curve.intensity, _esd(curve))
    count = len(x)
    step = (x[-1] - x[0]) / (count - 1) if count > 1 else 0.0
    start, end = curve.azimuth_range
    head = [
        f"{curve.name}: azimuth {start:g} to {end:g} deg",
        f"# frame: {curve.imagename}",
        f"# calibration: {curve.calibration}",
        *_readings(curve),
        "" if curve.wavelength is None else f"# wavelength: {curve.wavelength * 1e10:.9g} A",
        "" if curve.sigma is not None else "# no error model: the ESD is the square root of the intensity",
        f"BANK 1 {count} {count} CONS {x[0]:.6f} {step:.6f} 0 0 FXYE",
    ]
    points = zip(x, intensity, esd, strict=True)
    lines = [" ".join(line.split())[:RECORD] for line in head if line]
    return "\n".join([*lines, *(f"{a:15.6f} {b:15.8g} {c:15.8g}" for a, b, c in points), ""])


def _esd(curve: Curve) -> Array:
    return np.sqrt(np.abs(curve.intensity)) if curve.sigma is None else curve.sigma


def _spanned(x: Array, intensity: Array, esd: Array) -> tuple[Array, Array, Array]:
    """From the first to the last filled bin, x ascending, empty bins zero."""
    order = np.argsort(x, kind="stable")
    x, intensity, esd = x[order], intensity[order], esd[order]
    filled = np.isfinite(intensity) & np.isfinite(x)
    first, last = np.flatnonzero(filled)[[0, -1]]
    kept = slice(first, last + 1)
    return x[kept], np.where(filled, intensity, 0.0)[kept], np.where(filled, esd, 0.0)[kept]


def _readings(curve: Curve) -> list[str]:
    """Lines that GSAS-II looks for temperature, pressure and angles in; it takes a bare number, of K, MPa, degrees."""
    lines = []
    for name, (value, unit) in curve.readings.items():
        bare = unit.lower() in ("", "k", "mpa", "deg", "degree", "degrees")
        lines.append(f"# {name} = {value:.9g}" + ("" if bare else f" {unit}"))
    return lines
