"""What is written of one derived run: its documents, its curves, a NeXus file, and a picture."""

from __future__ import annotations

import logging
import os
import re
import uuid
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from ..replay.dataset import DerivedRows
from ..replay.document_files import documents_of_file
from ..replay.whole_file import is_part, whole_file
from .column_files import FORMATS as COLUMNS
from .column_files import ColumnFiles
from .folder_lock import FolderLock
from .jsonlines import JsonLines
from .same_numbers import same_numbers

logger = logging.getLogger(__name__)

DOCUMENTS, PARTS, PICTURE = "derived.jsonl", "derived-*.part", "diffractograms.png"
FORMATS = (*COLUMNS, "nexus", "jsonl", "png")
"""What can be written."""

USUAL = ("xy", "jsonl", "png")
SCALE = "Comment"  # one of the keywords of PNG

_COLUMNS = re.compile(rf"(?P<frame>.+)_range\d+\.(?P<format>{'|'.join(COLUMNS)})")
_NEXUS = re.compile(r"diffractogram(_\d+)?\.nxs")

Sink = Callable[[str, dict[str, Any]], Any]


def scale_of(log: bool) -> Literal["linear", "log"]:
    """The scale of the picture, which says it under `SCALE`."""
    return "log" if log else "linear"


def no_windows() -> None:
    """Have pictures drawn for files only; to be called before matplotlib is first imported."""
    os.environ["MPLBACKEND"] = "agg"


def written_earlier(folder: Path) -> list[Path]:
    """The files of derived documents in `folder`, also those that were not finished."""
    return sorted(path for pattern in (DOCUMENTS, PARTS) for path in folder.glob(pattern))


class DerivedFiles:
    """The files of one derived run; to be called with its documents, and then to be finished or closed.

    Nobody else writes to the folder meanwhile. What an earlier run has left there and this one does not write, such as
    the curves of a range that is not wanted any more, is deleted when this one is whole. Files in formats that are not
    asked for now stay where the numbers are the same; files of other names stay in any case.

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
    shared
        Whether the folder may hold results of other frames, which stay then; what is interrupted is not gone on with.

    Attributes
    ----------
    folder, documents, picture
        Paths.
    columns
        The writer of the files of columns.
    frames
        The ``frames`` of the derived stop document, once there is one.

    Raises
    ------
    OSError
        The folder cannot be written to, or another command is writing to it (`FolderBusy`).
    """

    def __init__(
        self, folder: Path, *, log: bool = False, formats: Collection[str] = USUAL, shared: bool = False
    ) -> None:
        self._new = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.documents, self.picture = folder, folder / DOCUMENTS, folder / PICTURE
        self.frames: dict[str, Any] = {}
        self.columns = ColumnFiles(folder, [name for name in formats if name in COLUMNS])
        self._lock = FolderLock(folder)
        self._log, self._formats, self._shared = log, formats, shared
        self._unfinished = list(folder.glob(PARTS))
        self._lines: JsonLines | None = None
        self._figure: Any = None
        self._sinks: list[Sink] = []
        self._written: set[str] = set()

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        """Take one document.

        Raises
        ------
        OSError
            It cannot be written.
        """
        if self._lines is None:
            self._lines = JsonLines(self.folder / f"{self.documents.stem}-{uuid.uuid4().hex[:8]}.part")
            self._figure = _figure(self._log) if "png" in self._formats else None
            self._sinks = [self._lines, self.columns, *([] if self._figure is None else [self._figure])]
        for sink in self._sinks:
            sink(name, doc)
        if name == "stop":
            self.frames = doc.get("frames", {})

    def finish(self) -> None:
        """Write what can be written at the end only, and delete what is left of earlier runs.

        A run of which no frame could be reduced leaves the folder as it was.

        Raises
        ------
        OSError
            Something cannot be written.
        """
        nothing = self.frames.get("received", 0) > 0 and self.frames.get("reduced", 0) == 0
        if self._lines is not None and not nothing:
            self._lines.close()
            left = self._left_over()
            # What the documents in the folder say must be true of the other files at any time.
            self._delete(name for name in left if _format_of(name) not in self._formats or _COLUMNS.fullmatch(name))
            self._lines.path.replace(self.documents)
            self._lines = None
            if "nexus" in self._formats:
                self._write_nexus()
            if self._figure is not None and self.frames.get("reduced"):
                with whole_file(self.picture) as part:
                    scale = {SCALE: scale_of(self._log)}
                    self._figure.save(part, dpi=150, format="png", metadata=scale)
                self._written.add(self.picture.name)
            self._delete(name for name in left if name not in self._written)
            for path in self._unfinished:
                path.unlink(missing_ok=True)
        elif self._lines is not None:
            self._lines.close()
            self._lines.path.unlink(missing_ok=True)
            self._lines = None
        self.close()

    def close(self) -> None:
        """Let go of the folder; what there is of an unfinished run stays to go on with, but not if it is shared."""
        if self._lines is not None:
            with suppress(OSError):  # a full disk does not take what is left
                self._lines.close()
            if self._shared:
                self._lines.path.unlink(missing_ok=True)
            self._lines = None
        if self._figure is not None:
            self._figure.close()
            self._figure = None
        self._sinks.clear()
        self._lock.release()
        if self._new:
            with suppress(OSError):  # there is something in it, as there should be
                self.folder.rmdir()

    def _write_nexus(self) -> None:
        from ..replay.nexus import to_nexus

        rows = DerivedRows()
        for name, doc in documents_of_file(self.documents):
            rows(name, doc)
        for (raw_uid, stream), dataset in rows.datasets().items():
            try:
                self._written.add(to_nexus(dataset, self.folder / f"{stream}.nxs").name)
            except ValueError as error:
                logger.error("raw run %s: no NeXus file can be written: %s", raw_uid, error)

    def _left_over(self) -> list[str]:
        """The files that are there and have to go, but for those that are yet to be written."""
        assert self._lines is not None
        names = (path.name for path in self.folder.iterdir())
        found = [name for name in names if self._is_result(name) and name not in self.columns.names]
        others = [name for name in found if not is_part(name) and _format_of(name) not in self._formats]
        if others and same_numbers(self.documents, self._lines.path):
            return [name for name in found if name not in others]
        return found

    def _delete(self, names: Iterable[str]) -> None:
        for name in names:
            (self.folder / name).unlink(missing_ok=True)

    def _is_result(self, name: str) -> bool:
        """Whether a file of that name is one that this run writes, or that an earlier one wrote in its place."""
        columns = _COLUMNS.fullmatch(name)
        if columns is not None:
            return not self._shared or columns["frame"] in self.columns.frames
        return not self._shared and (_format_of(name) is not None or is_part(name))


def _format_of(name: str) -> str | None:
    """Which of `FORMATS` a file has by its name; None for what is no result."""
    columns = _COLUMNS.fullmatch(name)
    if columns is not None:
        return columns["format"]
    return "nexus" if _NEXUS.fullmatch(name) else "png" if name == PICTURE else None


def _figure(log: bool) -> Any:
    no_windows()
    from ..views import DiffractogramFigure

    return DiffractogramFigure(scale=scale_of(log))
