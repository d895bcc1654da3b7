"""Checks of single values: each returns the value as the model keeps it, or raises a ConfigError."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from pydantic import BaseModel, ValidationInfo

from .errors import ConfigError

Check = Callable[[Any, ValidationInfo], Any]
_BOOLEANS = (bool, np.bool_)


def key_of(info: ValidationInfo) -> str:
    """The name of the key that is being checked."""
    return info.field_name or "configuration"


def boolean(value: Any, info: ValidationInfo) -> bool:
    """True or false; 0 and 1 as well, as lavue's JSON may hold them."""
    if isinstance(value, (*_BOOLEANS, Integral)) and value in (0, 1):
        return bool(value)
    raise ConfigError(key_of(info), value, "true or false")


def as_integer(value: Any) -> int | None:
    """`value` as an integer; None if it is none. 1000.0 is one, since YAML reads 1e3 as that."""
    if isinstance(value, _BOOLEANS):
        return None
    if isinstance(value, Integral):
        return int(value)
    number = as_real(value)
    return int(number) if number is not None and number.is_integer() else None


def integer(low: int, high: int | None = None) -> Check:
    """Check for an integer from `low` up to `high`, which is included."""
    allowed = f"an integer of at least {low}" if high is None else f"an integer of at least {low} and at most {high}"

    def check(value: Any, info: ValidationInfo) -> int:
        number = as_integer(value)
        if number is None or number < low or (high is not None and number > high):
            raise ConfigError(key_of(info), value, allowed)
        return number

    return check


def integers(low: int, high: int | None = None, *, length: int | None = None, allowed: str) -> Check:
    """Check for a list of integers from `low` up to `high`, of that length; kept as a tuple."""

    def check(value: Any, info: ValidationInfo) -> tuple[int, ...]:
        kept = []
        for part in as_list(value) or [None]:
            number = as_integer(part)
            if number is None or number < low or (high is not None and number > high):
                raise ConfigError(key_of(info), value, allowed)
            kept.append(number)
        if length is not None and len(kept) != length:
            raise ConfigError(key_of(info), value, allowed)
        return tuple(kept)

    return check


def as_real(value: Any) -> float | None:
    """`value` as a finite float; None if it is none."""
    if isinstance(value, _BOOLEANS) or not isinstance(value, Real):
        return None
    try:
        number = float(value)
    except OverflowError:  # an integer beyond any float
        return None
    return number if math.isfinite(number) else None


def real(allowed: str, low: float = -math.inf, high: float = math.inf, *, above: bool = False) -> Check:
    """Check for a finite number from `low` to `high`; with `above`, `low` itself is not allowed."""

    def check(value: Any, info: ValidationInfo) -> float:
        number = as_real(value)
        if number is None or not low <= number <= high or (above and number == low):
            raise ConfigError(key_of(info), value, allowed)
        return number

    return check


def one_of(*words: str, note: str = "") -> Check:
    """Check for one of `words`, in any case."""
    allowed = ", ".join(repr(word) for word in words) + note

    def check(value: Any, info: ValidationInfo) -> str:
        word = value.strip().lower() if isinstance(value, str) else None
        if word not in words:
            raise ConfigError(key_of(info), value, allowed)
        return word

    return check


def switch(model: type[BaseModel], nothing: str) -> Check:
    """Check for the settings of `model`: true is its defaults, null and false are None, else the model checks."""

    def check(value: Any, info: ValidationInfo) -> Any:
        if value is None or value is False:
            return None
        if value is True:
            return model()
        if not isinstance(value, (dict, model)):
            keys = ", ".join(model.model_fields)
            raise ConfigError(key_of(info), value, f"a mapping with any of {keys}; true; false or null for {nothing}")
        return value

    return check


def name(value: Any, info: ValidationInfo) -> str:
    """Check for a name that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(key_of(info), value, "a name")
    return value


def names(value: Any, info: ValidationInfo) -> tuple[str, ...]:
    """Check for a list of names, kept as a tuple."""
    parts = as_list(value)
    if parts is None or not all(isinstance(part, str) and part.strip() for part in parts):
        raise ConfigError(key_of(info), value, "a list of names")
    return tuple(parts)


def optional(check: Check) -> Check:
    """`check`, with null for none."""

    def check_or_none(value: Any, info: ValidationInfo) -> Any:
        if value is None:
            return None
        try:
            return check(value, info)
        except ConfigError as error:
            raise ConfigError(error.key, error.value, f"{error.allowed}, or null", error.reason) from None

    return check_or_none


def as_list(value: Any) -> list[Any] | None:
    """The items of a list, tuple or array; None for anything else, text too."""
    if isinstance(value, np.ndarray):
        return list(value.tolist()) if value.ndim else None
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return list(value)
    return None
