"""The radial units that users can ask for, and what pyFAI calls them."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi


@dataclass(frozen=True, slots=True)
class RadialUnit:
    """A unit of the radial axis.

    Attributes
    ----------
    name
        pyFAI's name, ``q_A^-1``; ``r_pixel`` is ours, pyFAI has none.
    label
        What users write in the configuration, ``q [1/A]``.
    symbol
        The bare unit, ``1/Å``, for the ``units`` of data keys and for texts.
    axis_label
        Quantity and unit for a plot's axis, in matplotlib's mathtext.
    pyfai
        The unit that pyFAI integrates in: `name`, but ``r_mm`` for ``r_pixel``.
    si_scale
        Factor from what pyFAI computes with (rad for 2θ, 1/nm for q, m for r and d) to `pyfai`; it is the
        ``scale`` of ``pyFAI.units``. What turns mm into pixels is known to the geometry alone.
    needs_wavelength
        Whether the axis can be computed only when the wavelength is known.
    """

    name: str
    label: str
    symbol: str
    axis_label: str
    pyfai: str
    si_scale: float
    needs_wavelength: bool

    def __str__(self) -> str:
        return self.label


Q_NM = RadialUnit("q_nm^-1", "q [1/nm]", "1/nm", "$q$ (nm$^{-1}$)", "q_nm^-1", 1.0, True)
Q_A = RadialUnit("q_A^-1", "q [1/A]", "1/Å", "$q$ (Å$^{-1}$)", "q_A^-1", 0.1, True)
TTH_DEG = RadialUnit("2th_deg", "2th [deg]", "deg", "$2\\theta$ (°)", "2th_deg", 180.0 / pi, False)
TTH_RAD = RadialUnit("2th_rad", "2th [rad]", "rad", "$2\\theta$ (rad)", "2th_rad", 1.0, False)
R_MM = RadialUnit("r_mm", "r [mm]", "mm", "$r$ (mm)", "r_mm", 1000.0, False)
R_PIXEL = RadialUnit("r_pixel", "r [pixel]", "pixel", "$r$ (pixel)", "r_mm", 1000.0, False)
D_A = RadialUnit("d_A", "d [A]", "Å", "$d$ (Å)", "d_A", 1e10, True)

UNITS: tuple[RadialUnit, ...] = (Q_NM, Q_A, TTH_DEG, TTH_RAD, R_MM, R_PIXEL, D_A)
"""Every unit, lavue's six in lavue's order first."""


def _key(text: str) -> str:
    return "".join(text.split()).lower().replace("å", "a")


_BY_TEXT = {_key(text): unit for unit in UNITS for text in (unit.label, unit.name)}

ALLOWED_UNITS = ", ".join(repr(unit.label) for unit in UNITS)


def parse_unit(text: str) -> RadialUnit:
    """The unit that `text` names.

    Parameters
    ----------
    text
        A label (``q [1/nm]``) or pyFAI's name (``q_nm^-1``); case and blanks do not matter.

    Raises
    ------
    ValueError
        `text` names no unit; the message lists those there are.
    """
    unit = _BY_TEXT.get(_key(text)) if isinstance(text, str) else None
    if unit is None:
        names = ", ".join(repr(unit.name) for unit in UNITS)
        raise ValueError(f"{text!r} is no unit; allowed: {ALLOWED_UNITS}, or the names {names}")
    return unit
