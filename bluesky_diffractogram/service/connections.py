"""Whether anybody is at the other end of the service's sockets, which 0MQ tells nobody who does not ask."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Protocol

logger = logging.getLogger(__name__)

SAID_AFTER_S = 5.0


class End(Protocol):
    """One end of a connection."""

    @property
    def endpoint(self) -> str:
        """What it is called."""
        ...

    @property
    def lonely(self) -> bool:
        """Whether somebody is missing at the other end."""
        ...

    @property
    def nobody(self) -> str:
        """What to say then."""
        ...

    def close(self) -> None:
        """End the connection."""
        ...


class Connections:
    """Logs when somebody is missing at the other end, and when somebody has come.

    Parameters
    ----------
    ends
        Ours.
    """

    def __init__(self, ends: Sequence[End]) -> None:
        self._ends = ends
        self._alone_since: dict[int, float] = {}
        self._said: set[int] = set()

    def look(self) -> None:
        """See who is there; to be called now and then."""
        now = time.monotonic()
        for number, end in enumerate(self._ends):
            if not end.lonely:
                self._alone_since.pop(number, None)
                if number in self._said:
                    self._said.discard(number)
                    logger.info("%s: connected", end.endpoint)
            elif now - self._alone_since.setdefault(number, now) >= SAID_AFTER_S and number not in self._said:
                self._said.add(number)
                logger.warning("%s: %s", end.endpoint, end.nobody)
