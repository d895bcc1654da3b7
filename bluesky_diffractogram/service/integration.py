"""Reducing files: the chain from frames to what is written."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..config import DiffractogramConfig, load_config, update_config
from .frame_files import FrameFile, RawRun
from .jsonlines import JsonLines
from .xy import XyFiles

DOCUMENTS, PICTURE = "derived.jsonl", "diffractograms.png"


def batch_config(source: str) -> DiffractogramConfig:
    """The configuration for reducing all of some files, whatever it says of the continuous mode.

    Raises
    ------
    ConfigError
        It cannot be used.
    """
    return update_config(load_config(source), {"show_diff": True, "collect": True})


class Integration:
    """Reduces frames from files and writes what comes out into a folder.

    Parameters
    ----------
    config
        The configuration.
    folder
        Made if it is not there. Gets ``derived.jsonl``, ``diffractograms.png`` and the ``.xy`` files.
    log
        Whether the picture is logarithmic.

    Attributes
    ----------
    frames
        The ``frames`` of the derived stop document, once there is one.
    xy
        The writer of the ``.xy`` files.

    Raises
    ------
    ConfigError
        The configuration does not go with its calibration.
    """

    def __init__(self, config: DiffractogramConfig, folder: Path, *, log: bool = False) -> None:
        os.environ["MPLBACKEND"] = "agg"  # nobody looks at a window; read when matplotlib is first imported
        from ..live import DiffractogramCallback
        from ..views import DiffractogramFigure

        figure = DiffractogramFigure(log=log)
        self._callback = DiffractogramCallback(config, background=False, plot=figure)
        self._figure = figure
        folder.mkdir(parents=True, exist_ok=True)
        self.documents, self.picture = folder / DOCUMENTS, folder / PICTURE
        self.xy = XyFiles(folder)
        self.frames: dict[str, Any] = {}
        self._lines = JsonLines(self.documents)
        for sink in (self._lines, self.xy, self._note_stop):
            self._callback.subscribe(sink)

    def reduce(self, paths: Sequence[str], failed: Callable[[str, Exception], None]) -> Iterator[tuple[int, int]]:
        """Reduce all frames of `paths` as one run.

        Parameters
        ----------
        paths
            Files; a file that cannot be read, or whose reading ends with an error, is passed over from there.
        failed
            Called with the path and the error of such a file.

        Yields
        ------
        done, known
            After every frame and every bad file: how many frames are done, and how many there are as far as
            known, files not yet opened counting one.
        """
        run = RawRun(self._callback, {"plan_name": "integrate", "files": [os.path.abspath(path) for path in paths]})
        run.start()
        done, known = 0, len(paths)
        for path in paths:
            left = 1
            try:
                with FrameFile(path) as file:
                    left = len(file)
                    known += left - 1
                    for imagename, image in file:
                        run.frame(imagename, image, file.timestamp)
                        done, left = done + 1, left - 1
                        yield done, known
            except Exception as error:  # fabio raises whatever its readers raise
                failed(path, error)
                known -= left
                yield done, known
        run.stop()
        self._callback.close()
        self._lines.close()
        if self.frames.get("reduced"):
            self._figure.save(self.picture, dpi=150)

    def _note_stop(self, name: str, doc: dict[str, Any]) -> None:
        if name == "stop":
            self.frames = doc.get("frames", {})
