"""One raw run, from its start to its stop: its frames reduced in order, its derived run emitted."""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from ..config import ConfigError, DiffractogramConfig
from ..files import NotReadable
from ..reduction.frame import Frame, FrameError
from .assets import Assets
from .derived_keys import carried_keys
from .derived_run import DerivedRun
from .frames import Announce, frame_shape_of, origin_of, read_frames, reduce_aside
from .images import Document, frame_shape
from .messages import REFUSED, FramesPassedOver, ImagesDescribed, ImagesReceived
from .parked import AwaitedInVain, ParkedImages
from .setting import Reducers, Setting
from .skipping import Skipping
from .tally import FrameTally

logger = logging.getLogger(__name__)

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
    reducers, assets
        Shared with the other runs.
    emit
        Gets the derived documents.
    announce
        Gets each reduction, with its reducer, setting, origin and the raw run's uid.
    on_error
        Gets what went wrong unexpectedly; the frame is skipped then like others.
    file_timeout
        How many seconds after the raw stop a file may still become readable.
    """

    def __init__(
        self,
        start: Document,
        config: DiffractogramConfig,
        reducers: Reducers,
        assets: Assets,
        emit: Callable[[str, dict[str, Any]], None],
        announce: Announce,
        on_error: Callable[[Exception], None],
        file_timeout: float,
    ) -> None:
        self.uid: str = start["uid"]
        self.tally = FrameTally()
        self.finished = False
        self._start = start
        self._reducers, self._assets = reducers, assets
        self._announce = announce
        self._on_error = on_error
        self._file_timeout = file_timeout
        self._derived = DerivedRun(start, emit)
        self._parked: deque[ParkedImages] = deque()
        self._ending: tuple[str, str] | None = None
        self._given_up = False
        self._current: ParkedImages | None = None
        self._stopped_at = 0.0
        self._in_vain = AwaitedInVain(self.uid, assets, file_timeout)
        self._skipping = Skipping(self.uid, self.tally, on_error)
        # What the first frames' shape was under each setting, for calibrations that do not say it.
        self._first_shapes: dict[int, tuple[int, int]] = {}
        self._not_requested: FramesPassedOver | None = None
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
    def stopped(self) -> bool:
        """Whether the raw run has ended."""
        return self._ending is not None

    def describe(self, message: ImagesDescribed) -> None:
        """Take the descriptor of a stream of images: the derived run starts, tables are built."""
        setting, descriptor = message.setting, message.descriptor
        if not self._derived.started:
            carried = carried_keys(descriptor, setting.config.carry, self._start.get("hints") or {})
            shape = descriptor["data_keys"][message.image_key].get("shape") or ()
            several = any(n != 1 for n in shape[:-2]) and setting.config.frames_per_event == "each"
            self._derived.start(setting.provenance, carried, one_to_one=not several)
        try:
            self._reducers.prepare(setting, frame_shape(descriptor, message.image_key))
        except (FrameError, ConfigError) as error:
            # The frames will tell: areaDetector may have described a shape that they do not have.
            logger.info("no table is built ahead: %s", error)

    def receive(self, images: ImagesReceived) -> None:
        """Reduce the frames of one event, or park it."""
        parked = ParkedImages(images)
        if self._parked or self._current is not None or not self._try(parked):
            self._parked.append(parked)

    def pass_over(self, message: FramesPassedOver) -> None:
        """Count frames that are not reduced."""
        self.tally.received += message.frames
        if message.why == REFUSED:
            self.tally.skip(REFUSED, message.frames)
            return
        setattr(self.tally, message.why, getattr(self.tally, message.why) + message.frames)
        self._not_requested = message if message.why == "not_requested" else None

    def reduce_next(self, images: ImagesReceived, setting: Setting) -> None:
        """Reduce an image on request: into the derived run if it was not requested when it came, else aside."""
        counted = self._not_requested
        if counted is None or counted.event_uid != images.event["uid"]:
            self._aside(images, setting)
            return
        if self._try(ParkedImages(images), setting):  # else its file is not readable yet, and it stays what it was
            self.tally.received -= counted.frames
            self.tally.not_requested -= counted.frames
            self._not_requested = None

    def _aside(self, images: ImagesReceived, setting: Setting) -> None:
        reduce_aside(images, setting, self._reducers, self._assets, self._announce)

    def stop(self, exit_status: str, reason: str, missing: int = 0) -> None:
        """The raw run has ended; the derived one ends when no frame is parked any more."""
        self._ending = (exit_status, reason)
        self.tally.missing = missing
        if missing:
            logger.warning("run %s is incomplete: %d of its events never came", self.uid, missing)
        self._stopped_at = time.monotonic()
        if self._parked:
            what = "run %s has ended: %d of its images wait for their files, for up to %g s"
            logger.info(what, self.uid, len(self._parked), self._file_timeout)
        self._finish_if_done()

    def retry(self) -> None:
        """Try the parked frames again; those whose time is over are skipped."""
        until = time.monotonic() + RETRY_FOR_S
        while self._parked and self._current is None:
            late = self.stopped and time.monotonic() - self._stopped_at >= self._file_timeout
            if not self._try(self._parked[0], last=late, until=until):
                return
            if not self._given_up:
                self._parked.popleft()
            if time.monotonic() > until:
                break
        self._finish_if_done()

    def give_up(self, reason: str) -> None:
        """End without waiting for anything: parked frames are skipped, the run is closed as aborted."""
        self._given_up = True
        if self._current is not None and self._current not in self._parked:  # another thread is at it, and is stuck
            self._parked.appendleft(self._current)
        while self._parked:
            parked = self._parked.popleft()
            self._skipping.skip("file", parked.left, f"its file was not readable ({reason})", parked.images)
        if self._ending is None:
            self._ending = ("abort", reason)
        self._finish_if_done()

    def _finish_if_done(self) -> None:
        if self._ending is None or self._parked or self.finished:
            return
        self.finished = True
        if self._derived.started:
            self._derived.stop(*self._ending, self.tally)
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
            return self._reduce_all(parked, setting or parked.images.setting, last, until)
        finally:
            self._current = None

    def _reduce_all(self, parked: ParkedImages, setting: Setting, last: bool, until: float) -> bool:
        images = parked.images
        if last and (why := self._in_vain.reason(images)) is not None:
            self._skipping.skip("file", parked.left, why, images)
            self._assets.done(images)
            return True
        while True:
            try:
                parked.total, frames = read_frames(images, setting, self._assets, parked.done)
                for read in frames:
                    self._reduce_or_skip(read, parked, setting)
            except NotReadable as error:
                if not last:
                    return False
                # What is known to be there behind the gap is reduced; of other events nothing is known.
                why, all_of_it = self._in_vain.give_up(images, error)
                gap = parked.left if parked.total is None or all_of_it else 1
                self._skipping.skip("file", gap, why, images)
                parked.done += gap
                if parked.left > 0:
                    if time.monotonic() > until:
                        return False
                    continue
            except Exception as error:
                self._skipping.skip_for(error, parked.left, images)
            self._assets.done(images)
            return True

    def _reduce_or_skip(self, read: Callable[[], Frame], parked: ParkedImages, setting: Setting) -> None:
        """Deal with the next frame of an event; `NotReadable` passes, for it may be dealt with later."""
        try:
            self._reduce(read(), parked.done, parked.images, setting)
        except NotReadable:
            raise
        except Exception as error:
            self._skipping.skip_for(error, 1, parked.images)
        parked.done += 1

    def _reduce(self, frame: Frame, index: int, images: ImagesReceived, setting: Setting) -> None:
        if self._given_up:  # while this one was read: the run has been closed without it
            return
        shape = frame_shape_of(frame)
        reducer = self._reducers.get(setting, shape, self._first_shapes.get(setting.stream_number))
        reduction = reducer.reduce(frame)
        self._first_shapes.setdefault(setting.stream_number, shape)
        origin = origin_of(images, index)
        key = (setting.stream_number, reducer.shape)
        replaces = self._derived.event(reduction, reducer, key, images.descriptor, origin, setting.provenance)
        self.tally.received += 1
        if replaces:
            self.tally.replaced += 1
        else:
            self.tally.reduced += 1
        try:
            self._announce(reduction, reducer, setting, origin, self.uid)
        except Exception as error:  # the frame is reduced all the same
            self._on_error(error)
