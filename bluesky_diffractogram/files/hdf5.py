"""The frames of one data set in an HDF5 file, also while another process writes it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from numpy.typing import NDArray

from .errors import NotReadable, Unreadable
from .hdf5_dataset import OpenDataset
from .hdf5_images import Place, number_of, number_of_frames, place_of
from .hdf5_links import other_files
from .hdf5_open import OpenFile, lock_of_hdf5, open_hdf5
from .hdf5_written import Rest
from .paths import Paths
from .state import file_state, joined_states

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
        self._opening: OpenDataset | None = None
        self._rest = Rest()
        self._allowed_by: list[Paths] = []

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
            if self._opening is not None:
                self._look_again()
            return number_of_frames(self._opened(None).data)

    def read(self, index: int | Place, paths: Paths | None = None) -> NDArray:
        """``(ny, nx)``: one frame, decompressed.

        Parameters
        ----------
        index
            Which one, from 0; or its place in the leading dimensions.
        paths
            Says which files may be opened, where the data set leads into others.

        Raises
        ------
        NotReadable
            The file is not there, cannot be opened, or does not hold the frame yet: a place that is reserved and
            not written is not read as zeros. Where HDF5 cannot tell whether a frame of zeros has been written, it
            is one when one of the next is none, or when no SWMR writer has the file and it has not changed for ten
            seconds.
        Unreadable
            The data set holds no images, the frame is damaged, or it lies where nothing may be opened.
        """
        with self._turn(f"frame {index}"):
            opening, place, chunk = self._there(index, paths)
            if opening.sources is not None:
                return opening.sources.read(opening.data, place, paths)
            if opening.chunks is None or chunk is None:
                image = opening.data[place]
                return self._written_again(place, paths) if opening.may_be_missing(image) else image
        return opening.chunks.decode(chunk)

    def require(self, index: int | Place, paths: Paths | None = None) -> None:
        """Raise what `read` would raise of a frame that is not there, without reading it."""
        with self._turn(f"frame {index}"):
            opening, place, _ = self._there(index, paths)
            if opening.sources is not None:
                opening.sources.require(place, paths)

    def state(self, index: int | Place, paths: Paths | None = None) -> str | None:
        """What is the same as long as a frame is what it was: its files as they are now, and where it is in them.

        None where that cannot be told: it is not there, or a file is being written, or leads where only HDF5 looks.
        """
        try:
            with self._turn(f"frame {index}"):
                if self._file is not None and self._file.was_replaced():
                    self._close()
                opening = self._opened(paths)
                place = place_of(opening.data, index)
                if place is None or self._file is None or self._file.swmr or self._file.ours:
                    return None
                own = f"{self.dataset} {opening.data.name} {place}"
                return joined_states(own, file_state(self.path), opening.state_of_others(place, paths))
        except (NotReadable, Unreadable):
            return None

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
            except (OSError, RuntimeError, KeyError, ValueError, MemoryError) as error:  # h5py's, for what is damaged
                self._close()
                raise NotReadable(f"{what} of {self} cannot be read: {error}") from error
            finally:
                HDF5Frames._steps -= 1
                if self._file is not None and self._file.ours:
                    self._close()

    def _there(self, index: int | Place, paths: Paths | None) -> tuple[OpenDataset, Place, bytes | None]:
        """The data set that holds a frame, where it is in the leading dimensions, and its chunk if that is decoded."""
        if isinstance(index, int) and index < 0:
            raise Unreadable(f"{self} has no frame {index}")
        if self._file is not None and self._file.was_replaced():
            self._close()
        known = self._opening is not None
        held = self._opened(paths).held(index)
        if held is None and known:
            self._look_again()
            held = self._opened(paths).held(index)
        if held is None:
            self._be_ready_to_look_again()
            raise NotReadable(f"{self} has no frame {index} yet")
        return self._opened(paths), *held

    def _written_again(self, place: Place, paths: Paths | None) -> NDArray:
        """A frame that was blank: read anew, past what HDF5 remembers of its chunk, and with the one behind it."""
        self._look_again()
        opening, *_ = self._there(place, paths)
        image = opening.data[place]
        if opening.may_be_missing(image):
            number = number_of(place, opening.data)
            following = (opening.held(number + k) for k in range(1, FRAMES_THAT_PROVE + 1))
            if all(held is None or opening.is_blank(opening.data[held[0]]) for held in following):
                self._be_ready_to_look_again()
                raise NotReadable(f"frame {number} of {self} holds nothing yet")
        return image

    def _opened(self, paths: Paths | None) -> OpenDataset:
        """The data set, opened if it is not."""
        if paths is not None and paths.limited and not any(paths is each for each in self._allowed_by):
            paths.check(self.path)  # again: it may be a link by now
            for file in other_files(self.path, self.dataset, paths):
                paths.check(file)
            self._allowed_by.append(paths)
        if self._opening is None:
            self._file = open_hdf5(self.path)
            try:
                opening = OpenDataset(self._file, self.dataset, self._rest, HDF5Frames.open)
            except Unreadable:
                self._close()
                raise
            except (NotReadable, KeyError, OSError, RuntimeError) as error:
                self._close()
                raise NotReadable(f"{self}: {error}") from error
            if paths is not None:
                paths.check(opening.holder)
            self._opening = opening
        return self._opening

    def _look_again(self) -> None:
        """See what was written since the file was opened."""
        if self._file is not None and self._file.swmr and self._opening is not None:
            try:
                self._opening.data.refresh()
                return
            except (OSError, RuntimeError):
                pass  # the writer has closed it in the meantime, perhaps
        self._close()

    def _be_ready_to_look_again(self) -> None:
        """A file that is read as it was when it was opened has to be opened anew."""
        if self._file is None or not self._file.swmr:
            self._close()

    def _close(self) -> None:
        with self._lock:
            file, self._file = self._file, None
            opening, self._opening, self._allowed_by = self._opening, None, []
            if opening is not None and opening.sources is not None:
                opening.sources.close()
            if file is not None:
                file.file.close()
