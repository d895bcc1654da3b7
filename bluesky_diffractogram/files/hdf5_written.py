"""Whether a frame has been written into the place that an HDF5 file has for it."""

from __future__ import annotations

import itertools
import math
import os
import time
from typing import Any

import numpy as np
from h5py import h5d, h5f
from numpy.typing import NDArray

from .errors import Unreadable
from .hdf5_images import number_of

MOST_CHUNKS_OF_A_FRAME = 4096
ANY_SIZE = 2**63
SETTLED_S = 10.0
OLD_S = 60.0
SAMPLE = 1009


def is_there(data: Any, place: tuple[int, ...], end: float = math.inf) -> bool:
    """Whether the file has what HDF5 would read of a frame; it gives zeros for what is not there.

    Parameters
    ----------
    data
        An `h5py.Dataset` of frames, not a virtual one.
    place
        Index of the frame in the leading dimensions.
    end
        How many bytes the file has, if it may be that not all of what it declares is in it yet (`ANY_SIZE`: it is in
        the memory of a writer in this process). For that HDF5 goes through all chunks.

    Raises
    ------
    Unreadable
        The frame is cut into more chunks than any detector's.
    """
    if data.chunks is not None:
        corners = _corners(data, place)
        return all(_is_written(data, corner, end) for corner in corners)
    needed = (number_of(place, data) + 1) * math.prod(data.shape[-2:]) * data.dtype.itemsize
    if data.external:
        return _bytes_outside(data.external) >= needed
    if data.id.get_storage_size() == 0:
        return False
    offset = data.id.get_offset()  # none where the frames stand in the head of the file
    return offset is None or offset + needed <= end


def may_be_blank(data: Any) -> bool:
    """Whether a frame can be there for HDF5 without anything having been written into it.

    So it is where a chunk holds several frames, or where places are allotted before they are written.
    """
    if data.chunks is None:
        return True
    return math.prod(data.chunks[:-2]) > 1 or data.id.get_create_plist().get_alloc_time() == h5d.ALLOC_TIME_EARLY


def fill_value(data: Any) -> Any:
    """What HDF5 gives where nothing was written; zeros, if the data set does not say it."""
    try:
        return data.fillvalue
    except (RuntimeError, ValueError):
        return 0


def is_blank(image: NDArray, fill: Any) -> bool:
    """Whether every pixel is what HDF5 gives where nothing was written."""
    pixels = image.reshape(-1)
    if fill != fill:  # NaN
        return bool(np.isnan(pixels).all())
    return bool((pixels[::SAMPLE] == fill).all() and (pixels == fill).all())


class Rest:
    """Tells of files whether they have come to rest: what is blank in them will remain so."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[tuple[int, int], float]] = {}

    def reached(self, path: str) -> bool:
        """Whether a file has not been written to for some time.

        So much time must have gone by since it was first seen as it is: the clock of a file server may be wrong by
        seconds. It is not believed to be wrong by more than a minute.

        Raises
        ------
        OSError
            The file is not there.
        """
        status = os.stat(path)
        now, state = time.monotonic(), (status.st_mtime_ns, status.st_size)
        seen, since = self._seen.get(path, (None, now))
        if seen != state:
            since = now
            self._seen[path] = (state, now)
        return now - since > SETTLED_S or time.time() - status.st_mtime > OLD_S


def _bytes_outside(files: Any) -> int:
    total = 0
    for name, offset, size in files:
        there = max(0, os.path.getsize(name) - offset) if os.path.exists(name) else 0
        total += there if size == h5f.UNLIMITED else min(size, there)
        if size != h5f.UNLIMITED and there < size:
            break
    return total


def _is_written(data: Any, corner: tuple[int, ...], end: float) -> bool:
    if end == math.inf and math.prod(data.chunks[:-2]) == 1:
        # Looked up in the index of the chunks; asked for its place, HDF5 goes through all of them.
        try:
            data.id.read_direct_chunk(corner)
        except RuntimeError:
            return False
        return True
    chunk = data.id.get_chunk_info_by_coord(corner)
    return chunk.byte_offset is not None and chunk.byte_offset + chunk.size <= end


def _corners(data: Any, place: tuple[int, ...]) -> itertools.product[tuple[int, ...]]:
    """The first element of each chunk that a frame touches."""
    leading = ([i // step * step] for i, step in zip(place, data.chunks, strict=False))
    detector = [range(0, n, step) for n, step in zip(data.shape[-2:], data.chunks[-2:], strict=True)]
    if len(detector[0]) * len(detector[1]) > MOST_CHUNKS_OF_A_FRAME:
        raise Unreadable(f"a frame of {data.name} is cut into {len(detector[0]) * len(detector[1])} chunks")
    return itertools.product(*leading, *detector)
