"""What the plans that are steered by peaks have in common: a run, its metadata, the peaks at a point."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
import numpy as np
from bluesky.utils import MsgGenerator, RunEngineControlException
from numpy.typing import NDArray

from ..devices import DiffractogramDevice
from ..documents.derived_keys import READBACK
from .checks import check_device, check_peak_name, check_range, check_steering
from .hooks import reduced_reading

PATIENCE = 3
"""So many points in a row may lack a result, or the peak that is followed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SteeredScan:
    """How a scan that is steered by a peak ended.

    Attributes
    ----------
    uid
        Of the run.
    motor
        Where the motor was read at the last point that counts; NaN if there was none.
    peak
        Where the peak was there, in the configured unit; NaN if it was not there.
    points
        How many were taken.
    reason
        How it ended in words, as in the run's stop document.
    """

    uid: str
    motor: float
    peak: float
    points: int
    reason: str


@dataclass(frozen=True, eq=False, slots=True)
class PeaksAtPoint:
    """The peaks of one range at one point.

    Attributes
    ----------
    known
        Whether the point has a result. In a dry run none has.
    positions
        ``(n,)`` of all peaks, strongest first; of the one that is wanted by name, if there is one.
    followed
        The device's ``peak_i_position``, or ``peak_i_NAME_position``; NaN where it is not seen.
    motor
        Where the motor was read; NaN if it has no number among its readings.
    """

    known: bool
    positions: NDArray[np.float64]
    followed: float
    motor: float = math.nan


class PeakReader:
    """Reads points and their peaks, and knows when to give up.

    Parameters
    ----------
    device
        A `DiffractogramDevice`.
    range_number
        Whose peaks.
    detectors, motor
        What is read at each point.
    peak
        The name of the one peak that counts; all do if None.

    Raises
    ------
    ValueError
        There is no such range or peak, or the configuration is not one to be steered by.
    """

    def __init__(
        self, device: Any, range_number: int, detectors: Sequence[Any], motor: Any, peak: str | None = None
    ) -> None:
        self.device: DiffractogramDevice = check_device(device)
        self.number = check_range(self.device, range_number)
        check_steering(self.device)
        self.peak = None if peak is None else check_peak_name(self.device, self.number, peak)
        self._followed = f"{device.name}_peak_{self.number}{'' if peak is None else f'_{peak}'}_position"
        # Other devices of ours have their results after the point, too.
        ours = [each for each in detectors if isinstance(each, DiffractogramDevice) and each is not device]
        self._devices = [self.device, *ours]
        self._detectors = [each for each in detectors if not isinstance(each, DiffractogramDevice)]
        if not self._detectors:
            raise ValueError("detectors = []: allowed: at least one, whose images are reduced")
        needed = {f"{device.name}_valid", self._followed}
        if missing := needed - set(self.device.describe()):
            raise ValueError(f"{sorted(missing)} are not read: allowed: signals whose kind is normal or hinted")
        self._motor = motor
        self._without = 0
        self._steered_by = self._range_now()

    @property
    def staged(self) -> list[Any]:
        """What has to be staged."""
        return [*self._detectors, self._motor, *self._devices]

    def point(self, run_uid: Any) -> MsgGenerator[PeaksAtPoint]:
        """Take a point, and read its peaks.

        Raises
        ------
        RuntimeError
            No frame of the run reaches the callback, its file cannot be read before the run ends, too many points
            in a row have no result, or the range is not what it was.
        """
        readings = yield from reduced_reading(self._devices, self._detectors, [self._motor])
        prefix, i = self.device.name, self.number
        if not readings:  # a dry run
            return PeaksAtPoint(False, np.empty(0), math.nan)
        self._check_unchanged()
        motor = position_of(self._motor, readings)
        if not readings[f"{prefix}_valid"]["value"]:
            self._without += 1
            self._give_up(run_uid)
            return PeaksAtPoint(False, np.empty(0), math.nan, motor)
        self._without = 0
        followed = float(readings[self._followed]["value"])
        if self.peak is not None:
            seen = np.array([followed] if math.isfinite(followed) else [])
            return PeaksAtPoint(True, seen, followed, motor)
        listed = yield from bps.rd(getattr(self.device, f"peaks_{i}"), default_value=np.empty((2, 0)))
        latched = self.device.latched
        if latched is not None and latched.valid:  # what was read just now; by now there may be a newer frame
            listed = latched.values[f"peaks_{i}"]
        positions = np.asarray(listed, dtype=float)[0]
        return PeaksAtPoint(True, positions[np.isfinite(positions)], followed, motor)

    def _range_now(self) -> Any:
        """What positions mean: the unit and the range; None if no peak of it is searched."""
        config = self.device.config
        if config.peaks is None or self.number > config.diff_number:
            return None
        meaning = config.unit.name, config.radial_limit_unit, config.ranges[self.number - 1]
        # What a name stands for may be another line now.
        return meaning if self.peak is None else (*meaning, config.peaks)

    def _check_unchanged(self) -> None:
        """RuntimeError where somebody has changed that meanwhile: a peak would vanish, or leap, for no other reason."""
        if self._range_now() != self._steered_by:
            changed = f"diff_units, diff_ranges or peaks were changed for range {self.number}"
            raise RuntimeError(f"{changed} in a run that is steered by it: change them before")

    def _give_up(self, run_uid: Any) -> None:
        callback = self.device.callback
        if callback.latest_run != run_uid:
            raise RuntimeError(
                "no image of this run was received: is the callback of "
                f"{self.device.name} subscribed to this RunEngine, and an image among the readings?"
            )
        if callback.parked(run_uid):
            raise RuntimeError(
                "the images of this run cannot be read while it goes on, so that nothing can be steered by them: have "
                "the detector write files that can be read at once (SWMR, or a flush after each frame)"
            )
        if self._without >= PATIENCE:
            raise RuntimeError(f"{self._without} points in a row have no result; the log tells why")


