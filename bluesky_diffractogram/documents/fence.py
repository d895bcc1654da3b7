"""Whether what was received up to a moment has been dealt with, however much has come since."""

from __future__ import annotations

from .subscribers import Subscribers
from .turns import Turns


class Fence:
    """Stands behind what has been received so far.

    Parameters
    ----------
    turns
        Where messages are processed in turn.
    subscribers
        Get what is made of them.
    """

    def __init__(self, turns: Turns, subscribers: Subscribers) -> None:
        self._turns, self._subscribers = turns, subscribers
        self._mark = turns.mark()
        self._given: dict[int, int] | None = None

    def is_passed(self) -> bool:
        """Whether all before it is reduced, and its derived documents are delivered."""
        if self._given is None:
            if not self._turns.is_past(self._mark):
                return False
            self._given = self._subscribers.mark()
        return self._subscribers.are_past(self._given)
