"""Diffractograms as columns of text, one file for each frame and range."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ..replay.chi import chi_text, chi_unit
from ..replay.columns import write_text
from ..replay.curve import Curve
from ..replay.event_curves import EventCurves
from ..replay.fxye import fxye_text
from ..replay.xy import xy_text

logger = logging.getLogger(__name__)

FORMATS: dict[str, Callable[[Curve], str]] = {
    "xy": xy_text,
    "chi": partial(chi_text, unit=chi_unit("2th_deg")),
    "fxye": fxye_text,
}
"""What makes the text of a file, by its suffix."""


class ColumnFiles:
    """Writes the diffractograms of a derived run as ``<frame>_range<i>.xy`` and the like, each as soon as it is there.

    Called with the documents of one derived run. The files are those of `to_xy`, `to_chi` and `to_fxye`. A format
    that the run cannot be written in is given up, which is logged as an error.

    Parameters
    ----------
    folder
        Where the files go; it is there.
    formats
        Which of `FORMATS`.

    Attributes
    ----------
    names
        Of the files that were written.
    frames
        What the frames are called there.
    """

    def __init__(self, folder: str | Path, formats: Iterable[str] = ("xy",)) -> None:
        self.folder = Path(folder)
        self.names: set[str] = set()
        self.frames: set[str] = set()
        self._empty: list[str] = []
        self._formats = {name: FORMATS[name] for name in formats}
        self._curves: EventCurves | None = None
        self._raw_uid = ""
        self._streams: set[str] = set()

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take one document; an event gives one file for each range and format."""
        if name == "start":
            self._curves, self._raw_uid = EventCurves(doc), doc["raw_uid"]
        elif self._curves is None:
            return
        elif name == "descriptor":
            self._curves.descriptor(doc)
            self._streams.add(doc["uid"])
        elif name == "event" and doc["descriptor"] in self._streams:
            for curve in self._curves.curves(doc):
                self._write(curve)
        elif name == "stop" and self._empty and self._formats:
            logger.warning(
                "raw run %s: %d diffractograms without a filled bin give no file, the first is %s",
                self._raw_uid, len(self._empty), self._empty[0],
            )  # fmt: skip

    @property
    def written(self) -> int:
        """How many files were written."""
        return len(self.names)

    def _write(self, curve: Curve) -> None:
        self.frames.add(curve.stem)
        if not curve.filled.any():
            self._empty.append(curve.name)
            self.names -= {f"{curve.name}.{suffix}" for suffix in self._formats}  # of an earlier event in its place
            return
        for suffix, text in list(self._formats.items()):
            try:
                content = text(curve)
            except ValueError as error:  # the axis is none that the format has
                logger.error("raw run %s: no .%s files can be written: %s", self._raw_uid, suffix, error)
                del self._formats[suffix]
                continue
            name = f"{curve.name}.{suffix}"
            write_text(self.folder / name, content)
            self.names.add(name)
