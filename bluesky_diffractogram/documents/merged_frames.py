"""The images of further detectors in an event, and their frames beside those of the first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import repeat

from numpy.typing import NDArray

from ..files import NotReadable
from ..reduction.detectors import Detector
from ..reduction.frame import Frame, FrameError, check_image
from ..reduction.moved import Moved
from .digests import frame_digest
from .images import is_in_file
from .messages import ImagesReceived
from .setting import Setting

ABSENT = "absent"
"""The digest of an image that no document tells of."""

Read = Callable[[], Frame]
ReadOrWhyNot = Callable[[], Frame | FrameError]


@dataclass(frozen=True, eq=False, slots=True)
class Further:
    """The frames of one event on a further detector.

    Attributes
    ----------
    total
        How many the event has of it; None if it is optional and there are none.
    frames
        Those that are wanted. Of an optional detector each may give why it is not there.
    """

    detector: Detector
    total: int | None
    frames: Iterator[ReadOrWhyNot]


def no_image(key: str) -> FrameError:
    """That documents tell of no image in an event."""
    return FrameError("no image", f"the event has no value for {key!r}")


def images_of_others(images: ImagesReceived, setting: Setting) -> list[tuple[Detector, ImagesReceived]]:
    """The images of the same event on the further detectors of a setting, each as if it was the only one."""
    return [(each, image_under(images, each.data_key, setting.of(each))) for each in setting.others]


def image_under(images: ImagesReceived, key: str, setting: Setting) -> ImagesReceived:
    """The images of an event under one data key, as if it was the only one."""
    event, rows = images.event, images.rows if key == images.image_key else dict(images.other_rows).get(key)
    in_file = rows is not None or (key in event["data"] and is_in_file(images.descriptor, event, key))
    return replace(images, image_key=key, rows=rows, in_file=in_file, setting=setting, other_rows=())


def absent_ones(images: ImagesReceived, setting: Setting) -> list[tuple[str, FrameError]]:
    """What `Frame.lacks` says of an event of whose images on optional detectors no document tells."""
    others = images_of_others(images, setting) if any(each.optional for each in setting.others) else []
    return [(each.image_key, no_image(each.image_key)) for detector, each in others if not each.is_told]


def further_frames(detector: Detector, open_them: Callable[[], tuple[int, Iterator[Read]]], *, waits: bool) -> Further:
    """The frames of an event on a further detector.

    Parameters
    ----------
    detector
        Which.
    open_them
        Gives how many there are, and those that are wanted.
    waits
        Whether its file may still become readable.

    Raises
    ------
    NotReadable, FrameError
        They cannot be had, where the detector is not optional or its file is waited for.
    """
    usable = partial(_usable, detector, waits)
    try:
        total, frames = open_them()
    except (NotReadable, FrameError) as error:
        return Further(detector, None, repeat(partial(_not_there, _why(detector, error, waits))))
    return Further(detector, total, (partial(usable, read) for read in frames))


def _usable(detector: Detector, waits: bool, read: Read) -> Frame | FrameError:
    try:
        frame = read()
        if detector.optional:  # else whoever reduces it refuses it
            check_image(frame.image, detector.shape)
        return frame
    except (NotReadable, FrameError) as error:
        return _why(detector, error, waits)


def _why(detector: Detector, error: NotReadable | FrameError, waits: bool) -> FrameError:
    """Why there is no image of an optional detector; of another one it is raised."""
    if not detector.optional or (waits and isinstance(error, NotReadable)):
        raise error
    return error if isinstance(error, FrameError) else FrameError("file", f"its file was not readable: {error}")


def _not_there(why: FrameError) -> FrameError:
    return why


def merged_frames(key: str, total: int, frames: Iterator[Read], others: Sequence[Further]) -> Iterator[Read]:
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
    others = [_paired(each, key, total) for each in others]
    detectors = [each.detector for each in others]
    for first, *reads in zip(frames, *(each.frames for each in others), strict=False):
        yield partial(_merged, key, detectors, first, reads)


def _paired(each: Further, key: str, total: int) -> Further:
    if each.total in (None, total):
        return each
    there = f"the event has {total} frames under {key!r} and {each.total} under {each.detector.data_key!r}"
    why = _why(each.detector, FrameError("merge", there), waits=False)
    return replace(each, frames=repeat(partial(_not_there, why)))


def _merged(key: str, detectors: Sequence[Detector], read_first: Read, reads: Sequence[ReadOrWhyNot]) -> Frame:
    first = read_first()
    images: list[NDArray | None] = []
    moves: list[Moved | None] = []
    digests, lacks = [first.digest], []
    for detector, read in zip(detectors, reads, strict=True):
        found = read()
        if isinstance(found, Frame) and found.exposures != first.exposures:
            there = f"{first.exposures} frames under {key!r} and {found.exposures} under {detector.data_key!r}"
            found = _why(detector, FrameError("merge", f"the event has {there}"), waits=False)
        if isinstance(found, Frame):
            images.append(found.image)
            moves.append((found.moved or Moved()).beside(first.moved))
            digests.append(found.digest)
        else:
            images.append(None)
            moves.append(None)
            digests.append(ABSENT if found.kind == "no image" else "")
            lacks.append((detector.data_key, found))
    moved = first.moved
    if any(each is not None for each in moves):
        moved = replace(moved or Moved(), others=tuple(moves))
    digest = merged_digest(digests)
    return replace(first, others=tuple(images), digest=digest, moved=moved, lacks=tuple(lacks))


def merged_digest(digests: Iterable[str]) -> str:
    """The digest of the frames of all detectors; empty where that of one is not known."""
    return frame_digest([digest or None for digest in digests], None)
