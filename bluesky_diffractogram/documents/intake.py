"""Sorting raw documents as they arrive: which run, which stream, which of them bring images."""

from __future__ import annotations

import logging
import time
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from numbers import Real

from .baseline import BASELINE, Baseline
from .darks import find_images, looked_at, sorted_out
from .derived_run import PURPOSE
from .images import count_frames, image_keys, is_in_file
from .merge_join import MergeJoin, is_merged
from .messages import (
    AssetDescribed,
    Document,
    ImagesDescribed,
    ImagesReceived,
    Message,
    RunAbandoned,
    RunStarted,
    RunStopped,
    images_of,
)
from .missing import SeenSeqNums
from .moving import with_texts
from .resources import frames_per_event
from .setting import Setting
from .stream_join import StreamJoin, is_stream

logger = logging.getLogger(__name__)

MOST_OPEN_RUNS = 64
MOST_STREAM_RESOURCES = 10_000
MOST_EVENTS = 10**9
ASSETS = ("resource", "datum", "datum_page")


@dataclass
class _Run:
    derived: bool = False
    descriptors: dict[str, Document] = field(default_factory=dict)
    # Which data key holds the images, by descriptor and by setting: a setting may name another one.
    image_keys: dict[tuple[str, int], str | None] = field(default_factory=dict)
    joins: dict[str, StreamJoin] = field(default_factory=dict)
    merging: MergeJoin = field(default_factory=MergeJoin)
    seen: defaultdict[str, SeenSeqNums] = field(default_factory=lambda: defaultdict(SeenSeqNums))  # by stream

    baseline: Baseline = field(default_factory=Baseline)

    heard: float = field(default_factory=time.monotonic)

    def note(self, descriptor: Document, seq_num: int) -> None:
        if _is_number(seq_num):  # a StreamDatum may say any
            self.seen[descriptor.get("name", "")].add(seq_num)

    def noted(self, messages: Iterator[Message], *, of_darks: bool = False) -> Iterator[Message]:
        for message in sorted_out(messages, of_darks=of_darks):
            images = images_of(message)
            if images is not None:
                self.note(images.descriptor, images.event["seq_num"])
            yield message

    def flush_joins(self) -> Iterator[Message]:
        """The frames that wait for events that will not come any more."""
        for join in self.joins.values():
            yield from self.noted(join.flush())

    def missing(self, announced: Mapping[str, int]) -> int:
        """How many events of streams of images never came."""
        of_images = {place[0] for place, image_key in self.image_keys.items() if image_key is not None}
        names = {self.descriptors[uid].get("name", "") for uid in of_images}
        return sum(self.seen[name].missing(_number(announced.get(name))) for name in names)


def _is_number(value: object) -> bool:
    """Whether a seq_num is one: of NaN, infinities and what no run reaches, as many events would be missing."""
    return isinstance(value, Real) and value <= MOST_EVENTS and not value < -MOST_EVENTS


def _number(announced: object) -> int:
    """How many events a stop document says that there were; 0 where it says nothing that can be believed."""
    return announced if isinstance(announced, int) and 0 <= announced <= MOST_EVENTS else 0


