"""What is done with the messages, in order and in one thread."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from ..reduction.buffer import DiffractogramBuffer
from ..reduction.diffractogram import Reduction
from ..reduction.reducer import Reducer
from .ahead import Ahead
from .assets import Assets
from .earlier import Earlier
from .frames import reduce_aside
from .messages import (
    AssetDescribed,
    Document,
    FramesPassedOver,
    ImagesDescribed,
    ImagesReceived,
    Message,
    NextRequested,
    OriginOfFrame,
    ResetRequested,
    RunAbandoned,
    RunStarted,
    RunStopped,
    SettingChanged,
)
from .offering import Offering
from .one_run import OneRun
from .setting import Reducers, Setting
from .subscribers import Subscribers

logger = logging.getLogger(__name__)

OnReduction = Callable[[Reduction, Reducer, OriginOfFrame, str], None]

EXIT_STATUSES = ("success", "abort", "fail")


class Pipeline:
    """Keeps the runs, reduces their frames, and fills the buffers.

    Parameters
    ----------
    setting
        In force at first.
    assets
        Reads images from files.
    emit
        Gets the derived documents of all runs.
    on_reduction
        Gets each reduction with its reducer, its frame's origin and raw run's uid, after its event is out.
    on_error
        Gets what went wrong unexpectedly.
    file_timeout, ahead, earlier
        See `OneRun`.
    viewers, latest
        Who is offered frames to show, and what gives the image that came last (`Offering`).
    """

    def __init__(
        self,
        setting: Setting,
        assets: Assets,
        emit: Callable[[str, dict[str, Any]], None],
        on_reduction: OnReduction,
        on_error: Callable[[Exception], None],
        file_timeout: float,
        viewers: Subscribers,
        latest: Callable[[], ImagesReceived | None],
        ahead: Ahead | None = None,
        earlier: Earlier | None = None,
    ) -> None:
        self._assets = assets
        self._emit = emit
        self._on_reduction = on_reduction
        self._on_error = on_error
        self._file_timeout, self._ahead, self._earlier = file_timeout, ahead, earlier
        self._reducers = Reducers()
        self._offering = Offering(viewers, latest, self._reducers, assets)
        self._runs: dict[str, OneRun] = {}
        self._setting = setting
        self.buffers = _buffers(setting)
        self._collected_from: Reducer | None = None

    def process(self, message: Message, following: Message | None = None) -> None:
        """Do what a message asks for, while the image that the `following` one brings is read."""
        if isinstance(message, ImagesReceived) and isinstance(following, ImagesReceived):
            run = self._runs.get(following.run_uid)
            if run is None or not run.parked:  # else it will only be parked, and read again later
                self._assets.prefetch(following)
        match message:
            case RunStarted(start, setting):
                if setting.config.reset_on_start:
                    self.reset()
                before = self._runs.pop(start["uid"], None)
                if before is not None:  # it has ended, and waits for its files; as Kafka may give a run twice
                    before.give_up("the run is given again")
                self._runs[start["uid"]] = OneRun(
                    start, setting.config, self._reducers, self._assets, self._emit, self._announce, self._on_error,
                    self._file_timeout, self._ahead, self._earlier,
                )  # fmt: skip
            case AssetDescribed(name, doc):
                self._assets.receive(name, doc)
            case ImagesDescribed():
                self._runs[message.descriptor["run_start"]].describe(message)
            case ImagesReceived():
                self._runs[message.run_uid].receive(message)
            case FramesPassedOver():
                self._runs[message.run_uid].pass_over(message)
                if message.why == "not_requested":
                    self._offering.not_requested()
            case ResetRequested():
                self.reset()
            case NextRequested(images, setting):
                run = self._runs.get(images.run_uid)
                if run is None or run.stopped:
                    reduce_aside(images, setting, self._reducers, self._assets, self._announce)
                else:
                    run.reduce_next(images, setting)
            case RunStopped(run_uid, stop, missing):
                self._offering.not_requested(last=True)
                self._runs[run_uid].stop(*_ending(stop), missing)
            case RunAbandoned(run_uid, reason):
                self._runs[run_uid].give_up(reason)
            case SettingChanged(setting):
                self._change(setting)
                self._reducers.prepare(setting)
                self._offering.setting_changed(setting)
        self._forget_finished()

    @property
    def parked(self) -> bool:
        """Whether frames of any run wait for their files."""
        return any(run.parked for run in self._runs.values())

    def parked_in(self, run_uid: str) -> bool:
        """Whether frames of this run wait for their files."""
        run = self._runs.get(run_uid)
        return run is not None and run.parked > 0

    @property
    def waiting_after_stop(self) -> bool:
        """Whether a run that has ended still waits for files."""
        return any(run.stopped for run in self._runs.values())

    def retry(self) -> None:
        """Try again what is parked."""
        for run in list(self._runs.values()):
            if run.parked:
                run.retry()
        self._forget_finished()

    def close(self, reason: str) -> None:
        """Close every run that is still open."""
        for run in self._runs.values():
            run.give_up(reason)
        self._forget_finished()

    def reset(self) -> None:
        """Empty the buffers."""
        for buffer in self.buffers:
            buffer.reset()

    def _forget_finished(self) -> None:
        finished = [uid for uid, run in self._runs.items() if run.finished]
        for uid in finished:
            del self._runs[uid]
        if finished and not self._runs:
            self._assets.forget()

    def _change(self, setting: Setting) -> None:
        if setting.buffer_number != self._setting.buffer_number:
            self.buffers = _buffers(setting)
            self._collected_from = None
        self._setting = setting

    def _announce(
        self, reduction: Reduction, reducer: Reducer, setting: Setting, origin: OriginOfFrame, run_uid: str
    ) -> None:
        # Frames received under an earlier configuration are in the queue before its change: in order, none is late.
        if setting.config.collect and setting.buffer_number == self._setting.buffer_number:
            self._collect(reduction, reducer, origin, run_uid)
        self._on_reduction(reduction, reducer, origin, run_uid)
        self._offering.reduced(reduction.frame, reducer, setting, origin, run_uid)

    def _collect(self, reduction: Reduction, reducer: Reducer, origin: OriginOfFrame, run_uid: str) -> None:
        if reducer is not self._collected_from:
            self._collected_from = reducer
            axes = [buffer.radial for buffer in self.buffers]
            if any(
                old is not None and not np.array_equal(old, new) for old, new in zip(axes, reducer.axes, strict=True)
            ):
                logger.info("the buffers are emptied: frames of shape %s have other axes", reducer.shape)
                self.reset()
        carried = {name: value for name, value in origin.carried.items() if isinstance(value, (int, float, str))}
        for buffer, diffractogram in zip(self.buffers, reduction.diffractograms, strict=True):
            buffer.append(
                diffractogram.intensity, reduction.frame.timestamp,
                radial=diffractogram.radial, key=(run_uid, *origin.key), carried=carried,
            )  # fmt: skip


def _buffers(setting: Setting) -> tuple[DiffractogramBuffer, ...]:
    return tuple(DiffractogramBuffer(setting.config.buffer_size, npt) for npt in setting.config.npts)


def _ending(stop: Document) -> tuple[str, str]:
    """Exit status and reason of a raw stop, as a derived one may have them whatever is in the raw one."""
    exit_status, reason = stop.get("exit_status", "success"), stop.get("reason")
    if not (isinstance(exit_status, str) and exit_status in EXIT_STATUSES):
        return "fail", f"the raw run ended with the exit status {exit_status!r:.100}"
    return exit_status, reason if isinstance(reason, str) else "" if reason is None else f"{reason!r:.1000}"
