"""Frames that cannot be reduced: counted under a reason, and said once for each."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ..config import ConfigError
from ..reduction.frame import FrameError
from .messages import ImagesReceived
from .tally import DarkTally, FrameTally

logger = logging.getLogger(__name__)


class Skipping:
    """Counts and logs the frames, or darks, of one run that are skipped.

    Parameters
    ----------
    run_uid
        The raw run.
    tally
        Where they are counted.
    on_error
        Gets what went wrong unexpectedly.
    what
        What they are called.
    """

    def __init__(
        self, run_uid: str, tally: FrameTally | DarkTally, on_error: Callable[[Exception], None], what: str = "frame"
    ) -> None:
        self._run_uid, self._tally, self._on_error, self._what = run_uid, tally, on_error, what
        self._logged: set[str] = set()

    def skip_for(self, error: Exception, frames: int, images: ImagesReceived) -> None:
        """Skip frames for an exception: foreseen ones have a name, the others are faults of ours or of a library."""
        if isinstance(error, FrameError):
            reason = error.kind
        elif isinstance(error, ConfigError):
            reason = f"configuration: {error.key}"
        else:
            reason = f"error: {type(error).__name__}"
            self._on_error(error)
        self.skip(reason, frames, str(error), images)

    def skip(self, reason: str, frames: int, message: str, images: ImagesReceived) -> None:
        """Skip frames of an event for a reason, of which the first message is kept."""
        self._tally.received += frames
        self._tally.skip(reason, frames, message)
        level = logging.DEBUG if reason in self._logged else logging.WARNING
        self._logged.add(reason)
        seq_num = images.event["seq_num"]
        what = "run %s, seq_num %s: %s skipped (%s): %s"
        logger.log(level, what, self._run_uid, seq_num, self._what, reason, message)
