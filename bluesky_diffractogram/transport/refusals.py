"""Messages that are refused: counted by kind, and said once of each."""

from __future__ import annotations

import logging
from collections import Counter

from .wire import Refused

logger = logging.getLogger(__name__)


class Refusals(Counter[str]):
    """How many messages were refused, by kind."""

    def add(self, refused: Refused) -> None:
        """Count one."""
        if not self[refused.kind]:
            what = "a message is dropped (%s): %s (further ones are counted only)"
            logger.warning(what, refused.kind, refused)
        self[refused.kind] += 1
