"""The table of the one-pass integration: which pixel goes into which bins of which range, in the pixels' order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..config import DiffractogramConfig
from .corrections import Corrections
from .geometry import Geometry
from .kernel import pair_rows
from .limits import IntegrationRange
from .splitting import split_pixels
from .transformation import transform, transformed_shape

MOST_BLOCKS = 8
# Each block has bins of its own to be zeroed and added up, and costs a call: it must be worth that.
ROWS_PER_BIN_AND_BLOCK = 16
LEAST_ROWS_OF_A_BLOCK = 50_000
# Between the rows of which it is known whose they are; the rows between are counted, for invalid pixels only.
STRIDE = 16


@dataclass(frozen=True, eq=False, slots=True)
class PixelTable:
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

    @property
    def nbytes(self) -> int:
        """Memory that the table takes."""
        arrays = (getattr(self, name) for name in self.__dataclass_fields__)
        return sum(array.nbytes for array in arrays if array is not None)


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
    """

    ranges: tuple[IntegrationRange, ...]
    axes: tuple[NDArray[np.float64], ...]
    pixels: tuple[int, ...]
    table: PixelTable


def prepare(
    config: DiffractogramConfig, ranges: tuple[IntegrationRange, ...], geometry: Geometry, corrections: Corrections
) -> Prepared:
    """Run pyFAI's splitting for every range, and keep only the table.

    Parameters
    ----------
    config
        Its splitting, corrections and transformation are used.
    ranges
        With frozen limits.
    geometry, corrections
        As the calibration sees the frame.
    """
    shape = geometry.shape
    assert shape is not None
    stored = transformed_shape(shape, config.transformation)
    # As the calibration sees the frame: the index of each pixel in the flattened stored frame.
    stored_index = transform(np.arange(shape[0] * shape[1]).reshape(stored), config.transformation)
    split, solid_angle, polarization = (
        config.split_method[0], config.correct_solid_angle, config.polarization_factor,
    )  # fmt: skip
    masked = geometry.with_mask(corrections.mask)
    integrator = masked.integrator()
    bins = np.concatenate([[0], np.cumsum([wanted.npt + 1 for wanted in ranges])])
    wide = np.uint16 if bins[-1] <= np.iinfo(np.uint16).max else np.uint32
    columns: list[list[NDArray]] = [[], [], [], []]
    axes, pixels = [], []
    for wanted, offset in zip(ranges, bins, strict=False):
        known: NDArray[np.int64] | None = None
        used = np.zeros(stored_index.size, bool)
        for stretch in (None,) if wanted.arc.full else wanted.arc.parts():
            matrix = split_pixels(integrator, shape, wanted.npt, wanted.unit.pyfai, wanted.pyfai_limits, stretch, split)
            owner, reached, part = matrix.owner, matrix.bin, matrix.coefficient
            if known is not None:  # a pixel that touches both stretches counts once
                new = ~np.isin(owner.astype(np.int64) * wanted.npt + reached, known)
                owner, reached, part = owner[new], reached[new], part[new]
            elif not wanted.arc.full:
                known = owner.astype(np.int64) * wanted.npt + reached
            rows = pair_rows(owner, reached, part)
            columns[0].append(stored_index.ravel()[rows[0]].astype(np.uint32))
            columns[1].append((rows[1] + offset).astype(wide))
            columns[2].append(rows[2])
            columns[3].append(rows[3])
            used[owner] = True
        axes.append(matrix.axis * wanted.scale)
        pixels.append(int(np.count_nonzero(used)))
    table = _assemble(
        [np.concatenate(column) for column in columns],
        bins,
        _weights(masked, corrections, stored_index, solid_angle, polarization),
        _stored(corrections.dark, stored_index),
    )
    return Prepared(ranges, tuple(axes), tuple(pixels), table)


def _assemble(
    columns: list[NDArray], bins: NDArray[np.int64], weight: NDArray[np.float32], dark: NDArray[np.float32] | None
) -> PixelTable:
    """Sort the rows of all ranges by pixel, and sum up what does not depend on the frame."""
    order = np.argsort(columns[0], kind="stable")
    pixel, first_bin, *parts = (column[order] for column in columns)
    begins = np.diff(pixel, prepend=pixel[:1] + np.uint32(1)) != 0  # each row that is its pixel's first
    used = pixel[begins]
    neighbours = first_bin.astype(np.int64), first_bin.astype(np.int64) + 1

    def total(value: NDArray) -> NDArray[np.float64]:
        sums = np.zeros(bins[-1] + 1)
        for bin, part in zip(neighbours, parts, strict=True):
            sums += np.bincount(bin, part.astype(np.float64) * value, minlength=len(sums))
        return sums

    count = np.zeros(bins[-1] + 1, np.int64)
    for bin, part in zip(neighbours, parts, strict=True):
        count += np.bincount(bin[part != 0], minlength=len(count))
    worth_it = len(pixel) // max(LEAST_ROWS_OF_A_BLOCK, ROWS_PER_BIN_AND_BLOCK * int(bins[-1]))
    return PixelTable(
        pixel=pixel,
        first_bin=first_bin,
        first_part=parts[0],
        second_part=parts[1],
        weight=weight[used],
        dark=None if dark is None else dark[used],
        bins=bins,
        normalization=total(weight[pixel]),
        dark_sum=None if dark is None else total(dark[pixel]),
        count=count,
        used_at=(np.cumsum(begins)[::STRIDE] - 1).astype(np.uint32),
        blocks=np.linspace(0, len(pixel), min(max(worth_it, 1), MOST_BLOCKS) + 1).astype(np.int64),
    )


def _weights(
    geometry: Geometry,
    corrections: Corrections,
    stored_index: NDArray[np.intp],
    solid_angle: bool,
    polarization: float | None,
) -> NDArray[np.float32]:
    """``(ny·nx,)`` flat·Ω·P in the stored order, multiplied in float32 as pyFAI does."""
    weight = np.ones(stored_index.shape, np.float32)
    if corrections.flat is not None:
        weight *= corrections.flat
    if polarization is not None:
        weight *= geometry.polarization(polarization).astype(np.float32)
    if solid_angle:
        weight *= geometry.solid_angle().astype(np.float32)
    stored = _stored(weight, stored_index)
    assert stored is not None
    return stored


def _stored(array: NDArray[np.float32] | None, stored_index: NDArray[np.intp]) -> NDArray[np.float32] | None:
    """An array in the calibration's orientation, flattened in the order of the stored frame."""
    if array is None:
        return None
    out = np.empty(array.size, array.dtype)
    out[stored_index.ravel()] = array.ravel()
    return out
