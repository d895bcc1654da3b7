"""One detector image, as it reaches the reduction."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .moved import Moved

if TYPE_CHECKING:
    from .dark import AnyDark


class FrameError(ValueError):
    """A frame that cannot be reduced.

    Parameters
    ----------
    kind
        A short name by which such frames are counted: ``"shape"``, ``"dtype"``, ``"normalization"``, …
    message
        What is wrong with this one, with what was expected.
    """

    def __init__(self, kind: str, message: str) -> None:
        self.kind = kind
        super().__init__(message)

    def __reduce__(self) -> tuple[type[FrameError], tuple[str, str]]:
        return type(self), (self.kind, str(self))


@dataclass(frozen=True, eq=False, slots=True)
class Frame:
    """One detector image with its time and name.

    Attributes
    ----------
    image
        ``(ny, nx)``, the raw counts as the detector stored them, in their own dtype. Never written to.
    timestamp
        When the frame was taken, in seconds since the epoch.
    imagename
        What people call the frame: a file name with an index, or run and number.
    monitor
        What divides the diffractogram (the reading named by ``normalization``), or None.
    exposures
        How many frames were added up in `image`. With more than one, the pixels that are invalid in any of
        them are NaN already and are not tested again, and the dark counts as often.
    digest
        What a frame with other pixels would not have; empty where that is not known.
    dark
        What is subtracted from each exposure, where darks come with the frames; None for nothing.
    moved
        What is told of its geometry; None where that is the calibration's.
    others
        What further detectors saw at the same time, ``(ny, nx)`` each, in the order in which ``merge`` names them; None
        for an optional one whose image is not there.
    lacks
        The data keys of those that are not there, and why.
    """

    image: NDArray
    timestamp: float
    imagename: str = ""
    monitor: float | None = None
    exposures: int = 1
    digest: str = ""
    dark: AnyDark | None = None
    moved: Moved | None = None
    others: tuple[NDArray | None, ...] = ()
    lacks: tuple[tuple[str, FrameError], ...] = ()


def check_image(image: NDArray, expected: tuple[int, int] | None) -> None:
    """Refuse what is no image, or not one of the detector.

    Raises
    ------
    FrameError
        Naming the expected and the actual shape or dtype.
    """
    if image.dtype.kind not in "uifb":
        raise FrameError("dtype", f"the frame has dtype {image.dtype}, expected real numbers")
    if image.ndim != 2 or image.size == 0:
        raise FrameError("shape", f"the frame has shape {image.shape}, expected two dimensions with pixels in them")
    if expected is not None and image.shape != expected:
        raise FrameError("shape", f"the frame has shape {image.shape}, expected {expected}")


def add_frames(frames: Iterable[Frame], how: str, invalid: Callable[[NDArray], NDArray | None]) -> Frame:
    """Several frames of one event as one.

    A pixel that is invalid in any of the frames is invalid in their sum, as a sum over fewer exposures
    would read low.

    Parameters
    ----------
    frames
        At least one, all of one shape; each is let go before the next is taken.
    how
        ``"sum"``, or ``"mean"``: the sum, with their number among what divides the diffractogram, so that its
        uncertainty is that of all counts.
    invalid
        Gives ``(ny, nx)``, True where a raw image is invalid, or None (`Validity.invalid`).

    Returns
    -------
    Frame
        Its image float64, NaN where invalid.
    """
    first, total, n = None, np.zeros((0, 0)), 0
    for frame in frames:
        if first is None:
            check_image(frame.image, None)
            first, total = replace(frame, image=frame.image[:0]), np.zeros(frame.image.shape)
        check_image(frame.image, (total.shape[0], total.shape[1]))
        bad = invalid(frame.image)
        total += frame.image
        if bad is not None:
            total[bad] = np.nan
        n += 1
    assert first is not None
    monitor = first.monitor
    if how == "mean":
        monitor = n * (1.0 if monitor is None else monitor)
    return Frame(total, first.timestamp, first.imagename, monitor, n)
