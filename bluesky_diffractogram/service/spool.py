"""Derived runs on their way to a server, kept on this machine until they are whole."""

from __future__ import annotations

import hashlib
import logging
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..reduction.disk_cache import cache_folder
from ..replay.document_files import NamedDocument, documents_of_file
from ..transport.wire import pack

logger = logging.getLogger(__name__)

FOLDER = "interrupted"
KEPT_S = 30 * 24 * 3600.0
"""So long what was interrupted waits for being gone on with."""


class Spool:
    """The documents of one derived run in a file.

    Parameters
    ----------
    raw_uid, destination
        Of the raw run, and what to call the server: a later replay of the one into the other finds the file.

    Raises
    ------
    OSError
        It cannot be written.
    """

    def __init__(self, raw_uid: str, destination: str) -> None:
        folder = spool_folder()
        folder.mkdir(parents=True, exist_ok=True)
        self._left = spooled(raw_uid, destination)
        self.path = folder / f"{_name(raw_uid, destination)}-{uuid.uuid4().hex[:8]}.msgpack"
        self._file = self.path.open("xb")

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        """Append a document."""
        self._file.write(pack([name, doc]))
        if name != "event":
            self._file.flush()

    def documents(self) -> Iterator[NamedDocument]:
        """What was appended."""
        self._file.flush()
        return documents_of_file(self.path)

    def close(self) -> None:
        """Leave the file to be gone on with."""
        self._file.close()

    def remove(self) -> None:
        """Remove the file, and what was there of the run when it was begun."""
        self.close()
        for path in (self.path, *self._left):
            with suppress(OSError):
                path.unlink()


def spooled(raw_uid: str, destination: str) -> list[Path]:
    """The files of runs that were interrupted, see `Spool`; of all runs, those that are too old are removed."""
    folder = spool_folder()
    files = list(folder.glob("*.msgpack")) if folder.is_dir() else []
    for path in files:
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > KEPT_S:
                path.unlink()
    return sorted(path for path in files if path.name.startswith(_name(raw_uid, destination)) and path.exists())


def spool_folder() -> Path:
    """In the cache, or in the folder of temporary files where nothing is to be cached."""
    return (cache_folder() or Path(tempfile.gettempdir()) / "bluesky-diffractogram") / FOLDER


def _name(raw_uid: str, destination: str) -> str:
    return hashlib.sha256(f"{raw_uid}\n{destination}".encode()).hexdigest()[:24]
