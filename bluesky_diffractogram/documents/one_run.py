"""One raw run, from its start to its stop: its frames reduced in order, its derived run emitted."""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import dropwhile
from typing import Any

from ..config import ConfigError, DiffractogramConfig
from ..files import NotReadable
from ..reduction.diffractogram import Reduction
from ..reduction.frame import Frame, FrameError
from ..reduction.reducer import Reducer
from .ahead import Ahead
from .assets import Assets
from .dark_in_force import DarkInForce, dark_for, digest_with_dark, frame_with_dark, lacks_dark
from .darks import Darks
from .derived_keys import carried_keys
from .derived_run import DerivedRun
from .earlier import Earlier, TakingOver
from .frames import Announce, digest_now, frame_shape_of, origin_of, read_frames
from .images import Document, frame_shape
from .lacks import Lacks
from .merged_frames import absent_ones
from .messages import REFUSED, FramesPassedOver, ImagesDescribed, ImagesReceived
from .parked import AwaitedInVain, ParkedImages
from .setting import Reducers, Setting
from .setting_changes import SettingChanges
from .skipping import Skipping
from .tally import DarkTally, FrameTally

logger = logging.getLogger(__name__)

MOST_PARKED = 100_000
# Where pixels are in the event, and wait for a file: of another detector, or of the dark before them.
MOST_PARKED_IN_MEMORY = 64
# So long one run may have the worker to itself when what is parked is tried again.
RETRY_FOR_S = 0.1

