"""Checks of the keys whose values have a grammar of their own."""

from __future__ import annotations

import re
from typing import Any

from pydantic import ValidationInfo

from .errors import ConfigError
from .ranges import ALLOWED_RANGE, four_entries
from .units import ALLOWED_UNITS, UNITS, parse_unit
from .values import as_integer, as_list, as_real, integer, integers, key_of

MOST_BINS = 10_000_000
MOST_PIXELS = 2**28
"""More than any detector has; with a calibration that says more, the first frame would take all memory there is."""
SPLITS = ("no", "bbox", "full")
TRANSFORMATIONS = (
    "none",
    "flip-up-down",
    "flip-left-right",
    "transpose",
    "rot-90",
    "rot-180",
    "rot-270",
    "rot-180+transpose",
)
_PYFAI_METHOD = (
    ("no", "bbox", "pseudo", "full"),
    ("histogram", "lut", "csr", "csc"),
    ("python", "cython", "opencl"),
)


def diff_ranges(value: Any, info: ValidationInfo) -> tuple[tuple[float | None, ...] | None, ...]:
    """A list of ranges, each with its four entries or null; null is the empty list."""
    if value is None:
        return ()
    entries = as_list(value)
    if entries is None:
        raise ConfigError(key_of(info), value, f"a list of ranges {ALLOWED_RANGE}")
    return tuple(four_entries(entry, number) for number, entry in enumerate(entries, 1))


def diff_units(value: Any, info: ValidationInfo) -> str:
    """A unit, kept as its label."""
    try:
        return parse_unit(value).label
    except ValueError:
        raise ConfigError(key_of(info), value, _allowed_units()) from None


def range_unit(value: Any, info: ValidationInfo) -> str:
    """A unit, kept as its name, or "same"."""
    if isinstance(value, str) and value.strip().lower() == "same":
        return "same"
    try:
        return parse_unit(value).name
    except ValueError:
        raise ConfigError(key_of(info), value, f"'same' (the unit of diff_units), {_allowed_units()}") from None


def curve_unit(value: Any, info: ValidationInfo) -> str:
    """A unit, kept as its name."""
    try:
        return parse_unit(value).name
    except ValueError:
        raise ConfigError(key_of(info), value, f"the unit of background_curve, {_allowed_units()}") from None


def _allowed_units() -> str:
    return f"{ALLOWED_UNITS} (or pyFAI's names: {', '.join(unit.name for unit in UNITS)})"


def npt(value: Any, info: ValidationInfo) -> int | tuple[int, ...]:
    """One number of bins, or one for each range, kept as a tuple."""
    if as_list(value) is None:
        return integer(1, MOST_BINS)(value, info)
    return integers(1, MOST_BINS, allowed="a list of integers from 1, one for each range")(value, info)


def detector_shape(value: Any, info: ValidationInfo) -> tuple[int, ...]:
    """Rows and columns."""
    allowed = "[rows, columns], integers of at least 1"
    shape = integers(1, length=2, allowed=allowed)(value, info)
    if shape[0] * shape[1] > MOST_PIXELS:
        raise ConfigError(key_of(info), value, allowed, f"those are more than {MOST_PIXELS} pixels")
    return shape


def binning(value: Any, info: ValidationInfo) -> tuple[int, ...]:
    """Rows and columns, kept as both where one number is given for both."""
    one = as_integer(value)
    both = value if one is None else (one, one)
    try:
        return integers(1, length=2, allowed="an integer of at least 1, or [rows, columns] of them")(both, info)
    except ConfigError as error:
        raise ConfigError(error.key, value, error.allowed) from None


def main_plot(value: Any, info: ValidationInfo) -> str:
    """``image``, ``cake`` or ``buffer i``, in lower case; whether there is such a one is checked with other keys."""
    text = value.strip().lower() if isinstance(value, str) else ""
    match = re.fullmatch(r"buffer\s*([1-9][0-9]{0,8})", text, flags=re.ASCII)
    if match:
        return f"buffer {match[1]}"
    if text not in ("image", "cake"):
        raise ConfigError(key_of(info), value, "'image', 'buffer 1', 'buffer 2', ..., and 'cake' with the key cake")
    return text


def method(value: Any, info: ValidationInfo) -> str | tuple[Any, ...]:
    """A pixel splitting, or a full pyFAI method: splitting, algorithm, implementation, perhaps a device."""
    if isinstance(value, str) and value.strip().lower() in SPLITS:
        return value.strip().lower()
    parts = as_list(value)
    if parts is None or len(parts) not in (3, 4):
        raise ConfigError(key_of(info), value, _ALLOWED_METHOD)
    words = tuple(part.lower() if isinstance(part, str) else None for part in parts[:3])
    if any(word not in allowed for word, allowed in zip(words, _PYFAI_METHOD, strict=True)):
        raise ConfigError(key_of(info), value, _ALLOWED_METHOD)
    if len(parts) == 3 or parts[3] is None:
        return words
    device = parts[3]
    if not isinstance(device, str):
        device = tuple(as_integer(part) for part in as_list(device) or ())
        if len(device) != 2 or None in device:
            raise ConfigError(key_of(info), value, _ALLOWED_METHOD)
    return (*words, device)


_ALLOWED_METHOD = (
    f"{', '.join(map(repr, SPLITS))}, or pyFAI's [splitting, algorithm, implementation] out of "
    + ", ".join("/".join(allowed) for allowed in _PYFAI_METHOD)
    + ", for OpenCL followed by a device such as [0, 0], 'gpu' or 'cpu'"
)


def colors(value: Any, info: ValidationInfo) -> tuple[Any, ...] | None:
    """Colours, each [red, green, blue] of 0 to 255 or one of matplotlib's; an empty list is none."""
    allowed = "a list of colours, each [red, green, blue] of integers 0 to 255 or the text of a matplotlib colour"
    if value is None:
        return None
    given = as_list(value)
    if given is None:
        raise ConfigError(key_of(info), value, allowed)
    kept: list[str | tuple[int, ...]] = []
    for position, colour in enumerate(given):
        if isinstance(colour, str) and colour.strip():
            kept.append(colour)
            continue
        channels = [as_integer(channel) for channel in as_list(colour) or ()]
        if len(channels) != 3 or not all(channel is not None and 0 <= channel <= 255 for channel in channels):
            raise ConfigError(f"{key_of(info)}[{position}]", colour, allowed)
        kept.append(tuple(channel for channel in channels if channel is not None))
    return tuple(kept) or None


def valid_range(value: Any, info: ValidationInfo) -> tuple[float | None, float | None] | None:
    """The least and the greatest valid count, either of them null; both null is none."""
    allowed = "[minimum, maximum], either of them null, or null"
    if value is None:
        return None
    parts = as_list(value)
    if parts is None or len(parts) != 2:
        raise ConfigError(key_of(info), value, allowed)
    low, high = (None if part is None else as_real(part) for part in parts)
    for number, part in zip((low, high), parts, strict=True):
        if number is None and part is not None:
            raise ConfigError(key_of(info), value, allowed, f"{part!r} is no finite number")
    if low is not None and high is not None and low > high:
        raise ConfigError(key_of(info), value, allowed, "the minimum is above the maximum")
    return None if low is None and high is None else (low, high)
