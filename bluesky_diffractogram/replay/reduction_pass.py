"""One pass through raw documents: derived documents as frames are reduced, and what could not be replayed."""

from __future__ import annotations

import logging
import time
import uuid
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from ..config import DiffractogramConfig
from ..documents.assets import Assets
from ..documents.callback import ReductionCallback
from ..documents.dark_in_force import digest_with_dark
from ..documents.frames import digest_now
from ..documents.messages import ImagesReceived
from ..documents.resources import uri_of
from ..reduction.dark import AnyDark
from .derived_source import is_derived
from .document_files import NamedDocument
from .errors import ReplayError
from .expected import ExpectedFrames
from .lost_dtype import LostDtype
from .reduced_ahead import ReducedAhead
from .resume import EarlierRuns

if TYPE_CHECKING:
    from .workers import Workers

logger = logging.getLogger(__name__)

Document = Mapping[str, Any]

MOST_STOPPING = 200

NO_STREAMS = (
    "databroker's stores keep no StreamResource and StreamDatum documents, as which this run's images came; replay it "
    "from tiled, or from a file of its documents"
)


@dataclass
class _RawRun:
    """What an error would say of a raw run."""

    start: Document
    streams: dict[str, list[str]] = field(default_factory=dict)
    first_file: str = ""
    number_of_events: int = 0
    broken: bool = False
    seen: bool = False


