"""The table of the one-pass integration: which pixel goes into which bins of which range, in the pixels' order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import Field, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .kernel import count_pixels, sum_rows
from .limits import IntegrationRange

MOST_BLOCKS = 8
# Each block has bins of its own to be zeroed and added up, and costs a call: it must be worth that.
ROWS_PER_BIN_AND_BLOCK = 16
LEAST_ROWS_OF_A_BLOCK = 50_000
# Between the rows of which it is known whose they are; the rows between are counted, for invalid pixels only.
STRIDE = 16


class Arrays:
    """What consists of arrays, or None in the place of one."""

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        arrays = (getattr(self, name) for name in self.__dataclass_fields__)
        return sum(array.nbytes for array in arrays if array is not None)

    def nbytes_beside(self, other: Arrays) -> int:
        """Memory that it takes where `other`, of the same kind, is there, with which it may share arrays."""
        arrays = ((getattr(self, name), getattr(other, name)) for name in self.__dataclass_fields__)
        return sum(mine.nbytes for mine, theirs in arrays if mine is not None and mine is not theirs)


@dataclass(frozen=True, eq=False, slots=True)
class PixelTable(Arrays):
    """What the kernel needs of all ranges, and what it need not compute again for each frame.

    Each row takes one pixel to two neighbouring bins; a pixel that spreads over more has more rows, one after
    the other. The bins of all ranges are numbered through, with one unused behind each range.

    Attributes
    ----------
    pixel
        ``(rows,)`` uint32, ascending: index into the flattened stored frame.
    first_bin
        ``(rows,)`` uint16, uint32 with more than 65 535 bins: the first of the two bins.
    first_part, second_part
        ``(rows,)`` float32: which part of the pixel goes into each of the two bins; 0 is none of it.
    weight
        ``(used pixels,)`` float32: flat·Ω·P of each pixel in the table, in its order.
    dark
        ``(used pixels,)`` float32, or None.
    bins
        ``(ranges + 1,)`` where each range's bins begin.
    normalization, dark_sum
        ``(bins,)`` Σ c·flat·Ω·P and Σ c·dark over all pixels; `dark_sum` is None without a dark.
    count
        ``(bins,)`` int64, how many pixels reach each bin.
    used_at
        ``(rows / 16,)`` uint32: which of the used pixels every sixteenth row belongs to.
    blocks
        ``(blocks + 1,)`` rows at which the table is cut for parallel work.
    """

    pixel: NDArray[np.uint32]
    first_bin: NDArray
    first_part: NDArray[np.float32]
    second_part: NDArray[np.float32]
    weight: NDArray[np.float32]
    dark: NDArray[np.float32] | None
    bins: NDArray[np.int64]
    normalization: NDArray[np.float64]
    dark_sum: NDArray[np.float64] | None
    count: NDArray[np.int64]
    used_at: NDArray[np.uint32]
    blocks: NDArray[np.int64]


@dataclass(frozen=True, eq=False, slots=True)
class Rows:
    """The rows of some bins, in the order of the pixels or in that of the splitting.

    Attributes
    ----------
    pixel, first_part, second_part
        ``(rows,)`` as in `PixelTable`.
    first_bin
        ``(rows,)`` unsigned, counted from the first of these bins.
    """

    pixel: NDArray[np.uint32]
    first_bin: NDArray
    first_part: NDArray[np.float32]
    second_part: NDArray[np.float32]


@dataclass(frozen=True, eq=False, slots=True)
class RangeRows(Rows):
    """The rows of one range, with what is known of them.

    Attributes
    ----------
    axis
        ``(npt,)`` bin centres in the range's unit.
    pixels
        How many pixels the range uses.
    """

    axis: NDArray[np.float64]
    pixels: int


@dataclass(frozen=True, eq=False, slots=True)
class Prepared:
    """All that is computed before the first frame.

    Attributes
    ----------
    ranges
        With frozen limits.
    axes
        ``(npt,)`` bin centres of each range in its unit.
    pixels
        How many pixels each range uses.
    table
        For the kernel.
    detector_limits
        The radial limits of all unmasked pixels, in the unit that pyFAI integrates in.
    common
        A digest of all that the rows depend on besides the ranges (`TableKey.common`); None where it is not known.
    """

    ranges: tuple[IntegrationRange, ...]
    axes: tuple[NDArray[np.float64], ...]
    pixels: tuple[int, ...]
    table: PixelTable
    detector_limits: tuple[float, float]
    common: str | None = None

    def rows_of(self, wanted: IntegrationRange) -> RangeRows | None:
        """The rows of a range of the same limits, arc and bins, whatever its number; None if there is none."""
        mine = [_rows_depend_on(each) for each in self.ranges]
        if _rows_depend_on(wanted) not in mine:
            return None
        n = mine.index(_rows_depend_on(wanted))
        table, (begin, end) = self.table, self.table.bins[n : n + 2]
        rows = np.flatnonzero((table.first_bin >= begin) & (table.first_bin < end))
        first_bin = table.first_bin[rows] - table.first_bin.dtype.type(begin)
        parts = table.first_part[rows], table.second_part[rows]
        return RangeRows(table.pixel[rows], first_bin, *parts, self.axes[n], self.pixels[n])


def _rows_depend_on(wanted: IntegrationRange) -> tuple[object, ...]:
    return wanted.unit.name, wanted.scale, wanted.npt, wanted.pyfai_limits, wanted.arc.full, wanted.arc.parts()


def assemble(
    parts: Sequence[Rows], npts: Sequence[int], weight: NDArray[np.float32], dark: NDArray[np.float32] | None
) -> PixelTable:
    """Sort the rows of all ranges by pixel, and sum up what does not depend on the frame.

    Parameters
    ----------
    parts
        One for each range.
    npts
        How many bins each range has.
    weight, dark
        ``(ny·nx,)`` flat·Ω·P and the dark in the order of the stored frame; only pixels in use are looked at.
    """
    bins = np.concatenate([[0], np.cumsum([npt + 1 for npt in npts])])
    wide: type[np.unsignedinteger] = np.uint16 if bins[-1] <= np.iinfo(np.uint16).max else np.uint32
    columns = [
        np.concatenate([part.pixel for part in parts]),
        np.concatenate([part.first_bin.astype(wide) + wide(begin) for part, begin in zip(parts, bins, strict=False)]),
        np.concatenate([part.first_part for part in parts]),
        np.concatenate([part.second_part for part in parts]),
    ]
    # Which merges the ranges, each of which is in order already unless the frame is transformed.
    order = np.argsort(columns[0], kind="stable")
    pixel, first_bin, one, two = (column[order] for column in columns)
    begins = first_rows(pixel)
    used = pixel[begins]
    n = int(bins[-1]) + 1
    worth_it = len(pixel) // max(LEAST_ROWS_OF_A_BLOCK, ROWS_PER_BIN_AND_BLOCK * int(bins[-1]))
    return PixelTable(
        pixel=pixel,
        first_bin=first_bin,
        first_part=one,
        second_part=two,
        weight=weight[used],
        dark=None if dark is None else dark[used],
        bins=bins,
        normalization=sum_rows(pixel, first_bin, one, two, weight, n),
        dark_sum=None if dark is None else sum_rows(pixel, first_bin, one, two, dark, n),
        count=count_pixels(first_bin, one, two, n),
        used_at=(np.cumsum(begins)[::STRIDE] - 1).astype(np.uint32),
        blocks=np.linspace(0, len(pixel), min(max(worth_it, 1), MOST_BLOCKS) + 1).astype(np.int64),
    )


def first_rows(pixel: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """``(rows,)``, True at each row that is its pixel's first."""
    return np.diff(pixel, prepend=pixel[:1] + np.uint32(1)) != 0


def of_frame(values: NDArray[np.float32], used: NDArray[np.uint32], pixels: int) -> NDArray[np.float32]:
    """``(pixels,)`` in the order of the stored frame, of which only those in use are defined."""
    spread = np.empty(pixels, np.float32)
    spread[used] = values
    return spread
