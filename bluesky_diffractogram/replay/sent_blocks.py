"""Blocks of frames that worker processes have: sent, waited for, and sent again where a worker was killed."""

from __future__ import annotations

import logging
import math
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..documents.ahead import Reduced, Shape
from ..documents.setting import Setting
from ..reduction.dark import AnyDark
from ..reduction.frame import FrameError
from .blocks import Block, Done, Found, Job, Piece
from .workers import Killed, NoWorkers

logger = logging.getLogger(__name__)

FIRST_FRAMES = 8
BLOCK_S = 1.5
BLOCK_BYTES = 2**25
BLOCKS_PER_WORKER = 2

KILLED = "killed"
"""The reason for which frames are skipped that kill whoever reduces them."""

Results = dict[Piece, Found]


class Task(Protocol):
    """What `workers.Task` offers."""

    def result(self) -> Done: ...
    def wait(self) -> None: ...


class Submit(Protocol):
    """What `workers.Workers` offers."""

    def __len__(self) -> int: ...
    def submit(self, job: Job, block: Block) -> Task: ...


@dataclass(eq=False)
class Collected:
    """Pieces of one run under one setting with one dark, as they are collected, computed, and taken."""

    run_uid: str
    setting: Setting
    first_shape: Shape  # of its first frame, or what that will probably have
    dark: AnyDark | None = None
    pieces: list[Piece] = field(default_factory=list)
    documents: dict[str, tuple[str, Any]] = field(default_factory=dict)
    frames: int = 0
    untaken: int = 0  # pieces whose frames have not all been asked for
    task: Task | None = None
    results: Results | None = None

    def add(self, piece: Piece, documents: list[tuple[str, Any]]) -> None:
        """Take one more piece in, with what tells of its files."""
        self.pieces.append(piece)
        self.documents |= {doc.get("datum_id") or doc["uid"]: (name, doc) for name, doc in documents}
        if any(name == "resource" for name, _ in documents):  # whose readers, which a stream needs not, take a second
            self.documents.setdefault(piece.descriptor["uid"], ("descriptor", piece.descriptor))
        self.frames += piece.frames
        self.untaken += 1


class SentBlocks:
    """The blocks that workers have, done or not.

    Parameters
    ----------
    workers
        Who reduces.
    options
        What reads the frames' files, as `Job` takes it.

    Attributes
    ----------
    blocks
        Those that were sent, and not let go of.
    frames_per_block
        How many frames the next block is to have.
    broken
        Whether there are no workers any more.
    """

    def __init__(self, workers: Submit, options: tuple[Any, ...]) -> None:
        self._workers, self._options = workers, options
        self._jobs: dict[int, Job] = {}
        self.blocks: list[Collected] = []
        self.frames_per_block = FIRST_FRAMES
        self.broken = False

    @property
    def full(self) -> bool:
        """Whether there are as many blocks as there may be."""
        return len(self.blocks) >= BLOCKS_PER_WORKER * len(self._workers)

    def send(self, block: Collected) -> None:
        """Give a block to the workers."""
        self.blocks.append(block)
        try:
            block.task = self._submit(block, tuple(block.pieces))
        except NoWorkers as error:
            self._break(error)

    def _submit(self, block: Collected, pieces: tuple[Piece, ...]) -> Task:
        number = block.setting.stream_number
        if number not in self._jobs:
            key, setting = uuid.uuid4().hex, block.setting
            self._jobs[number] = Job(key, setting.config, setting.provenance, *self._options)
        return self._workers.submit(
            self._jobs[number], Block(pieces, tuple(block.documents.values()), block.first_shape, block.dark)
        )

    def results(self, block: Collected) -> Results:
        """What became of a block that was sent, which is waited for."""
        if block.results is None:
            block.results = {} if block.task is None or self.broken else self._wait_for(block, block.task)
            block.task = None
        return block.results

    def _wait_for(self, block: Collected, task: Task) -> Results:
        try:
            done = task.result()
        except Killed:
            return self._one_by_one(block)
        except Exception as error:
            self._break(error)
            return {}
        self._fit(done)
        return dict(zip(block.pieces, done.pieces, strict=True))

    def _fit(self, done: Done) -> None:
        """Make blocks as large as they should be, after one that is done."""
        if done.frames:
            in_time = math.ceil(BLOCK_S * done.frames / max(done.seconds, 1e-6))
            in_room = BLOCK_BYTES * done.frames // max(done.nbytes, 1)
            self.frames_per_block = max(1, min(in_time, in_room))

    def _one_by_one(self, block: Collected) -> Results:
        """The frames of a block whose worker was killed, each by itself, to find the one that does it."""
        what = "run %s: a worker was killed, and the %d frames that it had are reduced again, one by one"
        logger.warning(what, block.run_uid, block.frames)
        try:
            singles = [one for piece in block.pieces for one in piece.one_by_one()]
            tasks = [self._submit(block, (one,)) for one in singles]
            found = {one: self._single(block, one, task, tasks) for one, task in zip(singles, tasks, strict=True)}
        except Exception as error:
            self._break(error)
            return {}
        frames = iter(found.values())
        return {piece: _joined([next(frames) for _ in piece.one_by_one()]) for piece in block.pieces}

    def _single(self, block: Collected, one: Piece, task: Task, others: list[Task]) -> Found:
        with suppress(Killed):
            return task.result().pieces[0]
        # Once more, with no other of ours in any worker, so that none is suspected because it stood beside another.
        for other in (*others, *(each.task for each in self.blocks if each.task is not None)):
            other.wait()
        with suppress(Killed):
            return self._submit(block, (one,)).result().pieces[0]
        error = FrameError(
            KILLED, "a worker was killed each time it reduced it, by a fault in a library or by the system"
        )
        subtracted = "" if block.dark is None else block.dark.digest
        return error if one.total is None else (Reduced(one.total, (0, 0), error, subtracted),)

    def _break(self, error: Exception) -> None:
        if not self.broken:
            logger.error("the workers failed, and the rest is reduced without them: %s", error)
        self.broken = True


def _joined(found: list[Found]) -> Found:
    """The frames of a piece that were reduced one by one; what is true of the event is so for each of them."""
    joined: list[Reduced | None] = []
    for each in found:
        if isinstance(each, FrameError):
            return each
        joined.extend(each or (None,))
    return tuple(joined)
