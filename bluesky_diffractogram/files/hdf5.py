"""The frames of one data set in an HDF5 file, also while another process writes it."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .bitshuffle_lz4 import decode, is_bitshuffle_lz4
from .errors import NotReadable, Unreadable
from .hdf5_links import other_files
from .hdf5_open import OpenFile, lock_of_hdf5, open_hdf5
from .hdf5_written import is_written
from .paths import Paths
from .virtual import SourceFrame, source_frames

MOST_BYTES_OF_A_FRAME = 2**30


class HDF5Frames:
    """Reads frames, each when it is there. Got from `open`, and given back with `close`.

    All users of one data set in this process share one object: HDF5 reads wrong frames where the same data set
    of a growing file is opened twice. It may be used by several threads.

    Parameters
    ----------
    path
        The file.
    dataset
        Its data set: ``(ny, nx)``, ``(n, ny, nx)``, or with more leading dimensions, which are run through in order.
    """

    _shared: ClassVar[dict[tuple[str, str], HDF5Frames]] = {}
    _sharing = threading.Lock()

    def __init__(self, path: str, dataset: str) -> None:
        self.path, self.dataset = path, dataset
        # No other: two locks that each wait for the other would come of taking one of our own before this.
        self._lock = lock_of_hdf5()
        self._users = 1
        self._file: OpenFile | None = None
        self._data: Any = None
        self._compressed = False
        self._allowed_by: Paths | None = None
        self._sources: dict[tuple[str, str], HDF5Frames] = {}

    @classmethod
    def open(cls, path: str | os.PathLike[str], dataset: str) -> HDF5Frames:
        """The one object for this data set; the file need not be there yet."""
        key = (os.path.realpath(path), "/" + dataset.strip("/"))
        with cls._sharing:
            frames = cls._shared.get(key)
            if frames is None:
                frames = cls._shared[key] = cls(*key)
                return frames
            frames._users += 1
        frames._close()  # it may be about a new file of that name
        return frames

    def close(self) -> None:
        """Close the file, when nobody else in this process reads it."""
        with self._sharing:
            self._users -= 1
            if self._users:
                return
            self._shared.pop((self.path, self.dataset), None)
        self._close()

    def __enter__(self) -> HDF5Frames:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        """How many frames the data set has room for now.

        Raises
        ------
        NotReadable, Unreadable
            As `read`.
        """
        with self._turn("the length"):
            if self._data is not None:
                self._look_again()
            return self._length(self._opened())

    def read(self, index: int, paths: Paths | None = None) -> NDArray:
        """``(ny, nx)``: one frame, decompressed.

        Parameters
        ----------
        index
            Which one, from 0.
        paths
            Says which other files the data set may lead into.

        Raises
        ------
        NotReadable
            The file is not there, cannot be opened, or does not hold the frame yet: a place that is
            reserved and not written is never read as zeros.
        Unreadable
            The data set holds no images, the frame is damaged, or it lies where nothing may be opened.
        """
        with self._turn(f"frame {index}"):
            data, place = self._there(index, paths)
            sources = self._sources_of(data, place)
            if len(sources) == 1 and sources[0][1].whole:
                return sources[0][0].read(sources[0][1].index, paths)
            for frames, frame in sources:
                frames.require(frame.index, paths)
            shape, dtype = data.shape[-2:], data.dtype
            chunk = self._chunk(data, place)
            if chunk is None:
                return data[place]
        return decode(chunk, shape, dtype)

    def require(self, index: int, paths: Paths | None = None) -> None:
        """Raise what `read` would raise of a frame that is not there, without reading it."""
        with self._turn(f"frame {index}"):
            for frames, frame in self._sources_of(*self._there(index, paths)):
                frames.require(frame.index, paths)

    @contextmanager
    def _turn(self, what: str) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except (OSError, RuntimeError, KeyError) as error:  # RecursionError, of a circle of virtual data sets, too
                self._close()
                raise NotReadable(f"{what} of {self} cannot be read: {error}") from error
            finally:
                self._close_what_is_written_here()

    def _there(self, index: int, paths: Paths | None) -> tuple[Any, tuple[int, ...]]:
        """The data set, and where in its leading dimensions the frame is that it holds."""
        known = self._data is not None
        if paths is not None and paths.limited and self._allowed_by is not paths:
            for file in other_files(self.path, self.dataset):
                paths.check(file)
            self._allowed_by = paths
        place = self._place(self._opened(), index)
        if place is None and known:
            self._look_again()
            place = self._place(self._opened(), index)
        if place is None:
            if self._file is None or not self._file.swmr:
                self._close()  # a file that is read as it was when it was opened has to be opened again
            raise NotReadable(f"{self} has no frame {index} yet")
        return self._opened(), place

    def _place(self, data: Any, index: int) -> tuple[int, ...] | None:
        """Where a frame is that has been written."""
        if index >= self._length(data):
            return None
        place = tuple(int(i) for i in np.unravel_index(index, data.shape[:-2])) if data.ndim > 2 else ()
        if data.is_virtual:
            return place
        shared = self._file is not None and self._file.ours  # with its writer, who need not have written it out yet
        return place if is_written(data, place, math.inf if shared else os.path.getsize(self.path)) else None

    def name(self, index: int) -> str:
        """What people call a frame: the file, with its number in it."""
        return f"{self.path}:{index}"

    def __str__(self) -> str:
        return f"{self.path}::{self.dataset}"

    def _opened(self) -> Any:
        """The data set, opened if it is not."""
        if self._data is None:
            self._file = open_hdf5(self.path)
            try:
                self._data = self._file.file[self.dataset]
                self._check(self._data)
                plist = self._data.id.get_create_plist()
                whole = self._data.chunks == (*(1,) * (self._data.ndim - 2), *self._data.shape[-2:])
                self._compressed = whole and is_bitshuffle_lz4(plist)
            except Unreadable:
                self._close()
                raise
            except (KeyError, OSError, RuntimeError) as error:
                self._close()
                raise NotReadable(f"{self} is not there yet: {error}") from error
        return self._data

    def _check(self, data: Any) -> None:
        shape, dtype = getattr(data, "shape", None), getattr(data, "dtype", None)
        if shape is None or dtype is None or dtype.kind not in "uifb":
            raise Unreadable(f"{self} holds no numbers")
        if len(shape) < 2 or 0 in shape[-2:]:
            raise Unreadable(f"{self} has shape {shape}, expected (ny, nx) or (n, ny, nx)")
        if math.prod(shape[-2:]) * dtype.itemsize > MOST_BYTES_OF_A_FRAME:
            raise Unreadable(
                f"{self} has shape {shape}: a frame of more than {MOST_BYTES_OF_A_FRAME} bytes is not read"
            )

    @staticmethod
    def _length(data: Any) -> int:
        return math.prod(data.shape[:-2])

    def _look_again(self) -> None:
        """See what was written since the file was opened."""
        if self._file is not None and self._file.swmr:
            try:
                self._data.refresh()
                return
            except (OSError, RuntimeError):
                pass  # the writer has closed it in the meantime, perhaps
        self._close()

    def _close_what_is_written_here(self) -> None:
        if self._file is not None and self._file.ours:
            self._close()

    def _sources_of(self, data: Any, place: tuple[int, ...]) -> list[tuple[HDF5Frames, SourceFrame]]:
        """What a frame of a virtual data set is made up of; nothing for other data sets."""
        if not data.is_virtual:
            return []
        frames = list(source_frames(data, place))
        if not frames:
            raise NotReadable(f"nothing in {self} says where the frame at {place} lies")
        for frame in frames:
            if frame.place not in self._sources:
                self._sources[frame.place] = HDF5Frames.open(*frame.place)
        return [(self._sources[frame.place], frame) for frame in frames]

    def _chunk(self, data: Any, place: tuple[int, ...]) -> bytes | None:
        """The frame as it is compressed, where `decode` can be trusted with it."""
        if not self._compressed:
            return None
        skipped, chunk = data.id.read_direct_chunk((*place, 0, 0))
        return None if skipped else chunk

    def _close(self) -> None:
        with self._lock:
            file, self._file, self._data, self._allowed_by = self._file, None, None, None
            sources, self._sources = self._sources, {}
            for source in sources.values():
                source.close()
            if file is not None:
                file.file.close()
