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

from .errors import NotReadable, Unreadable
from .hdf5_frame_chunk import FrameChunks
from .hdf5_images import check_images, number_of_frames
from .hdf5_links import other_files
from .hdf5_open import OpenFile, lock_of_hdf5, open_hdf5
from .hdf5_written import fill_value, is_blank, is_settled, is_there, may_be_blank
from .paths import Paths
from .virtual import Mapping, SourceFrame, mappings, source_frames

MOST_STEPS = 8
FRAMES_THAT_PROVE = 16


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
    _steps: ClassVar[int] = 0  # from one virtual data set to the next, by whoever has the lock

    def __init__(self, path: str, dataset: str) -> None:
        self.path, self.dataset = path, dataset
        # No other: two locks that each wait for the other would come of taking one of our own before this.
        self._lock = lock_of_hdf5()
        self._users = 1
        self._closed = False
        self._file: OpenFile | None = None
        self._data: Any = None
        self._holder = path  # the file that holds the data set, where the first one links to it
        self._chunks: FrameChunks | None = None
        self._blank_means_missing = False
        self._fill: Any = 0
        self._parts: list[Mapping] = []
        self._allowed_by: list[Paths] = []
        self._sources: dict[tuple[str, str], HDF5Frames] = {}

    @classmethod
    def open(cls, path: str | os.PathLike[str], dataset: str) -> HDF5Frames:
        """The one object for this data set; the file need not be there yet."""
        parts = [part for part in dataset.split("/") if part not in ("", ".")]
        key = (os.path.realpath(path), "/" + "/".join(parts))
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
        with self._lock:
            self._closed = True
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
            return number_of_frames(self._opened(None))

    def read(self, index: int, paths: Paths | None = None) -> NDArray:
        """``(ny, nx)``: one frame, decompressed.

        Parameters
        ----------
        index
            Which one, from 0.
        paths
            Says which files may be opened, where the data set leads into others.

        Raises
        ------
        NotReadable
            The file is not there, cannot be opened, or does not hold the frame yet: a place that is reserved and
            not written is not read as zeros. Where HDF5 cannot tell whether a frame of zeros has been written, it
            is one when one of the next is none, or when the file has not changed for ten seconds.
        Unreadable
            The data set holds no images, the frame is damaged, or it lies where nothing may be opened.
        """
        with self._turn(f"frame {index}"):
            data, place = self._there(index, paths)
            sources = self._sources_of(place)
            if len(sources) == 1 and sources[0][1].whole:
                return sources[0][0].read(sources[0][1].index, paths)
            for frames, frame in sources:
                frames.require(frame.index, paths)
            chunks = self._chunks
            chunk = chunks.take(data, place) if chunks is not None else None
            if chunks is None or chunk is None:
                image = data[place]
                return self._written_again(index, paths) if self._may_be_missing(data, image) else image
        return chunks.decode(chunk)

    def require(self, index: int, paths: Paths | None = None) -> None:
        """Raise what `read` would raise of a frame that is not there, without reading it."""
        with self._turn(f"frame {index}"):
            _, place = self._there(index, paths)
            for frames, frame in self._sources_of(place):
                frames.require(frame.index, paths)

    def name(self, index: int) -> str:
        """What people call a frame: the file, with its number in it."""
        return f"{self.path}:{index}"

    def __str__(self) -> str:
        return f"{self.path}::{self.dataset}"

    @contextmanager
    def _turn(self, what: str) -> Iterator[None]:
        with self._lock:
            if self._closed:
                raise NotReadable(f"{self} has been closed")
            if HDF5Frames._steps >= MOST_STEPS:
                raise Unreadable(f"{self} is a source of virtual data sets that lead too far, or in a circle")
            HDF5Frames._steps += 1
            try:
                yield
            except (OSError, RuntimeError, KeyError) as error:
                self._close()
                raise NotReadable(f"{what} of {self} cannot be read: {error}") from error
            finally:
                HDF5Frames._steps -= 1
                if self._file is not None and self._file.ours:
                    self._close()

    def _there(self, index: int, paths: Paths | None) -> tuple[Any, tuple[int, ...]]:
        """The data set, and where in its leading dimensions the frame is that it holds."""
        if index < 0:
            raise Unreadable(f"{self} has no frame {index}")
        if self._file is not None and self._file.was_replaced():
            self._close()
        known = self._data is not None
        place = self._place(self._opened(paths), index)
        if place is None and known:
            self._look_again()
            place = self._place(self._opened(paths), index)
        if place is None:
            self._be_ready_to_look_again()
            raise NotReadable(f"{self} has no frame {index} yet")
        return self._opened(paths), place

    def _place(self, data: Any, index: int) -> tuple[int, ...] | None:
        """Where a frame is that has been written."""
        if index >= number_of_frames(data) or self._file is None:
            return None
        place = tuple(int(i) for i in np.unravel_index(index, data.shape[:-2])) if data.ndim > 2 else ()
        # With its writer in this process, who need not have written it out yet.
        end = math.inf if self._file.ours else os.path.getsize(self._holder)
        return place if data.is_virtual or is_there(data, place, end) else None

    def _may_be_missing(self, data: Any, image: NDArray) -> bool:
        """Whether a frame is blank, and it is not known that somebody has written it so."""
        return self._blank_means_missing and is_blank(image, self._fill) and not is_settled(self._holder)

    def _written_again(self, index: int, paths: Paths | None) -> NDArray:
        """A frame that was blank: read anew, past what HDF5 remembers of its chunk, and with the one behind it."""
        self._look_again()
        data, place = self._there(index, paths)
        image = data[place]
        if self._may_be_missing(data, image):
            following = (self._place(data, index + k) for k in range(1, FRAMES_THAT_PROVE + 1))
            if all(place is None or is_blank(data[place], self._fill) for place in following):
                self._be_ready_to_look_again()
                raise NotReadable(f"frame {index} of {self} holds nothing yet")
        return image

    def _opened(self, paths: Paths | None) -> Any:
        """The data set, opened if it is not."""
        if paths is not None and paths.limited and not any(paths is each for each in self._allowed_by):
            paths.check(self.path)  # again: it may be a link by now
            for file in other_files(self.path, self.dataset):
                paths.check(file)
            self._allowed_by.append(paths)
        if self._data is None:
            self._file = open_hdf5(self.path)
            try:
                data = self._file.file[self.dataset]
                check_images(data, str(self))
                chunks = FrameChunks(data)
                self._parts = mappings(data) if data.is_virtual else []
            except Unreadable:
                self._close()
                raise
            except (KeyError, OSError, RuntimeError) as error:
                self._close()
                raise NotReadable(f"{self} is not there yet: {error}") from error
            if paths is not None:
                paths.check(data.file.filename)
            self._data, self._holder, self._fill = data, data.file.filename, fill_value(data)
            self._blank_means_missing = not data.is_virtual and may_be_blank(data)
            self._chunks = chunks if chunks.usable and not self._blank_means_missing else None
        return self._data

    def _look_again(self) -> None:
        """See what was written since the file was opened."""
        if self._file is not None and self._file.swmr:
            try:
                self._data.refresh()
                return
            except (OSError, RuntimeError):
                pass  # the writer has closed it in the meantime, perhaps
        self._close()

    def _be_ready_to_look_again(self) -> None:
        """A file that is read as it was when it was opened has to be opened anew."""
        if self._file is None or not self._file.swmr:
            self._close()

    def _sources_of(self, place: tuple[int, ...]) -> list[tuple[HDF5Frames, SourceFrame]]:
        """What a frame of a virtual data set is made up of; nothing for other data sets."""
        if not self._data.is_virtual:
            return []
        frames = list(source_frames(self._parts, place))
        if not frames:
            raise NotReadable(f"nothing in {self} says where the frame at {place} lies")
        for frame in frames:
            if frame.place not in self._sources:
                self._sources[frame.place] = HDF5Frames.open(*frame.place)
        return [(self._sources[frame.place], frame) for frame in frames]

    def _close(self) -> None:
        with self._lock:
            file, self._file, self._data, self._allowed_by = self._file, None, None, []
            sources, self._sources = self._sources, {}
            for source in sources.values():
                source.close()
            if file is not None:
                file.file.close()
