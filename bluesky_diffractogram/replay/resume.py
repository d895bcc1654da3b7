"""What earlier derived runs hold of raw runs that are replayed again."""

from __future__ import annotations

import json
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from inspect import isroutine
from typing import Any

from ..config import same_meaning
from ..documents.derived_keys import OBJECT, references_after
from ..documents.derived_run import STREAM
from ..documents.earlier import Digest, EarlierEvent, References
from ..documents.provenance import provenance_of
from ..files import Paths
from .derived_source import is_derived
from .errors import ReplayError
from .stored import stored_runs

logger = logging.getLogger(__name__)

KEPT_EVENTS = 64

Document = Mapping[str, Any]
Key = tuple[str, int]
"""The uid of a raw event, and which of its frames."""


@dataclass(eq=False)
class EarlierRun:
    """The first stream of a derived run: which frames it holds, and the stored run they are read from.

    Attributes
    ----------
    keys
        What the frames are found by; of each, what the followed peaks were known by before it, and its digest.
    same_configuration
        Whether also the settings that alter no number were what they are now.
    stop
        Its stop document, if it has one.
    """

    derived_uid: str
    documents: Callable[[], Iterator[tuple[str, Document]]]
    keys: dict[Key, tuple[References, str]] = field(default_factory=dict)
    same_configuration: bool = False
    stop: Document | None = None
    events: Iterator[tuple[Key, Document]] | None = None
    passed: OrderedDict[Key, Document] = field(default_factory=OrderedDict)

    def take(self, key: Key) -> EarlierEvent | None:
        """An event, for which the run is read on; of those that were passed over the last few are kept."""
        if self.events is None:
            self.events = _events(self.derived_uid, self.documents())
        data = self.passed.pop(key, None)
        while data is None:
            try:
                found, doc = next(self.events)
            except StopIteration:
                return None
            except Exception as error:  # whatever its catalogue raises
                logger.warning("the earlier derived run %s cannot be read any further: %s", self.derived_uid, error)
                return None
            if found == key:
                data = doc
                break
            self.passed[found] = doc
            while len(self.passed) > KEPT_EVENTS:
                self.passed.popitem(last=False)
        return EarlierEvent(data, self.keys[key][0])


