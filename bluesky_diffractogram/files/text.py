"""Small texts that documents name, such as PONI files."""

from __future__ import annotations

import os
import stat
from functools import lru_cache
from pathlib import Path

from .errors import NotThere, Unreadable

MOST_BYTES = 2**20


def read_text(path: str) -> str:
    """The text of a file; one that has not changed since is not read again.

    Raises
    ------
    NotThere
        It is not there.
    Unreadable
        It is no file, or larger than a text of that kind can be.
    """
    try:
        found = os.stat(path)
    except (OSError, ValueError) as error:
        raise NotThere(f"{path} cannot be read: {error}") from None
    if not stat.S_ISREG(found.st_mode) or found.st_size > MOST_BYTES:
        raise Unreadable(f"{path} is no text file of at most {MOST_BYTES} bytes")
    try:
        return _read(path, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    except OSError as error:
        raise NotThere(f"{path} cannot be read: {error.strerror}") from None


@lru_cache(maxsize=64)
def _read(path: str, *state: int) -> str:
    return Path(path).read_bytes().decode("utf-8", "replace")
