"""The configuration in force, and changing it."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from typing import Any

from ..config import (
    DiffractogramConfig,
    configuration,
    load_config,
    read_settings,
    split_commands,
    update_config,
)
from .setting import Setting

Source = DiffractogramConfig | Mapping[str, Any] | str | os.PathLike[str]


class Configured(ABC):
    """Holds the setting in force; one change of it at a time.

    Parameters
    ----------
    config
        See `ReductionCallback`.

    Raises
    ------
    ConfigError
        The configuration cannot be used.
    """

    def __init__(self, config: Source) -> None:
        self._setting = Setting.open(load_config(config))
        self._configuring = threading.RLock()  # a follower of the configuration may change it again

    def configuration(self) -> dict[str, Any]:
        """The configuration in force: lavue's keys and the others that differ from their default."""
        return configuration(self._setting.config)

    @property
    def config(self) -> DiffractogramConfig:
        """The configuration in force, validated."""
        return self._setting.config

    @property
    def setting(self) -> Setting:
        """The configuration in force with all that it names, read once."""
        return self._setting

    def check(self, changes: Source) -> None:
        """Raise what `configure` would raise, and change nothing.

        Raises
        ------
        ConfigError
            The changes cannot be made.
        """
        if isinstance(changes, DiffractogramConfig):
            self._check(Setting.open(changes, self._setting))
            return
        given, base = read_settings(changes)
        settings, _ = split_commands(given)
        self._check(Setting.open(update_config(self._setting.config, settings, base=base), self._setting))

    def configure(self, changes: Source | Callable[[DiffractogramConfig], Mapping[str, Any]]) -> None:
        """Change the configuration from the next frame on; also lavue's commands ``stop_diff``, ``next``, ``reset``.

        Parameters
        ----------
        changes
            What is to be another; or a function that gives it for the configuration in force, which nobody else
            changes meanwhile.

        Raises
        ------
        ConfigError
            Nothing is changed then.
        TypeError
            The function gave something else than a mapping.
        """
        with self._configuring:
            if callable(changes):
                changes = changes(self._setting.config)
                if not isinstance(changes, Mapping):
                    raise TypeError(
                        f"the function gave {type(changes).__name__}, not a mapping of what is to be another"
                    )
            if isinstance(changes, DiffractogramConfig):
                self._set(Setting.open(changes, self._setting))
                self._given(type(changes).model_fields)
                return
            given, base = read_settings(changes)
            settings, commands = split_commands(given)
            if settings:
                self._set(Setting.open(update_config(self._setting.config, settings, base=base), self._setting))
                self._given(settings)
        if commands.reset:
            self.reset()
        if commands.next:
            self.next()

    def _check(self, setting: Setting) -> None:  # noqa: B027  (here nothing more is known)
        """What else may be wrong with a setting.

        Raises
        ------
        ConfigError
            Where more is known than here.
        """

    def _given(self, keys: Collection[str]) -> None:  # noqa: B027
        """Hear which settings somebody has just set, be they changed or not."""

    def _set(self, setting: Setting) -> None:
        self._check(setting)
        self._put_in_force(setting)

    @abstractmethod
    def _put_in_force(self, setting: Setting) -> None:
        """Make a setting that was checked the one in force, and tell of it."""

    @abstractmethod
    def reset(self) -> None:
        """Empty the buffers, also of frames that were received and are not reduced yet."""

    @abstractmethod
    def next(self) -> None:
        """Reduce the current frame once, also while `show` is off or after the run; nothing before the first frame."""

    @property
    def provenance(self) -> Mapping[str, Any]:
        """What derived documents say now of how their numbers are computed."""
        return self._setting.provenance

    def show(self, on: bool = True) -> None:
        """lavue's Show/Stop: reduce every frame, or none but at `next`."""
        with self._configuring:
            self._set(self._setting.switched(show_diff=bool(on)))

    def collect(self, on: bool = True) -> None:
        """lavue's Collect/Stop: whether diffractograms go into the buffers."""
        with self._configuring:
            self._set(self._setting.switched(collect=bool(on)))
