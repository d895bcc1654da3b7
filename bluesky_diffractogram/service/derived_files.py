"""What is written of one derived run: its documents, its curves, a NeXus file, and a picture."""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from ..replay.dataset import DerivedRows
from ..replay.document_files import documents_of_file
from .column_files import FORMATS as COLUMNS
from .column_files import ColumnFiles
from .jsonlines import JsonLines

logger = logging.getLogger(__name__)

DOCUMENTS, PARTS, PICTURE = "derived.jsonl", "derived-*.part", "diffractograms.png"
FORMATS = (*COLUMNS, "nexus", "jsonl", "png")
"""What can be written."""

USUAL = ("xy", "jsonl", "png")

Sink = Callable[[str, dict[str, Any]], Any]


def no_windows() -> None:
    """Have pictures drawn for files only; to be called before matplotlib is first imported."""
    os.environ["MPLBACKEND"] = "agg"


def written_earlier(folder: Path) -> list[Path]:
    """The files of derived documents in `folder`, also those that were not finished."""
    return sorted(path for pattern in (DOCUMENTS, PARTS) for path in folder.glob(pattern))


class DerivedFiles:
    """The files of one derived run, in a folder of its own.

    Parameters
    ----------
    folder
        Made if it is not there. Gets ``derived.jsonl``, and as `formats` say files of columns, a NeXus file
        ``diffractogram.nxs`` (one for each derived stream) and ``diffractograms.png``, each under its name when it is
        whole. The documents of an interrupted run stay in ``derived-….part``.
    log
        Whether the picture is logarithmic.
    formats
        Some of `FORMATS`.

    Attributes
    ----------
    folder, documents, picture
        Paths.
    columns
        The writer of the files of columns.
    frames
        The ``frames`` of the derived stop document, once there is one.
    sinks
        What is to be called with every document.
    """

    def __init__(self, folder: Path, *, log: bool = False, formats: Collection[str] = USUAL) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.documents, self.picture = folder, folder / DOCUMENTS, folder / PICTURE
        self.frames: dict[str, Any] = {}
        self.columns = ColumnFiles(folder, [name for name in formats if name in COLUMNS])
        self._unfinished = list(folder.glob(PARTS))
        self._lines = JsonLines(folder / f"{self.documents.stem}-{uuid.uuid4().hex[:8]}.part")
        self._figure = _figure(log) if "png" in formats else None
        self._nexus = "nexus" in formats
        sinks: list[Sink | None] = [self._figure, self._lines, self.columns, self._note_stop]
        self.sinks = tuple(sink for sink in sinks if sink is not None)

    def finish(self) -> None:
        """Write what can be written at the end only."""
        self._lines.close()
        self._lines.path.replace(self.documents)
        for part in self._unfinished:
            part.unlink(missing_ok=True)
        if self._nexus:
            self._write_nexus()
        if self._figure is not None:
            if self.frames.get("reduced"):
                part = self.picture.with_suffix(".part.png")
                self._figure.save(part, dpi=150)
                part.replace(self.picture)
            self._figure.close()

    def _write_nexus(self) -> None:
        from ..replay.nexus import to_nexus

        rows = DerivedRows()
        for name, doc in documents_of_file(self.documents):
            rows(name, doc)
        for (raw_uid, stream), dataset in rows.datasets().items():
            try:
                to_nexus(dataset, self.folder / f"{stream}.nxs")
            except ValueError as error:
                logger.error("raw run %s: no NeXus file can be written: %s", raw_uid, error)

    def _note_stop(self, name: str, doc: dict[str, Any]) -> None:
        if name == "stop":
            self.frames = doc.get("frames", {})


def _figure(log: bool) -> Any:
    no_windows()
    from ..views import DiffractogramFigure

    return DiffractogramFigure(scale="log" if log else "linear")
