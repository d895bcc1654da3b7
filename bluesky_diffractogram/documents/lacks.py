"""Frames that are reduced without an optional detector: counted by why, and said once for each."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from ..reduction.frame import FrameError
from .messages import ImagesReceived
from .tally import FrameTally, LackTally

logger = logging.getLogger(__name__)


class Lacks:
    """Counts and logs what detectors the reduced frames of one run lack.

    Parameters
    ----------
    run_uid
        The raw run.
    tally
        Where they are counted.
    """

    def __init__(self, run_uid: str, tally: FrameTally) -> None:
        self._run_uid, self._tally = run_uid, tally

    def count(self, lacks: Iterable[tuple[str, FrameError]], images: ImagesReceived) -> None:
        """Count what a frame of an event lacks: data keys, and why."""
        for key, why in lacks:
            tally = self._tally.without.setdefault(key, LackTally())
            level = logging.DEBUG if why.kind in tally.reasons else logging.WARNING
            tally.frames += 1
            tally.reasons[why.kind] += 1
            tally.messages.setdefault(why.kind, str(why))
            what = "run %s, seq_num %s: reduced without %r (%s): %s"
            logger.log(level, what, self._run_uid, images.event["seq_num"], key, why.kind, why)
