"""What dask tells of its own workings, which is of no use to whoever replays."""

from __future__ import annotations

import logging
import threading


class DaskLog:
    """Silences ``distributed`` in this process while processes that we have started are there.

    dask sets that logger to INFO, and where the root logger has a handler (`logging.basicConfig`) tells it everything,
    whatever ``silence_logs`` says. Of several clusters at once the last one puts the level back.
    """

    def __init__(self) -> None:
        self._logger = logging.getLogger("distributed")
        self._lock = threading.Lock()
        self._silenced = 0
        self._level = logging.NOTSET

    def silence(self) -> None:
        """Let through what is critical, no more, until `restore`; ``distributed`` has been imported, which sets it."""
        with self._lock:
            if not self._silenced:
                self._level = self._logger.level
                self._logger.setLevel(logging.CRITICAL)
            self._silenced += 1

    def restore(self) -> None:
        """As it was before `silence`."""
        with self._lock:
            self._silenced -= 1
            if not self._silenced:
                self._logger.setLevel(self._level)
