"""The images of further detectors in an event, and their frames beside those of the first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from ..reduction.detectors import Detector
from ..reduction.frame import Frame, FrameError
from .digests import frame_digest
from .images import is_in_file
from .messages import ImagesReceived
from .setting import Setting

Read = Callable[[], Frame]


def images_of_others(images: ImagesReceived, setting: Setting) -> list[ImagesReceived]:
    """The images of the same event on the further detectors of a setting, each as if it was the only one."""
    return [_of_other(images, setting, each) for each in setting.others]


def _of_other(images: ImagesReceived, setting: Setting, detector: Detector) -> ImagesReceived:
    key, event = detector.data_key, images.event
    rows = dict(images.other_rows).get(key)
    in_file = rows is not None or (key in event["data"] and is_in_file(images.descriptor, event, key))
    return replace(images, image_key=key, rows=rows, in_file=in_file, setting=setting.of(detector), other_rows=())


def merged_frames(
    key: str, total: int, frames: Iterator[Read], others: Sequence[tuple[str, int, Iterator[Read]]]
) -> Iterator[Read]:
    """The frames of an event with those of further detectors, paired by their index.

    Parameters
    ----------
    key, total, frames
        The data key of the first detector, how many frames the event has of it, and those that are wanted.
    others
        The same of the further ones.

    Raises
    ------
    FrameError
        There are not equally many.
    """
    for other, number, _ in others:
        if number != total:
            raise FrameError("merge", f"the event has {total} frames under {key!r} and {number} under {other!r}")
    keys = [key, *(other for other, _, _ in others)]
    for reads in zip(frames, *(of_other for _, _, of_other in others), strict=True):
        yield partial(_merged, keys, reads)


def _merged(keys: Sequence[str], reads: Sequence[Read]) -> Frame:
    first, *others = frames = [read() for read in reads]
    for key, other in zip(keys[1:], others, strict=True):
        if other.exposures != first.exposures:
            there = f"{first.exposures} frames under {keys[0]!r} and {other.exposures} under {key!r}"
            raise FrameError("merge", f"the event has {there}")
    return replace(first, others=tuple(each.image for each in others), digest=merged_digest(f.digest for f in frames))


def merged_digest(digests: Iterator[str]) -> str:
    """The digest of the frames of all detectors; empty where that of one is not known."""
    return frame_digest([digest or None for digest in digests], None)
