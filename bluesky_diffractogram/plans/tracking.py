"""A motor that keeps a peak where it is wanted, or goes with it."""
# Annotations stay what they are, not text, for queueserver reads them.

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import bluesky.plan_stubs as bps
from bluesky.protocols import NamedMovable, Readable
from bluesky.utils import MsgGenerator

from .checks import check_choice, check_count, check_motor, check_number, check_position, radial_limits
from .steering import PATIENCE, PeakReader, SteeredScan, metadata, steered_run


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedPeak(SteeredScan):
    """How a `track_peak` ended, where the last point that saw the peak counts.

    Attributes
    ----------
    lost
        Whether the peak was lost.
    """

    lost: bool


def track_peak(
    detectors: Sequence[Readable],
    motor: NamedMovable,
    device: Readable,
    num: int,
    slope: float,
    *,
    mode: Literal["centre", "follow"] = "centre",
    range_number: int = 1,
    peak: str | None = None,
    target: float | None = None,
    gain: float = 1.0,
    max_step: float | None = None,
    low: float | None = None,
    high: float | None = None,
    delay: float = 0.0,
    md: dict[str, Any] | None = None,
) -> MsgGenerator[TrackedPeak]:
    """Keep a peak where it is wanted by moving a motor, or have the motor go with it.

    The peak is the one that the reduction follows, ``peak_i_position``, or one that has a name. After each point but
    the last the motor moves: in the mode ``"centre"`` by ``gain·(target − peak)/slope`` from where it was read, for a
    motor that moves the peak; in the mode ``"follow"`` by ``gain·(peak − peak before)/slope``, for one that does not
    (a slit, an analyser). Where the peak is not seen the motor stays; after three points without it the plan ends. With
    the wrong sign of `slope` the motor drives the peak away: give `low` and `high`, or `max_step`, where that would do
    harm.

    Parameters
    ----------
    detectors
        Read at each point; one of them brings the images.
    motor
        What is moved, from where it is.
    device
        The `DiffractogramDevice`, whose callback is subscribed to the RunEngine.
    num
        How many points.
    slope
        By how much, in the configured unit, the peak's position changes for one unit of the motor.
    mode
        See above.
    range_number
        Whose peak, from 1.
    peak
        The name of one that the configuration's ``peaks`` follows, such as ``"111"``; ``peak_i_position`` if not given.
    target
        Where the peak is to be; the middle of the range's axis if not given. For ``"centre"`` only.
    gain
        The part of the distance that is made up for at each point.
    max_step
        The longest move.
    low, high
        Limits of the motor, where it stops.
    delay
        Seconds between points.
    md
        Metadata of the run.

    Returns
    -------
    TrackedPeak
        The run's uid, and where motor and peak are.

    Raises
    ------
    ValueError
        Before the run opens, for all that makes no sense; it names what is allowed.
    RuntimeError
        In the run: its images do not reach the callback, or cannot be read while it goes on.
    """
    check_motor(motor)
    reader = PeakReader(device, range_number, detectors, motor, peak)
    num = check_count("num", num)
    check_choice("mode", mode, ("centre", "follow"))
    if check_number("slope", slope, "a number that is not 0") == 0.0:
        raise ValueError(f"slope = {slope!r}: allowed: a number that is not 0")
    check_number("gain", gain, "a number above 0", above=0.0)
    check_number("delay", delay, "seconds, at least 0", least=0.0)
    longest = math.inf if max_step is None else check_number("max_step", max_step, "a number above 0", above=0.0)
    lowest = -math.inf if low is None else check_number("low", low, "a number")
    highest = math.inf if high is None else check_number("high", high, f"a number above low, {lowest:g}", above=lowest)
    wanted = _target(reader, mode, target)
    arguments = {
        "detectors": list(detectors), "motor": motor, "device": device, "num": num, "slope": slope, "mode": mode,
        "range_number": range_number, "peak": peak, "target": wanted, "gain": gain, "max_step": max_step, "low": low,
        "high": high, "delay": delay,
    }  # fmt: skip
    state: dict[str, Any] = {"points": 0, "motor": math.nan, "peak": math.nan, "lost": False}

    def body(uid: Any) -> MsgGenerator[str]:
        place = begin
        unseen = 0
        before = math.nan
        for k in range(num):
            yield from bps.checkpoint()
            if k:
                yield from bps.mv(motor, place)
                if delay:
                    yield from bps.sleep(delay)
            seen = yield from reader.point(uid)
            state["points"] = k + 1
            if not math.isfinite(seen.followed):
                unseen += seen.known
                if unseen >= PATIENCE:
                    state["lost"] = True
                    return f"the peak{'' if peak is None else f' {peak}'} was lost: {unseen} points in a row without it"
                continue
            unseen = 0
            state.update(motor=seen.motor if math.isfinite(seen.motor) else place, peak=seen.followed)
            away = (wanted - seen.followed) if wanted is not None else (seen.followed - before)
            before = seen.followed
            if math.isfinite(away):
                move = max(-longest, min(longest, gain * away / slope))
                # A motor that is stuck is not sent further and further: it would leap when it came free.
                base = seen.motor if wanted is not None and math.isfinite(seen.motor) else place
                place = max(lowest, min(highest, base + move))
        return f"{num} points; the peak is at {state['peak']:g} with {motor.name} = {state['motor']:g}"

    begin = yield from _position(motor)
    _md = metadata("track_peak", detectors, motor, arguments, md)
    uid, reason = yield from steered_run(reader, _md, body)
    return TrackedPeak(
        uid=uid, lost=state["lost"], motor=state["motor"], peak=state["peak"], points=state["points"], reason=reason
    )


def _position(motor: Any) -> MsgGenerator[float]:
    """Where the motor is."""
    found = yield from bps.rd(motor, default_value=0.0)
    try:
        return float(found)
    except (TypeError, ValueError):
        raise ValueError(f"motor = {motor.name!r} is at {found!r}: allowed: a motor whose position is known") from None


def _target(reader: PeakReader, mode: str, target: float | None) -> float | None:
    """Where the peak is to be; None to follow it."""
    if mode == "follow":
        if target is not None:
            raise ValueError(f"target = {target!r}: allowed: only with mode='centre'")
        return None
    if target is not None:
        return check_position(reader.device, reader.number, "target", target)
    low, high = radial_limits(reader.device, reader.number)
    if not math.isfinite(high - low):
        raise ValueError("target = None: allowed: a position, as the range has no limits yet that it could be between")
    return 0.5 * (low + high)
