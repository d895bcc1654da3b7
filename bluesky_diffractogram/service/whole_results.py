"""Whether the files of a derived run are all there."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from ..replay.document_files import documents_of_file
from ..replay.errors import ReplayError
from ..replay.event_curves import EventCurves
from .column_files import FORMATS as COLUMNS
from .derived_files import DOCUMENTS, PARTS, PICTURE, SCALE, scale_of


def whole_results(folder: Path, formats: Collection[str], *, log: bool = False) -> Path | None:
    """The documents of the derived run in a folder, if all that is wanted of it is beside them.

    Parameters
    ----------
    folder, formats, log
        As `DerivedFiles` takes them.
    """
    documents = folder / DOCUMENTS
    if not documents.is_file() or any(folder.glob(PARTS)):  # which may have written other curves before it was ended
        return None
    if "png" in formats and _scale(folder / PICTURE) != scale_of(log):
        return None
    names = {path.name for path in folder.iterdir()}
    try:
        return documents if _wanted(documents, formats) <= names else None
    except (ReplayError, KeyError, ValueError):
        return None


def _scale(picture: Path) -> str:
    """What a picture says of its scale; nothing if it is not there."""
    from PIL import Image

    try:
        with Image.open(picture) as image:
            return str(image.info.get(SCALE, ""))
    except OSError:
        return ""


def _wanted(documents: Path, formats: Collection[str]) -> set[str]:
    """The names of the files of columns and the NeXus files of a derived run."""
    columns = [suffix for suffix in formats if suffix in COLUMNS]
    wanted: set[str] = set()
    curves: EventCurves | None = None
    if not columns and "nexus" not in formats:
        return wanted
    for name, doc in documents_of_file(documents):
        if name == "start":
            curves = EventCurves(doc)
        elif curves is None:
            continue
        elif name == "descriptor":
            curves.descriptor(doc)
            if "nexus" in formats:
                wanted.add(f"{doc['name']}.nxs")
        elif name == "event" and columns:
            for curve in curves.curves(doc):  # an event in the place of an earlier one has its name
                of_curve = {f"{curve.name}.{suffix}" for suffix in columns}
                if curve.filled.any():
                    wanted |= of_curve
                else:
                    wanted -= of_curve
    return wanted
