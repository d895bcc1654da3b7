"""Blocks of frames on their way to a worker process, and what is done with them there. Knows no dask."""

from __future__ import annotations

import logging
import tempfile
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..config import DiffractogramConfig
from ..documents.ahead import Reduced
from ..documents.assets import Assets
from ..documents.dark_in_force import Lack, frame_with_dark, lacks_dark
from ..documents.frames import frame_shape_of, read_frames
from ..documents.messages import Document, ImagesReceived, Reading, StreamRows
from ..documents.moving import only_readings
from ..documents.provenance import calibration_file
from ..documents.setting import Reducers, Setting
from ..reduction.dark import AnyDark
from ..reduction.diffractogram import Cake, Reduction
from ..reduction.frame import Frame, FrameError

logger = logging.getLogger(__name__)

Shape = tuple[int, int]

KEPT_JOBS = 2
ARRAYS_OF_A_DIFFRACTOGRAM = 5  # as long as each other; their axis they share

Found = tuple[Reduced | None, ...] | FrameError

THIS_PROCESS = uuid.uuid4().hex
"""Another in every process."""


@dataclass(frozen=True, eq=False)
class Job:
    """What a worker needs to know once.

    Attributes
    ----------
    key
        Its name among the jobs of a worker.
    config
        The configuration.
    provenance
        What it amounted to where the run is replayed (`documents.provenance`): the same is to come out here.
    handler_registry, root_map, roots
        As for `replay`.
    replaying
        The process that replays.
    """

    key: str
    config: DiffractogramConfig
    provenance: Mapping[str, Any]
    handler_registry: Mapping[str, Any] | None = None
    root_map: Mapping[str, str] | None = None
    roots: tuple[str, ...] | None = None
    replaying: str = THIS_PROCESS


@dataclass(frozen=True, eq=False, slots=True)
class Piece:
    """Some frames of one event.

    Attributes
    ----------
    begin, end
        The first one, and the first one behind them; None are all, if it is not known how many there are.
    total
        How many the event has, if it is known.
    """

    run_uid: str
    descriptor: Document
    event: Document
    image_key: str
    rows: StreamRows | None
    other_rows: tuple[tuple[str, StreamRows], ...]
    texts: Mapping[str, str | Exception]
    baseline: Mapping[str, Reading]
    begin: int
    end: int | None
    total: int | None

    @property
    def frames(self) -> int:
        """How many frames it is, as far as can be told."""
        return 1 if self.end is None else self.end - self.begin

    def one_by_one(self) -> list[Piece]:
        """The same, a frame each where it is known how many there are."""
        if self.end is None:
            return [self]
        return [replace(self, begin=index, end=index + 1) for index in range(self.begin, self.end)]


@dataclass(frozen=True, eq=False, slots=True)
class Block:
    """Pieces that one worker reduces, one after the other.

    Attributes
    ----------
    pieces
        In order.
    documents
        What tells of their files.
    first_shape
        The shape of the run's first frame.
    dark
        That of all frames, where it comes with them.
    """

    pieces: tuple[Piece, ...]
    documents: tuple[tuple[str, Document], ...]
    first_shape: Shape
    dark: AnyDark | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Done:
    """What became of a block.

    Attributes
    ----------
    pieces
        Of each piece its frames, without their images and the sums of their cakes, and None for those to be dealt with
        where the run is replayed; or why none of the event's can be had.
    frames, seconds, nbytes
        How many were reduced, in which time, and what they take in memory.
    """

    pieces: tuple[Found, ...]
    frames: int
    seconds: float
    nbytes: int


class OtherResults(RuntimeError):
    """A worker would not compute the same numbers."""


