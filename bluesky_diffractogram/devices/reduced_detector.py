"""A detector whose events hold its image and the peaks in it."""

from __future__ import annotations

import inspect
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

from ophyd import Component, Kind, Signal
from ophyd.device import create_device_from_components
from ophyd.status import DeviceStatus

from ..config import DiffractogramConfig, load_config, update_config
from ..documents.assets import Assets
from ..documents.callback import ReductionCallback, Source
from ..documents.derived_keys import EventData
from ..documents.frames import frame_shape_of, origin_of, read_frames
from ..documents.messages import ImagesReceived
from ..documents.setting import Reducers, Setting
from ..reduction.reducer import Reducer
from .device import number_of_ranges
from .named_peaks import NamedPeaksDevice
from .own_readings import check_alone, check_readings, descriptor_of, event_of
from .settings import ConfigurationSignal
from .snapshot import Snapshot, result_components

logger = logging.getLogger(__name__)


class ReducedDetector(NamedPeaksDevice):
    """A detector that also reads the peaks in its image, so that both are in one event.

    It triggers the detector, then reduces the image in a thread of its own, and is done when both are. It reads
    what the detector reads, and the scalars of derived events under its own name. No callback is needed for that; one
    that is subscribed too reduces the frames a second time. It knows no readings but the detector's own: ``geometry``
    is told by these or by the detector's configuration, and ``merge`` and darks of the run are refused.

    Parameters
    ----------
    detector
        An ophyd detector that holds its image in memory after a trigger.
    image
        Its signal with the image, ``(ny, nx)`` or ``(n, ny, nx)``. With several frames the results are those of the
        last, unless ``frames_per_event`` makes one of them.
    config
        A configuration, as for `DiffractogramCallback`; or such a callback, whose configuration is followed.
    name
        The detector's with ``_reduced``, if None.
    ranges
        How many ranges are read, as for `DiffractogramDevice`.

    Raises
    ------
    ValueError
        The detector, the signal or the configuration cannot be used so; ConfigError is one, too.
    """

    configuration = Component(ConfigurationSignal, value="", kind=Kind.config, doc="The configuration as JSON.")

    def __new__(
        cls, detector: Any, *, image: Signal, config: Source | ReductionCallback, ranges: int | None = None, **_: Any
    ) -> Any:
        _check(detector, image)
        known = config.config if isinstance(config, ReductionCallback) else load_config(config)
        check_alone(known)
        check_readings(known, detector, image)
        return super().__new__(_with_results(cls, number_of_ranges(known, ranges)))

    def __init__(
        self,
        detector: Any,
        *,
        image: Signal,
        config: Source | ReductionCallback,
        name: str | None = None,
        ranges: int | None = None,
        **kwargs: Any,
    ) -> None:
        self.detector, self.image = detector, image
        self._callback = config if isinstance(config, ReductionCallback) else None
        self._own = None if isinstance(config, ReductionCallback) else Setting.open(load_config(config))
        self.ranges = number_of_ranges(self.in_force.config, ranges)
        self.snapshot = Snapshot.none(self.ranges, time.time())
        self._reducers = Reducers()
        self._assets = Assets()
        self._followed: tuple[Reducer, EventData] | None = None
        self._complained: set[str] = set()
        self._turn, self._turns = 0, threading.RLock()
        self.configured_at = time.time()
        super().__init__(name=name or f"{detector.name}_reduced", **kwargs)
        self.name_peaks()
        self.hint()
        self._token: int | None = None
        if self._callback is not None:
            self._token = self._callback.on_setting(lambda setting: self._reconfigured())

    def destroy(self) -> None:
        """Follow the callback no more, if there is one; the detector stays."""
        if self._callback is not None and self._token is not None:
            self._callback.unsubscribe(self._token)
            self._token = None
        super().destroy()

    @property
    def in_force(self) -> Setting:
        """The configuration in force with all that it names."""
        if self._own is not None:
            return self._own
        assert self._callback is not None
        return self._callback.setting

    def opened(self, changes: Source) -> Setting:
        """The setting that `changes` would make of the present one; ConfigError if none."""
        return Setting.open(self._checked(changes), self.in_force)

    def _checked(self, changes: Source) -> DiffractogramConfig:
        """The configuration that `changes` would make; refused if this detector alone cannot be reduced with it."""
        config = update_config(self.config, changes)
        check_alone(config)
        check_readings(config, self.detector, self.image)
        return config

    def apply(self, changes: Source) -> None:
        """Change the configuration, of the callback too if it is a callback's; ConfigError changes nothing."""
        if self._callback is not None:
            self._checked(changes)
            self._callback.configure(changes)
        else:
            self._own = self.opened(changes)
            self._reconfigured()

    def _reconfigured(self) -> None:
        self.configured_at = time.time()
        self.name_peaks()
        self.hint()
        self.configuration.announce(self.configuration.value_now(), self.configured_at)

    # -- bluesky's protocols ------------------------------------------------------------------------------

    @property
    def hints(self) -> dict[str, Any]:
        """The detector's hinted fields and the peaks'."""
        fields = [*(self.detector.hints or {}).get("fields", ()), *super().hints["fields"]]
        return {**(self.detector.hints or {}), "fields": fields}

    def read(self) -> dict[str, Any]:
        """The detector's readings, and the results of its image."""
        return {**self.detector.read(), **super().read()}

    def describe(self) -> dict[str, Any]:
        """The data keys of both."""
        return {**self.detector.describe(), **super().describe()}

    def read_configuration(self) -> dict[str, Any]:
        """The configuration of both."""
        return {**self.detector.read_configuration(), **super().read_configuration()}

    def describe_configuration(self) -> dict[str, Any]:
        """The data keys of `read_configuration`."""
        return {**self.detector.describe_configuration(), **super().describe_configuration()}

    def configure(self, d: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Change ``configuration``, as its signal does, and what else is in `d` on the detector."""
        old, others = self.read_configuration(), dict(d)
        ours = others.pop("configuration", None)
        if ours is not None:
            self.opened(ours)
        if others:
            self.detector.configure(others)
        if ours is not None:
            self.configuration.put(ours)
        return old, self.read_configuration()

    def stage(self) -> list[Any]:
        """Stage the detector; ``peak_1`` is the strongest of the next frame."""
        self.name_peaks()
        self._followed = None
        return [*super().stage(), *(self.detector.stage() if hasattr(self.detector, "stage") else ())]

    def unstage(self) -> list[Any]:
        """Unstage the detector; peaks that were given names meanwhile are read from now on."""
        unstaged = [*(self.detector.unstage() if hasattr(self.detector, "unstage") else ()), *super().unstage()]
        self.name_peaks()
        return unstaged

    def collect_asset_docs(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """What the detector tells of files that it writes, besides holding its image in memory."""
        yield from getattr(self.detector, "collect_asset_docs", tuple)()

    def pause(self) -> None:
        """Pause the detector."""
        super().pause()
        getattr(self.detector, "pause", lambda: None)()

    def resume(self) -> None:
        """Let the detector go on."""
        getattr(self.detector, "resume", lambda: None)()
        super().resume()

    def trigger(self) -> DeviceStatus:
        """Trigger the detector and reduce its image.

        Returns
        -------
        ophyd.DeviceStatus
            Fails if the detector's does. An image that cannot be reduced is logged once for each reason, and read as
            NaN with ``valid`` 0.
        """
        status = DeviceStatus(self)
        with self._turns:
            self._turn += 1
            turn = self._turn

        def exposed(exposure: Any) -> None:
            error = exposure.exception()
            if error is not None:
                status.set_exception(error)
            else:
                threading.Thread(
                    target=self._finish, args=(status, turn), name=f"{self.name}-reduction", daemon=True
                ).start()

        self.detector.trigger().add_callback(exposed)
        return status

    def _finish(self, status: DeviceStatus, turn: int) -> None:
        try:
            try:
                found = self._reduced()
            except Exception as error:
                if str(error) not in self._complained:
                    self._complained.add(str(error))
                    logger.warning("the image of %s cannot be reduced: %s", self.detector.name, error)
                found = Snapshot.none(self.ranges, time.time())
            with self._turns:
                if turn == self._turn:  # else of a point that was interrupted: another image is there by now
                    self.take(found)
        finally:
            status.set_finished()

    def _reduced(self) -> Snapshot:
        setting = self.in_force
        check_alone(setting.config)  # a callback that is followed may have been given anything
        event = event_of(self.detector, self.image)
        descriptor = descriptor_of(self.detector, self.image, setting.config)
        images = ImagesReceived(self.name, descriptor, event, self.image.name, False, 1, setting)
        data: dict[str, Any] = {}
        reduced = None
        for index, read in enumerate(read_frames(images, setting, self._assets)[1]):
            frame = read()
            shape = frame_shape_of(frame)
            reducer = self._reducers.get(setting, shape)  # that of the calibration, whose axes all events have
            if self._followed is None or self._followed[0] is not reducer:
                self._followed = reducer, EventData(reducer)
            reduction = self._reducers.at(setting, shape, frame.moved).reduce(frame)
            data = self._followed[1].data(reduction, origin_of(images, index))
            reduced = reduction, reducer
        return Snapshot.of(self.ranges, data, "", reduced)


def _check(detector: Any, image: Any) -> None:
    if not all(callable(getattr(detector, method, None)) for method in ("trigger", "read", "describe")):
        raise ValueError(f"detector = {detector!r}: allowed: an ophyd detector that is triggered and read")
    if inspect.iscoroutinefunction(detector.read):
        raise ValueError(
            f"detector = {detector!r}: allowed: an ophyd detector; one of ophyd-async writes its images to files, "
            "which the callback reduces"
        )
    if not callable(getattr(image, "read", None)) or not callable(getattr(image, "describe", None)):
        raise ValueError(f"image = {image!r}: allowed: the detector's signal that holds the image")


_classes: dict[tuple[Any, int], Any] = {}


def _with_results(cls: Any, ranges: int) -> Any:
    if (cls, ranges) not in _classes:
        results = result_components(ranges, ("unit", "frame_index", "valid"))
        _classes[cls, ranges] = create_device_from_components(
            cls.__name__, docstring=cls.__doc__, base_class=cls, **results
        )
    return _classes[cls, ranges]