_Reduced = tuple[tuple[int, int], Reduction]


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
    ahead, earlier
        Reduces frames elsewhere, if somebody does; has reduced frames earlier.
    expect
        Gets the reducer and the setting of each frame before its event is emitted.
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
        ahead: Ahead | None = None,
        earlier: Earlier | None = None,
        expect: Callable[[Reducer, Setting], None] = lambda reducer, setting: None,
    ) -> None:
        self.uid: str = start["uid"]
        self.tally = FrameTally(darks=DarkTally(configured=config.dark_of_run is not None))
        self.finished = False
        self._start = start
        self._reducers, self._assets = reducers, assets
        self._announce, self._expect = announce, expect
        self._on_error = on_error
        self._file_timeout = file_timeout
        self._ahead = ahead
        self._taking_over = None if earlier is None else TakingOver(self.uid, earlier)
        self._derived = DerivedRun(start, emit)
        self._parked: deque[ParkedImages] = deque()
        self._ending: tuple[str, str] | None = None
        self._given_up = False
        self._current: ParkedImages | None = None
        self._stopped_at = 0.0
        self._in_vain = AwaitedInVain(self.uid, assets, file_timeout)
        self._skipping = Skipping(self.uid, self.tally, on_error)
        self._changes = SettingChanges()
        self._lacks = Lacks(self.uid, self.tally)
        self._darks = Darks(self.uid, self.tally.darks, assets, on_error)
        # What the first frames' shape was under each setting, for calibrations that do not say it.
        self._first_shapes: dict[int, tuple[int, int]] = {}
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
        setting, descriptor = message.setting, message.descriptor
        if not self._derived.started:
            carried = carried_keys(descriptor, setting.config.carry, self._start.get("hints") or {})
            shape = descriptor["data_keys"][message.image_key].get("shape") or ()
            several = any(n != 1 for n in shape[:-2]) and setting.config.frames_per_event == "each"
            dark = setting.config.dark_of_run
            darks_between = dark is not None and dark.key is not None
            self._derived.start(setting.provenance, carried, one_to_one=not (several or darks_between))
        try:
            self._reducers.prepare(setting, frame_shape(descriptor, message.image_key))
        except (FrameError, ConfigError) as error:
            # The frames will tell: areaDetector may have described a shape that they do not have.
            logger.info("no table is built ahead: %s", error)

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

    def give_up(self, reason: str, missing: int = 0) -> None:
        """End without waiting for anything: parked frames are skipped, the run is closed as aborted."""
        self._given_up = True
        self.tally.missing = max(missing, self.tally.missing)
        if self._current is not None and self._current not in self._parked:  # another thread is at it, and is stuck
            self._parked.appendleft(self._current)
        while self._parked:
            parked = self._parked.popleft()
            why = f"its file was not readable ({reason})"
            if parked.is_dark:
                self._darks.skip("file", why, parked.images)
            else:
                self._skipping.skip("file", parked.left, why, parked.images)
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
            return self._reduce_all(parked, setting or parked.images.setting, last, until)
        finally:
            self._current = None

    def _reduce_all(self, parked: ParkedImages, setting: Setting, last: bool, until: float) -> bool:
        images = parked.images
        if last and (why := self._in_vain.reason(images)) is not None:
            self._skipping.skip("file", parked.left, why, images)
            self._done(images)
            return True
        while True:
            try:
                parked.dark = dark_for(parked.in_force, images, setting)
                parked.lacks = lacks_dark(parked.dark, images, setting)
                while parked.total is None or parked.done < parked.total:
                    if self._taken_over(parked) or self._taken(parked, setting):
                        continue
                    end = parked.done + 1 if self._alone(parked) else None
                    parked.total, frames = read_frames(images, setting, self._assets, parked.done, end, waits=not last)
                    for read in frames:
                        self._reduce_or_skip(partial(self._reduced_here, read, parked, setting), parked, setting)
            except NotReadable as error:
                if not last:
                    self._in_vain.wait(images, error)
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
            self._done(images)
            return True

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
        why = self._in_vain.reason(images) if last else None
        if why is None:
            try:
                self._darks.take(images, waits=not last)
                return True
            except NotReadable as error:
                if not last:
                    return False
                why, _ = self._in_vain.give_up(images, error)
        self._darks.skip("file", why, images)
        return True

    def _done(self, images: ImagesReceived) -> None:
        self._assets.done(images)
        if self._ahead is not None:
            self._ahead.done(images)

    def _alone(self, parked: ParkedImages) -> bool:
        """Whether the next frame of an event is read by itself, as those behind it may be had without."""
        images = parked.images
        if self._ahead is not None and self._ahead.alone(images):
            return True
        over, following = self._taking_over, parked.done + 1
        return over is not None and over.has(images.event["uid"], following, self._digest(parked, following))

    def _digest(self, parked: ParkedImages, index: int) -> Callable[[], str]:
        images = parked.images
        return digest_with_dark(partial(digest_now, images, images.setting, self._assets, index), parked.dark)

    def _taken_over(self, parked: ParkedImages) -> bool:
        """Deal with the next frame of an event if it was reduced in an earlier derived run."""
        images, index = parked.images, parked.done
        over = self._taking_over
        if over is None or self._given_up:
            return False
        found = over.take(images.event["uid"], index, self._digest(parked, index))
        if found is None:
            return False
        replaces = self._derived.event_again(found, over.stream, origin_of(images, index))
        if replaces is None:
            over.not_wanted()
            return False
        over.count()
        self._count(replaces)
        absent = absent_ones(images, images.setting)
        known = {key for key, _ in absent}
        self._lacks.count([*absent, *((key, why) for _, key, why in parked.lacks if key not in known)], images)
        parked.done += 1
        if images.rows is not None:  # else whoever reads it knows how many there are
            parked.total = images.rows.number if images.setting.config.frames_per_event == "each" else 1
        return True

    def _taken(self, parked: ParkedImages, setting: Setting) -> bool:
        """Deal with the next frame of an event if it was reduced elsewhere."""
        reduced = None if self._ahead is None else self._ahead.take(parked.images, parked.done)
        if reduced is None or reduced.dark != ("" if parked.dark is None else parked.dark.digest):
            return False
        parked.total = reduced.total
        self._reduce_or_skip(partial(reduced.reduction, parked.dark), parked, setting)
        return True

    def _reduced_here(self, read: Callable[[], Frame], parked: ParkedImages, setting: Setting) -> _Reduced:
        frame = frame_with_dark(read(), parked.dark, parked.lacks)
        shape = frame_shape_of(frame)
        first = self._first_shapes.get(setting.stream_number)
        reduction = self._reducers.at(setting, shape, frame.moved, first).reduce(frame)
        if self._ahead is not None:
            self._ahead.learn(parked.images, shape)
        return shape, reduction

    def _reduce_or_skip(self, reduce: Callable[[], _Reduced], parked: ParkedImages, setting: Setting) -> None:
        """Deal with the next frame of an event; `NotReadable` passes, for it may be dealt with later."""
        try:
            self._emit(*reduce(), parked.done, parked.images, setting)
        except NotReadable:
            raise
        except Exception as error:
            self._skipping.skip_for(error, 1, parked.images)
        parked.done += 1

    def _emit(
        self, shape: tuple[int, int], reduction: Reduction, index: int, images: ImagesReceived, setting: Setting
    ) -> None:
        if self._given_up:  # while this one was reduced: the run has been closed without it
            return
        reducer = self._reducers.get(setting, shape, self._first_shapes.get(setting.stream_number))
        self._first_shapes.setdefault(setting.stream_number, shape)
        origin = origin_of(images, index)
        key = (setting.stream_number, reducer.shape)
        described = setting.provenance
        self._expect(reducer, setting)
        replaces, data = self._derived.event(reduction, reducer, key, images.descriptor, origin, described)
        self._count(replaces)
        self._lacks.count(reduction.frame.lacks, images)
        if self._taking_over is not None:
            self._taking_over.compare(key, origin, data)
        try:
            self._announce(reduction, reducer, setting, origin, self.uid)
        except Exception as error:  # the frame is reduced all the same
            self._on_error(error)

    def _count(self, replaces: bool) -> None:
        self.tally.received += 1
        if replaces:
            self.tally.replaced += 1
        else:
            self.tally.reduced += 1
