"""Whether a frame has been written into the place that an HDF5 file has for it."""

from __future__ import annotations

import itertools
from typing import Any


def is_written(data: Any, place: tuple[int, ...]) -> bool:
    """Whether all of a frame is in the file; HDF5 itself gives zeros for what is not.

    Where a whole data set is one piece of the file, that piece is there or not; no more can be told of it.

    Parameters
    ----------
    data
        An `h5py.Dataset` of frames, not a virtual one.
    place
        Index of the frame in the leading dimensions.
    """
    if data.chunks is not None:
        return all(data.id.get_chunk_info_by_coord(corner).byte_offset is not None for corner in _corners(data, place))
    if data.external:  # there HDF5 raises itself
        return True
    return data.id.get_storage_size() > 0


def _corners(data: Any, place: tuple[int, ...]) -> itertools.product[tuple[int, ...]]:
    """The first element of each chunk that a frame touches."""
    leading = ([i // step * step] for i, step in zip(place, data.chunks, strict=False))
    detector = (range(0, n, step) for n, step in zip(data.shape[-2:], data.chunks[-2:], strict=True))
    return itertools.product(*leading, *detector)
