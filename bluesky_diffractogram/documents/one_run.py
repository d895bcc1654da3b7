"""One raw run, from its start to its stop: its frames reduced in order, its derived run emitted."""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Callable
from itertools import dropwhile
from typing import Any

from ..config import DiffractogramConfig
from ..files import NotReadable
from .dark_in_force import DarkInForce
from .darks import Darks
from .derived_run import DerivedRun
from .event_frames import Common, EventFrames
from .images import Document
from .messages import REFUSED, FramesPassedOver, ImagesDescribed, ImagesReceived
from .parked import ParkedImages
from .setting import Setting
from .setting_changes import SettingChanges
from .tally import DarkTally, FrameTally

logger = logging.getLogger(__name__)

MOST_PARKED = 100_000
# Where pixels are in the event, and wait for a file: of another detector, or of the dark before them.
MOST_PARKED_IN_MEMORY = 64
# So long one run may have the worker to itself when what is parked is tried again.
RETRY_FOR_S = 0.1


class OneRun:
    """Reduces the frames of one raw run.

    Frames in files that cannot be read yet are parked, and with them what comes after them, so that the order
    is kept; `retry` tries them again.

    Parameters
    ----------
    start
        The raw start document.
    config
        In force when it came.
    emit
        Gets the derived documents.
    common
        Shared with the other runs.
    """

    def __init__(
        self,
        start: Document,
        config: DiffractogramConfig,
        emit: Callable[[str, dict[str, Any]], None],
        common: Common,
    ) -> None:
        self.uid: str = start["uid"]
        self.tally = FrameTally(darks=DarkTally(configured=config.dark_of_run is not None))
        self.finished = False
        self._common = common
        self._derived = DerivedRun(start, emit)
        self._frames = EventFrames(start, common, self._derived, self.tally)
        self._parked: deque[ParkedImages] = deque()
        self._ending: tuple[str, str] | None = None
        self._current: ParkedImages | None = None
        self._stopped_at = 0.0
        self._changes = SettingChanges()
        self._darks = Darks(self.uid, self.tally.darks, common.assets, common.on_error)
        self._not_requested: FramesPassedOver | None = None
        self._awaited_dark: ParkedImages | None = None  # the one before the frame that was passed over last
        # A scan without images is nothing special, unless somebody said where to find them.
        self._wanted_by_name = " ".join(
            [
                *([f"under {config.image_key!r}"] if config.image_key is not None else []),
                *([f"in the stream {config.stream!r}"] if config.stream != "primary" else []),
            ]
        )

    @property
    def parked(self) -> int:
        """How many images wait for their files."""
        return len(self._parked)

    @property
    def dark_of_latest_frame(self) -> DarkInForce | None:
        """What was in force for the frames that came last."""
        return self._darks.of_latest_frame

    @property
    def stopped(self) -> bool:
        """Whether the raw run has ended."""
        return self._ending is not None

    def describe(self, message: ImagesDescribed) -> None:
        """Take the descriptor of a stream of images: the derived run starts, tables are built."""
        self._frames.describe(message)

    def receive(self, images: ImagesReceived) -> None:
        """Reduce the frames of one event, or park it."""
        parked = ParkedImages(images)
        self._changes.note(images, images.setting)
        most = MOST_PARKED_IN_MEMORY if images.in_memory else MOST_PARKED
        if len(self._parked) >= most:
            if not self.tally.dropped:
                logger.warning(
                    "run %s: %d of its images wait for their files; further ones are dropped", self.uid, most
                )
            self.tally.received += images.frames
            self.tally.dropped += images.frames
            return
        if self._parked or self._current is not None or not self._try(parked):
            self._parked.append(parked)

    def receive_dark(self, images: ImagesReceived) -> None:
        """Read the dark for the frames that follow, or park it, and these with it."""
        parked = ParkedImages(images, is_dark=True)
        self._changes.note(images, images.setting)
        if self._parked or self._current is not None or not self._try(parked):
            self._parked.append(parked)

    def pass_over_dark(self, why: str) -> None:
        """Count a dark that is not read."""
        self._darks.pass_over(why)

    def pass_over(self, message: FramesPassedOver) -> None:
        """Count frames that are not reduced."""
        self.tally.received += message.frames
        if message.why == REFUSED:
            self.tally.skip(REFUSED, message.frames)
            return
        self._awaited_dark = next((each for each in reversed(self._parked) if each.is_dark), None)
        if self._awaited_dark is None:
            self._darks.frame_comes()
        if message.why == "dropped" and not self.tally.dropped:
            logger.warning(
                "run %s: frames come faster than they are reduced; that of event %s is dropped (further ones are "
                "counted only)", self.uid, message.event_uid,
            )  # fmt: skip
        setattr(self.tally, message.why, getattr(self.tally, message.why) + message.frames)
        self._not_requested = message if message.why == "not_requested" else None

    def reduce_next(self, images: ImagesReceived, setting: Setting) -> bool:
        """Reduce an image on request, into the derived run; False if it is counted there already."""
        counted = self._not_requested
        if counted is None or counted.event_uid != images.event["uid"]:
            return False
        if self.awaits_dark(setting):
            return True
        parked = ParkedImages(images, in_force=self.dark_of_latest_frame)
        self._changes.note(images, setting)
        if self._try(parked, setting):  # else its file is not readable yet, and it stays what it was
            self.tally.received -= counted.frames
            self.tally.not_requested -= counted.frames
            self._not_requested = None
        return True

    def awaits_dark(self, setting: Setting) -> bool:
        """Whether a dark before the latest frame is still not readable, though it is tried again; which is said."""
        if setting.config.dark_of_run is None:
            return False
        if self._dark_before_latest():
            self.retry()
        if not self._dark_before_latest():
            return False
        logger.warning("run %s: the current frame cannot be reduced yet: its dark is not readable", self.uid)
        return True

    def _dark_before_latest(self) -> bool:
        if self._awaited_dark is not None:
            return True
        behind = list(dropwhile(lambda each: each.is_dark, reversed(self._parked)))  # those since no frame has come
        return any(each.is_dark for each in behind)

    def stop(self, exit_status: str, reason: str, missing: int = 0) -> None:
        """The raw run has ended; the derived one ends when no frame is parked any more."""
        self._ending = (exit_status, reason)
        self.tally.missing = missing
        if missing:
            logger.warning("run %s is incomplete: %d of its events never came", self.uid, missing)
        self._stopped_at = time.monotonic()
        if self._parked:
            what = "run %s has ended: %d of its images wait for their files, for up to %g s"
            logger.info(what, self.uid, len(self._parked), self._common.file_timeout)
        self._finish_if_done()

    def retry(self) -> None:
        """Try the parked frames again; those whose time is over are skipped."""
        until = time.monotonic() + RETRY_FOR_S
        while self._parked and self._current is None:
            late = self.stopped and time.monotonic() - self._stopped_at >= self._common.file_timeout
            if not self._try(self._parked[0], last=late, until=until):
                return
            if not self._frames.given_up:
                self._parked.popleft()
            if time.monotonic() > until:
                break
        self._finish_if_done()

    def give_up(self, reason: str, missing: int = 0) -> None:
        """End without waiting for anything: parked frames are skipped, the run is closed as aborted."""
        self._frames.given_up = True
        self.tally.missing = max(missing, self.tally.missing)
        if self._current is not None and self._current not in self._parked:  # another thread is at it, and is stuck
            self._parked.appendleft(self._current)
        while self._parked:
            parked = self._parked.popleft()
            why = f"its file was not readable ({reason})"
            if parked.is_dark:
                self._darks.skip("file", why, parked.images)
            else:
                self._frames.skipping.skip("file", parked.left, why, parked.images)
        if self._ending is None:
            self._ending = ("abort", reason)
        self._finish_if_done()

    def _finish_if_done(self) -> None:
        if self._ending is None or self._parked or self.finished:
            return
        self.finished = True
        if self._derived.started:
            if self.tally.dropped:
                logger.warning("run %s: %d frames were dropped", self.uid, self.tally.dropped)
            self._derived.stop(*self._ending, self.tally, self._changes)
        elif self._wanted_by_name:
            logger.warning("run %s: there are no images %s", self.uid, self._wanted_by_name)

    def _try(
        self, parked: ParkedImages, setting: Setting | None = None, *, last: bool = False, until: float = math.inf
    ) -> bool:
        """Reduce the frames of an event; False if it has to be gone on with later.

        That is so if one cannot be read yet, which `last` makes a reason to skip it, or when the time is `until`.
        """
        self._current = parked
        try:
            if parked.is_dark:
                return self._take_dark(parked, last)
            if setting is None:
                self._darks.only_of(parked.images.setting.config.dark_of_run)
                parked.in_force = self._darks.frame_comes()
            return self._frames.reduce_all(parked, setting or parked.images.setting, last=last, until=until)
        finally:
            self._current = None

    def _take_dark(self, parked: ParkedImages, last: bool) -> bool:
        """Read a dark; False if that has to be tried again later."""
        if not self._read_dark(parked, last):
            return False
        if parked is self._awaited_dark:
            self._awaited_dark = None
            self._darks.frame_comes()
        return True

    def _read_dark(self, parked: ParkedImages, last: bool) -> bool:
        images = parked.images
        why = self._frames.in_vain.reason(images) if last else None
        if why is None:
            try:
                self._darks.take(images, waits=not last)
                return True
            except NotReadable as error:
                if not last:
                    return False
                why, _ = self._frames.in_vain.give_up(images, error)
        self._darks.skip("file", why, images)
        return True
