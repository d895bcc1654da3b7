"""Raw runs that need not be replayed: what would come of them is where it is wanted already."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import count, takewhile
from typing import Any

from ..config import DiffractogramConfig
from ..documents.assets import Assets
from ..documents.derived_run import ending_of
from ..documents.frames import digest_now
from ..documents.intake import Intake
from ..documents.messages import (
    AssetDescribed,
    DarkReceived,
    ImagesReceived,
    Message,
    RunAbandoned,
    RunStarted,
    RunStopped,
)
from ..documents.setting import Setting
from ..files import NotReadable, Unreadable
from ..reduction.frame import FrameError
from .document_files import NamedDocument
from .resume import EarlierRun, EarlierRuns, Key

logger = logging.getLogger(__name__)

Destination = Callable[[str], Any]
"""Gives the whole derived run of a raw one that stands there, in any form that `replay` takes, or None."""


class NotThere(Exception):
    """A raw run that is to be replayed."""


@dataclass(frozen=True, slots=True)
class There:
    """What was found of one source of documents.

    Attributes
    ----------
    frames
        How many frames each raw run has that is there already.
    more
        Whether there may be other runs.
    """

    frames: Mapping[str, int]
    more: bool

    def others(self, documents: Iterable[NamedDocument]) -> Iterator[NamedDocument]:
        """The documents of all other runs; a StreamResource may be theirs, too."""
        left_out: set[str] = set()
        for name, doc in documents:
            run = doc.get("uid") if name == "start" else doc.get("run_start")
            if run in self.frames and name != "stream_resource":
                left_out.add(doc["uid"])
            elif not {doc.get("descriptor"), doc.get("resource")} & left_out:
                yield name, doc


class ThereAlready:
    """Finds the raw runs whose derived runs are whole in every destination, computed as they would be now.

    Files of images are looked at (path, size, times of change), not read. A run with darks of its own is never there:
    they would have to be read to know of which frames they are taken away.

    Parameters
    ----------
    destinations
        Where derived runs are wanted, one at least.
    options
        ``handler_registry``, ``root_map`` and ``roots`` as `replay` takes them.
    """

    def __init__(self, destinations: Sequence[Destination], options: Mapping[str, Any]) -> None:
        self._destinations = destinations
        self._options = {key: options.get(key) for key in ("handler_registry", "root_map", "roots")}

    def look(self, documents: Iterable[NamedDocument], config: DiffractogramConfig) -> There:
        """Look at the raw runs of a source up to the first that is to be replayed."""
        looking = _Looking(self._destinations, config, Assets(**self._options, pixel_digests=True))
        try:
            for name, doc in documents:
                for message in looking.intake.receive(name, doc, looking.setting):
                    looking.see(message)
        except NotThere as error:
            logger.debug("%s", error)
        except Exception as error:  # whatever is wrong with the run is said where it is replayed
            logger.debug("what is there already cannot be told: %s", error)
        else:
            return There(looking.whole, bool(looking.open))
        finally:
            looking.assets.forget()
        return There(looking.whole, True)


@dataclass(eq=False)
class _Looked:
    """A raw run, with the derived runs in each destination that hold all its frames so far."""

    found: list[list[EarlierRun]]
    waiting: list[ImagesReceived] = field(default_factory=list)
    frames: int = 0

    def require(self, uid: str, wanted: Callable[[EarlierRun], bool]) -> None:
        self.found = [[run for run in runs if wanted(run)] for runs in self.found]
        if not all(self.found):
            raise NotThere(f"raw run {uid} is not there as it would be now")

    def holds(self, key: Key) -> bool:
        return any(key in run.keys for runs in self.found for run in runs)


@dataclass(eq=False)
class _Looking:
    """One pass through raw documents; `NotThere` ends it."""

    destinations: Sequence[Destination]
    config: DiffractogramConfig
    assets: Assets
    intake: Intake = field(default_factory=Intake)
    open: dict[str, _Looked] = field(default_factory=dict)
    whole: dict[str, int] = field(default_factory=dict)

    @cached_property
    def setting(self) -> Setting:
        return Setting.open(self.config)

    @cached_property
    def earlier(self) -> list[EarlierRuns]:
        return [EarlierRuns(each, lambda: self.setting.provenance) for each in self.destinations]

    def see(self, message: Message) -> None:
        match message:
            case RunStarted(start):
                looked = self.open[start["uid"]] = _Looked([each.finished(start["uid"]) for each in self.earlier])
                looked.require(start["uid"], lambda run: True)
            case AssetDescribed(name, doc):
                if name != "descriptor":  # which is for filling events
                    self.assets.receive(name, doc)
            case ImagesReceived(run_uid) if message.in_file:  # whose datum may come after it
                self.open[run_uid].waiting.append(message)
            case ImagesReceived(run_uid):
                self._frames(run_uid, message)
            case DarkReceived(images):  # which may be readable now and was not then, or the other way round
                raise NotThere(f"raw run {images.run_uid} has darks of its own")
            case RunStopped(run_uid, stop, missing):
                self._end(run_uid, stop, missing)
            case RunAbandoned(run_uid):
                raise NotThere(f"raw run {run_uid} has no stop document")

    def _frames(self, run_uid: str, images: ImagesReceived) -> None:
        looked, uid = self.open[run_uid], images.event["uid"]
        for index in self._indices(looked, images):
            digest = digest_now(images, self.setting, self.assets, index)
            looked.require(run_uid, partial(_holds, key=(uid, index), digest=digest))
            looked.frames += 1

    def _indices(self, looked: _Looked, images: ImagesReceived) -> Iterable[int]:
        """Which frames an event has."""
        if self.config.frames_per_event != "each":
            return range(1)
        if not images.in_file:
            return range(images.frames)
        try:
            rows = self.assets.rows(images)
        except (NotReadable, Unreadable, FrameError) as error:
            raise NotThere(str(error)) from error
        if rows is not None:
            return range(rows.number)
        # Whoever reads it knows how many there are: as many as there were, while its files are the same.
        there = list(takewhile(lambda index: looked.holds((images.event["uid"], index)), count()))
        return there or range(1)

    def _end(self, uid: str, stop: Mapping[str, Any], missing: int) -> None:
        looked = self.open[uid]
        for images in looked.waiting:
            self._frames(uid, images)
        ending = ending_of(stop)

        def whole(run: EarlierRun) -> bool:
            assert run.stop is not None
            frames = run.stop.get("frames") or {}
            done = frames.get("reduced", 0) + frames.get("replaced", 0)
            all_there = len(run.keys) == looked.frames == frames.get("received") == done
            return all_there and not missing and ending_of(run.stop) == ending

        looked.require(uid, whole)
        self.whole[uid] = self.open.pop(uid).frames


def _holds(run: EarlierRun, key: Key, digest: str) -> bool:
    return bool(digest) and key in run.keys and run.keys[key][1] == digest
