"""Which peaks are given names and followed from frame to frame."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator

from . import values
from .errors import ConfigError
from .units import parse_unit
from .values import as_list, as_real, integer, key_of, optional, real

Line = tuple[str | None, float]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_]*", flags=re.ASCII)


def part_of_key(value: Any, info: ValidationInfo) -> str:
    """A name that can be a part of a data key."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ConfigError(key_of(info), value, "a name of letters, digits and _, as it becomes part of data keys")
    return value


def unit_name(value: Any, info: ValidationInfo) -> str:
    """A unit, kept as pyFAI's name."""
    try:
        return parse_unit(value).name
    except ValueError as error:
        raise ConfigError(key_of(info), value, str(error).rpartition("allowed: ")[2]) from None


def named_spacings(value: Any, info: ValidationInfo) -> tuple[Line, ...]:
    """d in Å, with the names that are given; kept from large to small."""
    allowed = "a list of d-spacings in Å above 0, or a mapping of names to them"
    if isinstance(value, dict):
        given: list[tuple[Any, Any]] = list(value.items())
    else:
        pairs = [as_list(part) or (None, part) for part in as_list(value) or ()]
        given = [(pair[0], pair[1]) for pair in pairs if len(pair) == 2]
    lines: list[Line] = []
    for key, d in given:
        number = as_real(d)
        if number is None or number <= 0.0:
            raise ConfigError(key_of(info), value, allowed)
        lines.append((None if key is None else part_of_key(str(key), info), number))
    if not lines:
        raise ConfigError(key_of(info), value, allowed)
    return tuple(sorted(lines, key=lambda line: -line[1]))


class TrackedPeak(BaseModel):
    """One peak that is followed, an entry of ``peaks.track``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, BeforeValidator(part_of_key)] = Field(
        description="What it is called in data keys, peak_i_NAME_position."
    )
    near: Annotated[float, BeforeValidator(real("a number"))] = Field(description="Where it is when it is first seen.")
    within: Annotated[float, BeforeValidator(real("a number above 0", 0.0, above=True))] = Field(
        description="How far from there it may be then."
    )
    unit: Annotated[str | None, BeforeValidator(optional(unit_name))] = Field(
        default=None, description="The unit of near and within; that of diff_units if null."
    )


class TrackedPhase(BaseModel):
    """A phase whose lines are followed, an entry of ``peaks.phases``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, BeforeValidator(part_of_key)] = Field(
        description="What it is called in data keys, peak_i_NAME_111_position."
    )
    calibrant: Annotated[str | None, BeforeValidator(optional(values.name))] = Field(
        default=None, description="One that pyFAI knows, whose lines these are."
    )
    spacings: Annotated[tuple[Line, ...] | None, BeforeValidator(optional(named_spacings))] = Field(
        default=None,
        description="d of its lines in Å: a list, whose lines are named by hkl where they are those of a cubic phase "
        "and by their number else, or a mapping of names to d.",
    )
    most: Annotated[int, BeforeValidator(integer(1, 1000))] = Field(
        default=10, description="How many of the lines are followed, those of the largest d."
    )
    within: Annotated[float, BeforeValidator(real("a number above 0 and at most 0.2", 0.0, 0.2, above=True))] = Field(
        default=0.01, description="How far a line may be from its place when it is first seen, as a part of d."
    )

    @model_validator(mode="after")
    def _one_source(self) -> TrackedPhase:
        if (self.calibrant is None) == (self.spacings is None):
            raise ConfigError("calibrant", self.calibrant, "one of calibrant and spacings")
        return self


def entries(value: Any, info: ValidationInfo) -> Any:
    """A list of mappings, which are the model's to check."""
    if value is None:
        return None
    parts = as_list(value)
    if not parts or not all(isinstance(part, (dict, BaseModel)) for part in parts):
        raise ConfigError(key_of(info), value, f"a list of mappings with the keys {_keys(info)}, or null")
    return tuple(parts)


def _keys(info: ValidationInfo) -> str:
    return ", ".join((TrackedPeak if info.field_name == "track" else TrackedPhase).model_fields)


def check_names(peaks: tuple[TrackedPeak, ...] | None, phases: tuple[TrackedPhase, ...] | None) -> None:
    """Raise a ConfigError where two have one name."""
    names = [each.name for each in peaks or ()]
    for key, found in (("track", names), ("phases", [each.name for each in phases or ()])):
        twice = next((one for one in found if found.count(one) > 1), None)
        if twice is not None:
            raise ConfigError(key, twice, "names of which no two are the same")
