"""The frames of the events of one raw run, reduced one after the other into its derived run."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ..config import ConfigError
from ..files import NotReadable
from ..reduction.diffractogram import Reduction
from ..reduction.frame import Frame, FrameError
from ..reduction.reducer import Reducer
from .ahead import Ahead
from .assets import Assets
from .dark_in_force import dark_for, digest_with_dark, frame_with_dark, lacks_dark
from .derived_keys import carried_keys
from .derived_run import DerivedRun
from .earlier import Earlier, TakingOver
from .frames import Announce, digest_now, frame_shape_of, origin_of, read_frames
from .images import Document, frame_shape
from .lacks import Lacks
from .merged_frames import absent_ones
from .messages import ImagesDescribed, ImagesReceived
from .parked import AwaitedInVain, ParkedImages
from .setting import Reducers, Setting
from .skipping import Skipping
from .tally import FrameTally

logger = logging.getLogger(__name__)

_Reduced = tuple[tuple[int, int], Reduction]


@dataclass(frozen=True, eq=False, slots=True)
class Common:
    """What all runs have in common.

    Attributes
    ----------
    reducers, assets
        Reduce frames, and read them.
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

    reducers: Reducers
    assets: Assets
    announce: Announce
    on_error: Callable[[Exception], None]
    file_timeout: float
    ahead: Ahead | None = None
    earlier: Earlier | None = None
    expect: Callable[[Reducer, Setting], None] = lambda reducer, setting: None


class EventFrames:
    """Reduces the frames of one event after the other, and emits them as events of the derived run.

    Parameters
    ----------
    start
        The raw start document.
    common
        Shared with the other runs.
    derived
        Gets what frames are reduced to.
    tally
        Where they are counted.

    Attributes
    ----------
    skipping
        Those that cannot be reduced.
    in_vain
        The files that were waited for in vain.
    given_up
        Whether the run has been closed: what another thread is still at is not emitted then.
    """

    def __init__(self, start: Document, common: Common, derived: DerivedRun, tally: FrameTally) -> None:
        self._start, self._common, self._derived, self._tally = start, common, derived, tally
        self._run_uid: str = start["uid"]
        self._assets, self._ahead = common.assets, common.ahead
        self.skipping = Skipping(self._run_uid, tally, common.on_error)
        self.in_vain = AwaitedInVain(self._run_uid, common.assets, common.file_timeout)
        self._taking_over = None if common.earlier is None else TakingOver(self._run_uid, common.earlier)
        self._lacks = Lacks(self._run_uid, tally)
        # What the first frames' shape was under each setting, for calibrations that do not say it.
        self._first_shapes: dict[int, tuple[int, int]] = {}
        self.given_up = False

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
            self._common.reducers.prepare(setting, frame_shape(descriptor, message.image_key))
        except (FrameError, ConfigError) as error:
            # The frames will tell: areaDetector may have described a shape that they do not have.
            logger.info("no table is built ahead: %s", error)

    def reduce_all(self, parked: ParkedImages, setting: Setting, *, last: bool, until: float) -> bool:
        """Reduce the frames of an event; False if it has to be gone on with later.

        That is so if one cannot be read yet, which `last` makes a reason to skip it, or when the time is `until`.
        """
        images = parked.images
        if last and (why := self.in_vain.reason(images)) is not None:
            self.skipping.skip("file", parked.left, why, images)
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
                    self.in_vain.wait(images, error)
                    return False
                # What is known to be there behind the gap is reduced; of other events nothing is known.
                why, all_of_it = self.in_vain.give_up(images, error)
                gap = parked.left if parked.total is None or all_of_it else 1
                self.skipping.skip("file", gap, why, images)
                parked.done += gap
                if parked.left > 0:
                    if time.monotonic() > until:
                        return False
                    continue
            except Exception as error:
                self.skipping.skip_for(error, parked.left, images)
            self._done(images)
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
        if over is None or self.given_up:
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
        reduction = self._common.reducers.at(setting, shape, frame.moved, first).reduce(frame)
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
            self.skipping.skip_for(error, 1, parked.images)
        parked.done += 1

    def _emit(
        self, shape: tuple[int, int], reduction: Reduction, index: int, images: ImagesReceived, setting: Setting
    ) -> None:
        if self.given_up:  # while this one was reduced: the run has been closed without it
            return
        reducer = self._common.reducers.get(setting, shape, self._first_shapes.get(setting.stream_number))
        self._first_shapes.setdefault(setting.stream_number, shape)
        origin = origin_of(images, index)
        key = (setting.stream_number, reducer.shape)
        described = setting.provenance
        self._common.expect(reducer, setting)
        replaces, data = self._derived.event(reduction, reducer, key, images.descriptor, origin, described)
        self._count(replaces)
        self._lacks.count(reduction.frame.lacks, images)
        if self._taking_over is not None:
            self._taking_over.compare(key, origin, data)
        try:
            self._common.announce(reduction, reducer, setting, origin, self._run_uid)
        except Exception as error:  # the frame is reduced all the same
            self._common.on_error(error)

    def _count(self, replaces: bool) -> None:
        self._tally.received += 1
        if replaces:
            self._tally.replaced += 1
        else:
            self._tally.reduced += 1
