"""Frames of several detectors whose StreamDatum documents come one after the other."""

from __future__ import annotations

import logging
import math
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from .messages import DarkReceived, Document, ImagesReceived, Message, StreamRows, images_of
from .setting import Setting
from .stream_join import MOST_FRAMES_OF_A_DATUM, is_stream

logger = logging.getLogger(__name__)

MOST_ROWS = 200_000
MOST_HELD = 100_000
MOST_HELD_IN_MEMORY = 64

Held = ImagesReceived | DarkReceived
Place = tuple[str, str, int]
"""Descriptor, data key, seq_num."""


@dataclass
class MergeJoin:
    """Holds the frames of one run until it is told where those of the further detectors lie.

    A frame waits for the StreamDatum documents of all of them, and with it what comes after it, so that the order is
    kept. One for which no document comes goes on without, to be skipped for that: as soon as its detector tells of a
    later seq_num of the descriptor, since it does so in order, or when the run ends.
    """

    _rows: OrderedDict[Place, StreamRows] = field(default_factory=OrderedDict)
    # The seq_num that came last: of each further detector, by descriptor and data key, and of the frames.
    _told: dict[tuple[str, str], int] = field(default_factory=dict)
    _newest: dict[str, int] = field(default_factory=dict)
    _held: deque[Held] = field(default_factory=deque)
    _in_memory: int = 0

    def datum(self, doc: Document, data_key: str, number: int) -> Iterator[Message]:
        """Take a StreamDatum of a further detector, each index of which stands for `number` frames.

        Yields
        ------
        Message
            The frames that need not wait any more.
        """
        start, stop = int(doc["indices"]["start"]), int(doc["indices"]["stop"])
        if start < 0 or number < 1 or not 0 <= (stop - start) * number <= MOST_FRAMES_OF_A_DATUM:
            what = "the StreamDatum %s of %r is refused: it tells of the indices %d to %d, with %d frames each"
            logger.warning(what, doc["uid"], data_key, start, stop, number)
            return
        first = int((doc.get("seq_nums") or {}).get("start") or start + 1)
        for k in range(stop - start):
            place = doc["descriptor"], data_key, first + k
            self._rows[place] = StreamRows(doc["stream_resource"], (start + k) * number, number)
        if stop > start:
            self._told[doc["descriptor"], data_key] = first + stop - start - 1
        while len(self._rows) > MOST_ROWS:
            self._rows.popitem(last=False)
        yield from self._release()

    def complete(self, messages: Iterable[Message]) -> Iterator[Message]:
        """The messages, those with images when it is known where their further detectors' are; so are darks."""
        for message in messages:
            images = images_of(message)
            if images is None:
                yield message
                continue
            if not self._held and not _awaited(images):
                yield _like(message, _noted(images))
                continue
            self._note_order(images)
            self._held.append(_like(message, _noted(images)))
            self._in_memory += _in_memory(self._held[-1])
            yield from self._release()
            if self._in_memory > MOST_HELD_IN_MEMORY or len(self._held) > MOST_HELD:
                yield self._take()

    def flush(self) -> Iterator[Message]:
        """The frames that wait, with what is known."""
        while self._held:
            yield self._take()

    def _release(self) -> Iterator[Message]:
        while self._held and all(map(self._need_not_wait, _awaited(_images_of(self._held[0])))):
            yield self._take()

    def _need_not_wait(self, place: Place) -> bool:
        """Whether a document has come, or will not come any more."""
        descriptor, data_key, seq_num = place
        return place in self._rows or self._told.get((descriptor, data_key), seq_num) > seq_num

    def _note_order(self, images: ImagesReceived) -> None:
        """Forget what was told last if points are taken again: their documents are yet to come, with lower seq_nums."""
        descriptor, seq_num = images.descriptor["uid"], images.event["seq_num"]
        if seq_num <= self._newest.get(descriptor, -math.inf):
            for place in [each for each in self._told if each[0] == descriptor]:
                del self._told[place]
        self._newest[descriptor] = seq_num

    def _take(self) -> Held:
        message = self._held.popleft()
        self._in_memory -= _in_memory(message)
        images = _images_of(message)
        rows = [(place[1], self._rows.pop(place)) for place in _awaited(images) if place in self._rows]
        return _like(message, replace(images, other_rows=tuple(rows)))


def _images_of(message: Held) -> ImagesReceived:
    return message.images if isinstance(message, DarkReceived) else message


def _in_memory(message: Held) -> bool:
    return _images_of(message).in_memory


def _like(message: Message, images: ImagesReceived) -> Held:
    """The message that brings the same images otherwise."""
    return DarkReceived(images) if isinstance(message, DarkReceived) else images


def is_merged(setting: Setting, data_key: str) -> bool:
    """Whether a data key is that of a further detector."""
    return any(each.image_key == data_key for each in setting.config.merge)


def _noted(images: ImagesReceived) -> ImagesReceived:
    """The same, with whether images of further detectors are in its event."""
    values = (images.event["data"].get(each.image_key) for each in images.setting.config.merge)
    there = any(value is not None and not isinstance(value, str) for value in values)
    return replace(images, others_in_memory=True) if there else images


def _awaited(images: ImagesReceived) -> list[Place]:
    """The further images of an event that StreamDatum documents tell of."""
    data_keys, event = images.descriptor["data_keys"], images.event
    keys = [each.image_key for each in images.setting.config.merge]
    return [
        (images.descriptor["uid"], key, event["seq_num"])
        for key in keys
        if key != images.image_key and key in data_keys and key not in event["data"] and is_stream(data_keys[key])
    ]
