"""The reduction as an ophyd device: configured by signals, read like a detector."""

from __future__ import annotations

import threading
import time
from typing import Any

from ophyd import Component, Kind
from ophyd.device import create_device_from_components
from ophyd.status import DeviceStatus

from ..config import DiffractogramConfig
from ..documents.callback import ReductionCallback
from .commands import CommandSignal
from .configured import ConfiguredDevice
from .following import Following
from .settings import setting_components
from .snapshot import Snapshot, result_components


class DiffractogramDevice(ConfiguredDevice):
    """A callback's configuration and its latest results, as ophyd signals.

    Every configuration key is a signal of kind config, named as the key (``collecting`` for ``collect``, a name
    that bluesky reserves): flat values, with JSON for lists. Setting one reconfigures the callback from the next
    frame on; nonsense raises before anything changes. All are recorded in the descriptors of streams that read the
    device; change them with ``bps.configure`` in a run, which records the change.

    The results are signals named as the scalars of derived events, ``peak_1_position``, ``mean_1``, …, with
    ``raw_uid``, ``raw_event``, ``raw_seq_num`` and ``frame_index`` of their frame, its ``unit``, and ``valid``. Peaks
    that the configuration names have signals of their own, ``peak_1_111_position``, ``_height``, ``_fwhm``, ``_area``
    and ``_seen``, which come and go with the names, but never within a run: a name that is taken away in one is NaN
    until its end, and a new one is read after it, which is logged.
    ``peaks_1`` (all peaks of the range, ``(2, max_peaks)``) and ``results`` (lavue's dictionary as JSON) are not read
    in scans unless their kind is changed. A reading is always of one frame. bluesky describes a device once in a run:
    after a change of unit in mid-run ``unit`` is right, and the ``units`` in the descriptor are those of before.
    Those who subscribe to a result are called in the thread that reduces: they should be quick, and must not wait for
    the RunEngine.

    A trigger waits for the frames received so far; while the device is staged, a reading is what the last trigger
    found, and frames of earlier scans do not count. An event is emitted only after its point was read, so that in a
    point of its own detector this device has the frame of the point before: read the point, then the device (see
    ``reduced_one_shot``).

    Parameters
    ----------
    name
        As of any ophyd device.
    callback
        A `DiffractogramCallback` or `ReductionCallback`, which is to be subscribed to the RunEngine.
    ranges
        How many ranges are read, whatever the configuration will have, so that what the device describes never
        changes in a run: ranges that are not there are NaN, further ones are in ``results`` and in the derived run. As
        many as there are now if None: say more if there may be more.
    timeout
        For how many seconds a trigger waits (the signal ``trigger_timeout``). After that, or if the latest frame is
        not reduced, numbers are NaN and ``valid`` is 0.

    Raises
    ------
    ValueError
        `callback` is none, or `ranges` or `timeout` is not positive.
    """

    reset = Component(CommandSignal, value=0, kind=Kind.omitted, doc="Empties the buffers.")
    next = Component(CommandSignal, value=0, kind=Kind.omitted, doc="Reduces the current frame once.")

    def __new__(cls, name: str, *, callback: ReductionCallback, ranges: int | None = None, **_: Any) -> Any:
        _check_callback(callback)
        return super().__new__(_with_signals(cls, number_of_ranges(callback.config, ranges)))

    def __init__(
        self,
        name: str,
        *,
        callback: ReductionCallback,
        ranges: int | None = None,
        timeout: float = 30.0,
        **kwargs: Any,
    ) -> None:
        known = number_of_ranges(callback.config, ranges)
        self.snapshot = Snapshot.none(known, time.time())
        self._too_old: str | None = None
        self._turn, self._turns = 0, threading.RLock()
        super().__init__(name, callback, known, **kwargs)
        self.trigger_timeout.check_value(timeout)
        self.trigger_timeout.put(float(timeout))
        # Peaks that were given names within a run are read from its end on.
        self._following = Following(callback, self.ranges, self.take, self.name_peaks)

    def destroy(self) -> None:
        """Follow the callback no more."""
        self._following.end()
        super().destroy()

    def prepare(self, value: Any = None) -> DeviceStatus:
        """From now on only frames that come later count: a trigger with none of them gives no result.

        Parameters
        ----------
        value
            Not used; bluesky's protocol has one.
        """
        self._too_old = self.callback.latest_event
        status = DeviceStatus(self)
        status.set_finished()
        return status

    def stage(self) -> list[Any]:
        """Frames of earlier scans count no more, as with `prepare`."""
        self.name_peaks()
        staged = super().stage()
        with self._turns:
            self._turn += 1
            self._too_old = self.callback.latest_event
            self.latched = Snapshot.none(self.ranges, time.time())
        return staged

    def unstage(self) -> list[Any]:
        """The latest frame counts, whatever scan it was of."""
        with self._turns:
            self._turn += 1
            self._too_old = self.latched = None
        unstaged = super().unstage()
        self.name_peaks()
        return unstaged

    def trigger(self) -> DeviceStatus:
        """Wait until the frames received so far are reduced, off the RunEngine's thread.

        Returns
        -------
        ophyd.DeviceStatus
            Always succeeds, after ``trigger_timeout`` at the latest; ``valid`` tells whether there is a result of the
            latest frame.
        """
        status = DeviceStatus(self)
        with self._turns:
            self._turn += 1
            arguments = status, self._turn, self._too_old, float(self.trigger_timeout.get())
        threading.Thread(target=self._wait, args=arguments, name=f"{self.name}-trigger", daemon=True).start()
        return status

    def _wait(self, status: DeviceStatus, turn: int, too_old: str | None, timeout: float) -> None:
        try:
            found = self._following.wait_for_latest(too_old, timeout)
            with self._turns:
                if turn != self._turn:  # of a point that was interrupted: another one is waited for by now
                    return
                if found is None:
                    found = Snapshot.none(self.ranges, time.time())
                    self.take(found)
                if self.latched is not None:
                    self.latched = found
        finally:
            status.set_finished()

    def command_reset(self) -> None:
        """Empty the buffers."""
        self.callback.reset()

    def command_next(self) -> None:
        """Reduce the current frame once, and wait until that is done, at most as long as a trigger does."""
        self.callback.next()
        self._following.wait_for_latest(None, float(self.trigger_timeout.get()))


def _check_callback(callback: Any) -> None:
    if not isinstance(callback, ReductionCallback):
        raise ValueError(f"callback = {callback!r}: allowed: a DiffractogramCallback or ReductionCallback")


def number_of_ranges(config: DiffractogramConfig, ranges: int | None) -> int:
    """How many ranges a device reads: as many as are configured if None; ValueError for what is no such number."""
    if ranges is None:
        return config.diff_number
    if isinstance(ranges, bool) or not isinstance(ranges, int) or ranges < 1:
        raise ValueError(f"ranges = {ranges!r}: allowed: an integer of at least 1, or None for as many as there are")
    return ranges


_classes: dict[tuple[Any, int], Any] = {}


def _with_signals(cls: Any, ranges: int) -> Any:
    """The class with the signals of the settings and of the results of so many ranges."""
    if (cls, ranges) not in _classes:
        _classes[cls, ranges] = create_device_from_components(
            cls.__name__, docstring=cls.__doc__, base_class=cls, **setting_components(), **result_components(ranges)
        )
    return _classes[cls, ranges]
