"""The buffers of all ranges: what goes into them, when they are emptied, and telling those who show them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..reduction.buffer import DiffractogramBuffer
from ..reduction.diffractogram import Reduction
from ..reduction.reducer import Reducer
from .messages import OriginOfFrame
from .setting import Setting

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BuffersEmptied:
    """The buffers hold nothing, and up to `size` rows each from now on."""

    size: int


@dataclass(frozen=True, slots=True)
class Collecting:
    """Whether the frames whose events follow go into the buffers."""

    on: bool


BufferNews = BuffersEmptied | Collecting


class Buffers:
    """Keeps one buffer for each range.

    What happens to them is told in order with the derived events, so that who shows the events' diffractograms as
    rows has the rows of the buffers. All but `reset` is done in the thread that reduces.

    Parameters
    ----------
    setting
        In force at first.
    tell
        Gets the news; must not raise.

    Attributes
    ----------
    ranges
        The buffers; that of range 1 is the first.
    """

    def __init__(self, setting: Setting, tell: Callable[[BufferNews], None]) -> None:
        self._setting, self._tell = setting, tell
        self._filled_by: Reducer | None = None
        self._collecting: bool | None = None
        self.ranges = _new(setting)

    def reset(self) -> None:
        """Empty them."""
        for buffer in self.ranges:
            buffer.reset()
        self._tell(BuffersEmptied(self._setting.config.buffer_size))

    def change(self, setting: Setting) -> None:
        """Go on under another setting: with empty buffers, if it alters their numbers or their size."""
        before, self._setting = self._setting, setting
        if setting.buffer_number != before.buffer_number:
            self.ranges = _new(setting)
            self._filled_by = None
            self._tell(BuffersEmptied(setting.config.buffer_size))
        self._say_whether(self._collects(setting))

    def expect(self, reducer: Reducer, setting: Setting) -> None:
        """Make ready for the diffractograms of a frame received under `setting`, before its event is out."""
        collects = self._collects(setting)
        self._say_whether(collects)
        if not collects or reducer is self._filled_by:
            return
        self._filled_by = reducer
        axes = [buffer.radial for buffer in self.ranges]
        if any(old is not None and not np.array_equal(old, new) for old, new in zip(axes, reducer.axes, strict=True)):
            logger.info("the buffers are emptied: frames of shape %s have other axes", reducer.shape)
            self.reset()

    def collect(
        self, reduction: Reduction, reducer: Reducer, setting: Setting, origin: OriginOfFrame, run_uid: str
    ) -> None:
        """Take the diffractograms of a frame, if those received under its setting are collected."""
        self.expect(reducer, setting)
        if not self._collects(setting):
            return
        carried = {name: value for name, value in origin.carried.items() if isinstance(value, (int, float, str))}
        for buffer, diffractogram in zip(self.ranges, reduction.diffractograms, strict=True):
            buffer.append(
                diffractogram.intensity, reduction.frame.timestamp,
                radial=diffractogram.radial, key=(run_uid, *origin.key), carried=carried,
            )  # fmt: skip

    def _collects(self, setting: Setting) -> bool:
        # Parked frames come late, perhaps after the setting that they were received under.
        return setting.config.collect and setting.buffer_number == self._setting.buffer_number

    def _say_whether(self, collecting: bool) -> None:
        if collecting != self._collecting:
            self._collecting = collecting
            self._tell(Collecting(collecting))


def _new(setting: Setting) -> tuple[DiffractogramBuffer, ...]:
    return tuple(DiffractogramBuffer(setting.config.buffer_size, npt) for npt in setting.config.npts)
