"""A folder for each derived run."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from ..replay.document_files import documents_of_file
from ..replay.errors import ReplayError
from .derived_files import USUAL, DerivedFiles, written_earlier
from .run_of import RunOf
from .whole_results import whole_results

logger = logging.getLogger(__name__)


class RunFolders:
    """Writes derived runs, called with their documents; one that cannot be written is an error in the log.

    Parameters
    ----------
    directory
        Gets a folder for each run, named after the raw one.
    log, formats
        As `DerivedFiles` takes them.
    """

    def __init__(self, directory: Path, *, log: bool = False, formats: Collection[str] = USUAL) -> None:
        self._directory, self._log, self._formats = directory, log, formats
        self._folders: dict[str, Path] = {}
        self._raw_uids: dict[str, str] = {}
        self._open: dict[str, DerivedFiles] = {}
        self._run_of = RunOf()

    def check(self) -> None:
        """Raise OSError if nothing can be written there, as far as that is known before."""
        directory = self._directory
        there = next(each for each in (directory, *directory.absolute().parents) if each.exists())
        if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
            raise PermissionError(f"{directory}: nothing can be written to {there}")

    def earlier(self, raw_uid: str) -> list[Path] | None:
        """The files that an earlier replay of a raw run has written here, as `replay` takes them for ``resume``."""
        return written_earlier(self.folder(raw_uid)) or None

    def whole(self, raw_uid: str) -> Path | None:
        """The derived run of a raw one, if all files that are wanted of it are there."""
        return whole_results(self.folder(raw_uid), self._formats, log=self._log)

    def folder(self, raw_uid: str) -> Path:
        """The folder of a raw run."""
        if raw_uid not in self._folders:
            short, whole = (self._directory / re.sub(r"[^\w.-]", "_", name) for name in (raw_uid[:8], raw_uid))
            taken = short in self._folders.values() or _is_of_another(short, raw_uid)
            self._folders[raw_uid] = whole if taken else short
        return self._folders[raw_uid]

    def __call__(self, name: str, doc: dict[str, Any]) -> bool:
        """Take one document of any derived run; whether its run is written so far. With the stop all is."""
        uid = self._run_of(name, doc)
        try:
            if name == "start":
                self._raw_uids[uid] = str(doc["raw_uid"])
                folder = self.folder(self._raw_uids[uid])
                self._open[uid] = DerivedFiles(folder, log=self._log, formats=self._formats)
            files = self._open.get(uid)
            if files is None:
                return False
            files(name, doc)
            if name == "stop":
                files.finish()
                del self._open[uid]
        except OSError as error:  # a full disk, a folder that is gone: the other runs may go elsewhere
            if uid in self._open:
                self._open.pop(uid).close()
            raw_uid = self._raw_uids[uid]
            logger.error(
                "the derived run of raw run %s cannot be written to %s: %s", raw_uid, self.folder(raw_uid), error
            )
            return False
        return True

    def close(self) -> None:
        """Let go of the folders of runs that were interrupted."""
        while self._open:
            self._open.popitem()[1].close()


def _is_of_another(folder: Path, raw_uid: str) -> bool:
    """Whether the derived run of another raw run, whose uid begins alike, is in a folder."""
    for path in written_earlier(folder):
        try:
            _, start = next(iter(documents_of_file(path)))
        except (ReplayError, OSError, StopIteration):
            continue
        if start.get("raw_uid") not in (None, raw_uid):
            return True
    return False
