"""Following the callback: a snapshot for each frame, and waiting for that of the latest."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from ..documents.callback import ReductionCallback
from ..documents.derived_keys import EventData
from ..documents.latest import LatestReduction
from .snapshot import Snapshot

# The reduction announces its results; what it passes over is found by looking.
LOOK_EVERY_S = 0.005


class Following:
    """Has the snapshot of every frame that a callback reduces.

    Parameters
    ----------
    callback
        To follow, from now on.
    ranges
        How many ranges of it.
    take
        Gets every snapshot, in the thread that reduces.
    after_a_run
        Is called there when all of a run is reduced.
    """

    def __init__(
        self,
        callback: ReductionCallback,
        ranges: int,
        take: Callable[[Snapshot], None],
        after_a_run: Callable[[], None],
    ) -> None:
        self._callback, self._ranges, self._take, self._after_a_run = callback, ranges, take, after_a_run
        self._event: dict[str, Any] | None = None
        self._reduced: tuple[str, Snapshot] | None = None
        self._unreadable_run: str | None = None
        self._news = threading.Condition()
        self._tokens: tuple[int, ...] = callback.subscribe(self._document), callback.on_reduction(self._reduction)

    def end(self) -> None:
        """Follow no more."""
        for token in self._tokens:
            self._callback.unsubscribe(token)
        self._tokens = ()

    def _document(self, name: str, doc: dict[str, Any]) -> None:
        if name == "event":
            self._event = doc["data"]
        elif name == "stop":
            self._after_a_run()

    def _reduction(self, latest: LatestReduction) -> None:
        data, self._event = self._event, None
        origin = latest.origin
        if data is None or (data["raw_event"], data["frame_index"]) != (origin.event_uid, origin.frame_index):
            # Reduced on request, with its run over or counted already: there is no derived event.
            data = EventData(latest.reducer).data(latest.reduction, origin)
        snapshot = Snapshot.of(self._ranges, data, latest.run_uid, (latest.reduction, latest.reducer))
        self._take(snapshot)
        with self._news:
            self._reduced = origin.event_uid, snapshot
            self._news.notify_all()

    def wait_for_latest(self, not_event: str | None, timeout: float) -> Snapshot | None:
        """Wait until the latest image received is reduced, or is known not to be.

        Parameters
        ----------
        not_event
            The uid of an event that is too old to be waited for.
        timeout
            In seconds.

        Returns
        -------
        Snapshot or None
            That of the latest image, which is a newer one than `not_event`; None if there is none.
        """
        deadline = time.monotonic() + timeout
        while True:
            wanted = self._callback.latest_event
            if wanted is None or wanted == not_event:
                return None
            run = self._callback.latest_run or ""
            if not self._callback.processing:
                # Looked at after that, for a frame may have been reduced just before it.
                parked = self._callback.parked(run)
                if not parked:
                    return self._snapshot_of(wanted)
                if run == self._unreadable_run:
                    return None
            if time.monotonic() >= deadline:
                # Where a frame was awaited in vain, the next ones of the run are not awaited.
                self._unreadable_run = run if self._callback.parked(run) else None
                return self._snapshot_of(wanted)
            with self._news:
                self._news.wait(LOOK_EVERY_S)

    def _snapshot_of(self, event: str) -> Snapshot | None:
        reduced = self._reduced
        return reduced[1] if reduced is not None and reduced[0] == event else None
