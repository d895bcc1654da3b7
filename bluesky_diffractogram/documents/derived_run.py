"""The derived run: its documents, composed once and valid under event-model."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from event_model import DocumentNames, compose_run, schema_validators

from ..reduction.diffractogram import Reduction
from ..reduction.reducer import Reducer
from .derived_keys import OBJECT, EventData, carried_keys, data_keys, stream_configuration
from .earlier import EarlierEvent
from .images import Document
from .messages import OriginOfFrame
from .setting_changes import SettingChanges
from .tally import FrameTally
from .validity import validate_descriptor, validate_event

logger = logging.getLogger(__name__)

PURPOSE = "diffractogram"
STREAM = "diffractogram"
EXIT_STATUSES = ("success", "abort", "fail")
COPIED = ("plan_name", "sample")
COPIED_WITH_ONE_TO_ONE = ("shape", "extents", "snaking", "num_points")


@dataclass
class _Stream:
    compose_event: Any
    data_keys: Mapping[str, Any]
    events: EventData
    carried: dict[str, Any]
    name: str
    validated: bool = False


@dataclass
class DerivedRun:
    """Composes and emits the documents of the run derived from one raw run.

    Parameters
    ----------
    raw_start
        The raw run's start document.
    emit
        Called with ``(name, doc)`` of every derived document, in order.
    """

    raw_start: Document
    emit: Callable[[str, dict[str, Any]], None]
    _bundle: Any = None
    _streams: dict[Any, _Stream] = field(default_factory=dict)
    _seq_nums: dict[tuple[str, int, int], tuple[str, int]] = field(default_factory=dict)

    @property
    def started(self) -> bool:
        """Whether the start document is out."""
        return self._bundle is not None

    @property
    def uid(self) -> str | None:
        """Of the derived run."""
        return self._bundle.start_doc["uid"] if self.started else None

    def start(self, provenance: Mapping[str, Any], carried: Collection[str], *, one_to_one: bool) -> None:
        """Emit the start document.

        Parameters
        ----------
        provenance
            How the numbers are computed (`provenance.provenance`).
        carried
            The readings that the events will hold.
        one_to_one
            Whether every raw event gives one derived event, so that the scan's grid holds for both.
        """
        raw = self.raw_start
        copied = COPIED + (COPIED_WITH_ONE_TO_ONE if one_to_one else ())
        metadata: dict[str, Any] = {key: copy.deepcopy(raw[key]) for key in copied if key in raw}
        # bluesky's own tables and plots raise without these two.
        metadata["plan_type"] = raw.get("plan_type", "generator")
        metadata["scan_id"] = 0
        if "scan_id" in raw:
            metadata["raw_scan_id"] = raw["scan_id"]
            if isinstance(raw["scan_id"], int):
                # Negative, so that no catalogue takes this run for the raw one: db[7] stays the scan itself.
                metadata["scan_id"] = -raw["scan_id"]
        hints = derived_hints(raw.get("hints") or {}, carried, one_to_one=one_to_one)
        if hints:
            metadata["hints"] = hints
        metadata |= {
            "raw_uid": raw["uid"],
            "original_run_uid": raw["uid"],
            "purpose": PURPOSE,
            "detectors": [OBJECT],
            **provenance,
        }
        self._bundle = compose_run(metadata=metadata, time=raw["time"])
        self.emit("start", self._bundle.start_doc)

    def event(
        self,
        reduction: Reduction,
        reducer: Reducer,
        stream_key: Any,
        raw_descriptor: Document,
        origin: OriginOfFrame,
        described: Mapping[str, Any],
    ) -> tuple[bool, dict[str, Any]]:
        """Emit the event of one reduced frame, before it the descriptor where the stream is new.

        Parameters
        ----------
        reduction, reducer
            What was computed, and with what.
        stream_key
            Frames under the same one share a stream.
        raw_descriptor
            For what is carried.
        origin
            Of the frame. One whose raw seq_num and index were there before takes the earlier one's place.
        described
            How the numbers are computed (`provenance.provenance`).

        Returns
        -------
        replaces
            Whether it took the place of an earlier one.
        data
            Of the event, without what is carried.
        """
        stream = self._streams.get(stream_key)
        if stream is None:
            stream = self._open_stream(stream_key, reducer, raw_descriptor, described, reduction.frame.timestamp)
        data = stream.events.data(reduction, origin)
        return self._event(stream, data, origin), data

    def event_again(self, earlier: EarlierEvent, stream_key: Any, origin: OriginOfFrame) -> bool | None:
        """Emit the event of a frame that was reduced in an earlier derived run, in a stream that is there.

        Returns
        -------
        bool or None
            As `event`; None if the frame would not give the same now, and nothing was emitted.
        """
        stream = self._streams[stream_key]
        data = stream.events.again(earlier, origin)
        return None if data is None else self._event(stream, data, origin)

    def _event(self, stream: _Stream, data: dict[str, Any], origin: OriginOfFrame) -> bool:
        carried = {name: _given(origin.carried.get(name), missing) for name, missing in stream.carried.items()}
        data = {**carried, **data}
        key = origin.key
        before = self._seq_nums.get(key)
        counters = self._bundle.compose_descriptor.event_counters
        next_seq_num = counters[stream.name]
        seq_num = before[1] if before is not None and before[0] == stream.name else next_seq_num
        time = data["timestamp"]
        timestamps = {name: origin.timestamps.get(name, time) if name in carried else time for name in data}
        event = stream.compose_event(
            data=data, timestamps=timestamps, seq_num=seq_num, time=time, validate=False,
        )  # fmt: skip
        if not stream.validated:
            validate_event(event, stream.data_keys)
        counters[stream.name] = max(next_seq_num, seq_num + 1)
        stream.validated = True
        self._seq_nums[key] = (stream.name, seq_num)
        self.emit("event", event)
        return before is not None

    def _open_stream(
        self, key: Any, reducer: Reducer, raw_descriptor: Document, described: Mapping[str, Any], time: float
    ) -> _Stream:
        config = reducer.config
        raw_keys = carried_keys(raw_descriptor, config.carry, self.raw_start.get("hints") or {})
        ours = data_keys(reducer, {})
        clash = sorted(set(raw_keys) & set(ours))
        if clash:
            logger.warning("readings named %s are not carried: derived events have keys of these names", clash)
        raw_keys = {name: raw_key for name, raw_key in raw_keys.items() if name not in ours}
        for name in sorted(set(config.carry or ()) - set(raw_keys) - set(clash)):
            logger.warning("%r is not carried: the raw stream has no scalar of that name", name)
        keys = data_keys(reducer, raw_keys)
        object_keys: dict[str, list[str]] = {OBJECT: [name for name in keys if name not in raw_keys]}
        for name, raw_key in raw_keys.items():
            object_keys.setdefault(raw_key.get("object_name") or name, []).append(name)
        default = tuple(f"peak_{i}_position" for i in (1, 2))
        hinted = [name for name in (config.hinted or default) if name in keys]
        name = STREAM if not self._streams else f"{STREAM}_{len(self._streams) + 1}"
        bundle = self._bundle.compose_descriptor(
            name=name,
            data_keys=keys,
            object_keys=object_keys,
            configuration=stream_configuration(reducer, described, time),
            hints={OBJECT: {"fields": hinted}},
            validate=False,
        )
        validate_descriptor(bundle.descriptor_doc)
        self.emit("descriptor", bundle.descriptor_doc)
        missing = {name: _missing(raw_key) for name, raw_key in raw_keys.items()}
        stream = self._streams[key] = _Stream(bundle.compose_event, keys, EventData(reducer), missing, name)
        return stream

    def _stream_of(self, number: int) -> str | None:
        """The name of the first stream of the setting with this number."""
        return next((stream.name for key, stream in self._streams.items() if key and key[0] == number), None)

    def stop(self, exit_status: str, reason: str, tally: FrameTally, changes: SettingChanges | None = None) -> None:
        """Emit the stop document, with what became of the frames, and how settings were changed on the way."""
        doc = self._bundle.compose_stop(exit_status=exit_status, reason=reason)
        doc["frames"] = tally.document()
        settings = [] if changes is None else changes.document(self._stream_of)
        if settings:
            doc["settings"] = settings
        schema_validators[DocumentNames.stop].validate(doc)
        self.emit("stop", doc)


def ending_of(raw_stop: Document) -> tuple[str, str]:
    """Exit status and reason of a raw stop document, as a derived one may have them."""
    status, reason = raw_stop.get("exit_status", "success"), raw_stop.get("reason", "")
    if not isinstance(status, str) or status not in EXIT_STATUSES:
        return "fail", f"the raw exit status is {str(status)[:100]!r}"
    return status, "" if reason is None else reason if isinstance(reason, str) else str(reason)[:1000]


def derived_hints(raw_hints: Document, carried: Collection[str], *, one_to_one: bool) -> dict[str, Any]:
    """The raw start's hints, for the derived run.

    Dimensions name our stream instead of theirs, and those that are not carried are left out. A gridding holds
    only where each raw event gives one of ours, and no dimension is left out.
    """
    raw_dimensions = raw_hints.get("dimensions") or ()
    known = {*carried, "time"}
    dimensions = [[list(fields), STREAM] for fields, _ in raw_dimensions if known.issuperset(fields)]
    hints: dict[str, Any] = {"dimensions": dimensions} if dimensions else {}
    if one_to_one and "gridding" in raw_hints and len(dimensions) == len(raw_dimensions):
        hints["gridding"] = raw_hints["gridding"]
    return hints


def _given(value: Any, missing: Any) -> Any:
    return missing if value is None else value


def _missing(raw_key: Document) -> Any:
    """What stands in for a carried reading that an event lacks: events have no nulls."""
    return {"string": "", "boolean": False, "integer": 0}.get(raw_key["dtype"], float("nan"))
