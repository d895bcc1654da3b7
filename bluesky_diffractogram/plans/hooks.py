"""``per_shot`` and ``per_step`` of bluesky's plans: read the point, wait for its reduction, read that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import bluesky.plan_stubs as bps
from bluesky.protocols import Movable, Readable
from bluesky.utils import Msg, MsgGenerator

from ..devices import DiffractogramDevice
from ..documents.derived_keys import READBACK


def reduced_one_shot(detectors: Sequence[Readable], take_reading: Any = None) -> MsgGenerator[None]:
    """One shot of a count, then its results.

    ``count([detector, device], 5, per_shot=reduced_one_shot)``: each shot is an event of the stream ``primary``
    without the device, followed by one of ``diffractogram_readback`` with the device alone, which then has the
    results of that very shot.

    Parameters
    ----------
    detectors
        With one or more `DiffractogramDevice` among them.
    take_reading
        As for bluesky's ``one_shot``.

    Raises
    ------
    ValueError
        There is none among them.
    """
    devices, others = split(detectors)
    yield Msg("checkpoint")
    yield from reduced_reading(devices, others, (), take_reading)


def reduced_one_1d_step(
    detectors: Sequence[Readable], motor: Movable, step: Any, take_reading: Any = None
) -> MsgGenerator[None]:
    """One step of a scan along one motor, then its results: `reduced_one_nd_step` for ``log_scan``.

    Parameters
    ----------
    detectors, take_reading
        As for `reduced_one_nd_step`.
    motor, step
        As for bluesky's ``one_1d_step``.

    Raises
    ------
    ValueError
        There is no device of ours among the detectors.
    """
    devices, others = split(detectors)
    yield Msg("checkpoint")
    yield from bps.mv(motor, step)
    yield from reduced_reading(devices, others, (motor,), take_reading)


def reduced_one_nd_step(
    detectors: Sequence[Readable],
    step: Mapping[Movable, Any],
    pos_cache: dict[Movable, Any],
    take_reading: Any = None,
) -> MsgGenerator[None]:
    """One step of a scan, then its results.

    ``scan([detector, device], motor, 0, 1, 11, per_step=reduced_one_nd_step)``: as `reduced_one_shot`, with the
    motors in both streams.

    Parameters
    ----------
    detectors
        With one or more `DiffractogramDevice` among them.
    step, pos_cache, take_reading
        As for bluesky's ``one_nd_step``.

    Raises
    ------
    ValueError
        There is none among them.
    """
    devices, others = split(detectors)
    yield from bps.move_per_step(step, pos_cache)
    yield from reduced_reading(devices, others, tuple(step), take_reading)


def reduced_reading(
    devices: Sequence[DiffractogramDevice],
    others: Sequence[Readable],
    motors: Sequence[Movable],
    take_reading: Any = None,
) -> MsgGenerator[dict[str, Any]]:
    """Read a point, wait for its reduction, and read that; gives the readings of both.

    Parameters
    ----------
    devices
        Read after the point, in the stream ``diffractogram_readback``.
    others
        Read in the stream ``primary``.
    motors
        Read in both.
    take_reading
        Reads the point, ``trigger_and_read`` if None.
    """
    take_reading = bps.trigger_and_read if take_reading is None else take_reading
    for device in devices:
        # What came before this is no result of the point, should the point bring no frame.
        yield from bps.prepare(device, None, wait=True)
    point = yield from take_reading([*others, *motors])
    results = yield from bps.trigger_and_read([*devices, *motors], name=READBACK)
    return {**(point or {}), **(results or {})}


def readback_hints(*motors: Any) -> dict[str, Any]:
    """Metadata that has BestEffortCallback plot results against the motors.

    ``scan([detector, device], motor, 0, 1, 11, per_step=reduced_one_nd_step, md=readback_hints(motor))``

    Parameters
    ----------
    motors
        Of the scan; none for a count, whose axis is the time.
    """
    fields = [(list(motor.hints["fields"]), READBACK) for motor in motors]
    return {"hints": {"dimensions": fields or [(["time"], READBACK)]}}


def split(detectors: Sequence[Any]) -> tuple[list[DiffractogramDevice], list[Any]]:
    """Our devices among `detectors`, and the others; ValueError if there are none of ours."""
    devices = [each for each in detectors if isinstance(each, DiffractogramDevice)]
    if not devices:
        names = [getattr(each, "name", each) for each in detectors]
        raise ValueError(f"detectors = {names}: allowed: detectors with a DiffractogramDevice among them")
    return devices, [each for each in detectors if each not in devices]
