"""What is done with the messages, in order and in one thread."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from ..config import ConfigError
from ..reduction.buffer import DiffractogramBuffer
from ..reduction.diffractogram import Reduction
from ..reduction.frame import FrameError
from ..reduction.reducer import Reducer
from .ahead import Ahead
from .aside import documents_aside
from .assets import Assets
from .buffers import BufferNews, Buffers
from .dark_in_force import DarkInForce
from .derived_run import ending_of
from .earlier import Earlier
from .event_frames import Common
from .frames import reduce_aside
from .images import Document
from .messages import (
    AssetDescribed,
    DarkPassedOver,
    DarkReceived,
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
        See `Common`.
    viewers, latest
        Who is offered frames to show, and what gives the image that came last (`Offering`).
    on_buffers
        Told, in order with the derived documents, what becomes of the buffers; must not raise.
    on_aside
        Gets documents of frames that go into the buffers and into no derived run (`documents_aside`); must not raise.
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
        on_buffers: Callable[[BufferNews], None] = lambda news: None,
        on_aside: Callable[[str, dict[str, Any]], None] = lambda name, doc: None,
    ) -> None:
        self._assets = assets
        self._emit = emit
        self._on_reduction = on_reduction
        self._on_error = on_error
        self._on_aside = on_aside
        self._reducers = Reducers()
        self._offering = Offering(viewers, latest, self._reducers, assets)
        self._latest = latest
        self._runs: dict[str, OneRun] = {}
        # Of the run of the latest image, once that is over: `next` may ask for it.
        self._dark_of_latest: tuple[str, DarkInForce | None] = "", None
        self._buffers = Buffers(setting, on_buffers)
        self._common = Common(
            self._reducers, assets, self._announce, on_error, file_timeout, ahead, earlier, self._buffers.expect
        )
        self._ended: Counter[str] = Counter()
        self._counting = threading.Lock()

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
                before = self._runs.get(start["uid"])
                if before is not None:  # it has ended, and waits for its files; as Kafka may give a run twice
                    before.give_up("the run is given again", 0)
                    with self._counting:
                        self._ended += self._runs.pop(start["uid"]).tally.counts()
                run = OneRun(start, setting.config, self._emit, self._common)
                with self._counting:
                    self._runs[run.uid] = run
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
            case DarkReceived(images):
                self._runs[images.run_uid].receive_dark(images)
            case DarkPassedOver(run_uid, why):
                self._runs[run_uid].pass_over_dark(why)
            case ResetRequested():
                self.reset()
            case NextRequested(images, setting, start):
                run = self._runs.get(images.run_uid)
                counted = run is not None and not run.stopped and run.reduce_next(images, setting)
                if not counted and (run is None or not run.awaits_dark(setting)):
                    announce = partial(self._announce_aside, start, images.descriptor)
                    dark = self._dark_of(images.run_uid, run)
                    reduce_aside(images, setting, self._reducers, self._assets, announce, dark, waits=run is not None)
            case RunStopped(run_uid, stop, missing):
                self._offering.not_requested(last=True)
                self._runs[run_uid].stop(*ending_of(stop), missing)
            case RunAbandoned(run_uid, reason, missing):
                logger.warning("run %s is closed without its stop: %s", run_uid, reason)
                self._runs[run_uid].give_up(reason, missing)
            case SettingChanged(setting):
                self._buffers.change(setting)
                try:
                    self._reducers.prepare(setting)
                except (ConfigError, FrameError) as error:
                    # Known only from the detector's pixels; each frame will be refused for it, this comes before.
                    logger.error("no frame can be reduced with this configuration: %s", error)
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

    def frames(self) -> Counter[str]:
        """What became of the frames of all runs so far, of those that are open too; may be asked by any thread."""
        with self._counting:
            return sum((run.tally.counts() for run in self._runs.values()), self._ended.copy())

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

    @property
    def buffers(self) -> tuple[DiffractogramBuffer, ...]:
        """Of all ranges."""
        return self._buffers.ranges

    def reset(self) -> None:
        """Empty the buffers."""
        self._buffers.reset()

    def _forget_finished(self) -> None:
        finished = [uid for uid, run in self._runs.items() if run.finished]
        latest = self._latest() if finished else None
        if latest is not None and latest.run_uid in finished:
            self._dark_of_latest = latest.run_uid, self._runs[latest.run_uid].dark_of_latest_frame
        with self._counting:
            for uid in finished:
                self._ended += self._runs.pop(uid).tally.counts()
        if finished and not self._runs:
            self._assets.forget()

    def _dark_of(self, run_uid: str, run: OneRun | None) -> DarkInForce | None:
        """The dark for the latest frame of a run, which may be over."""
        if run is not None:
            return run.dark_of_latest_frame
        return self._dark_of_latest[1] if self._dark_of_latest[0] == run_uid else None

    def _announce(
        self, reduction: Reduction, reducer: Reducer, setting: Setting, origin: OriginOfFrame, run_uid: str
    ) -> None:
        self._buffers.collect(reduction, reducer, setting, origin, run_uid)
        self._on_reduction(reduction, reducer, origin, run_uid)
        self._offering.reduced(reduction.frame, reducer, setting, origin, run_uid)

    def _announce_aside(
        self,
        start: Document,
        descriptor: Document,
        reduction: Reduction,
        reducer: Reducer,
        setting: Setting,
        origin: OriginOfFrame,
        run_uid: str,
    ) -> None:
        self._buffers.expect(reducer, setting)
        documents_aside(start, descriptor, reduction, reducer, setting, origin, self._on_aside)
        self._announce(reduction, reducer, setting, origin, run_uid)
