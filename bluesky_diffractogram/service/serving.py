"""The service: documents from a source, reduced, given to sinks, and asked about meanwhile."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Protocol

from .. import __version__
from ..documents.callback import ReductionCallback
from ..documents.fence import Fence
from ..documents.subscribers import Patience
from .connections import Connections, End
from .tally_line import tally_line

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
TO_CLOSE_S = 5.0
FLUSHED_AGAIN_AFTER_S = 0.02
RUN_TIMEOUT_S = 6 * 3600.0


class DocumentSource(End, Protocol):
    """Where documents come from."""

    @property
    def peers(self) -> int:
        """How many are connected."""
        ...

    @property
    def strangers(self) -> Mapping[str, int]:
        """How many tries to connect have failed, by reason."""
        ...

    @property
    def received(self) -> int:
        """How many came."""
        ...

    @property
    def refused(self) -> Mapping[str, int]:
        """How many messages were none, by reason."""
        ...

    def documents(self, over: threading.Event) -> Iterator[tuple[str, dict[str, Any]] | None]:
        """Documents until `over` is set; None now and then while none come."""
        ...

    def position(self, open_runs: Collection[str]) -> Any:
        """How far the documents given so far reach; of `open_runs` more is to come."""
        ...

    def acknowledge(self, position: Any) -> None:
        """What was given up to a position has been dealt with."""
        ...

    def close(self) -> None:
        """Receive no more."""
        ...


class Sink(End, Protocol):
    """Where derived documents go."""

    @property
    def peers(self) -> int | None:
        """How many are connected, if that is known."""
        ...

    @property
    def undelivered(self) -> Mapping[str, int] | None:
        """How many documents did not arrive, by reason; None where that is not known."""
        ...

    def __call__(self, name: str, doc: dict[str, Any]) -> Any:
        """Take one."""
        ...

    def flush(self) -> bool:
        """Whether all has been sent; it is not waited for."""
        ...

    def close(self) -> None:
        """Send what waits, and end."""
        ...


class Serving:
    """Reduces what comes from a source until it is told to stop.

    Parameters
    ----------
    callback
        Reduces.
    source
        Brings raw documents.
    sinks
        Get the derived ones.
    drain_s
        How many seconds frames that were received may still take after the end.
    run_timeout_s
        A run of which nothing came for so many seconds is closed as aborted: its stop was lost.
    """

    def __init__(
        self,
        callback: ReductionCallback,
        source: DocumentSource,
        sinks: Sequence[Sink] = (),
        *,
        drain_s: float = 30.0,
        run_timeout_s: float = RUN_TIMEOUT_S,
    ) -> None:
        self._callback, self._source, self._sinks = callback, source, sinks
        self._drain_s, self._run_timeout_s = drain_s, run_timeout_s
        self._connections = Connections([source, *sinks])
        self._began = time.time()
        self._given: tuple[Fence, Any] | None = None
        self._raw_uids: dict[str, str] = {}
        self._runs = 0
        callback.subscribe(self._note)  # before the sinks: who hears of a run's end finds it in the status
        self._tokens = [callback.subscribe(sink, own_thread=getattr(sink, "slow", False)) for sink in sinks]

    def run(self, over: threading.Event) -> None:
        """Serve until `over` is set; then finish what was received and close the runs that are open."""
        looked, left = time.monotonic(), None
        with ExitStack() as closing:
            for end in (self._source, *self._sinks):  # the last one first
                closing.callback(end.close)
            try:
                for document in self._source.documents(over):
                    if over.is_set():  # what has arrived already
                        left = left or self._ending()
                        if not left():
                            break
                    if document is not None:
                        self._callback(*document)
                    if time.monotonic() - looked > LOOK_EVERY_S:
                        self._look()
                        looked = time.monotonic()
            finally:
                left = left or self._ending()
                if self._callback.wait(left()):
                    self._given = None
                    self._acknowledge()
                    flushing = Patience(min(TO_CLOSE_S, left() or 0.0))
                    while self._given is not None and flushing():  # else it would be given again, and derived twice
                        time.sleep(FLUSHED_AGAIN_AFTER_S)
                        self._acknowledge()
                self._callback.close(max(TO_CLOSE_S, left() or 0.0), "the service has ended")

    def _ending(self) -> Patience:
        logger.info("ending: what was received is reduced, for up to %g s", self._drain_s)
        return Patience(self._drain_s)

    def _look(self) -> None:
        self._callback.abandon_silent(self._run_timeout_s)
        self._acknowledge()
        self._connections.look()

    def status(self) -> dict[str, Any]:
        """How it stands: what came, what became of it, and what was refused."""
        return {
            "version": __version__,
            "pid": os.getpid(),
            "seconds": round(time.time() - self._began, 1),
            "from": {
                "address": self._source.endpoint,
                "connected": self._source.peers,
                "failed": dict(self._source.strangers),
            },
            "to": [self._status_of(sink, token) for sink, token in zip(self._sinks, self._tokens, strict=True)],
            "documents": self._source.received,
            "refused": dict(self._source.refused),
            "ignored": dict(self._callback.ignored),
            "errors": dict(self._callback.errors),
            "runs_ended": self._runs,
            "runs_open": len(self._raw_uids),
            "frames": self._callback.frames,
        }

    def _status_of(self, sink: Sink, token: int) -> dict[str, Any]:
        lost = self._callback.lost(token)
        undelivered = None if sink.undelivered is None and not lost else dict(sink.undelivered or {})
        if undelivered is not None and lost:
            undelivered["not taken"] = lost
        return {"address": sink.endpoint, "connected": sink.peers, "undelivered": undelivered}

    def _acknowledge(self) -> None:
        """Put up a fence, and when all before it has been dealt with, say so to the source."""
        if self._given is None:
            self._given = self._callback.fence(), self._source.position(self._callback.open_runs)
        fence, position = self._given
        if fence.is_passed() and all(sink.flush() for sink in self._sinks):
            self._source.acknowledge(position)
            self._given = None

    def _note(self, name: str, doc: Mapping[str, Any]) -> None:
        """Log a line for each run."""
        if name == "start":
            self._raw_uids[doc["uid"]] = doc["raw_uid"]
        elif name == "stop":
            raw_uid = self._raw_uids.pop(doc["run_start"], "?")
            self._runs += 1
            logger.info("run %s: %s: %s", raw_uid, doc["exit_status"], tally_line(doc["frames"]))
