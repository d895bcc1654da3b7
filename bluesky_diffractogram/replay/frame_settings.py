"""Which configuration each frame of a raw run is reduced with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from event_model import unpack_event_page

from ..config import DiffractogramConfig
from ..documents.derived_keys import OBJECT
from ..documents.provenance import provenance_of
from .derived_source import for_every_frame, recorded_configuration, warn_of_other_versions
from .document_files import NamedDocument

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FrameSettings:
    """One configuration for all, or several if it was changed in mid-run.

    Attributes
    ----------
    first
        From the beginning on.
    of_seq_num
        That of frames of raw events, if there are several. Frames of others have that of the one before.
    """

    first: DiffractogramConfig
    of_seq_num: Mapping[int, DiffractogramConfig] = field(default_factory=dict)

    def along(self, documents: Iterable[NamedDocument]) -> Iterator[tuple[DiffractogramConfig, str, dict[str, Any]]]:
        """Raw documents, each with the configuration to use from it on; of pages the events, where there are several.

        Yields
        ------
        config, name, doc
            Of a StreamDatum document of several points, that of the first one.
        """
        if not self.of_seq_num:
            yield from ((self.first, name, doc) for name, doc in documents)
            return
        current, streams = self.first, {config.stream for config in self.of_seq_num.values()}
        descriptors: set[str] = set()
        for name, doc in _events_one_by_one(documents):
            if name == "descriptor" and doc.get("name") in streams:
                descriptors.add(doc["uid"])
            elif doc.get("descriptor") in descriptors:
                seq_num = doc["seq_num"] if name == "event" else (doc.get("seq_nums") or {}).get("start", 0)
                current = self.of_seq_num.get(seq_num, current)
            yield current, name, doc


def recorded_settings(
    start: Document,
    documents: Iterable[NamedDocument],
    folder: Path,
    look: Callable[[str, Document], None] = lambda name, doc: None,
) -> FrameSettings:
    """What a derived run was computed with.

    Parameters
    ----------
    start, documents
        Its start document, and those that follow.
    folder
        See `recorded_configuration`.
    look
        Called with all of its documents, of pages with their events.

    Raises
    ------
    ReplayError
        As `recorded_configuration` does.
    """
    warn_of_other_versions(start)
    uid = start["uid"]
    streams: dict[str, Document] = {}
    seq_nums: dict[int, str] = {}
    look("start", start)
    for name, doc in _events_one_by_one(documents):
        look(name, doc)
        if name == "descriptor" and OBJECT in doc["configuration"]:
            streams[doc["uid"]] = provenance_of(start, doc)
        elif name == "event" and doc["descriptor"] in streams:
            seq_nums[int(doc["data"]["raw_seq_num"])] = doc["descriptor"]
    # Streams also differ where the shape of the frames changed, under one configuration.
    distinct: list[tuple[Document, DiffractogramConfig]] = []
    configs: dict[str, DiffractogramConfig] = {}
    for descriptor, described in streams.items():
        known = next((config for other, config in distinct if other == described), None)
        if known is None:
            known = for_every_frame(recorded_configuration(uid, described, folder))
            distinct.append((described, known))
        configs[descriptor] = known
    if not distinct:
        return FrameSettings(for_every_frame(recorded_configuration(uid, start, folder)))
    if len(distinct) == 1:
        return FrameSettings(distinct[0][1])
    return FrameSettings(distinct[0][1], {n: configs[descriptor] for n, descriptor in seq_nums.items()})


def _events_one_by_one(documents: Iterable[NamedDocument]) -> Iterator[NamedDocument]:
    for name, doc in documents:
        if name == "event_page":
            yield from (("event", dict(event)) for event in unpack_event_page(doc))  # type: ignore[arg-type]
        else:
            yield name, doc
