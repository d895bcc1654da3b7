"""What is computed before the first frame: pyFAI's splitting of every range, as far as it is not known."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from ..config import DiffractogramConfig
from .corrections import Corrections
from .geometry import Geometry
from .geometry_cache import provide_arrays
from .kernel import pair_rows
from .limits import IntegrationRange, open_limits
from .splitting import split_range
from .table import Prepared, RangeRows, assemble, first_rows
from .threads import side_by_side
from .transformation import transform, transformed_shape


def prepare(
    config: DiffractogramConfig,
    ranges: tuple[IntegrationRange, ...],
    geometry: Geometry,
    corrections: Corrections,
    earlier: Sequence[Prepared] = (),
    common: str | None = None,
) -> Prepared:
    """Run pyFAI's splitting for every range that is not known from before, and keep only the table.

    The result is the same, bit for bit, whatever was known. Where every range was, no array of the geometry is
    computed.

    Parameters
    ----------
    config
        Its splitting, corrections and transformation are used.
    ranges
        With frozen limits.
    geometry, corrections
        As the calibration sees the frame.
    earlier
        What was prepared with the same `common`, perhaps for other ranges.
    common
        As in `Prepared`.
    """
    shape = geometry.shape
    assert shape is not None
    stored_index = where_stored(shape, config.transformation)
    rows: dict[int, RangeRows] = {}
    for wanted in ranges:
        known = next((found for each in earlier if (found := each.rows_of(wanted)) is not None), None)
        if known is not None:
            rows[wanted.number] = known
    new = [wanted for wanted in ranges if wanted.number not in rows]
    if new or not earlier:
        split = config.split_method[0]
        provide_arrays(geometry, config, azimuthal=not all(wanted.arc.full for wanted in new))
        masked = geometry.with_mask(corrections.mask)
        # pyFAI's splitting runs without the interpreter's lock, and with its arrays known changes nothing.
        work = [partial(_split_range, each, masked.integrator(), shape, split, stored_index) for each in new]
        rows |= {each.number: found for each, found in zip(new, side_by_side(work), strict=True)}
        weight = stored_order(pixel_weights(config, masked, corrections), stored_index)
        limits = earlier[0].detector_limits if earlier else open_limits(masked, config.unit, split, corrections.mask)
    else:
        weight = _known_weights(earlier, stored_index.size)
        limits = earlier[0].detector_limits
    parts = [rows[wanted.number] for wanted in ranges]
    return Prepared(
        ranges,
        tuple(part.axis for part in parts),
        tuple(part.pixels for part in parts),
        assemble(parts, [wanted.npt for wanted in ranges], weight, stored_order(corrections.dark, stored_index)),
        limits,
        common,
    )


def _split_range(
    wanted: IntegrationRange, integrator: Any, shape: tuple[int, int], split: str, stored_index: NDArray[np.uint32]
) -> RangeRows:
    used = np.zeros(stored_index.size, bool)
    stretches = []
    for matrix in split_range(wanted, integrator, shape, split):
        stretches.append(pair_rows(matrix.owner, matrix.bin, matrix.coefficient))
        used[matrix.owner] = True
    owner, first_bin, first_part, second_part = (np.concatenate(column) for column in zip(*stretches, strict=True))
    return RangeRows(
        pixel=stored_index.ravel()[owner],
        first_bin=first_bin,
        first_part=first_part,
        second_part=second_part,
        axis=matrix.axis * wanted.scale,
        pixels=int(np.count_nonzero(used)),
    )


def pixel_weights(config: DiffractogramConfig, geometry: Geometry, corrections: Corrections) -> NDArray[np.float32]:
    """``(ny, nx)`` flat·Ω·P as the calibration sees it, multiplied in float32 as pyFAI does."""
    weight = np.ones(corrections.mask.shape, np.float32)
    if corrections.flat is not None:
        weight *= corrections.flat
    if config.polarization_factor is not None:
        weight *= geometry.polarization(config.polarization_factor).astype(np.float32)
    if config.correct_solid_angle:
        weight *= geometry.solid_angle().astype(np.float32)
    return weight


def _known_weights(earlier: Sequence[Prepared], pixels: int) -> NDArray[np.float32]:
    """``(ny·nx,)`` flat·Ω·P in the stored order, of the pixels in any table of `earlier`; others are undefined."""
    weight = np.empty(pixels, np.float32)
    for table in (each.table for each in earlier):
        weight[table.pixel[first_rows(table.pixel)]] = table.weight
    return weight


def where_stored(shape: tuple[int, int], transformation: str) -> NDArray[np.uint32]:
    """``(ny, nx)`` as the calibration sees the frame: the index of each pixel in the flattened stored frame."""
    index = np.arange(shape[0] * shape[1], dtype=np.uint32)
    return transform(index.reshape(transformed_shape(shape, transformation)), transformation)


@overload
def stored_order(array: NDArray[np.float32], stored_index: NDArray[np.uint32]) -> NDArray[np.float32]: ...
@overload
def stored_order(array: None, stored_index: NDArray[np.uint32]) -> None: ...
def stored_order(array: NDArray[np.float32] | None, stored_index: NDArray[np.uint32]) -> NDArray[np.float32] | None:
    """An array in the calibration's orientation, flattened in the order of the stored frame."""
    if array is None:
        return None
    out = np.empty(array.size, array.dtype)
    out[stored_index.ravel()] = array.ravel()
    return out
