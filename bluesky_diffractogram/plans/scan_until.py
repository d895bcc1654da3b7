"""A scan that ends when a peak appears, vanishes, or crosses a position."""
# Annotations stay what they are, not text, for queueserver reads them.

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import bluesky.plan_stubs as bps
from bluesky.protocols import NamedMovable, Readable
from bluesky.utils import MsgGenerator

from .checks import check_choice, check_count, check_motor, check_number, check_position
from .criterion import UNTIL, PeakCriterion
from .steering import PeakReader, SteeredScan, metadata, steered_run


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanUntilPeak(SteeredScan):
    """How a `scan_until_peak` ended, where the last point counts.

    Attributes
    ----------
    met
        Whether what was waited for happened.
    """

    met: bool


def scan_until_peak(
    detectors: Sequence[Readable],
    motor: NamedMovable,
    start: float,
    stop: float,
    step: float,
    device: Readable,
    *,
    range_number: int = 1,
    until: Literal["appears", "vanishes", "crosses"] = "appears",
    peak: float | str | None = None,
    tolerance: float | None = None,
    position: float | None = None,
    confirm: int = 1,
    md: dict[str, Any] | None = None,
) -> MsgGenerator[ScanUntilPeak]:
    """Step a motor until a peak of a range appears, vanishes, or crosses a position.

    What a peak is, the configuration's ``peaks`` says. At each point the detectors are read in the stream ``primary``,
    then the device in ``diffractogram_readback``. The motor stays where it was at the last point. The reason for the
    end is in the stop document.

    Parameters
    ----------
    detectors
        Read at each point; one of them brings the images.
    motor
        What is stepped.
    start, stop, step
        From, at most to, and by how much, always positive.
    device
        The `DiffractogramDevice`, whose callback is subscribed to the RunEngine.
    range_number
        Whose peak, from 1.
    until
        What is waited for. A peak vanishes when it was there and is no longer; it crosses `position` when it is on the
        other side than at first, or on it.
    peak
        Where the peak is looked for, in the configured unit; or the name of one that the configuration's ``peaks``
        follows there, such as ``"111"``. If not given, any peak appears, all of them vanish, and the one that is
        followed (``peak_i_position``) crosses.
    tolerance
        How far from `peak` it may be, and how far a crossing one may move from point to point. Needed with a position
        `peak`.
    position
        What is crossed.
    confirm
        At so many points in a row it must be so.
    md
        Metadata of the run.

    Returns
    -------
    ScanUntilPeak
        The run's uid, whether it happened, and where.

    Raises
    ------
    ValueError
        Before the run opens, for all that makes no sense; it names what is allowed.
    RuntimeError
        In the run: its images do not reach the callback, or cannot be read while it goes on.
    """
    check_motor(motor)
    first, last = (check_number(n, v, "a number") for n, v in (("start", start), ("stop", stop)))
    by = check_number("step", step, "a number above 0", above=0.0)
    reader = PeakReader(device, range_number, detectors, motor, peak if isinstance(peak, str) else None)
    criterion = _criterion(reader, until, peak, tolerance, position, confirm)
    if not math.isfinite(steps := abs(last - first) / by):
        raise ValueError(f"step = {step!r}: allowed: a step of which there are not more than a float can count")
    n = math.floor(steps + 1e-9) + 1
    arguments = {
        "detectors": list(detectors), "motor": motor, "start": start, "stop": stop, "step": step, "device": device,
        "range_number": range_number, "until": until, "peak": peak, "tolerance": tolerance, "position": position,
        "confirm": confirm,
    }  # fmt: skip
    state = {"points": 0, "met": False, "motor": math.nan}

    def body(uid: Any) -> MsgGenerator[str]:
        for k in range(n):
            place = first + math.copysign(by, last - first) * k
            yield from bps.checkpoint()
            yield from bps.mv(motor, place)
            seen = yield from reader.point(uid)
            state.update(points=k + 1, motor=seen.motor if math.isfinite(seen.motor) else place)
            if seen.known and criterion.met(seen.positions, seen.followed):
                state["met"] = True
                break
        return _reason(criterion, state, motor.name, until, reader.peak)

    _md = metadata("scan_until_peak", detectors, motor, arguments, md)
    uid, reason = yield from steered_run(reader, _md, body)
    return ScanUntilPeak(
        uid=uid, met=bool(state["met"]), motor=state["motor"], peak=criterion.last, points=int(state["points"]),
        reason=reason,
    )  # fmt: skip


def _criterion(
    reader: PeakReader,
    until: str,
    peak: float | str | None,
    tolerance: float | None,
    position: float | None,
    confirm: int,
) -> PeakCriterion:
    check_choice("until", until, UNTIL)
    confirm = check_count("confirm", confirm)
    device, number = reader.device, reader.number
    criterion = PeakCriterion(until, confirm=confirm)
    if peak is not None and reader.peak is None:
        criterion.peak = check_position(device, number, "peak", peak)
        criterion.tolerance = check_number("tolerance", tolerance, "a distance from peak, above 0", above=0.0)
    elif tolerance is not None:
        raise ValueError(
            f"tolerance = {tolerance!r}: allowed: only with a peak by its position, from which it is the distance"
        )
    if until == "crosses":
        criterion.position = check_position(device, number, "position", position)
    elif position is not None:
        raise ValueError(f"position = {position!r}: allowed: only with until='crosses'")
    return criterion


def _reason(criterion: PeakCriterion, state: dict[str, Any], motor: str, until: str, name: str | None) -> str:
    where = f"at {motor} = {state['motor']:g}"
    what = {"crosses": f"crossed {criterion.position:g}", "appears": "appeared", "vanishes": "vanished"}[until]
    if not state["met"]:
        return f"the scan ended {where}; {'no peak' if name is None else f'the peak {name} has not'} {what}"
    at = f", at {criterion.last:g}" if math.isfinite(criterion.last) else ""
    return f"the peak {what if name is None else f'{name} {what}'} {where}{at}"