def piece_of(images: ImagesReceived, begin: int, end: int | None, total: int | None) -> Piece:
    """The frames of an event, with what is needed of its documents."""
    key, event, descriptor = images.image_key, images.event, images.descriptor
    config = images.setting.config
    keys = (key, *(each.image_key for each in config.merge))
    told_by, configured = only_readings(config, descriptor)
    wanted = (*keys, "imagename", config.normalization, *sorted(told_by))
    timestamps, filled = event.get("timestamps", {}), event.get("filled") or {}
    light = {
        "uid": event["uid"], "descriptor": event["descriptor"], "seq_num": event["seq_num"], "time": event["time"],
        "data": {name: event["data"][name] for name in wanted if name in event["data"]},
        "timestamps": {name: timestamps[name] for name in (key,) if name in timestamps},
        "filled": {name: filled[name] for name in keys if name in filled},
    }  # fmt: skip
    data_keys = descriptor["data_keys"]
    if config.normalization is None or config.normalization in event["data"]:  # else the error lists them
        data_keys = {name: data_keys[name] for name in (*keys, *sorted(told_by)) if name in data_keys}
    described = {
        "uid": descriptor["uid"], "run_start": descriptor["run_start"], "name": descriptor["name"],
        "time": descriptor["time"], "data_keys": data_keys, "configuration": configured,
    }  # fmt: skip
    baseline = {name: images.baseline[name] for name in told_by if name in images.baseline}
    return Piece(
        images.run_uid, described, light, key, images.rows, images.other_rows, images.texts, baseline, begin, end, total
    )  # fmt: skip


def reduce_block(job: Job, block: Block) -> Done:
    """Reduce a block, in a worker process.

    Raises
    ------
    OtherResults
        The calibration, the mask or a version is another one here.
    """
    opened = _open(job)
    began, frames = time.perf_counter(), 0
    pieces: list[Found] = []
    for name, doc in block.documents:
        opened.assets.receive(name, doc)
    dark = opened.kept(block.dark)
    for piece in block.pieces:
        found = _reduce_piece(opened, piece, block.first_shape, dark)
        frames += len(found) if isinstance(found, tuple) else 0
        pieces.append(found)
    return Done(tuple(pieces), frames, time.perf_counter() - began, sum(map(_nbytes, pieces)))


def _nbytes(found: Found) -> int:
    if isinstance(found, FrameError):
        return 0
    reductions = [each.found for each in found if each is not None and isinstance(each.found, Reduction)]
    curves = sum(one.intensity.nbytes for reduction in reductions for one in reduction.diffractograms)
    cakes = sum(reduction.cake.intensity.nbytes for reduction in reductions if reduction.cake is not None)
    return ARRAYS_OF_A_DIFFRACTOGRAM * curves + cakes


async def forget_job(key: str) -> None:
    """Let go of what a job keeps in memory and open."""
    with _opening:
        _jobs.pop(key, None)


def _reduce_piece(opened: _Opened, piece: Piece, first_shape: Shape, dark: AnyDark | None) -> Found:
    images = ImagesReceived(
        piece.run_uid, piece.descriptor, piece.event, piece.image_key, True, piece.frames, opened.setting, piece.rows,
        piece.other_rows, texts=piece.texts, baseline=piece.baseline,
    )  # fmt: skip
    try:
        total, frames = read_frames(images, opened.setting, opened.assets, piece.begin, piece.end)
        lacks = lacks_dark(dark, images, opened.setting)
        found = tuple(_reduce_frame(opened, read, total, first_shape, dark, lacks) for read in frames)
        opened.assets.done(images)
        return found
    except FrameError as error:
        return error
    except Exception as error:  # and how long a file is waited for is decided where the run is replayed
        logger.info("left to the replaying process: %s", error)
        return ()


