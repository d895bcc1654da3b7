"""What is set for a geometry that moves: which readings tell it, frame by frame."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator

from .errors import ConfigError
from .quantities import HC, Kind, allowed_units, factor_of
from .units import RadialUnit
from .values import key_of, name, optional, real

KINDS: dict[str, Kind] = {
    "distance": "length",
    "poni1": "length",
    "poni2": "length",
    "rot1": "angle",
    "rot2": "angle",
    "rot3": "angle",
    "wavelength": "length",
    "energy": "energy",
}
"""The parameters of a geometry that readings may tell, and what each of them measures."""

TOLERANCES = {
    **dict.fromkeys(("distance", "poni1", "poni2", "rot1", "rot2", "rot3"), 1e-6),
    "wavelength": 1e-15,
    "energy": 1e-4,
}
"""In m, rad and keV: encoders and readbacks jitter by less, and no diffractogram shows as little."""

RECORDED = "geometry_"
"""How the data keys begin under which a derived event tells the geometry of its frame."""
OF_WAVELENGTH = (f"{RECORDED}energy", f"{RECORDED}wavelength")


def told_wavelength(data: Mapping[str, Any]) -> Any:
    """The wavelength in m, or those of several frames, that the data of derived events tell; None if they tell none."""
    energy, length = (data.get(key) for key in OF_WAVELENGTH)
    return length if energy is None else HC / energy * 1e-10


class Reading(BaseModel):
    """A reading that tells one parameter: ``value = reading · scale + offset``, all in `unit`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: Annotated[str, BeforeValidator(name)] = Field(
        description="The data key, of the events or of the configuration in the descriptor."
    )
    unit: Annotated[str | None, BeforeValidator(optional(name))] = Field(
        default=None, description="The reading's unit; null: that of the data key, else m, rad or keV."
    )
    scale: Annotated[float, BeforeValidator(real("a number"))] = Field(
        default=1.0, description="What the reading is multiplied with."
    )
    offset: Annotated[float, BeforeValidator(real("a number"))] = Field(
        default=0.0, description="What is added then, in the unit of the reading."
    )
    tolerance: Annotated[float | None, BeforeValidator(optional(real("a number of at least 0", 0.0)))] = Field(
        default=None,
        description="In m, rad or keV: readings are rounded to multiples of about it; null: 1e-6 m, 1e-6 rad, "
        "1e-4 keV, of wavelengths 1e-15 m.",
    )


def _named(value: Any, info: ValidationInfo) -> Any:
    """A data key alone is a reading with the defaults."""
    if isinstance(value, str):
        return {"key": name(value, info)}
    if value is None or isinstance(value, (dict, Reading)):
        return value
    keys = ", ".join(Reading.model_fields)
    raise ConfigError(key_of(info), value, f"the name of a data key, or a mapping with any of {keys}")


def _checked(reading: Reading | None, info: ValidationInfo) -> Reading | None:
    """The settings that a parameter can have."""
    if reading is None:
        return None
    kind = KINDS.get(key_of(info))
    if kind is None:
        for setting in ("unit", "scale", "offset", "tolerance"):
            if setting in reading.model_fields_set:
                raise ConfigError(setting, getattr(reading, setting), "key alone: a PONI is taken as it is")
        return reading
    if reading.scale == 0.0:
        raise ConfigError("scale", 0.0, "a number other than 0")
    if reading.unit is not None:
        try:
            factor_of(reading.unit, kind)
        except ValueError:
            raise ConfigError("unit", reading.unit, allowed_units(kind)) from None
    return reading


Told = Annotated[Reading | None, BeforeValidator(_named), AfterValidator(_checked)]


