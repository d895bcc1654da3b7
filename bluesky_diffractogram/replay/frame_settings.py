"""Which configuration each frame of a raw run is reduced with."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from event_model import unpack_event_page

from ..config import DiffractogramConfig
from ..documents.derived_keys import OBJECT
from ..documents.provenance import provenance_in, provenance_of
from .derived_source import for_every_frame, recorded_configuration, warn_of_other_versions
from .document_files import NamedDocument
from .errors import ReplayError

logger = logging.getLogger(__name__)

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
    changes
        From which images on which one was in force, by their stream and seq_num, where the derived run says so.
    """

    first: DiffractogramConfig
    of_seq_num: Mapping[int, DiffractogramConfig] = field(default_factory=dict)
    changes: Mapping[tuple[str, int], DiffractogramConfig] = field(default_factory=dict)

    @property
    def several(self) -> bool:
        """Whether it was changed in mid-run."""
        return bool(self.of_seq_num or self.changes)

    def along(self, documents: Iterable[NamedDocument]) -> Iterator[tuple[DiffractogramConfig, str, dict[str, Any]]]:
        """Raw documents, each with the configuration to use from it on; of pages the events, where there are several.

        Yields
        ------
        config, name, doc
            Of a StreamDatum document of several points, that of the first one.
        """
        if not self.several:
            yield from ((self.first, name, doc) for name, doc in documents)
            return
        current, streams = self.first, {config.stream for config in self.of_seq_num.values()}
        descriptors: dict[str, str] = {}
        changes = dict(self.changes)
        for name, doc in _events_one_by_one(documents):
            if name == "descriptor":
                descriptors[doc["uid"]] = doc.get("name", "")
            elif doc.get("descriptor") in descriptors:
                stream = descriptors[doc["descriptor"]]
                seq_num = doc["seq_num"] if name == "event" else (doc.get("seq_nums") or {}).get("start", 0)
                if self.changes:
                    # Once each: points that are taken again have the setting that is in force by then.
                    current = changes.pop((stream, seq_num), current)
                elif stream in streams:
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
    of_name: dict[str, str] = {}
    noted: list[Document] = []
    seq_nums: dict[int, str] = {}
    look("start", start)
    for name, doc in _events_one_by_one(documents):
        look(name, doc)
        if name == "descriptor" and OBJECT in doc["configuration"]:
            streams[doc["uid"]] = provenance_of(start, doc)
            of_name[doc["name"]] = doc["uid"]
        elif name == "stop":
            noted = list(doc.get("settings") or ())
        elif name == "event" and doc["descriptor"] in streams:
            seq_nums[int(doc["data"]["raw_seq_num"])] = doc["descriptor"]
    # Streams also differ where the shape of the frames changed, under one configuration.
    distinct: list[tuple[Document, DiffractogramConfig]] = []
    configs: dict[str, DiffractogramConfig] = {}

    def config_of(described: Document) -> DiffractogramConfig:
        known = next((config for other, config in distinct if other == described), None)
        if known is None:
            known = for_every_frame(recorded_configuration(uid, described, folder))
            distinct.append((described, known))
        return known

    for descriptor, described in streams.items():
        configs[descriptor] = config_of(described)
    changes: dict[tuple[str, int], DiffractogramConfig] = {}
    for each in noted:
        try:
            config = configs[of_name[each["as"]]] if "as" in each else config_of(provenance_in(start, each))
        except ReplayError as error:  # no frame was reduced with it, but a dark may have been read
            what = "what came from %s, seq_num %s, on is reduced as what was before it: %s"
            logger.warning(what, each["stream"], each["seq_num"], error)
            continue
        changes[str(each["stream"]), int(each["seq_num"])] = config
    if len(changes) > 1:
        return FrameSettings(next(iter(changes.values())), changes=changes)
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
