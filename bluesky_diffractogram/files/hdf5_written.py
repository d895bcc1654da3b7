"""Whether a frame has been written into the place that an HDF5 file has for it."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np


def is_written(data: Any, place: tuple[int, ...], end: float = math.inf) -> bool:
    """Whether all of a frame is in the file; HDF5 itself gives zeros for what is not.

    Where a whole data set is one piece of the file, that piece is there or not; no more can be told of it than
    whether the file is long enough.

    Parameters
    ----------
    data
        An `h5py.Dataset` of frames, not a virtual one.
    place
        Index of the frame in the leading dimensions.
    end
        How many bytes the file has, if what has been written is all in it and nothing in the memory of its writer.
    """
    if data.chunks is not None:
        return all(_ends_before(end, data.id.get_chunk_info_by_coord(corner)) for corner in _corners(data, place))
    if data.external:  # there HDF5 raises itself
        return True
    if data.id.get_storage_size() == 0:
        return False
    offset = data.id.get_offset()  # none where the frames stand in the head of the file
    number = int(np.ravel_multi_index(place, data.shape[:-2])) if place else 0
    return offset is None or offset + (number + 1) * math.prod(data.shape[-2:]) * data.dtype.itemsize <= end


def _ends_before(end: float, chunk: Any) -> bool:
    return chunk.byte_offset is not None and chunk.byte_offset + chunk.size <= end


def _corners(data: Any, place: tuple[int, ...]) -> itertools.product[tuple[int, ...]]:
    """The first element of each chunk that a frame touches."""
    leading = ([i // step * step] for i, step in zip(place, data.chunks, strict=False))
    detector = (range(0, n, step) for n, step in zip(data.shape[-2:], data.chunks[-2:], strict=True))
    return itertools.product(*leading, *detector)
