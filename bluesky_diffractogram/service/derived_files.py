"""What is written of one derived run: its documents, its curves, and a picture."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from .jsonlines import JsonLines
from .xy import XyFiles

DOCUMENTS, PICTURE = "derived.jsonl", "diffractograms.png"


def no_windows() -> None:
    """Have pictures drawn for files only; to be called before matplotlib is first imported."""
    os.environ["MPLBACKEND"] = "agg"


class DerivedFiles:
    """The files of one derived run, in a folder of its own.

    Parameters
    ----------
    folder
        Made if it is not there. Gets ``derived.jsonl``, ``diffractograms.png`` and the ``.xy`` files.
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
        self._lines = JsonLines(self.documents)
        self._figure = DiffractogramFigure(scale="log" if log else "linear")
        self.sinks = (self._figure, self._lines, self.xy, self._note_stop)

    def finish(self) -> None:
        """Write what can be written at the end only."""
        self._lines.close()
        if self.frames.get("reduced"):
            self._figure.save(self.picture, dpi=150)
        self._figure.close()

    def _note_stop(self, name: str, doc: dict[str, Any]) -> None:
        if name == "stop":
            self.frames = doc.get("frames", {})
