"""What plans refuse before they start, naming what is allowed."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

import numpy as np
from bluesky.protocols import Movable

from ..devices import DiffractogramDevice
from ..devices.named_peaks import names_by_range
from ..documents.callback import ReductionCallback
from ..reduction.limits import given_limits


def callback_of(device: Any) -> ReductionCallback:
    """The callback of a device, or a callback as it is; ValueError for anything else."""
    if isinstance(device, DiffractogramDevice):
        return device.callback
    if isinstance(device, ReductionCallback):
        return device
    raise ValueError(f"device = {_shown(device)}: allowed: a DiffractogramDevice, or a DiffractogramCallback")


def check_device(device: Any) -> DiffractogramDevice:
    """`device`, if it is one of ours; ValueError if not."""
    if not isinstance(device, DiffractogramDevice):
        raise ValueError(f"device = {_shown(device)}: allowed: a DiffractogramDevice, which has a callback")
    return device


def check_motor(motor: Any) -> None:
    """ValueError for what cannot be moved."""
    if not isinstance(motor, Movable):
        raise ValueError(f"motor = {_shown(motor)}: allowed: something that can be set")


def check_number(name: str, value: Any, allowed: str, *, least: float = -math.inf, above: float = -math.inf) -> float:
    """`value` as a float; ValueError if it is no finite number of at least `least` and above `above`."""
    number = isinstance(value, Real) and not isinstance(value, (bool, np.bool_))
    if not number or not math.isfinite(value) or value < least or value <= above:
        raise ValueError(f"{name} = {value!r}: allowed: {allowed}")
    return float(value)


def check_count(name: str, value: Any) -> int:
    """`value` as an int; ValueError if it is no integer of at least 1."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{name} = {value!r}: allowed: an integer of at least 1")
    return int(value)


def check_choice(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    """ValueError if `value` is none of `allowed`."""
    if value not in allowed:
        raise ValueError(f"{name} = {value!r}: allowed: {', '.join(map(repr, allowed))}")


def check_range(device: DiffractogramDevice, number: Any) -> int:
    """The number of a range that is configured and that the device reads; ValueError if there is none such."""
    configured = device.config.diff_number
    there = min(configured, device.ranges)
    if isinstance(number, bool) or not isinstance(number, Integral) or not 1 <= int(number) <= there:
        allowed = "1, the only range" if there == 1 else f"1 to {there}, the ranges"
        if isinstance(number, Integral) and there < int(number) <= configured:
            # The device is as it was made, so that what it describes never changes in a run.
            allowed += f" that {device.name} reads; there are {configured}: make it with ranges={configured}"
        else:
            allowed += f" of {device.name}"
        raise ValueError(f"range_number = {number!r}: allowed: {allowed}")
    return int(number)


def check_steering(device: DiffractogramDevice) -> None:
    """ValueError where not every frame would be reduced, or no peak searched: no scan can be steered by that."""
    config = device.config
    if config.when_full != "block":
        raise ValueError(f"when_full = {config.when_full!r}: allowed: 'block', as a scan is steered by every frame")
    if not config.show_diff:
        raise ValueError("show_diff = False: allowed: True, as a scan is steered by every frame")
    if config.peaks is None:
        raise ValueError("peaks = None: allowed: a peak search, as the scan is steered by peaks")


def check_position(device: DiffractogramDevice, number: int, name: str, value: Any) -> float:
    """A position on the radial axis of a range; ValueError if no bin of it is there."""
    low, high = radial_limits(device, number)
    unit = device.config.unit.label
    between = f"a position on the axis of range {number}, in {unit}"
    if (low, high) != (-math.inf, math.inf):
        between += f", from {low:g} to {high:g}"
    position = check_number(name, value, between)
    if not low <= position <= high:
        raise ValueError(f"{name} = {value!r}: allowed: {between}")
    return position


def check_peak_name(device: DiffractogramDevice, number: int, name: str) -> str:
    """A peak that the configuration names in a range; ValueError if there is none of that name."""
    names = names_by_range(device.in_force, device.ranges).get(number, ())
    if name not in names:
        allowed = f"one of {', '.join(map(repr, names))}" if names else "no name"
        raise ValueError(
            f"peak = {name!r}: allowed: {allowed}, as the configuration's peaks have it for range {number}"
        )
    return name


def radial_limits(device: DiffractogramDevice, number: int) -> tuple[float, float]:
    """Where the radial axis of a range begins and ends in the configured unit, infinite where that is not known yet."""
    callback = device.callback
    config, unit = callback.config, callback.config.unit
    low, high = None, None
    if unit.name != "r_pixel":
        limit_unit = config.radial_limit_unit or unit
        low, high = given_limits(config.ranges[number - 1], limit_unit, unit, callback.setting.geometry)
    if (low is None or high is None) and not callback.processing:
        # The buffers know what is not given, but while a change waits they are those of before.
        buffers = callback.buffers
        axis = buffers[number - 1].radial if number <= len(buffers) else None
        if axis is not None:
            low, high = (float(axis[end]) if given is None else given for end, given in ((0, low), (-1, high)))
    return -math.inf if low is None else low, math.inf if high is None else high


def _shown(thing: Any) -> str:
    name = getattr(thing, "name", None)
    return f"{type(thing).__name__} {name!r}" if isinstance(name, str) else repr(thing)
