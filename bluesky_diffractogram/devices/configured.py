"""The configuration of a callback as a device: every key a signal, changed all at once or not at all."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
from ophyd import Component, Kind, Signal

from ..config import ConfigError, DiffractogramConfig, changed_keys, split_commands, update_config
from ..documents.callback import ReductionCallback
from ..documents.setting import Setting
from .named_peaks import NamedPeaksDevice
from .settings import KEYS, attribute_of, flat, key_of, unflattened

logger = logging.getLogger(__name__)


class TimeoutSignal(Signal):
    """A number of seconds."""

    def check_value(self, value: Any, **kwargs: Any) -> None:
        """Refuse what is no positive number."""
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real) or not 0 < float(value) < math.inf:
            raise ValueError(f"{self.name} = {value!r}: allowed: seconds above 0")

    def set(self, value: Any, **kwargs: Any) -> Any:
        """Set it, after a check that raises ValueError before there is a status."""
        self.check_value(value)
        return super().set(value, **kwargs)


class ConfiguredDevice(NamedPeaksDevice):
    """A device with the configuration of a callback, which has to have the signals of `setting_components`.

    Parameters
    ----------
    name
        As of any ophyd device.
    callback
        Whose configuration it is.
    ranges
        How many ranges are read.
    """

    trigger_timeout = Component(TimeoutSignal, value=30.0, kind=Kind.config, doc="How long a trigger waits, in s.")

    def __init__(self, name: str, callback: ReductionCallback, ranges: int, **kwargs: Any) -> None:
        self.callback, self.ranges = callback, ranges
        self._announcing = threading.Lock()
        self._announced: tuple[dict[str, bool | int | float | str], float] = {}, time.time()
        super().__init__(name=name, **kwargs)
        self._setting_token: int | None = callback.on_setting(lambda setting: self._reconfigured())
        self._reconfigured()

    def destroy(self) -> None:
        """Follow the callback no more."""
        if self._setting_token is not None:
            self.callback.unsubscribe(self._setting_token)
            self._setting_token = None
        super().destroy()

    @property
    def in_force(self) -> Setting:
        """The configuration in force with all that it names."""
        return self.callback.setting

    @property
    def in_a_run(self) -> bool:
        """Whether a run is open that may read the device: it is staged, or the callback has seen one that goes on."""
        return super().in_a_run or bool(self.callback.open_runs)

    @property
    def configured_at(self) -> float:
        """Since when the configuration is in force, in seconds since the epoch; at most since the device was made."""
        return self._announced[1]

    def setting(self, key: str) -> bool | int | float | str:
        """The value in force of a configuration key, as the signals give it."""
        setting = self.in_force
        return flat(key, getattr(setting.config, key), setting.provenance["arrays"])

    def settings(self) -> dict[str, bool | int | float | str]:
        """All settings, of one configuration."""
        setting = self.in_force
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

    def undoing(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """What takes back what `configure` with `changes` would do, and nothing else.

        Raises
        ------
        ConfigError
            As `configure` would.
        """
        settings, timeout = self._split(changes, check=True)
        config = self.config
        whole = isinstance(settings, DiffractogramConfig)
        keys = changed_keys(config, settings if whole else update_config(config, split_commands(settings)[0]))
        # Ranges without their number would be as many as there are.
        keys |= {"diff_number"} if "diff_ranges" in keys else set()
        timeouts = {} if timeout is None else {"trigger_timeout": self.trigger_timeout.get()}
        return {**{key: getattr(config, key) for key in sorted(keys)}, **timeouts}

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
        settings, timeout = self._split(changes)
        if settings:
            self.callback.configure(settings)
        if timeout is not None:
            self.trigger_timeout.put(float(timeout))

    def _reconfigured(self) -> None:
        """Tell subscribers what has changed, whoever changed it."""
        with self._announcing:
            before, timestamp = self._announced[0], time.time()
            settings = self.settings()
            self._announced = settings, timestamp
        self.name_peaks()
        self.hint()
        if self.config.diff_number > self.ranges and before.get("diff_number", 0) != self.config.diff_number:
            more = "%s reads %d of now %d ranges, and would read all if it was made with ranges=%d"
            logger.warning(more, self.name, self.ranges, self.config.diff_number, self.config.diff_number)
        for key, value in settings.items():
            if value != before.get(key):
                getattr(self, attribute_of(key)).announce(value, timestamp)

    def _split(self, changes: Mapping[str, Any] | DiffractogramConfig, *, check: bool = False) -> tuple[Any, Any]:
        """The settings under their configuration keys, and the timeout; all checked first if `check`."""
        if isinstance(changes, DiffractogramConfig):
            settings: Any = changes
            timeout = None
        else:
            if not isinstance(changes, Mapping) or not all(isinstance(given, str) for given in changes):
                raise ConfigError("configuration", changes, "a dictionary of values by configuration key")
            keys = {key_of(given.removeprefix(f"{self.name}_")): value for given, value in changes.items()}
            timeout = keys.pop("trigger_timeout", None)
            settings = {key: unflattened(key, value) for key, value in keys.items()}
        if timeout is not None:
            self.trigger_timeout.check_value(timeout)
        if check and settings:
            self.callback.check(settings)
        return settings, timeout
