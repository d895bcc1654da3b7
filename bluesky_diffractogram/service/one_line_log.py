"""The service's log: a line for each message, whoever had a hand in its words."""

from __future__ import annotations

import copy
import logging


class OneLineEach(logging.Formatter):
    """Writes out what is not printable: uids and requests come from others, and could begin a line of their own."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line of a record, before its traceback."""
        shown = copy.copy(record)
        shown.message = "".join(each if each.isprintable() else repr(each)[1:-1] for each in record.message)
        return super().formatMessage(shown)


def log_to_standard_error() -> None:
    """Have what the package says, and the warnings of all others, on standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(OneLineEach("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(handlers=[handler])
    logging.getLogger("silx.opencl").setLevel(logging.ERROR)  # it warns that something is missing that is not used
    logging.getLogger(__name__.partition(".")[0]).setLevel(logging.INFO)
