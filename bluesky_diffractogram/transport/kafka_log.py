"""What librdkafka says, without its repetitions: while a broker is away it says so many times a second."""

from __future__ import annotations

import logging
import re
import time

AGAIN_AFTER_S = 300.0


class NotAgain(logging.Filter):
    """Lets a message through that differs in more than its numbers from those of the last five minutes."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a message is new."""
        now = time.monotonic()
        self._said = {text: when for text, when in self._said.items() if now - when < AGAIN_AFTER_S}
        text = re.sub(r"\d+", "", record.getMessage())
        new = text not in self._said
        self._said.setdefault(text, now)
        return new


kafka_logger = logging.getLogger(__name__)
"""To be given to librdkafka's producers and consumers."""

kafka_logger.addFilter(NotAgain())
