"""Signals of the peaks that have names: they come and go with the configuration, but never within a run."""

from __future__ import annotations

import logging
import math
import threading
from typing import Any

from ophyd import Component, Kind
from ophyd.device import Staged, create_device_from_components

from ..config import DiffractogramConfig
from ..documents.followed import SEEN, figures
from ..documents.setting import Setting
from ..reduction.tracked_lines import tracked_names
from .snapshot import ResultSignal, Snapshot, SnapshotDevice

logger = logging.getLogger(__name__)


class NamedPeakSignal(ResultSignal):
    """A figure of a peak that is followed by name, or whether it was seen."""

    def value_in(self, snapshot: Snapshot) -> Any:
        """That of the frame of `snapshot`; NaN, and not seen, where its range has no such peak."""
        return snapshot.values.get(self.attr_name, _nothing(self.attr_name))


def _nothing(attribute: str) -> float | int:
    return 0 if attribute.endswith(f"_{SEEN}") else math.nan


def names_by_range(setting: Setting, ranges: int) -> dict[int, tuple[str, ...]]:
    """The peaks that may be followed by name in each of so many ranges, by its number."""
    config = setting.config
    return {
        wanted.number: names
        for wanted in config.ranges[:ranges]
        if (names := tracked_names(config, wanted, setting.geometry))
    }


def named_attributes(setting: Setting, ranges: int) -> tuple[str, ...]:
    """The names of the signals of all peaks with names, which are their keys in derived events."""
    of_a_peak = (*figures(setting.config), SEEN)
    return tuple(
        f"peak_{i}_{name}_{figure}"
        for i, names in names_by_range(setting, ranges).items()
        for name in names
        for figure in of_a_peak
    )


_classes: dict[tuple[Any, tuple[str, ...]], Any] = {}


def _class_with(bare: Any, attributes: tuple[str, ...]) -> Any:
    """The class with signals of these names besides its own."""
    if not attributes:
        return bare
    if (bare, attributes) not in _classes:
        signals = {each: Component(NamedPeakSignal, value=_nothing(each), kind=Kind.normal) for each in attributes}
        made = create_device_from_components(bare.__name__, docstring=bare.__doc__, base_class=bare, **signals)
        made._bare = bare
        _classes[bare, attributes] = made
    return _classes[bare, attributes]


class NamedPeaksDevice(SnapshotDevice):
    """A device that has signals for the peaks that its configuration names.

    ophyd keeps the signals of a device in its class, so that a device gets another class when the names change. It
    does so between runs only: what is described once in a run is what is read in it. A peak that has no name any more
    is NaN until then, and a new one is not read.
    """

    _bare: type[NamedPeaksDevice] | None = None
    """The class without these signals, where there are some."""
    _component_kinds: dict[str, Kind]

    def __init__(self, **kwargs: Any) -> None:
        self._naming = threading.RLock()
        self._left_out: frozenset[str] = frozenset()
        super().__init__(**kwargs)

    @property
    def in_force(self) -> Setting:
        """The configuration in force with all that it names."""
        raise NotImplementedError

    @property
    def config(self) -> DiffractogramConfig:
        """The configuration in force."""
        return self.in_force.config

    @property
    def in_a_run(self) -> bool:
        """Whether a run may be open that reads the device."""
        return self._staged is not Staged.no

    def name_peaks(self) -> None:
        """Have a signal for every figure of every peak that has a name now; within a run, only say what is missing."""
        with self._naming:
            attributes = named_attributes(self.in_force, self.ranges)
            made = _class_with(self._bare or type(self), attributes)
            if not self.in_a_run:
                if made is not type(self):
                    self.__class__ = made
                    self._component_kinds = {**made._component_kinds, **self._component_kinds}
                    for attribute in attributes:  # ophyd destroys only signals that are there
                        getattr(self, attribute)
                    self.hint()
                self._left_out = frozenset()
            elif new := frozenset(attributes) - frozenset(self.component_names) - self._left_out:
                self._left_out |= new
                few = ", ".join(sorted(new)[:6]) + (", ..." if len(new) > 6 else "")
                logger.warning("%s does not read %d signals before the next run: %s", self.name, len(new), few)

    def read(self) -> dict[str, Any]:
        """The readings, of signals that do not change meanwhile."""
        with self._naming:
            return super().read()

    def describe(self) -> dict[str, Any]:
        """The data keys of what is read."""
        with self._naming:
            return super().describe()