class ReductionPass:
    """Reduces the documents of raw runs, one run after the other or interleaved.

    A derived run is given out from its first frame on; one of which no frame could be reduced is not given out.

    Parameters
    ----------
    config
        As `ReductionCallback` takes it.
    options
        Further arguments of `ReductionCallback`.
    workers
        Who reduces frames that lie in files, if not this process.
    resume
        Earlier derived runs, see `EarlierRuns`; None is none.

    Attributes
    ----------
    failures
        Why, by the uid of the raw run, of those that could not be replayed.
    replayed
        How many could.
    reduced
        How many derived events there are.

    Raises
    ------
    ConfigError
        The configuration cannot be used.
    """

    def __init__(
        self,
        config: DiffractogramConfig,
        options: Mapping[str, Any],
        workers: Workers | None = None,
        resume: Any = None,
    ) -> None:
        self.config = config
        self.failures: dict[str, ReplayError] = {}
        self.replayed = 0
        self._expected = ExpectedFrames(config)
        self.reduced = 0
        self._runs: dict[str, _RawRun] = {}
        self._run_of_resource: dict[str, str] = {}
        self._held: dict[str, list[NamedDocument]] = {}
        self._raw_uids: dict[str, str] = {}
        self._ready: deque[NamedDocument] = deque()
        self._lost_dtype = LostDtype(config)
        self._stopping: list[str] = []  # runs that have ended, whose frames workers may still have
        earlier = self._earlier = None if resume is None else EarlierRuns(resume, lambda: self._callback.provenance)
        self._ahead = None
        if workers is not None:
            files = (options.get("handler_registry"), options.get("root_map"), options.get("roots"))

            def passed_over(images: ImagesReceived, index: int, assets: Assets, dark: AnyDark | None) -> bool:
                digest = digest_with_dark(partial(digest_now, images, images.setting, assets, index), dark)
                return earlier is not None and earlier.has(images.run_uid, images.event["uid"], index, digest)

            self._ahead = ReducedAhead(workers, *files, passed_over)
        self._callback = ReductionCallback(
            config, background=False, ahead=self._ahead, earlier=earlier, pixel_digests=True, **options
        )
        self._callback.subscribe(self._receive)

    @property
    def taken_over(self) -> int:
        """How many frames were taken over of earlier derived runs."""
        return 0 if self._earlier is None else self._earlier.taken

    @property
    def expected(self) -> int | None:
        """How many frames the runs that have begun will have; None if one of them does not say it."""
        return self._expected.total

    def announce(self, stop: Document | None) -> None:
        """Take the stop document of the run that comes next, where it is known before the others."""
        self._expected.announce(stop)

    def close(self) -> None:
        """Close what is open; nothing comes any more."""
        self._callback.close()
        if self._ahead is not None:
            self._ahead.close()

    def use(self, config: DiffractogramConfig) -> None:
        """Reduce with another configuration from the next document on, as after a change in mid-run."""
        if config is not self._callback.config:
            self._callback.configure(config)

    def feed(self, name: str, doc: dict[str, Any]) -> Iterator[NamedDocument]:
        """Take one raw document; gives the derived ones that are ready."""
        if name == "start" and not is_derived(doc):
            self._runs[doc["uid"]] = _RawRun(doc)
        elif name == "descriptor" and doc.get("run_start") in self._runs:
            self._runs[doc["run_start"]].streams[doc.get("name", "")] = list(doc["data_keys"])
        elif name in ("resource", "stream_resource") and doc.get("run_start") in self._runs:
            run = self._runs[doc["run_start"]]
            run.first_file = run.first_file or uri_of(doc)
        elif name == "stop" and doc["run_start"] in self._runs:
            numbers = doc.get("num_events") or {}
            self._runs[doc["run_start"]].number_of_events = numbers.get(self.config.stream, 0)
        self._expected(name, doc)
        self._lost_dtype(name, doc)
        self._callback(name, doc)
        if name == "stop":
            self._stopping.append(doc["run_start"])
        if self._stopping and (self._ahead is None or len(self._stopping) >= MOST_STOPPING):
            self._finish()
        yield from self._take()

    def finish(self) -> Iterator[NamedDocument]:
        """Wait for what workers still have, after the last run."""
        self._finish()
        yield from self._take()

    def _finish(self) -> None:
        if self._callback.wait():
            for uid in self._stopping:
                self._ended(uid)
            self._stopping.clear()

    def _take(self) -> Iterator[NamedDocument]:
        while self._ready:
            derived = self._ready.popleft()
            self.reduced += derived[0] == "event"
            yield derived

    def end(self, reason: str, *, broken: bool = False) -> Iterator[NamedDocument]:
        """Close the runs that have not ended: stored by half, or `broken`, not readable any further."""
        for uid, run in list(self._runs.items()):
            if uid in self._stopping:
                continue
            if not broken:
                what = "raw run %s is there by half: %s; what there is of it is reduced, into a run that says aborted"
                logger.error(what, uid, reason)
            run.broken = broken
            stop = {
                "uid": str(uuid.uuid4()), "run_start": run.start["uid"], "time": time.time(),
                "exit_status": "abort", "reason": reason,
            }  # fmt: skip
            yield from self.feed("stop", stop)

    def fail(self, uid: str, error: ReplayError) -> None:
        """Note that a run could not be replayed."""
        logger.error("%s", error)
        self.failures[uid] = error

    def _receive(self, name: str, doc: dict[str, Any]) -> None:
        if name == "start":
            self._held[doc["uid"]] = [(name, doc)]
            self._raw_uids[doc["uid"]] = doc["raw_uid"]
            return
        uid = doc.get("run_start")
        if name == "stop":
            self._stopped(doc)
        elif uid is not None and uid in self._held:
            self._ready.extend([*self._held.pop(uid), (name, doc)])
        else:
            self._ready.append((name, doc))

    def _stopped(self, doc: dict[str, Any]) -> None:
        frames, raw_uid = doc["frames"], self._raw_uids.pop(doc["run_start"])
        held = self._held.pop(doc["run_start"], [])
        run = self._runs[raw_uid]
        run.seen = True
        self._expected.reduced(raw_uid, frames["reduced"] + frames["replaced"])
        if frames["reduced"] == 0 and run.broken:
            return  # what is wrong with it is told by whoever reads it
        if frames["reduced"] == 0 and (frames["skipped"] or run.number_of_events):
            self.fail(raw_uid, ReplayError(_nothing_reduced(run, frames)))
            return
        self.replayed += 1
        if frames["skipped"]:
            logger.warning("raw run %s: %s", raw_uid, _skipped(frames))
        self._ready.extend([*held, ("stop", doc)])

    def _ended(self, uid: str) -> None:
        run = self._runs.pop(uid, None)
        if run is not None and not run.seen and not run.broken:
            config = self.config
            wanted = "no images" if config.image_key is None else f"no images under {config.image_key!r}"
            there = "; ".join(f"{name}: {', '.join(keys)}" for name, keys in run.streams.items()) or "it has no data"
            message = (
                f"raw run {uid} has {wanted} in its stream {config.stream!r} ({there}): image_key and stream say where"
            )
            self.fail(uid, ReplayError(message))


def _skipped(frames: Mapping[str, Any]) -> str:
    told = "; ".join(
        f"{n} for {why}: {frames.get('messages', {}).get(why, '')}" for why, n in frames["reasons"].items()
    )
    return f"of {frames['received']} frames {frames['skipped']} could not be reduced ({told})"


def _nothing_reduced(run: _RawRun, frames: Mapping[str, Any]) -> str:
    if not frames["received"] and frames.get("darks", {}).get("received"):
        return f"raw run {run.start['uid']}: all of its {frames['darks']['received']} images are darks"
    if not frames["received"]:
        return (
            f"raw run {run.start['uid']} has {run.number_of_events} events, and nothing in its documents says where "
            f"their images are: {NO_STREAMS}"
        )
    message = f"raw run {run.start['uid']}: {_skipped(frames)}"
    if "file" in frames["reasons"] and run.first_file:
        message += (
            f". Its documents say {run.first_file}: if the files were moved, say where they are now with "
            "root_map={there: here}"
        )
    return message
