"""A folder for each derived run."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from ..replay.document_files import documents_of_file
from ..replay.errors import ReplayError
from .derived_files import USUAL, DerivedFiles, written_earlier


class RunFolders:
    """Writes derived runs, called with their documents.

    Parameters
    ----------
    directory
        Gets a folder for each run, named after the raw one.
    log, formats
        As `DerivedFiles` takes them.

    Attributes
    ----------
    written
        The uid of the raw run and the files, of each run.
    """

    def __init__(self, directory: Path, *, log: bool = False, formats: Collection[str] = USUAL) -> None:
        self.written: list[tuple[str, DerivedFiles]] = []
        self._directory, self._log, self._formats = directory, log, formats
        self._folders: dict[str, Path] = {}
        self._of_run: dict[str, DerivedFiles] = {}
        self._of_descriptor: dict[str, DerivedFiles] = {}

    def earlier(self, raw_uid: str) -> list[Path] | None:
        """The files that an earlier replay of a raw run has written here, as `replay` takes them for ``resume``."""
        return written_earlier(self._folder(raw_uid)) or None

    def _folder(self, raw_uid: str) -> Path:
        if raw_uid not in self._folders:
            short, whole = (self._directory / re.sub(r"[^\w.-]", "_", name) for name in (raw_uid[:8], raw_uid))
            taken = short in self._folders.values() or _is_of_another(short, raw_uid)
            self._folders[raw_uid] = whole if taken else short
        return self._folders[raw_uid]

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        """Take one document of any derived run; with the stop all is written."""
        if name == "start":
            raw_uid = str(doc["raw_uid"])
            files = self._of_run[doc["uid"]] = DerivedFiles(self._folder(raw_uid), log=self._log, formats=self._formats)
            self.written.append((raw_uid, files))
        elif name == "event":
            files = self._of_descriptor[doc["descriptor"]]
        else:
            files = self._of_run[doc["run_start"]]
        if name == "descriptor":
            self._of_descriptor[doc["uid"]] = files
        for sink in files.sinks:
            sink(name, doc)
        if name == "stop":
            files.finish()


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
