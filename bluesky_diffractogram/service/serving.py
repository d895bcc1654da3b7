"""The service: documents from a source, reduced, given to sinks, and asked about meanwhile."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from .. import __version__
from ..documents.callback import ReductionCallback
from .tally_line import WORDS, tally_line

logger = logging.getLogger(__name__)

ACKNOWLEDGE_EVERY_S = 1.0


class DocumentSource(Protocol):
    """Where documents come from."""

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

    def acknowledge(self) -> None:
        """All documents given so far have been dealt with."""
        ...

    def close(self) -> None:
        """Receive no more."""
        ...


class Sink(Protocol):
    """Where derived documents go."""

    def __call__(self, name: str, doc: dict[str, Any]) -> Any:
        """Take one."""
        ...

    def flush(self) -> bool:
        """Send what waits; whether all has been sent."""
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
    """

    def __init__(
        self, callback: ReductionCallback, source: DocumentSource, sinks: Sequence[Sink] = (), *, drain_s: float = 30.0
    ) -> None:
        self._callback, self._source, self._sinks, self._drain_s = callback, source, sinks, drain_s
        self._began = time.time()
        self._frames: Counter[str] = Counter()
        self._raw_uids: dict[str, str] = {}
        self._events_of_open_runs = 0
        self._runs = 0
        for sink in sinks:
            callback.subscribe(sink, own_thread=getattr(sink, "slow", False))
        callback.subscribe(self._note)

    def run(self, over: threading.Event) -> None:
        """Serve until `over` is set; then finish what was received and close the runs that are open."""
        acknowledged = time.monotonic()
        try:
            for document in self._source.documents(over):
                if document is not None:
                    self._callback(*document)
                if time.monotonic() - acknowledged > ACKNOWLEDGE_EVERY_S:
                    self._acknowledge()
                    acknowledged = time.monotonic()
        finally:
            logger.info("ending: what was received is reduced, for up to %g s", self._drain_s)
            if self._callback.wait(self._drain_s):
                self._acknowledge()
            self._callback.close(self._drain_s, "the service has ended")
            self._source.close()
            for sink in self._sinks:
                sink.close()

    def requests(self) -> dict[str, Callable[[Any], Any]]:
        """What may be asked of it, see `ControlServer`."""
        callback = self._callback

        def configure(changes: Any) -> Any:
            if not isinstance(changes, dict):
                raise ValueError("configure takes a JSON object of settings")
            callback.configure(changes)
            logger.info("reconfigured: %s", ", ".join(changes))
            return callback.configuration()

        def switched(switch: Callable[[bool], None]) -> Callable[[Any], Any]:
            def set_to(on: Any) -> None:
                if on not in (None, True, False):
                    raise ValueError("expected true or false")
                switch(on is not False)

            return set_to

        return {
            "configure": configure,
            "configuration": lambda _: callback.configuration(),
            "status": lambda _: self.status(),
            "results": lambda _: callback.results,
            "show": switched(callback.show),
            "collect": switched(callback.collect),
            "next": lambda _: callback.next(),
            "reset": lambda _: callback.reset(),
        }

    def status(self) -> dict[str, Any]:
        """How it stands: what came, what became of it, and what was refused."""
        return {
            "version": __version__,
            "pid": os.getpid(),
            "seconds": round(time.time() - self._began, 1),
            "documents": self._source.received,
            "refused": dict(self._source.refused),
            "ignored": dict(self._callback.ignored),
            "errors": dict(self._callback.errors),
            "runs_ended": self._runs,
            "runs_open": len(self._raw_uids),
            "reduced_in_open_runs": self._events_of_open_runs,
            "frames": {word: self._frames[word] for word in WORDS},  # of the runs that have ended
        }

    def _acknowledge(self) -> None:
        if self._callback.wait(0) and all(sink.flush() for sink in self._sinks):
            self._source.acknowledge()

    def _note(self, name: str, doc: Mapping[str, Any]) -> None:
        """Log a line for each run."""
        if name == "start":
            self._raw_uids[doc["uid"]] = doc["raw_uid"]
        elif name == "event":
            self._events_of_open_runs += 1
        elif name == "stop":
            numbers = (doc.get("num_events") or {}).values()
            self._events_of_open_runs -= sum(numbers) + doc["frames"].get("replaced", 0)
            raw_uid, frames = self._raw_uids.pop(doc["run_start"], "?"), doc["frames"]
            self._runs += 1
            self._frames.update({word: frames.get(word, 0) for word in WORDS})
            logger.info("run %s: %s: %s", raw_uid, doc["exit_status"], tally_line(frames))