class EarlierRuns:
    """The frames of earlier derived runs; an `documents.earlier.Earlier`.

    They are read twice: once for what is there, and then along with the raw run, so that no more than a few are in
    memory.

    Parameters
    ----------
    earlier
        Derived runs in any of the forms that `replay` takes, or a function that gives those of a raw uid, or None.
    provenance
        Gives how frames are reduced now; of what was computed otherwise nothing is taken.

    Attributes
    ----------
    taken
        How many frames were taken over.
    """

    def __init__(self, earlier: Any, provenance: Callable[[], Mapping[str, Any]]) -> None:
        self._earlier, self._provenance = earlier, provenance
        self._runs: dict[str, list[EarlierRun]] = {}
        self._all_read = False
        self.taken = 0

    def has(self, run_uid: str, event_uid: str, index: int, digest: Digest) -> bool:
        """Whether a frame is there, as it is now."""
        return self._find(run_uid, (event_uid, index), digest) is not None

    def take(self, run_uid: str, event_uid: str, index: int, digest: Digest) -> EarlierEvent | None:
        """The event of a frame as it is now, once."""
        key = (event_uid, index)
        run = self._find(run_uid, key, digest)
        if run is None:
            return None
        event = run.take(key)
        del run.keys[key]
        return event

    def _find(self, run_uid: str, key: Key, digest: Digest) -> EarlierRun | None:
        """The earlier run that holds a frame of this digest; of those without any it is not known what they were."""
        there = [run for run in self._of(run_uid) if run.keys.get(key, (None, ""))[1]]
        if not there:
            return None
        now = digest()
        return next((run for run in there if now and run.keys[key][1] == now), None)

    def finished(self, run_uid: str) -> list[EarlierRun]:
        """The derived runs of a raw one that came to their end, under the very configuration of now."""
        return [run for run in self._of(run_uid) if run.stop is not None and run.same_configuration]

    def refuse(self, run_uid: str) -> None:
        """Nothing of a raw run is wanted."""
        self._runs[run_uid] = []

    def _of(self, run_uid: str) -> list[EarlierRun]:
        if run_uid in self._runs:
            return self._runs[run_uid]
        if isroutine(self._earlier) or isinstance(self._earlier, partial):  # a run of databroker's is callable too
            self._runs[run_uid] = []
            found = self._earlier(run_uid)
            if found is not None:
                self._read(found)
        elif not self._all_read:
            self._all_read = True
            self._read(self._earlier)
        return self._runs.setdefault(run_uid, [])

    def _read(self, earlier: Any) -> None:
        """Note which frames there are."""
        try:
            if isinstance(earlier, Iterator):
                earlier = list(earlier)
            for stored in stored_runs(earlier).each():
                try:
                    documents = partial(stored.documents, None, Paths())
                    self._read_one(stored.name, (stored.outline or documents)(), documents)
                except Exception as error:  # whatever its catalogue raises
                    logger.warning("of the earlier derived run %s no more is taken over: %s", stored.name, error)
        except ReplayError as error:
            logger.warning("of earlier derived runs nothing is taken over: %s", error)

    def _read_one(
        self,
        name: str,
        outline: Iterator[tuple[str, Document]],
        documents: Callable[[], Iterator[tuple[str, Document]]],
    ) -> None:
        runs: dict[str, tuple[Document, EarlierRun]] = {}
        streams: dict[str, tuple[EarlierRun, References]] = {}
        for kind, doc in outline:
            if kind == "start" and is_derived(doc):
                run = EarlierRun(doc["uid"], documents)
                runs[doc["uid"]] = doc, run
                self._runs.setdefault(doc["raw_uid"], []).append(run)
            elif kind == "descriptor" and doc.get("run_start") in runs and doc.get("name") == STREAM:
                start, run = runs[doc["run_start"]]
                settings = doc["configuration"][OBJECT]["data"]
                described, now = provenance_of(start, doc), self._provenance()
                other = _other(described, now)
                if other:
                    logger.warning("%s: nothing is taken over, it was computed with another %s", name, other)
                    continue
                run.same_configuration = json.loads(described["configuration"]) == json.loads(now["configuration"])
                ranges = sum(key.startswith("npt_") for key in settings)
                streams[doc["uid"]] = run, (None,) * ranges
            elif kind == "stop" and doc.get("run_start") in runs:
                runs[doc["run_start"]][1].stop = doc
            elif kind in ("event", "event_page"):
                for event in _each(kind, doc):
                    if event["descriptor"] not in streams:
                        continue
                    run, references = streams[event["descriptor"]]
                    run.keys.setdefault(_key(event), (references, str(event["data"].get("frame_digest") or "")))
                    streams[event["descriptor"]] = run, references_after(references, event["data"])


def _other(described: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What of how a stream was computed is another now; nothing if all is the same."""
    if described["calibration"]["sha256"] != now["calibration"]["sha256"]:
        return "calibration"
    if _merged_calibrations(described) != _merged_calibrations(now):
        return "calibration of merge"
    then, arrays = described["arrays"], now["arrays"]
    for key in sorted(set(then) | set(arrays)):
        if then.get(key, {}).get("sha256") != arrays.get(key, {}).get("sha256"):
            return key
    for key, version in now["versions"].items():
        if described["versions"].get(key) != version:
            return f"version of {key}"
    then, settings = json.loads(described["configuration"]), json.loads(now["configuration"])
    return "" if same_meaning(then, settings) else "configuration"


def _merged_calibrations(described: Mapping[str, Any]) -> list[str]:
    return [each["sha256"] for each in described.get("merge") or ()]


def _events(derived_uid: str, documents: Iterator[tuple[str, Document]]) -> Iterator[tuple[Key, Document]]:
    """The events of a derived run's first stream, with what they are found by."""
    streams: set[str] = set()
    for kind, doc in documents:
        if kind == "descriptor" and doc.get("run_start") == derived_uid and doc.get("name") == STREAM:
            streams.add(doc["uid"])
        elif kind in ("event", "event_page"):
            for event in _each(kind, doc):
                if event["descriptor"] in streams:
                    yield _key(event), event["data"]


def _each(kind: str, doc: Document) -> Iterator[Document]:
    if kind == "event":
        yield doc
        return
    from event_model import unpack_event_page

    yield from unpack_event_page(doc)  # type: ignore[arg-type]


def _key(event: Document) -> Key:
    return str(event["data"]["raw_event"]), int(event["data"]["frame_index"])