def _reduce_frame(
    opened: _Opened, read: Callable[[], Frame], total: int, first_shape: Shape, dark: AnyDark | None, lacks: list[Lack]
) -> Reduced | None:
    """One frame; None for what is no fault of the frame's, or not yet."""
    shape: Shape = (0, 0)
    subtracted = "" if dark is None else dark.digest
    try:
        frame = frame_with_dark(read(), dark, lacks)
        shape = frame_shape_of(frame)
        reduction = opened.reducers.at(opened.setting, shape, frame.moved, first_shape).reduce(frame)
    except FrameError as error:
        return Reduced(total, shape, error, subtracted)
    except Exception as error:
        logger.info("left to the replaying process: %s", error)
        return None
    without_image = replace(frame, image=np.empty((0, 0), frame.image.dtype), others=(), dark=None)
    return Reduced(total, shape, replace(reduction, frame=without_image, cake=_as_sent(reduction.cake)), subtracted)


def _as_sent(cake: Cake | None) -> Cake | None:
    """A cake without its sums, of which no document tells: four fifths of it."""
    nothing = np.empty((0, 0))
    return None if cake is None else replace(cake, signal=nothing, normalization=nothing)


@dataclass(eq=False)
class _Opened:
    """A job with all that it names, read once in this process."""

    setting: Setting
    reducers: Reducers
    make_assets: Callable[[], Assets]
    _local: threading.local = field(default_factory=threading.local)
    _dark: AnyDark | None = None

    @property
    def assets(self) -> Assets:
        """Each thread's own."""
        if not hasattr(self._local, "assets"):
            self._local.assets = self.make_assets()
        return self._local.assets

    def kept(self, dark: AnyDark | None) -> AnyDark | None:
        """The same dark as the object for which the reducers are ready, if that of the block before was the same."""
        last = self._dark
        if dark is not None and last is not None and (last.digest, last.numbers) == (dark.digest, dark.numbers):
            return last
        self._dark = dark
        return dark


_jobs: OrderedDict[str, _Opened] = OrderedDict()
_opening = threading.Lock()


def _open(job: Job) -> _Opened:
    with _opening:
        if job.key not in _jobs:
            if job.replaying != THIS_PROCESS:  # which says the same of the first frame, to whoever listens
                logging.getLogger(__name__.split(".")[0]).addHandler(logging.NullHandler())
            make = partial(Assets, job.handler_registry, job.root_map, job.roots)
            _jobs[job.key] = _Opened(_setting(job), Reducers(), make)
            while len(_jobs) > KEPT_JOBS:
                _jobs.popitem(last=False)
        _jobs.move_to_end(job.key)
        return _jobs[job.key]


def _setting(job: Job) -> Setting:
    """The same setting as where the run is replayed, or none."""
    wanted = job.provenance
    with tempfile.TemporaryDirectory(prefix="diffractogram-") as folder:
        config = _with_calibrations(job.config, wanted, Path(folder))
        setting = Setting.open(config)
    for key, there, here in _compared(wanted, setting.provenance):
        if there != here:
            raise OtherResults(f"{key}: {there} where the run is replayed, {here} in a worker")
    return setting


def _with_calibrations(config: DiffractogramConfig, wanted: Mapping[str, Any], folder: Path) -> DiffractogramConfig:
    """The configuration with calibrations as they are where the run is replayed, which may be another machine."""
    merge = [
        each.model_copy(update={"calibration": calibration_file(recorded, folder)})
        for each, recorded in zip(config.merge, wanted.get("merge", ()), strict=True)
    ]
    own = calibration_file(wanted["calibration"], folder)
    return config.model_copy(update={"calibration": own, "merge": tuple(merge)})


def _compared(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    yield "calibration", wanted["calibration"]["sha256"], found["calibration"]["sha256"]
    for i, (there, here) in enumerate(zip(wanted.get("merge", ()), found.get("merge", ()), strict=True)):
        yield f"merge.{i}.calibration", there["sha256"], here["sha256"]
    for key in wanted["arrays"]:
        yield key, wanted["arrays"][key]["sha256"], found["arrays"].get(key, {}).get("sha256")
    for key in wanted["versions"]:
        yield key, wanted["versions"][key], found["versions"].get(key)
