"""Frames that are a chunk each, taken past HDF5's filters where these are none, or bitshuffle and LZ4."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .bitshuffle_lz4 import decode, is_bitshuffle_lz4
from .errors import Unreadable


class FrameChunks:
    """The chunks of a data set whose frames are a chunk each, as they are stored.

    Parameters
    ----------
    data
        The `h5py.Dataset`.
    """

    def __init__(self, data: Any) -> None:
        from h5py import h5t

        filters = data.id.get_create_plist()
        self._shape, self._dtype = data.shape[-2:], data.dtype
        self._decoded = is_bitshuffle_lz4(filters)
        one_each = data.chunks == (*(1,) * (data.ndim - 2), *self._shape)
        # HDF5 converts what is stored in other ways than numpy's, 12 bits in 16 for example.
        as_numpy = data.id.get_type() == h5t.py_create(self._dtype)
        self.usable = one_each and as_numpy and (self._decoded or filters.get_nfilters() == 0)

    def take(self, data: Any, place: tuple[int, ...]) -> bytes | None:
        """A chunk; None if it was stored in another way than the others. RuntimeError if it is not there."""
        skipped, chunk = data.id.read_direct_chunk((*place, 0, 0))
        return None if skipped else chunk

    def decode(self, chunk: bytes) -> NDArray:
        """``(ny, nx)``: what a chunk holds.

        Raises
        ------
        Unreadable
            It is damaged.
        """
        if self._decoded:
            return decode(chunk, self._shape, self._dtype)
        if len(chunk) != int(np.prod(self._shape)) * self._dtype.itemsize:
            raise Unreadable(f"a chunk has {len(chunk)} bytes, which is no frame of shape {self._shape}")
        return np.frombuffer(chunk, self._dtype).reshape(self._shape)
