"""Frames offered to those who show them: by reference, and not at all while there is nobody."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from numpy.typing import NDArray

from ..config import ConfigError, DiffractogramConfig, GeometryConfig
from ..files import NotReadable
from ..reduction.frame import Frame, FrameError
from ..reduction.moved import Moved
from ..reduction.preview import DetectorView, detector_view
from ..reduction.reducer import Reducer
from .assets import Assets
from .frames import frame_shape_of, origin_of, read_frames
from .messages import ImagesReceived, OriginOfFrame
from .setting import Reducers, Setting
from .subscribers import Subscribers

logger = logging.getLogger(__name__)

# So often frames that are not reduced are read, to be shown only.
UNREDUCED_EVERY_S = 0.1


@dataclass(frozen=True, eq=False, slots=True)
class OfferedFrame:
    """A frame with all that is needed to show it.

    Attributes
    ----------
    image
        ``(ny, nx)`` as it was read, neither transformed nor masked; shared, and not to be written to.
    detector
        How it is shown: transformation, mask, outlines of the ranges. The same object as long as nothing of it changes.
    config
        The configuration in force.
    run_uid, seq_num, frame_index
        The raw run, the number of its event, and which of the event's frames it is, from 0.
    imagename, timestamp
        As in the frame's derived event.
    """

    image: NDArray
    detector: DetectorView
    config: DiffractogramConfig
    run_uid: str
    seq_num: int
    frame_index: int
    imagename: str
    timestamp: float


@dataclass(frozen=True, eq=False, slots=True)
class _Offered:
    frame: Frame
    origin: OriginOfFrame
    run_uid: str


class Offering:
    """Calls those who show frames, in the thread that reduces.

    Parameters
    ----------
    subscribers
        They are called with an `OfferedFrame`.
    latest
        Gives the image that came last, be it reduced or not.
    reducers, assets
        Shared with the runs.
    """

    def __init__(
        self,
        subscribers: Subscribers,
        latest: Callable[[], ImagesReceived | None],
        reducers: Reducers,
        assets: Assets,
    ) -> None:
        self._subscribers = subscribers
        self._latest = latest
        self._reducers, self._assets = reducers, assets
        self._view: tuple[tuple[Reducer, Moved | None], DetectorView] | None = None
        self._offered: _Offered | None = None
        self._geometry_told_by: GeometryConfig | None = None
        self._read_at = -UNREDUCED_EVERY_S
        self._due = False
        self._failed = False

    def reduced(self, frame: Frame, reducer: Reducer, setting: Setting, origin: OriginOfFrame, run_uid: str) -> None:
        """Offer a frame that was reduced."""
        if not len(self._subscribers):
            self._offered = self._view = None
            return
        self._due = False
        self._offer(_Offered(frame, origin, run_uid), reducer, setting)

    def not_requested(self, *, last: bool = False) -> None:
        """Offer the latest frame though it is not reduced, unless one was just read for that; or it is the `last`."""
        if not len(self._subscribers) or (last and not self._due):
            return
        now = time.monotonic()
        images = self._latest()
        self._due = now - self._read_at < UNREDUCED_EVERY_S and not last
        if images is None or self._due:
            return
        self._read_at = now
        try:
            total, _ = read_frames(images, images.setting, self._assets)
            _, newest = read_frames(images, images.setting, self._assets, total - 1)
            frame = next(iter(newest))()
            reducer = self._reducers.get(images.setting, frame_shape_of(frame))
            offered = _Offered(frame, origin_of(images, total - 1), images.run_uid)
        except NotReadable:
            return
        except (FrameError, ConfigError) as error:
            logger.debug("the latest frame cannot be shown: %s", error)
            return
        self._offer(offered, reducer, images.setting)

    def setting_changed(self, setting: Setting) -> None:
        """Offer the last frame again, with the ranges and all else as they are now."""
        if self._offered is None or not len(self._subscribers):
            return
        try:
            reducer = self._reducers.get(setting, frame_shape_of(self._offered.frame))
        except (FrameError, ConfigError) as error:
            logger.debug("the last frame is none of the new configuration: %s", error)
            return
        offered = self._offered
        if setting.config.geometry != self._geometry_told_by:  # other readings tell it now, which are not at hand
            offered = replace(offered, frame=replace(offered.frame, moved=None))
        self._offer(offered, reducer, setting)

    def _offer(self, offered: _Offered, reducer: Reducer, setting: Setting) -> None:
        self._offered, self._geometry_told_by = offered, setting.config.geometry
        moved = offered.frame.moved
        if self._view is None or self._view[0] != (reducer, moved):
            try:
                self._view = (reducer, moved), detector_view(reducer, moved)
            except Exception:  # what cannot be shown is reduced all the same
                if not self._failed:
                    logger.exception("frames of %s cannot be shown; this is said once", reducer.geometry.path)
                self._failed = True
                return
        frame, origin = offered.frame, offered.origin
        self._subscribers.call(
            OfferedFrame(
                frame.image, self._view[1], setting.config, offered.run_uid, origin.seq_num, origin.frame_index,
                frame.imagename, frame.timestamp,
            )
        )  # fmt: skip
