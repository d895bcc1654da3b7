"""Frames whose geometry is another in a replay than in the derived run that it repeats."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping
from typing import Any

from ..config.moving import RECORDED
from .document_files import NamedDocument

logger = logging.getLogger(__name__)

Place = tuple[str, int, int]
"""Uid of the raw run, seq_num, and index of the frame in its event."""
Geometry = dict[str, float | None]
"""What an event tells of it, by data key; what is not known is None."""


class _Told:
    """What derived events tell of the geometry of their frames, called with derived documents."""

    def __init__(self) -> None:
        self._raw_uids: dict[str, str] = {}

    def __call__(self, name: str, doc: Mapping[str, Any]) -> Iterable[tuple[Place, Geometry]]:
        if name == "start":
            self._raw_uids[doc["uid"]] = doc["raw_uid"]
        elif name == "descriptor" and doc.get("run_start") in self._raw_uids:
            self._raw_uids[doc["uid"]] = self._raw_uids[doc["run_start"]]
        elif name == "event" and doc["descriptor"] in self._raw_uids:
            data = doc["data"]
            told = {key: _known(value) for key, value in data.items() if key.startswith(RECORDED)}
            if told:
                yield (self._raw_uids[doc["descriptor"]], int(data["raw_seq_num"]), int(data["frame_index"])), told


def _known(value: Any) -> float | None:
    return None if value is None or math.isnan(value) else float(value)


class SameGeometry:
    """Says of a raw run, once, that a frame has another geometry than it had.

    What tells it is in the raw documents, but for PONI files that they name, which may have been written anew.
    """

    def __init__(self) -> None:
        self._then, self._now = _Told(), _Told()
        self._expected: dict[Place, Geometry] = {}
        self._said: set[str] = set()

    def expect(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take a document of the derived run that is repeated; of pages their events."""
        self._expected.update(self._then(name, doc))

    def compare(self, derived: NamedDocument) -> None:
        """Take a document of the replay."""
        for place, moved in self._now(*derived) if self._expected else ():
            before, (uid, seq_num, _) = self._expected.pop(place, moved), place
            if before == moved or uid in self._said:
                continue
            self._said.add(uid)
            what = "raw run %s, seq_num %d: its geometry is %s, and was %s in the derived run: its PONI is another now"
            logger.warning(what, uid, seq_num, moved, before)
