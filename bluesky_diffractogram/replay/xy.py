"""The .xy format: columns under a head of lines that start with #, as pyFAI writes them."""

from __future__ import annotations

from io import StringIO

import numpy as np

from .curve import Curve


def xy_text(curve: Curve) -> str:
    """The text of an .xy file.

    Columns are radial, in the unit of the reduction, intensity, and sigma where there is one. ``numpy.loadtxt``
    reads it, and with it pyFAI's users, Dioptas and most plotting programs. Empty bins are left out, since few
    programs read NaN.
    """
    filled = curve.filled
    columns = [curve.radial[filled], curve.intensity[filled]]
    if curve.sigma is not None:
        columns.append(curve.sigma[filled])
    text = StringIO()
    np.savetxt(text, np.stack(columns, axis=1), fmt="%.9g", header="\n".join(_head(curve)))
    return text.getvalue()


def _head(curve: Curve) -> list[str]:
    (start, end), (low, high) = curve.azimuth_range, curve.radial_range
    label = curve.unit.label
    lines = [
        f"frame: {curve.imagename}",
        f"range {curve.number}: azimuth {start:g} to {end:g} deg, {label} {low:g} to {high:g}",
        f"unit: {curve.unit.name}",
        f"calibration: {curve.calibration}",
        *(f"{name}: {value:.9g} {unit}".rstrip() for name, (value, unit) in curve.readings.items()),
        curve.empty_note,
        "columns: " + label.replace(" ", "_") + " intensity" + (" sigma" if curve.sigma is not None else ""),
    ]
    return [" ".join(line.split()) for line in lines if line]
