"""What is written beside the data: units, ranges, powers of ten."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, isfinite, log10

from matplotlib.ticker import FuncFormatter

from bluesky_diffractogram.config.units import parse_unit

from .derived import Stream

_SYMBOLS = {"1/nm": " nm⁻¹", "1/Å": " Å⁻¹", "deg": "°"}


def radial_label(stream: Stream) -> str:
    """The label of a radial axis, with its unit; as the stream names it if the unit is none of ours."""
    try:
        return parse_unit(stream.unit).axis_label
    except ValueError:
        return stream.unit_label


def azimuth_text(stream: Stream, number: int) -> str:
    """The arc of range `number`: ``χ 10…20°``."""
    start, end = stream.ranges[number].azimuth_range
    if not (isfinite(start) and isfinite(end)):
        return ""
    return "full ring" if end - start >= 360 else f"χ {_number(start)}…{_number(end)}°"


def radial_text(stream: Stream, number: int) -> str:
    """The radial limits of range `number`: ``q 0.5…11.3 nm⁻¹``."""
    low, high = stream.ranges[number].radial_range
    if not (isfinite(low) and isfinite(high)):
        return ""
    try:
        unit = parse_unit(stream.unit)
    except ValueError:
        return f"{_number(low)}…{_number(high)} {stream.unit_label}"
    quantity = unit.label.split()[0].replace("2th", "2θ")
    return f"{quantity} {_number(low)}…{_number(high)}{_SYMBOLS.get(unit.symbol, ' ' + unit.symbol)}"


def quantity_text(stream: Stream, value: float) -> str:
    """A radial value with its unit, finer than a bin: ``q 3.1416 nm⁻¹``."""
    shown = f"{value:.5g}".replace("-", "−")
    try:
        unit = parse_unit(stream.unit)
    except ValueError:
        return f"{shown} {stream.unit_label}"
    quantity = unit.label.split()[0].replace("2th", "2θ")
    return f"{quantity} {shown}{_SYMBOLS.get(unit.symbol, ' ' + unit.symbol)}"


def range_text(stream: Stream, number: int, separator: str = ", ") -> str:
    """Range `number` in words: ``1: χ 10…20°, q 0.5…11.3 nm⁻¹``."""
    limits = separator.join(filter(None, (azimuth_text(stream, number), radial_text(stream, number))))
    return f"{number}: {limits}" if limits else f"range {number}"


def intensity_units(stream: Stream, number: int) -> str:
    """The unit of the intensities of range `number`, as the stream gives it for their mean; empty if it does not."""
    return stream.units.get(f"mean_{number}", "")


def runs_text(labels: Sequence[str]) -> str:
    """The raw runs of the rows: ``scan 12 [1f3c9a]``, or the first and the last of several; empty without any."""
    return " … ".join(dict.fromkeys((*labels[:1], *labels[-1:])))


def frame_text(seq_num: int, index: int) -> str:
    """A frame as documents number it: ``frame 17``, or ``frame 17[2]`` of an event with several."""
    return f"frame {seq_num}[{index}]" if index else f"frame {seq_num}"


def reading_label(stream: Stream, name: str) -> str:
    """A carried reading as an axis label: ``temperature (K)``."""
    unit = stream.units.get(name)
    return f"{name} ({unit})" if unit else name


def reading_text(stream: Stream, name: str, value: float) -> str:
    """A carried reading with its value: ``temperature 452.1 K``."""
    return " ".join(filter(None, (name, _number(value), stream.units.get(name, ""))))


def intensity_exponent(largest: float) -> int:
    """The power of ten that is taken out of the ticks of an intensity axis: a multiple of 3, 0 near to 1.

    It goes into the label, so that ticks stay narrow and are never apart from their factor.

    Parameters
    ----------
    largest
        The largest value that the axis shows.
    """
    if not isfinite(largest) or largest <= 0 or 0.1 <= largest < 1e4:
        return 0
    return 3 * floor(log10(largest) / 3)


def intensity_formatter(exponent: int) -> FuncFormatter:
    """Writes ticks without their power of ten."""
    return FuncFormatter(lambda value, _: _number(value / 10.0**exponent))


def intensity_label(exponent: int, units: str = "") -> str:
    """The label that goes with `intensity_formatter`: ``intensity (10³ counts)``."""
    factor = "" if exponent == 0 else f"$10^{{{exponent}}}$"
    inside = " ".join(filter(None, (factor, units)))
    return f"intensity ({inside})" if inside else "intensity"


def _number(value: float) -> str:
    return f"{value:.4g}".replace("-", "−")
