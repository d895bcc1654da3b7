"""Units in which lengths, angles and energies are read, as control systems write them."""

from __future__ import annotations

import math
from typing import Literal

Kind = Literal["length", "angle", "energy"]

HC = 12.398419843320026
"""h·c in keV·Å (exact since SI 2019; the value in pyFAI too)."""

BASE: dict[Kind, str] = {"length": "m", "angle": "rad", "energy": "keV"}
"""pyFAI's own, which is meant where nothing says a unit."""

_LENGTHS = {"m": 1.0, "cm": 1e-2, "mm": 1e-3, "um": 1e-6, "nm": 1e-9, "A": 1e-10, "pm": 1e-12}
_ANGLES = {
    "rad": 1.0, "mrad": 1e-3, "urad": 1e-6,
    "deg": math.pi / 180.0, "arcmin": math.pi / 10_800.0, "arcsec": math.pi / 648_000.0,
}  # fmt: skip
_ENERGIES = {"eV": 1e-3, "keV": 1.0, "MeV": 1e3}
_FACTORS: dict[Kind, dict[str, float]] = {"length": _LENGTHS, "angle": _ANGLES, "energy": _ENERGIES}

_OTHER_NAMES = {
    "meter": "m", "metre": "m", "millimeter": "mm", "millimetre": "mm", "micrometer": "um", "micrometre": "um",
    "micron": "um", "nanometer": "nm", "nanometre": "nm", "angstrom": "A", "ångström": "A", "ångstrom": "A", "å": "A",
    "a": "A", "radian": "rad", "degree": "deg", "°": "deg", "kev": "keV", "ev": "eV",
}  # fmt: skip


def factor_of(text: str, kind: Kind) -> float:
    """What a value in the unit `text` is multiplied with to be in pyFAI's own: m, rad or keV.

    Parameters
    ----------
    text
        As control systems write it: ``mm``, ``MM``, ``µm``, ``microns``, ``degrees``, …. Of energies the case tells
        ``MeV`` from ``meV``, and only it does.
    kind
        What is measured.

    Raises
    ------
    ValueError
        It is no such unit; the message lists those there are.
    """
    word = text.strip().replace("µ", "u").replace("μ", "u")
    small = word.lower()
    of_kind = _FACTORS[kind]
    names = [word, _OTHER_NAMES.get(small), _OTHER_NAMES.get(small.removesuffix("s"))]
    if kind != "energy":
        names += [small, small.removesuffix("s")]
    for name in names:
        if name in of_kind:
            return of_kind[name]
    raise ValueError(f"{text!r} is no unit of {_ARTICLES[kind]} that is known; {allowed_units(kind)} are")


_ARTICLES: dict[Kind, str] = {"length": "a length", "angle": "an angle", "energy": "an energy"}


def allowed_units(kind: Kind) -> str:
    """The units there are, in words."""
    return ", ".join(repr(name) for name in _FACTORS[kind])
