"""A folder for each derived run."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

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
        self._of_run: dict[str, DerivedFiles] = {}
        self._of_descriptor: dict[str, DerivedFiles] = {}

    def earlier(self, raw_uid: str) -> list[Path] | None:
        """The files that an earlier replay of a raw run has written here, as `replay` takes them for ``resume``."""
        return written_earlier(self._folder(raw_uid)) or None

    def _folder(self, raw_uid: str) -> Path:
        return self._directory / raw_uid[:8]

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