class GeometryConfig(BaseModel):
    """The ``geometry`` of a configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    distance: Told = Field(default=None, description="Tells the distance from the sample to the PONI, pyFAI's dist.")
    poni1: Told = Field(default=None, description="Tells the PONI's coordinate along the slow axis.")
    poni2: Told = Field(default=None, description="Tells the PONI's coordinate along the fast axis.")
    rot1: Told = Field(default=None, description="Tells pyFAI's first rotation.")
    rot2: Told = Field(default=None, description="Tells pyFAI's second rotation.")
    rot3: Told = Field(default=None, description="Tells pyFAI's third rotation.")
    wavelength: Told = Field(default=None, description="Tells the wavelength.")
    energy: Told = Field(default=None, description="Tells the photon energy.")
    poni: Told = Field(
        default=None,
        description="Tells all of the geometry: the text of a PONI file, or its path. The others come before it.",
    )

    @model_validator(mode="after")
    def _something(self) -> GeometryConfig:
        if not self.readings:
            raise ConfigError("geometry", {}, f"a mapping with at least one of {', '.join(type(self).model_fields)}")
        if self.energy is not None and self.wavelength is not None:
            raise ConfigError("energy", self.energy.key, "one of energy and wavelength", "both tell the same")
        return self

    @property
    def readings(self) -> dict[str, Reading]:
        """The readings by what they tell."""
        given = {key: getattr(self, key) for key in type(self).model_fields}
        return {key: reading for key, reading in given.items() if reading is not None}

    @property
    def of_wavelength(self) -> str | None:
        """The key that tells wavelength or energy; None if none does but perhaps a PONI."""
        return next((key for key in ("energy", "wavelength") if getattr(self, key) is not None), None)

    def shifts(self, unit: RadialUnit) -> bool:
        """Whether a line of the sample may change its place on an axis of `unit`: q and d are the sample's own."""
        if unit.name[0] in "qd":
            return False
        return unit.name[0] == "r" or self.of_wavelength is not None or self.poni is not None


def check_geometry(value: Any, info: ValidationInfo) -> Any:
    """Null and false are none; the rest is the model's to check."""
    if value is None or value is False:
        return None
    if isinstance(value, (dict, GeometryConfig)):
        return value
    keys = ", ".join(GeometryConfig.model_fields)
    raise ConfigError(key_of(info), value, f"a mapping of any of {keys} to data keys, or null")


def _round_step(most: float) -> float:
    """The largest of 1, 2 and 5 times a power of ten up to `most`."""
    if not 1e-300 < most < 1e300:
        return 0.0
    power = 10.0 ** math.floor(math.log10(most * (1.0 + 1e-9)))
    return max(part * power for part in (1.0, 2.0, 5.0) if part * power <= most * (1.0 + 1e-9))


def told_value(reading: Reading, parameter: str, value: float, unit: str | None) -> float:
    """What a reading says of a parameter, in m, rad or keV.

    The reading is rounded to a multiple of what `tolerance` is in its unit, or a little less, so that the same is told
    of it whatever was read before. The step is 1, 2 or 5 times a power of ten: where motors are sent to is such a
    multiple, and jitter about it leads to no other one. The result has twelve digits, so that 200 mm with an offset of
    −80 mm are 0.12 m.

    Parameters
    ----------
    reading, parameter
        Its settings, and what it tells.
    value
        As it was read.
    unit
        What the data key says of its unit; None if nothing. A configured one comes before.

    Raises
    ------
    ValueError
        The unit is not known, or `value` is no finite number.
    """
    kind = KINDS[parameter]
    text = reading.unit if reading.unit is not None else unit
    factor = 1.0 if text is None or not text.strip() else factor_of(text, kind)
    if not math.isfinite(value):
        raise ValueError(f"{value} is no number")
    tolerance = TOLERANCES[parameter] if reading.tolerance is None else reading.tolerance
    step = _round_step(tolerance / factor / abs(reading.scale))
    steps = value / step if step > 0.0 else math.inf
    rounded = round(steps) * step if math.isfinite(steps) else value  # beyond all numbers nothing is to be rounded
    return float(f"{(rounded * reading.scale + reading.offset) * factor:.12g}")