def steered_run(
    reader: PeakReader, md: dict[str, Any], body: Callable[[Any], MsgGenerator[str]]
) -> MsgGenerator[tuple[Any, str]]:
    """Stage, open a run, do `body(uid)`, and close the run with the reason that it returns.

    Returns
    -------
    uid, reason
        Of the run; what `body` returned.
    """

    def failed(error: Exception) -> MsgGenerator[None]:
        if isinstance(error, RunEngineControlException):
            yield from bps.close_run(exit_status=getattr(error, "exit_status", "abort"))
        else:
            yield from bps.close_run(exit_status="fail", reason=str(error))

    @bpp.stage_decorator(reader.staged)
    def inner() -> MsgGenerator[tuple[Any, str]]:
        uid = yield from bps.open_run(md)
        reason = yield from bpp.contingency_wrapper(body(uid), except_plan=failed)
        yield from bps.close_run(reason=reason)
        return uid, reason

    return (yield from inner())


def metadata(
    plan_name: str, detectors: Sequence[Any], motor: Any, arguments: Mapping[str, Any], md: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The start document's metadata, as bluesky's own plans have it; `md` wins."""
    made: dict[str, Any] = {
        "detectors": [detector.name for detector in detectors],
        "motors": [motor.name],
        "plan_args": {name: _plain(value) for name, value in arguments.items()},
        "plan_name": plan_name,
        "hints": {},
    }
    given = dict(md or {})
    hints = dict(given.pop("hints", {}) or {})
    with suppress(AttributeError, KeyError):  # a motor without hints is no axis
        hints.setdefault("dimensions", [(list(motor.hints["fields"]), READBACK)])
    return {**made, **given, "hints": hints}


def position_of(motor: Any, readings: Mapping[str, Mapping[str, Any]]) -> float:
    """What was read of a motor under its one hinted field, or its name; NaN if there are others, or it is no number."""
    hinted = (getattr(motor, "hints", None) or {}).get("fields") or [motor.name]
    if len(hinted) == 1 and hinted[0] in readings:
        with suppress(TypeError, ValueError):
            return float(readings[hinted[0]]["value"])
    return math.nan


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    return value if isinstance(value, (bool, int, float, str, type(None))) else repr(value)
