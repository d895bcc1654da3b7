"""Frames told of by StreamDatum documents, and the events that belong to them."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from .messages import REFUSED, Document, FramesPassedOver, ImagesReceived, Message, StreamRows
from .setting import Setting

logger = logging.getLogger(__name__)

MOST_FRAMES_OF_A_DATUM = 100_000
MOST_EARLY = 50_000
"""Events of some hundred bytes each; a file of documents may have all of a run's before its one StreamDatum."""


def is_stream(data_key: Document) -> bool:
    """Whether StreamDatum documents tell of the values of a data key."""
    return str(data_key.get("external", "")).startswith("STREAM:")


@dataclass
class StreamJoin:
    """Holds the frames of one descriptor until their event comes, which a StreamDatum precedes.

    The event brings the time and the readings of its point. Fly scans emit none: where nothing but streams is read,
    and a StreamDatum spans several points or another one comes first, the frames go on without.

    Parameters
    ----------
    descriptor
        Of the stream of images.
    clock
        Tells when frames without event were received; None takes the descriptor's time.
    """

    descriptor: Document
    clock: Callable[[], float] | None
    _waiting: OrderedDict[int, ImagesReceived] = field(default_factory=OrderedDict)
    # Events whose datum did not come before them, as it does from a RunEngine; stores may give it in another order.
    _early: OrderedDict[int, Document] = field(default_factory=OrderedDict)
    _without_events: bool = False
    _lost: bool = False

    def datum(self, doc: Document, image_key: str, number: int, setting: Setting, run_uid: str) -> Iterator[Message]:
        """Take a StreamDatum of the images.

        Parameters
        ----------
        doc
            The document.
        image_key
            The data key of the images.
        number
            How many frames each of its indices stands for.
        setting
            In force now.
        run_uid
            The raw run.

        Yields
        ------
        Message
            The frames that need not wait.
        """
        indices, seq_nums = doc["indices"], doc.get("seq_nums") or {}
        start, stop = int(indices["start"]), int(indices["stop"])
        if start < 0 or number < 1 or not 0 <= (stop - start) * number <= MOST_FRAMES_OF_A_DATUM:
            # Refused as a whole: to make as many messages as somebody says would block the scan.
            what = "the StreamDatum %s is refused: it tells of the indices %d to %d, with %d frames each"
            logger.warning(what, doc["uid"], start, stop, number)
            yield FramesPassedOver(run_uid, doc["uid"], max(1, (stop - start) * number), REFUSED)
            return
        first = int(seq_nums.get("start") or start + 1)
        # bluesky lets an event have one index of a StreamDatum, and not the next one before it is out.
        of_no_event = stop - start > 1 or (self._waiting and first not in self._waiting)
        if of_no_event and self._reads_streams_only():
            self._without_events = True
            yield from self.flush()
        time = self.descriptor["time"] if self.clock is None else self.clock()
        each = setting.config.frames_per_event == "each"
        for k in range(stop - start):
            event = {
                "uid": f"{doc['uid']}:{k}", "descriptor": self.descriptor["uid"], "seq_num": first + k, "time": time,
                "data": {}, "timestamps": {}, "filled": {},
            }  # fmt: skip
            rows = StreamRows(doc["stream_resource"], (start + k) * number, number)
            images = ImagesReceived(
                run_uid, self.descriptor, event, image_key, True, number if each else 1, setting, rows
            )
            if self._without_events:
                yield images
                continue
            early = self._early.pop(first + k, None)
            if early is not None:
                yield replace(images, event=early)
                continue
            # A point that is taken again before its event was out: the frames of the first try are nobody's.
            superseded = self._waiting.pop(first + k, None)
            if superseded is not None:
                yield FramesPassedOver(run_uid, superseded.event["uid"], superseded.frames, "replaced")
            self._waiting[first + k] = images

    def event(self, doc: Document) -> Iterator[Message]:
        """Take an event of the descriptor: its frames, and those of earlier ones that will not come any more."""
        seq_num = doc["seq_num"]
        for earlier in [each for each in self._waiting if each < seq_num]:
            yield self._waiting.pop(earlier)
        images = self._waiting.pop(seq_num, None)
        if images is not None:
            yield replace(images, event=doc)
            return
        self._early[seq_num] = doc
        if len(self._early) > MOST_EARLY:
            lost, _ = self._early.popitem(last=False)
            if not self._lost:
                self._lost = True
                logger.warning(
                    "run %s: more than %d events wait for a StreamDatum: from the seq_num %d on frames lose readings",
                    self.descriptor["run_start"], MOST_EARLY, lost,
                )  # fmt: skip

    def flush(self) -> Iterator[Message]:
        """The frames that wait, without their events."""
        while self._waiting:
            yield self._waiting.popitem(last=False)[1]

    def _reads_streams_only(self) -> bool:
        return all(is_stream(key) for key in self.descriptor["data_keys"].values())
