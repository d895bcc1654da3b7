"""Derived runs into a tiled server."""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from typing import Any

from ..replay.errors import ReplayError
from .run_of import RunOf

logger = logging.getLogger(__name__)


class TiledRuns:
    """Stores derived runs, called with their documents; one that cannot be stored is an error in the log.

    Parameters
    ----------
    client
        Of the node of tiled that gets the runs.
    name
        What to call it.

    Attributes
    ----------
    undelivered
        How many documents were not stored, by the kind of error; of a run all from the first on that was not.

    Raises
    ------
    ReplayError
        bluesky-tiled-plugins are not installed.
    """

    slow = True  # some 0.3 s a document
    lonely, nobody, peers = False, "", None  # whoever is not there is an error in the log, with the run

    def __init__(self, client: Any, name: str) -> None:
        try:
            from bluesky_tiled_plugins import TiledWriter
        except ImportError:
            raise ReplayError(
                "writing to tiled needs bluesky-tiled-plugins: pip install 'bluesky-diffractogram[tiled]'"
            ) from None
        self.name = self.endpoint = name
        # Small arrays would come back as strings without max_array_size.
        self._new_writer = lambda: TiledWriter(client, max_array_size=0)
        self._writers: dict[str, Any] = {}
        self._raw_uids: dict[str, str] = {}
        self._lost: dict[str, str] = {}  # of runs that go on, why they are not stored
        self._run_of = RunOf()
        self.undelivered: Counter[str] = Counter()

    def __call__(self, name: str, doc: dict[str, Any]) -> bool:
        """Take one document of any derived run; whether its run is stored so far."""
        uid = self._run_of(name, doc)
        if name == "start":
            self._raw_uids[uid] = doc["raw_uid"]
        elif uid not in self._writers:
            self._count(uid, name)
            return False
        try:
            if name == "start":
                self._writers[uid] = self._new_writer()
            with warnings.catch_warnings():
                # event-model warns of what goes wrong at the start, and the next document raises it.
                warnings.filterwarnings("ignore", "The callback .* raised", UserWarning)
                self._writers[uid](name, doc)
        except Exception as error:  # whatever the way to the server raises
            self._writers.pop(uid, None)
            self._lost[uid] = type(error).__name__
            self._count(uid, name)
            logger.error(
                "the derived run of raw run %s cannot be stored in %s (%s: %s)",
                self._raw_uids.pop(uid), self.name, type(error).__name__, error,
            )  # fmt: skip
            return False
        if name == "stop":
            del self._writers[uid], self._raw_uids[uid]
        return True

    def _count(self, uid: str, name: str) -> None:
        """Count a document that is not stored, for what its run was given up for."""
        self.undelivered[self._lost.get(uid, "its start was not seen")] += 1
        if name == "stop":
            self._lost.pop(uid, None)

    def flush(self) -> bool:
        """All that it was called with has been sent."""
        return True

    def close(self) -> None:
        """Nothing waits."""
