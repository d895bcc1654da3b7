"""Where a geometry is, when it is not where the calibration has it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any

from ..config.quantities import HC
from .calibration import LENGTH_LIMITS_M, WAVELENGTH_LIMITS_M
from .geometry import Geometry

ENERGY_LIMITS_KEV = tuple(HC * 1e-10 / length for length in reversed(WAVELENGTH_LIMITS_M))
SAME_PIXEL = 1e-6


@dataclass(frozen=True, slots=True)
class Moved:
    """What is told of the geometry of a frame; what is None is the calibration's.

    Attributes
    ----------
    distance, poni1, poni2
        In m, as pyFAI's ``dist``, ``poni1`` and ``poni2``.
    rot1, rot2, rot3
        In rad.
    wavelength
        In m.
    energy
        In keV, instead of the wavelength.
    others
        The same of each further detector whose frames are merged with this one's.

    Raises
    ------
    ValueError
        No geometry is like that.
    """

    distance: float | None = None
    poni1: float | None = None
    poni2: float | None = None
    rot1: float | None = None
    rot2: float | None = None
    rot3: float | None = None
    wavelength: float | None = None
    energy: float | None = None
    others: tuple[Moved | None, ...] = ()

    def __post_init__(self) -> None:
        for name, value in self.told().items():
            if not _possible(name, value):
                raise ValueError(f"the {name} is {value:g} {UNITS[name]}")

    @property
    def wavelength_m(self) -> float | None:
        """The wavelength, be it told as such or as an energy."""
        return self.wavelength if self.energy is None else HC / self.energy * 1e-10

    def told(self) -> dict[str, float]:
        """What is told, by name; without that of the others."""
        given = {each.name: getattr(self, each.name) for each in fields(self) if each.name in UNITS}
        return {name: value for name, value in given.items() if value is not None}

    def beside(self, first: Moved | None) -> Moved | None:
        """What is told of a further detector, whose beam is that of the `first`; None for nothing."""
        wavelength, energy = (None, None) if first is None else (first.wavelength, first.energy)
        moved = replace(self, wavelength=wavelength, energy=energy)
        return moved if moved.told() else None

    def of(self, geometry: Geometry) -> Geometry:
        """A calibration's geometry, moved there; the same object if it is there already."""
        parameters = {name: value for name, value in self.told().items() if name not in ("wavelength", "energy")}
        return geometry.moved(parameters, self.wavelength_m)

    def effective(self, geometry: Geometry, names: tuple[str, ...]) -> dict[str, float]:
        """The parameters that are called `names`, of a geometry that is moved there; NaN for what is not known."""
        return {name: told if (told := getattr(self, name)) is not None else _of(geometry, name) for name in names}


UNITS = {
    **dict.fromkeys(("distance", "poni1", "poni2", "wavelength"), "m"),
    **dict.fromkeys(("rot1", "rot2", "rot3"), "rad"),
    "energy": "keV",
}


def _possible(name: str, value: float) -> bool:
    smallest, largest = LENGTH_LIMITS_M
    if name == "distance":
        return smallest < value < largest
    if name in ("poni1", "poni2"):
        return abs(value) < largest
    if name in ("wavelength", "energy"):
        low, high = WAVELENGTH_LIMITS_M if name == "wavelength" else ENERGY_LIMITS_KEV
        return low < value < high
    return math.isfinite(value)


def _of(geometry: Geometry, name: str) -> float:
    length = math.nan if geometry.wavelength is None else geometry.wavelength
    return HC * 1e-10 / length if name == "energy" else geometry.parameters.get(name, length)


_NECESSARY, _ROTATIONS = ("distance", "poni1", "poni2"), ("rot1", "rot2", "rot3")


@lru_cache(maxsize=256)
def moved_by_poni(text: str, pixel_size: tuple[float, float], orientation: int) -> Moved:
    """Where the text of a PONI file says that the detector of a calibration is.

    It is read here and not by pyFAI, which opens the files that it names; the detector is the calibration's. As
    calibrations are appended, the last of several counts.

    Parameters
    ----------
    text
        Of any version.
    pixel_size, orientation
        Of the calibration's detector, unbinned.

    Raises
    ------
    ValueError
        It is no such text, or is of another detector.
    """
    lines = [line.partition(":") for line in text.splitlines() if not line.lstrip().startswith("#")]
    told = {key.strip().lower(): value.strip() for key, colon, value in lines if colon}
    missing = [key for key in _NECESSARY if key not in told]
    if missing:
        raise ValueError(f"it is no PONI file: there is no {missing[0].capitalize()}")
    numbers: dict[str, Any] = {name: float(told.get(name, "0")) for name in (*_NECESSARY, *_ROTATIONS)}
    if told.get("wavelength") not in (None, "", "None"):
        numbers["wavelength"] = float(told["wavelength"])
    _check_detector(told, pixel_size, orientation)
    return Moved(**numbers)


def _check_detector(told: Mapping[str, str], pixel_size: tuple[float, float], expected: int) -> None:
    """Refuse a PONI whose pixels, as far as it says them, are not those of the calibration."""
    settings = json.loads(told.get("detector_config") or "{}")
    if not isinstance(settings, dict):
        raise ValueError(f"its Detector_config is {settings!r}")
    for axis, size in zip(("1", "2"), pixel_size, strict=True):
        given = settings.get(f"pixel{axis}") or told.get(f"pixelsize{axis}")
        if given is not None and not math.isclose(float(given), size, rel_tol=SAME_PIXEL):
            raise ValueError(f"its pixel{axis} is {given} m, that of the calibration is {size} m")
    orientation = settings.get("orientation")
    if orientation is not None and int(orientation or 3) != expected:
        raise ValueError(f"its orientation is {orientation}, that of the calibration is {expected}")
