"""Frames compressed with bitshuffle and LZ4, as Eiger detectors write them, decoded without HDF5's filter pipeline."""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .errors import Unreadable

FILTER = 32008
LZ4 = 2
HEADER = struct.Struct(">QI")  # bytes decompressed, bytes of a block
ELEMENTS = 8  # are shuffled together; what is left over is stored as it is

_thread = threading.local()


@cache
def _library() -> Any:
    """The module bitshuffle, or None: its wheels are not there for every Python and platform."""
    try:
        return import_module("bitshuffle")
    except ImportError:
        return None


def is_bitshuffle_lz4(filters: Any) -> bool:
    """Whether the chunks of a data set can be given to `decode`.

    Parameters
    ----------
    filters
        Its creation property list (`h5py.h5p.PropDCID`).
    """
    if _library() is None or filters.get_nfilters() != 1:
        return False
    code, _, values, _ = filters.get_filter(0)
    return code == FILTER and len(values) > 4 and values[4] == LZ4


def decode(chunk: bytes, shape: tuple[int, ...], dtype: np.dtype) -> NDArray:
    """Decompress one chunk of HDF5's filter 32008 with LZ4, on half of the cores.

    The Python lock is released meanwhile.

    Parameters
    ----------
    chunk
        As `h5py.h5d.DatasetID.read_direct_chunk` gives it.
    shape, dtype
        Of the decompressed array.

    Raises
    ------
    Unreadable
        The chunk does not hold such an array.
    """
    size = int(np.prod(shape))
    if len(chunk) < HEADER.size:
        raise Unreadable(f"a compressed chunk has {len(chunk)} bytes, and a header alone has {HEADER.size}")
    nbytes, block_bytes = HEADER.unpack_from(chunk)
    block = block_bytes // dtype.itemsize
    if nbytes != size * dtype.itemsize or block <= 0 or block % ELEMENTS or block_bytes % dtype.itemsize:
        raise Unreadable(f"a compressed chunk says it holds {nbytes} bytes in blocks of {block_bytes}")
    data = np.frombuffer(chunk, np.uint8)[HEADER.size :]
    # bitshuffle trusts these lengths, and would read behind the end of a chunk that was cut.
    if not _blocks_fit(data, size, block, dtype.itemsize):
        raise Unreadable("the blocks of a compressed chunk do not add up to its length")
    _leave_cores_to_others()
    try:
        return _library().decompress_lz4(data, shape, dtype, block)
    except Exception as error:  # it raises what its C code returns
        raise Unreadable(f"a compressed chunk cannot be decompressed: {error}") from error


def _leave_cores_to_others() -> None:
    """Once in each thread: OpenMP keeps cores busy after its work, on which meanwhile the last frame is integrated."""
    if getattr(_thread, "told", False):
        return
    _thread.told = True
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for library in ThreadpoolController().lib_controllers:
        if "bitshuffle" in library.filepath:  # its own copy of OpenMP, which nobody else uses
            # which OMP_NUM_THREADS may have limited already
            library.set_num_threads(max(1, min(library.num_threads, cores // 2)))


def _compiled(func: Callable[..., Any]) -> Callable[..., Any]:
    try:
        return njit(nogil=True, cache=True)(func)
    except RuntimeError:  # no folder where it could be kept, see reduction.compiled
        return njit(nogil=True)(func)


@_compiled
def _blocks_fit(data: NDArray, size: int, block: int, itemsize: int) -> bool:
    """Whether the blocks, each with its length before it (4 bytes, the highest first), fill `data` exactly."""
    blocks = size // block
    if size % block // ELEMENTS:
        blocks += 1
    position = 0
    for _ in range(blocks):
        if position + 4 > len(data):
            return False
        length = 0
        for i in range(4):
            length = length * 256 + int(data[position + i])
        position += 4 + int(length)
    return position + size % ELEMENTS * itemsize == len(data)