class Intake:
    """Turns raw documents into messages, on the thread that brings them: it only looks, and keeps nothing large.

    Documents of derived runs are passed over; so are those of runs whose start was not seen, which are
    counted in `ignored`.

    Parameters
    ----------
    clock
        Tells when frames without event were received; None takes the descriptor's time, which a replay has too.
    read_text
        Gives the text of a small file that an event names, as it is when that comes; None leaves it to who needs it.
    """

    def __init__(self, clock: Callable[[], float] | None = None, read_text: Callable[[str], str] | None = None) -> None:
        self._clock, self._read_text = clock, read_text
        self._stream_resources: OrderedDict[str, Document] = OrderedDict()
        self._runs: dict[str, _Run] = {}
        self._run_of_descriptor: dict[str, str] = {}
        self.ignored: Counter[str] = Counter()

    def receive(self, name: str, doc: Document, setting: Setting) -> Iterator[Message]:
        """The messages that a raw document amounts to.

        Parameters
        ----------
        name, doc
            As bluesky's callbacks get them; `doc` is never written to.
        setting
            In force now.
        """
        if name == "start":
            yield from self._start(doc, setting)
        elif name == "descriptor":
            yield from self._descriptor(doc, setting)
        elif name == "event":
            yield from self._event(doc, setting)
        elif name == "event_page":
            yield from self._event_page(doc, setting)
        elif name == "bulk_events":
            for events in doc.values():
                for event in events:
                    yield from self._event(event, setting)
        elif name in ASSETS:
            if doc.get("run_start", "") and doc["run_start"] not in self._runs:
                self._ignore(name, f"its run {doc['run_start']} was not seen to start")
            else:
                yield AssetDescribed(name, doc)
        elif name == "stream_resource":
            # Of runs that were not seen, too: a detector tells of its file once, and writes several runs into it.
            self._stream_resources[doc["uid"]] = doc
            if len(self._stream_resources) > MOST_STREAM_RESOURCES:
                self._stream_resources.popitem(last=False)
            yield AssetDescribed(name, doc)
        elif name == "stream_datum":
            yield from self._stream_datum(doc, setting)
        elif name == "stop":
            yield from self._stop(doc)
        else:  # what future versions may bring
            self._ignore(name, f"documents of kind {name!r} are not read")

    def flush(self) -> Iterator[Message]:
        """The frames of open runs that wait for their events, which nobody waits for any more."""
        for run in self._runs.values():
            yield from self._flush(run)

    @property
    def open_runs(self) -> frozenset[str]:
        """The uids of the runs that have started and not stopped, derived ones too."""
        return frozenset(self._runs)

    def abandon_silent(self, seconds: float) -> Iterator[Message]:
        """Close the runs of which no document has come for so long: their stop was lost."""
        before = time.monotonic() - seconds
        for uid in [uid for uid, run in self._runs.items() if run.heard < before]:
            yield from self._abandon(uid, f"no document came for {seconds:g} s")

    def _abandon(self, uid: str, why: str) -> Iterator[Message]:
        run = self._forget(uid)
        if not run.derived:
            yield from self._flush(run)
            yield RunAbandoned(uid, why, run.missing({}))

    def _start(self, doc: Document, setting: Setting) -> Iterator[Message]:
        uid = doc["uid"]
        if uid in self._runs:
            self._ignore("start", f"the run {uid} has been started before")
            return
        if len(self._runs) >= MOST_OPEN_RUNS:
            yield from self._abandon(min(self._runs, key=lambda uid: self._runs[uid].heard), "too many open runs")
        derived = doc.get("purpose") == PURPOSE
        self._runs[uid] = _Run(derived)
        if not derived:
            yield RunStarted(doc, setting)

    def _descriptor(self, doc: Document, setting: Setting) -> Iterator[Message]:
        run_uid = doc["run_start"]
        run = self._runs.get(run_uid)
        if run is None:
            self._ignore("descriptor", f"its run {run_uid} was not seen to start")
            return
        run.heard = time.monotonic()
        uid = doc["uid"]
        self._run_of_descriptor[uid] = run_uid
        run.descriptors[uid] = doc
        yield from self._look_for_images(run, uid, setting)

    def _look_for_images(self, run: _Run, uid: str, setting: Setting) -> Iterator[Message]:
        """Find the image key of a descriptor under a setting, once, and tell of it."""
        place = (uid, setting.stream_number)
        if place in run.image_keys:
            return
        descriptor, config = run.descriptors[uid], setting.config
        wanted = looked_at(descriptor.get("name"), config) and not run.derived
        image_key = run.image_keys[place] = find_images(descriptor, config) if wanted else None
        if image_key is not None:
            yield AssetDescribed("descriptor", descriptor)
            if descriptor.get("name") == config.stream:
                if config.image_key is None and len(others := image_keys(descriptor)) > 1:
                    logger.warning(
                        "run %s: %s is reduced, which is the largest of the images of stream %s: %s; image_key tells "
                        "which one is meant", descriptor["run_start"], image_key, config.stream, ", ".join(others),
                    )  # fmt: skip
                yield ImagesDescribed(descriptor, image_key, setting)

    def _event(self, doc: Document, setting: Setting) -> Iterator[Message]:
        run_uid = self._run_of_descriptor.get(doc["descriptor"])
        if run_uid is None:
            self._ignore("event", f"its descriptor {doc['descriptor']} was not seen")
            return
        if not _is_number(doc["seq_num"]):
            self._ignore("event", "its seq_num is no number")
            return
        run = self._runs[run_uid]
        run.heard = time.monotonic()
        yield from self._look_for_images(run, doc["descriptor"], setting)
        image_key = run.image_keys[doc["descriptor"], setting.stream_number]
        descriptor = run.descriptors[doc["descriptor"]]
        if image_key is not None and image_key not in doc["data"] and is_stream(descriptor["data_keys"][image_key]):
            yield from self._complete(run, run.noted(self._join(run, descriptor).event(doc)))
            return
        run.note(descriptor, doc["seq_num"])
        if descriptor.get("name") == BASELINE:
            run.baseline.event(descriptor, doc)
        if image_key is None:
            return
        in_file = image_key in doc["data"] and is_in_file(descriptor, doc, image_key)
        each = setting.config.frames_per_event == "each"
        frames = count_frames(doc["data"].get(image_key)) if each and not in_file else 1
        images = ImagesReceived(run_uid, descriptor, doc, image_key, in_file, frames, setting)
        yield from self._complete(run, sorted_out([images]))

    def _stream_datum(self, doc: Document, setting: Setting) -> Iterator[Message]:
        run_uid = self._run_of_descriptor.get(doc["descriptor"])
        resource = self._stream_resources.get(doc["stream_resource"])
        if run_uid is None or resource is None:
            missing = "descriptor" if run_uid is None else "stream_resource"
            self._ignore("stream_datum", f"its {missing} {doc[missing]} was not seen")
            return
        run = self._runs[run_uid]
        run.heard = time.monotonic()
        yield from self._look_for_images(run, doc["descriptor"], setting)
        image_key = run.image_keys[doc["descriptor"], setting.stream_number]
        data_key, descriptor = resource["data_key"], run.descriptors[doc["descriptor"]]
        if image_key is None or data_key not in descriptor["data_keys"]:
            return
        number = frames_per_event(resource, descriptor["data_keys"][data_key])
        if data_key == image_key:
            images = self._join(run, descriptor).datum(doc, image_key, number, setting, run_uid)
            of_darks = descriptor.get("name") != setting.config.stream
            yield from self._complete(run, run.noted(images, of_darks=of_darks))
        elif is_merged(setting, data_key):
            yield from run.merging.datum(doc, data_key, number)

    def _complete(self, run: _Run, messages: Iterable[Message]) -> Iterator[Message]:
        """The messages whose images need not wait, those with what is to be known of them now."""
        return run.merging.complete(self._as_known(message, run) for message in messages)

    def _as_known(self, message: Message, run: _Run) -> Message:
        """A message with what is known beside its images, now that these have come."""
        if not isinstance(message, ImagesReceived):
            return message
        baseline = run.baseline.before(message.event)
        images = replace(message, baseline=baseline) if baseline else message
        return images if self._read_text is None else with_texts(images, self._read_text)

    def _flush(self, run: _Run) -> Iterator[Message]:
        """The frames that wait for what will not come any more."""
        yield from self._complete(run, run.flush_joins())
        yield from run.merging.flush()

    def _join(self, run: _Run, descriptor: Document) -> StreamJoin:
        return run.joins.setdefault(descriptor["uid"], StreamJoin(descriptor, self._clock))

    def _event_page(self, doc: Document, setting: Setting) -> Iterator[Message]:
        from event_model import unpack_event_page

        for event in unpack_event_page(doc):  # type: ignore[arg-type]
            yield from self._event(dict(event), setting)

    def _stop(self, doc: Document) -> Iterator[Message]:
        run_uid = doc["run_start"]
        if run_uid not in self._runs:
            self._ignore("stop", f"its run {run_uid} was not seen to start")
            return
        run = self._forget(run_uid)
        if not run.derived:
            yield from self._flush(run)
            announced = doc.get("num_events")
            yield RunStopped(run_uid, doc, run.missing(announced if isinstance(announced, Mapping) else {}))

    def _forget(self, run_uid: str) -> _Run:
        run = self._runs.pop(run_uid)
        for uid in run.descriptors:
            self._run_of_descriptor.pop(uid, None)
        return run

    def _ignore(self, kind: str, why: str) -> None:
        if not self.ignored[kind]:
            logger.warning("a document of kind %s is ignored: %s (further ones are counted only)", kind, why)
        self.ignored[kind] += 1
