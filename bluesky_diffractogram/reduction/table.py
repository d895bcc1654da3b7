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
from .transformation import transform, transformed_shape

MOST_BLOCKS = 8
# Each block has bins of its own to be zeroed and added up, and costs a call: it must be worth that.
ROWS_PER_BIN_AND_BLOCK = 16
LEAST_ROWS_OF_A_BLOCK = 50_000


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
    coefficient
        ``(rows, 2)`` float32: which part of the pixel goes into each; 0 is none of it.
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
    blocks
        ``(blocks + 1,)`` rows at which the table is cut for parallel work, at pixels' ends.
    first_used
        ``(blocks + 1,)`` how many pixels stand before each block.
    """

    pixel: NDArray[np.uint32]
    first_bin: NDArray
    coefficient: NDArray[np.float32]
    weight: NDArray[np.float32]
    dark: NDArray[np.float32] | None
    bins: NDArray[np.int64]
    normalization: NDArray[np.float64]
    dark_sum: NDArray[np.float64] | None
    count: NDArray[np.int64]
    blocks: NDArray[np.int64]
    first_used: NDArray[np.int64]

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
    bins = np.concatenate([[0], np.cumsum([wanted.npt + 1 for wanted in ranges])])
    wide = np.uint16 if bins[-1] <= np.iinfo(np.uint16).max else np.uint32
    pixel, first_bin, coefficient, axes, pixels = [], [], [], [], []
    for wanted, offset in zip(ranges, bins, strict=False):
        known: NDArray[np.int64] | None = None
        used: list[NDArray] = []
        for stretch in (None,) if wanted.arc.full else wanted.arc.parts():
            matrix = masked.splitting(wanted.npt, wanted.unit.pyfai, wanted.pyfai_limits, stretch, split)
            owner, reached, part = matrix.owner, matrix.bin, matrix.coefficient
            if known is not None:  # a pixel that touches both stretches counts once
                new = ~np.isin(owner.astype(np.int64) * wanted.npt + reached, known)
                owner, reached, part = owner[new], reached[new], part[new]
            elif not wanted.arc.full:
                known = owner.astype(np.int64) * wanted.npt + reached
            rows = pair_rows(owner, reached, part)
            pixel.append(stored_index.ravel()[rows[0]].astype(np.uint32))
            first_bin.append((rows[1] + offset).astype(wide))
            coefficient.append(rows[2])
            used.append(np.unique(owner))
        axes.append(matrix.axis * wanted.scale)
        pixels.append(int(np.unique(np.concatenate(used)).size))
    table = _assemble(
        np.concatenate(pixel),
        np.concatenate(first_bin),
        np.concatenate(coefficient),
        bins,
        _weights(masked, corrections, stored_index, solid_angle, polarization),
        _stored(corrections.dark, stored_index),
    )
    return Prepared(ranges, tuple(axes), tuple(pixels), table)


def _assemble(
    pixel: NDArray[np.uint32],
    first_bin: NDArray,
    coefficient: NDArray[np.float32],
    bins: NDArray[np.int64],
    weight: NDArray[np.float32],
    dark: NDArray[np.float32] | None,
) -> PixelTable:
    order = np.argsort(pixel, kind="stable")
    pixel, first_bin, coefficient = pixel[order], first_bin[order], np.ascontiguousarray(coefficient[order])
    first_row = np.flatnonzero(np.diff(pixel, prepend=-1).astype(bool)) if len(pixel) else np.zeros(0, np.int64)
    used = pixel[first_row]
    row_weight, row_dark = weight[pixel], None if dark is None else dark[pixel]

    def total(value: NDArray | None) -> NDArray[np.float64]:
        out = np.zeros(bins[-1] + 1)
        for k in (0, 1):
            part = coefficient[:, k].astype(np.float64)
            out += np.bincount(
                first_bin.astype(np.int64) + k, part if value is None else part * value, minlength=len(out)
            )[: len(out)]
        return out

    count = np.zeros(bins[-1] + 1, np.int64)
    for k in (0, 1):
        reached = coefficient[:, k] != 0
        count += np.bincount(first_bin[reached].astype(np.int64) + k, minlength=len(count))
    worth_it = len(pixel) // max(LEAST_ROWS_OF_A_BLOCK, ROWS_PER_BIN_AND_BLOCK * int(bins[-1]))
    n = min(max(worth_it, 1), MOST_BLOCKS)
    cuts = [0, *(int(np.searchsorted(first_row, len(pixel) * i // n)) for i in range(1, n)), len(first_row)]
    rows_at = np.append(first_row, len(pixel))
    return PixelTable(
        pixel=pixel,
        first_bin=first_bin,
        coefficient=coefficient,
        weight=weight[used],
        dark=None if dark is None else dark[used],
        bins=bins,
        normalization=total(row_weight),
        dark_sum=None if row_dark is None else total(row_dark),
        count=count,
        blocks=rows_at[cuts].astype(np.int64),
        first_used=np.asarray(cuts, dtype=np.int64),
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
