"""Darks that come with the frames: their mean, and the table of the one pass with one in force."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .frame import Frame, FrameError, add_frames
from .kernel import count_pixels, sum_rows
from .table import PixelTable, first_rows, of_frame
from .validity import Validity


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Dark:
    """What is subtracted from every exposure of the frames that it belongs to.

    Attributes
    ----------
    image
        ``(ny, nx)`` float32, as frames are stored, in counts of one exposure; NaN where it is not known. Never
        written to.
    number
        By which it is told from the others, from 1.
    digest
        What another image would not have.
    """

    image: NDArray[np.float32]
    number: int
    digest: str

    @property
    def numbers(self) -> tuple[int, ...]:
        """Its number, as `MergedDark` has those of several."""
        return (self.number,)


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class MergedDark:
    """The darks of frames of several detectors.

    Attributes
    ----------
    parts
        Of each detector, the first one's first; None for one that has none, or always the same.
    """

    parts: tuple[Dark | None, ...]

    @property
    def numbers(self) -> tuple[int, ...]:
        """The number of each; 0 where there is none."""
        return tuple(0 if part is None else part.number for part in self.parts)

    @property
    def digest(self) -> str:
        """What others would not have."""
        return " ".join("" if part is None else part.digest for part in self.parts)


AnyDark = Dark | MergedDark


def check_dark(dark: Dark, shape: tuple[int, int]) -> None:
    """Refuse a dark whose frames, of `shape`, have another.

    Raises
    ------
    FrameError
        Naming both.
    """
    if dark.image.shape != shape:
        what = f"the dark {dark.number} has shape {dark.image.shape}, expected that of the frame, {shape}"
        raise FrameError("dark", what)


def mean_dark(images: Iterable[NDArray], validity: Validity) -> NDArray[np.float32]:
    """The mean of several images.

    Parameters
    ----------
    images
        ``(ny, nx)`` raw counts each; at least one.
    validity
        The rules for frames. The lower one of their limits does not hold for darks, whose counts may honestly be
        less: a pixel that is dead is found in each frame.

    Returns
    -------
    numpy.ndarray
        ``(ny, nx)`` float32, NaN where a pixel is invalid in any of them.

    Raises
    ------
    FrameError
        They are no images of real numbers, or differ in shape.
    """
    if validity.limits is not None:
        validity = replace(validity, limits=(-np.inf, validity.limits[1]))
    total = add_frames((Frame(image, 0.0) for image in images), "sum", validity.invalid)
    return (total.image / total.exposures).astype(np.float32)


def known_part(
    dark: NDArray[np.float32], mask: NDArray[np.bool_], constant: NDArray[np.float32] | None
) -> tuple[NDArray[np.float32], NDArray[np.bool_] | None]:
    """A dark as pyFAI takes it.

    Parameters
    ----------
    dark
        ``(ny, nx)`` as the calibration sees it, NaN where it is not known.
    mask
        ``(ny, nx)``, True where a pixel is never used.
    constant
        ``(ny, nx)``, what is subtracted besides, or None.

    Returns
    -------
    dark, unknown
        ``(ny, nx)``: all that is subtracted, finite everywhere; and True where a pixel of the frame must not count, or
        None if all do.
    """
    usable = np.isfinite(dark) & ~mask
    unknown = ~(usable | mask)
    known = np.where(usable, dark if constant is None else constant + dark, np.float32(0.0))
    return known, unknown if unknown.any() else None


def table_with_dark(table: PixelTable, dark: NDArray[np.float32]) -> PixelTable:
    """The same table with another dark; nothing is split anew.

    A pixel whose dark is not known keeps its rows, of which no part goes into any bin any more: a frame takes the time
    that it takes with a dark that never changes, whatever the dark.

    Parameters
    ----------
    table
        Without the dark; what it subtracts besides, a background, stays.
    dark
        ``(ny, nx)`` as frames are stored, NaN where it is not known.
    """
    begins = first_rows(table.pixel)
    used = table.pixel[begins]
    of_pixel = dark.reshape(-1)[used]
    unknown = ~np.isfinite(of_pixel)
    if table.dark is not None:
        of_pixel = table.dark + of_pixel
    rows: tuple[NDArray, ...] = (table.pixel, table.first_bin, table.first_part, table.second_part)
    n, changed = len(table.count), table
    if unknown.any():
        of_pixel[unknown] = 0.0
        lost = unknown[np.cumsum(begins) - 1]
        rows = (*rows[:2], *(np.where(lost, np.float32(0.0), part) for part in rows[2:]))
        changed = replace(
            table,
            first_part=rows[2],
            second_part=rows[3],
            normalization=sum_rows(*rows, of_frame(table.weight, used, dark.size), n),
            count=count_pixels(*rows[1:], n),
        )
    return replace(changed, dark=of_pixel, dark_sum=sum_rows(*rows, of_frame(of_pixel, used, dark.size), n))
