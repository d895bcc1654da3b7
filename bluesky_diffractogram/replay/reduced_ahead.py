"""Frames in files, reduced by worker processes while the documents of earlier ones are made here."""

from __future__ import annotations

import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from typing import Any

from ..documents.ahead import Reduced, Shape
from ..documents.assets import Assets
from ..documents.messages import AssetDescribed, ImagesReceived, Message
from ..files import NotReadable, Unreadable
from ..reduction.dark import AnyDark
from ..reduction.diffractogram import Reduction
from ..reduction.frame import FrameError
from .blocks import Piece, piece_of
from .darks_ahead import DarksAhead
from .sent_blocks import KILLED, Collected, SentBlocks, Submit

logger = logging.getLogger(__name__)

MOST_SHAPES = 1000
MOST_WAITING = 1000


PassedOver = Callable[[ImagesReceived, int, Assets, AnyDark | None], bool]


class ReducedAhead:
    """Gives frames to workers in blocks, and what became of them back in order; an `Ahead`.

    A block is as many frames as take a worker some 1.5 s. There are two blocks for each worker, done or not, and no
    more: so much memory is taken, however long the run is. What a worker cannot read or reduce is left to the process
    that replays, where it is reduced or skipped as ever; so are the first run's frames up to one that is reduced, of
    whose shape the others are expected to be. A frame whose workers are killed, three times over, is skipped.

    Parameters
    ----------
    workers
        Who reduces.
    handler_registry, root_map, roots
        As for `replay`.
    passed_over
        Says which frames in files will probably not be asked for, given what reads them and their dark.
    """

    def __init__(
        self,
        workers: Submit,
        handler_registry: Mapping[str, Any] | None = None,
        root_map: Mapping[str, str] | None = None,
        roots: Any = None,
        passed_over: PassedOver = lambda images, index, assets, dark: False,
    ) -> None:
        self._sent = SentBlocks(workers, (handler_registry, root_map, None if roots is None else tuple(roots)))
        self._assets = Assets(handler_registry, root_map, roots)  # which sees documents before their turn
        self._darks = DarksAhead(self._assets)
        self._passed_over = passed_over
        # Of the first frame of each run, and of the latest run whose was seen, under each setting.
        self._shapes: OrderedDict[tuple[str, int], Shape] = OrderedDict()
        self._likely: dict[int, Shape] = {}
        self._open: Collected | None = None
        self._of_event: dict[ImagesReceived, deque[tuple[Piece, Collected]]] = {}
        self._waiting: dict[ImagesReceived, None] = {}

    @property
    def full(self) -> bool:
        """Whether there are as many blocks as there may be."""
        return self._sent.full

    def see(self, message: Message) -> bool:
        """Take the frames of a message into blocks; False where none of them can be."""
        self._darks.see(message)
        match message:
            case AssetDescribed(name, doc):
                self._assets.receive(name, doc)
            case ImagesReceived():
                if message.in_file and self._is_passed_over(message, 0):
                    return self._may_wait(message)
                return self._collect(message, 0)
        return True

    def _is_passed_over(self, images: ImagesReceived, index: int) -> bool:
        try:
            return self._passed_over(images, index, self._assets, self._darks.of(images))
        except FrameError:  # which is said when its turn has come
            return False

    def _may_wait(self, images: ImagesReceived) -> bool:
        """Whether an event that is passed over has to wait, for frames before it that workers have."""
        if not self._sent.blocks and self._open is None:
            return False
        self._waiting[images] = None
        return len(self._waiting) < MOST_WAITING

    def learn(self, images: ImagesReceived, shape: Shape) -> None:
        """The first frame of a run was reduced."""
        number = images.setting.stream_number
        if (images.run_uid, number) in self._shapes:
            return
        self._shapes[images.run_uid, number] = self._likely[number] = shape
        while len(self._shapes) > MOST_SHAPES:
            self._shapes.popitem(last=False)

    def alone(self, images: ImagesReceived) -> bool:
        """Whether a frame of an event that is not taken from here is followed by others that may be."""
        return images.in_file and self._number(images) is not None

    def take(self, images: ImagesReceived, index: int) -> Reduced | None:
        """What a frame became; None where it has not been given away, or came back as it was."""
        pieces = self._of_event.setdefault(images, deque())
        while pieces and pieces[0][0].end is not None and pieces[0][0].end <= index:
            self._release(pieces.popleft()[1])
        if not pieces and (self._is_passed_over(images, index) or not self._collect(images, index)):
            return None
        last = pieces[-1][0]
        if last.end is not None and last.end != last.total and not self.full:
            self._collect(images, last.end)
        self._collect_waiting()
        piece, block = pieces[0]
        if block is self._open:
            self._send(block)
        found = self._sent.results(block).get(piece, ())
        place = index - piece.begin
        one = found if isinstance(found, FrameError) else found[place] if 0 <= place < len(found) else None
        if one is None or not self._as_here(images, block, one):
            return None
        if isinstance(one, FrameError):
            raise one
        return one

    def _as_here(self, images: ImagesReceived, block: Collected, one: Reduced | FrameError) -> bool:
        """Whether a frame was reduced as it would be here: which depends on what the run's first frame is like."""
        error = one if isinstance(one, FrameError) else one.found
        if isinstance(error, FrameError) and error.kind == KILLED:
            return True  # which is not to be tried here
        first = self._shapes.get((images.run_uid, images.setting.stream_number))
        if first is None and isinstance(one, Reduced) and isinstance(one.found, Reduction):
            first = one.shape
            self.learn(images, first)
        return first == block.first_shape

    def done(self, images: ImagesReceived) -> None:
        """Let go of an event's frames, and of the blocks that have none left."""
        self._assets.done(images)
        self._darks.done(images)
        self._waiting.pop(images, None)
        for _, block in self._of_event.pop(images, ()):
            self._release(block)

    def close(self) -> None:
        """Close what is open."""
        self._of_event.clear()
        self._darks.clear()
        self._waiting.clear()
        self._sent.blocks.clear()
        self._open = None
        self._assets.forget()

    def _release(self, block: Collected) -> None:
        block.untaken -= 1
        if block.untaken:
            return
        if block is self._open:
            self._open = None
        elif block in self._sent.blocks:
            self._sent.blocks.remove(block)

    def _collect(self, images: ImagesReceived, begin: int) -> bool:
        """Take frames of an event into blocks, from `begin` on and as many as there is room for."""
        number = images.setting.stream_number
        shape = self._shapes.get((images.run_uid, number), self._likely.get(number))
        if not images.in_file or shape is None or self._sent.broken:
            return False
        documents = self._assets.described(images)
        if documents is None:
            return False
        try:
            dark = self._darks.of(images)
        except FrameError:
            return False
        total = self._number(images)
        collected = False
        while not self.full and (total is None or begin < total):
            block = self._block(images, shape, dark)
            end = None if total is None else min(total, begin + self._sent.frames_per_block - block.frames)
            piece = piece_of(images, begin, end, total)
            block.add(piece, documents)
            self._of_event.setdefault(images, deque()).append((piece, block))
            if block.frames >= self._sent.frames_per_block:
                self._send(block)
            collected = True
            if end is None:
                break
            begin = end
        return collected

    def _collect_waiting(self) -> None:
        """Take in what waits and was passed over, but will have to be reduced by now."""
        for images in list(self._waiting):
            if self.full:
                return
            if images not in self._of_event and not self._is_passed_over(images, 0):
                del self._waiting[images]
                self._collect(images, 0)

    def _number(self, images: ImagesReceived) -> int | None:
        """How many frames an event holds; None where whoever reads it will see."""
        if images.setting.config.frames_per_event != "each":
            return None
        try:
            rows = self._assets.rows(images)
        except (NotReadable, Unreadable, FrameError):
            return None
        return None if rows is None else rows.number

    def _block(self, images: ImagesReceived, shape: Shape, dark: AnyDark | None) -> Collected:
        """The block that is being collected, or a new one for frames that do not belong with those."""
        block = self._open
        if block is not None and (
            (block.run_uid, block.setting, block.first_shape) != (images.run_uid, images.setting, shape)
            or block.dark is not dark
            or block.frames >= self._sent.frames_per_block
        ):
            self._send(block)
            block = None
        if block is None:
            block = self._open = Collected(images.run_uid, images.setting, shape, dark)
        return block

    def _send(self, block: Collected) -> None:
        if block is self._open:
            self._open = None
        self._sent.send(block)
