"""A folder for each derived run: its documents, its curves, and a picture."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .jsonlines import JsonLines
from .xy import XyFiles

DOCUMENTS, PICTURE = "derived.jsonl", "diffractograms.png"


class RunFolder:
    """Writes one derived run.

    Parameters
    ----------
    directory
        Gets a folder named after the raw run.
    start
        The derived start document.
    log
        Whether the picture is logarithmic.

    Attributes
    ----------
    path, raw_uid
        The folder, and the raw run.
    frames
        Of the derived stop document, once it has come.
    """

    def __init__(self, directory: Path, start: Mapping[str, Any], *, log: bool = False) -> None:
        os.environ["MPLBACKEND"] = "agg"  # nobody looks at a window; read when matplotlib is first imported
        from ..views import DiffractogramFigure

        self.raw_uid = str(start["raw_uid"])
        self.path = directory / self.raw_uid[:8]
        self.path.mkdir(parents=True, exist_ok=True)
        self.frames: dict[str, Any] = {}
        self._lines = JsonLines(self.path / DOCUMENTS)
        self._figure = DiffractogramFigure(log=log)
        self._sinks = (self._lines, XyFiles(self.path), self._figure)

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        """Take one document; with the stop all is written."""
        for sink in self._sinks:
            sink(name, doc)
        if name == "stop":
            self.frames = doc["frames"]
            self._lines.close()
            if self.frames["reduced"]:
                self._figure.save(self.path / PICTURE, dpi=150)
            self._figure.close()


class RunFolders:
    """Writes derived runs, called with their documents.

    Parameters
    ----------
    directory
        Gets a folder for each run.
    log
        Whether the pictures are logarithmic.

    Attributes
    ----------
    written
        The folders.
    """

    def __init__(self, directory: Path, *, log: bool = False) -> None:
        self.written: list[RunFolder] = []
        self._directory, self._log = directory, log
        self._of_run: dict[str, RunFolder] = {}
        self._of_descriptor: dict[str, RunFolder] = {}

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        """Take one document of any derived run."""
        if name == "start":
            folder = self._of_run[doc["uid"]] = RunFolder(self._directory, doc, log=self._log)
            self.written.append(folder)
        elif name == "event":
            folder = self._of_descriptor[doc["descriptor"]]
        else:
            folder = self._of_run[doc["run_start"]]
        if name == "descriptor":
            self._of_descriptor[doc["uid"]] = folder
        folder(name, doc)
