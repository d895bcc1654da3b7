"""Whether two files of derived documents hold the same diffractograms."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

from ..documents.derived_keys import OBJECT
from ..replay.document_files import documents_of_file
from ..replay.errors import ReplayError


def same_numbers(one: Path, other: Path) -> bool:
    """Whether the derived runs in two files were computed of one raw run, in one way, and with one result.

    A file that is not there, or cannot be read, holds nothing.
    """
    try:
        return all(left == right for left, right in zip_longest(_told(one), _told(other)))
    except (ReplayError, KeyError):
        return False


def _told(path: Path) -> Iterator[Any]:
    """What does not change where a run is computed again."""
    for name, doc in documents_of_file(path):
        if name == "start":
            yield doc["raw_uid"], doc["calibration"]["text"]
        elif name == "descriptor":
            yield doc["name"], doc["configuration"][OBJECT]["data"]
        elif name == "event":
            yield doc["seq_num"], doc["data"]
