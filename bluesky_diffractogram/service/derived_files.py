"""What is written of one derived run: its documents, its curves, and a picture."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any

from .jsonlines import JsonLines
from .xy import XyFiles

DOCUMENTS, PARTS, PICTURE = "derived.jsonl", "derived-*.part", "diffractograms.png"


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
        Made if it is not there. Gets ``derived.jsonl``, ``diffractograms.png`` and the ``.xy`` files, each under its
        name when it is whole. The documents of an interrupted run stay in ``derived-….part``.
    log
        Whether the picture is logarithmic.

    Attributes
    ----------
    folder, documents, picture
        Paths.
    xy
        The writer of the ``.xy`` files.
    frames
        The ``frames`` of the derived stop document, once there is one.
    sinks
        What is to be called with every document.
    """

    def __init__(self, folder: Path, *, log: bool = False) -> None:
        no_windows()
        from ..views import DiffractogramFigure

        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.documents, self.picture = folder, folder / DOCUMENTS, folder / PICTURE
        self.frames: dict[str, Any] = {}
        self.xy = XyFiles(folder)
        self._unfinished = list(folder.glob(PARTS))
        self._lines = JsonLines(folder / f"{self.documents.stem}-{uuid.uuid4().hex[:8]}.part")
        self._figure = DiffractogramFigure(log=log)
        self.sinks = (self._figure, self._lines, self.xy, self._note_stop)

    def finish(self) -> None:
        """Write what can be written at the end only."""
        self._lines.close()
        self._lines.path.replace(self.documents)
        for part in self._unfinished:
            part.unlink(missing_ok=True)
        if self.frames.get("reduced"):
            part = self.picture.with_suffix(".part.png")
            self._figure.save(part, dpi=150)
            part.replace(self.picture)
        self._figure.close()

    def _note_stop(self, name: str, doc: dict[str, Any]) -> None:
        if name == "stop":
            self.frames = doc.get("frames", {})
