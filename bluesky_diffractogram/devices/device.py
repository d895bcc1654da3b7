"""The reduction as an ophyd device: configured by signals, read like a detector."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from ophyd import Component, Kind, Signal
from ophyd.device import create_device_from_components
from ophyd.status import DeviceStatus

from ..config import DiffractogramConfig
from ..documents.callback import ReductionCallback
from .commands import CommandSignal
from .following import Following
from .settings import KEYS, attribute_of, flat, key_of, setting_components, unflattened
from .snapshot import Snapshot, SnapshotDevice, result_components

NEXT_TIMEOUT_S = 60.0


class TimeoutSignal(Signal):
    """A number of seconds."""

    def check_value(self, value: Any, **kwargs: Any) -> None:
        """Refuse what is no positive number."""
        if isinstance(value, (bool, str)) or not 0 < float(value) < float("inf"):
            raise ValueError(f"{self.name} = {value!r}: allowed: seconds above 0")

    def set(self, value: Any, **kwargs: Any) -> Any:
        """Set it, after a check that raises ValueError before there is a status."""
        self.check_value(value)
        return super().set(value, **kwargs)


class DiffractogramDevice(SnapshotDevice):
    """A callback's configuration and its latest results, as ophyd signals.

    Every configuration key is a signal of kind config, named as the key (``collecting`` for ``collect``, a name
    that bluesky reserves): flat values, with JSON for lists. Setting one reconfigures the callback from the next
    frame on; nonsense raises before anything changes. All are recorded in the descriptors of streams that read the
    device; change them with ``bps.configure`` in a run, which records the change.

    The results are signals named as the scalars of derived events, ``peak_1_position``, ``mean_1``, …, with
    ``raw_uid``, ``raw_event``, ``raw_seq_num`` and ``frame_index`` of their frame, its ``unit``, and ``valid``.
    ``peaks_1`` (all peaks of the range, ``(2, n)``) and ``results`` (lavue's dictionary as JSON) are not read in
    scans unless their kind is changed. A reading is always of one frame. bluesky describes a device once in a run:
    after a change of unit in mid-run ``unit`` is right, and the ``units`` in the descriptor are those of before.

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
        changes: ranges that are not there are NaN, further ones are in ``results`` and in the derived run. As many
        as there are now if None.
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
    trigger_timeout = Component(TimeoutSignal, value=30.0, kind=Kind.config, doc="How long a trigger waits, in s.")

    def __new__(cls, name: str, *, callback: ReductionCallback, ranges: int | None = None, **_: Any) -> Any:
        _check_callback(callback)
        return super().__new__(_with_signals(cls, _number_of_ranges(callback, ranges)))

    def __init__(
        self,
        name: str,
        *,
        callback: ReductionCallback,
        ranges: int | None = None,
        timeout: float = 30.0,
        **kwargs: Any,
    ) -> None:
        self.callback = callback
        self.ranges = _number_of_ranges(callback, ranges)
        self._noted: tuple[DiffractogramConfig, float] = callback.config, time.time()
        self.snapshot = Snapshot.none(self.ranges, time.time())
        self._too_old: str | None = None
        super().__init__(name=name, **kwargs)
        self.trigger_timeout.check_value(timeout)
        self.trigger_timeout.put(float(timeout))
        self.hint()
        self._following = Following(callback, self.ranges, self.take)

    def destroy(self) -> None:
        """Follow the callback no more."""
        self._following.end()
        super().destroy()

    # -- the configuration --------------------------------------------------------------------------------

    @property
    def config(self) -> DiffractogramConfig:
        """The configuration in force."""
        return self.callback.config

    @property
    def configured_at(self) -> float:
        """When the device first saw the configuration in force, in seconds since the epoch."""
        config = self.callback.config
        if config is not self._noted[0]:
            self._noted = config, time.time()
        return self._noted[1]

    def setting(self, key: str) -> bool | int | float | str:
        """The value in force of a configuration key, as the signals give it."""
        return self.settings()[key]

    def settings(self) -> dict[str, bool | int | float | str]:
        """All settings, of one configuration."""
        setting = self.callback.setting
        return {key: flat(key, getattr(setting.config, key), setting.provenance["arrays"]) for key in KEYS}

    def read_configuration(self) -> dict[str, Any]:
        """All settings, of one configuration, and the timeout."""
        settings, timestamp = self.settings(), self.configured_at
        readings: dict[str, Any] = {}
        for attribute, signal in self._get_components_of_kind(Kind.config):
            if key_of(attribute) in settings:
                readings[signal.name] = {"value": settings[key_of(attribute)], "timestamp": timestamp}
            else:
                readings.update(signal.read_configuration())
        return readings

    def check_configuration(self, changes: Mapping[str, Any]) -> None:
        """Raise what `configure` would raise, and change nothing.

        Raises
        ------
        ConfigError
            A ValueError that names the key, the value and what is allowed.
        """
        self._split(changes, check=True)

    def configure(self, d: Mapping[str, Any] | DiffractogramConfig) -> tuple[dict[str, Any], dict[str, Any]]:
        """Change all that `d` names, or nothing.

        Parameters
        ----------
        d
            By configuration key, or by the name of the signal with or without the device's; lavue's commands
            ``stop_diff``, ``next`` and ``reset`` too. Or a whole configuration.

        Returns
        -------
        old, new
            What `read_configuration` gave and gives.

        Raises
        ------
        ConfigError
            A ValueError that names the key, the value and what is allowed.
        """
        old = self.read_configuration()
        self.apply(d)
        return old, self.read_configuration()

    def apply(self, changes: Mapping[str, Any] | DiffractogramConfig) -> None:
        """`configure` without the readings."""
        before = self.settings()
        settings, timeout = self._split(changes)
        if settings:
            self.callback.configure(settings)
        if timeout is not None:
            self.trigger_timeout.put(float(timeout))
        timestamp = self.configured_at
        for key, value in self.settings().items():
            if value != before[key]:
                getattr(self, attribute_of(key)).announce(value, timestamp)

    def _split(self, changes: Mapping[str, Any] | DiffractogramConfig, *, check: bool = False) -> tuple[Any, Any]:
        """The settings under their configuration keys, and the timeout; all checked first if `check`."""
        if isinstance(changes, DiffractogramConfig):
            settings: Any = changes
            timeout = None
        else:
            keys = {key_of(given.removeprefix(f"{self.name}_")): value for given, value in dict(changes).items()}
            timeout = keys.pop("trigger_timeout", None)
            settings = {key: unflattened(key, value) for key, value in keys.items()}
        if timeout is not None:
            self.trigger_timeout.check_value(timeout)
        if check and settings:
            self.callback.check(settings)
        return settings, timeout

    # -- the results --------------------------------------------------------------------------------------

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
        self._too_old = self.callback.latest_event
        self.latched = Snapshot.none(self.ranges, time.time())
        return super().stage()

    def unstage(self) -> list[Any]:
        """The latest frame counts, whatever scan it was of."""
        self._too_old = self.latched = None
        return super().unstage()

    def trigger(self) -> DeviceStatus:
        """Wait until the frames received so far are reduced, off the RunEngine's thread.

        Returns
        -------
        ophyd.DeviceStatus
            Always succeeds, after ``trigger_timeout`` at the latest; ``valid`` tells whether there is a result of the
            latest frame.
        """
        status = DeviceStatus(self)
        arguments = status, self._too_old, float(self.trigger_timeout.get())
        threading.Thread(target=self._wait, args=arguments, name=f"{self.name}-trigger", daemon=True).start()
        return status

    def _wait(self, status: DeviceStatus, too_old: str | None, timeout: float) -> None:
        try:
            if self._following.wait_for_latest(too_old, timeout):
                found = self.snapshot
            else:
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
        """Reduce the current frame once, and wait until that is done."""
        self.callback.next()
        self._following.wait_for_latest(None, NEXT_TIMEOUT_S)


def _check_callback(callback: Any) -> None:
    if not isinstance(callback, ReductionCallback):
        raise ValueError(f"callback = {callback!r}: allowed: a DiffractogramCallback or ReductionCallback")


def _number_of_ranges(callback: ReductionCallback, ranges: int | None) -> int:
    if ranges is None:
        return callback.config.diff_number
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
