"""A data set of frames in an HDF5 file that is open, and what of it has been written."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from .errors import NotReadable
from .hdf5_find import image_datasets, listing
from .hdf5_frame_chunk import FrameChunks
from .hdf5_images import Place, check_images, place_of
from .hdf5_open import OpenFile
from .hdf5_sources import Source, VirtualSources
from .hdf5_written import ANY_SIZE, Rest, fill_value, is_blank, is_there, may_be_blank
from .paths import Paths
from .state import file_state, joined_states


class OpenDataset:
    """One opening of a data set.

    Parameters
    ----------
    file
        It is in this one, or this one links to it.
    name
        What it is called there.
    rest
        Tells which files have come to rest.
    open_source
        Gives the frames of a source of a virtual data set, by the path of its file and its name.

    Attributes
    ----------
    data
        The `h5py.Dataset`.
    holder
        The path of the file that holds it.
    chunks
        Its chunks, if they are taken past HDF5.
    sources
        Those of a virtual data set.

    Raises
    ------
    NotReadable
        It is not there.
    Unreadable
        It holds no images.
    """

    def __init__(self, file: OpenFile, name: str, rest: Rest, open_source: Callable[[str, str], Source]) -> None:
        self._file, self._rest = file, rest
        try:
            self.data: Any = file.file[name]
        except (KeyError, OSError, RuntimeError) as error:
            raise NotReadable(f"it is not there: {error}{_others(file)}") from error
        check_images(self.data, f"{file.path}::{name}")
        self.holder: str = self.data.file.filename
        # HDF5 keeps it open, and what it has read of it.
        self._holder_state = "" if self.holder == file.path else file_state(self.holder)
        self.fill = fill_value(self.data)
        self.sources: VirtualSources | None = None
        if self.data.is_virtual:
            state = None if file.swmr or file.ours or self.holder != file.path else file.state
            self.sources = VirtualSources(self.data, state, rest, open_source)
        self._blank_means_missing = self.sources is None and may_be_blank(self.data)
        chunks = FrameChunks(self.data)
        self.chunks = chunks if chunks.usable and not self._blank_means_missing else None

    def held(self, index: int | Place) -> tuple[Place, bytes | None] | None:
        """Where a frame is that has been written, and its chunk if that is taken past HDF5; None if it has not."""
        place = place_of(self.data, index)
        if place is None or self.sources is not None:
            return None if place is None else (place, None)
        end = self._end()
        if self.chunks is None or end < math.inf:
            there = is_there(self.data, place, end)
            return (place, None if self.chunks is None else self.chunks.take(self.data, place)) if there else None
        try:
            return place, self.chunks.take(self.data, place)
        except RuntimeError:
            return None

    def may_be_missing(self, image: NDArray) -> bool:
        """Whether a frame is blank, and it is not known that somebody has written it so."""
        return self._blank_means_missing and self.is_blank(image) and not self._at_rest()

    def is_blank(self, image: NDArray) -> bool:
        """Whether a frame holds nothing but what HDF5 gives where nothing was written."""
        return is_blank(image, self.fill)

    def state_of_others(self, place: Place, paths: Paths | None) -> str | None:
        """The state (`file_state`) of the further files that a frame comes from, none or several; None if not known."""
        if self._holder_state != ("" if self.holder == self._file.path else file_state(self.holder)):
            return None
        outside = joined_states(*(file_state(name) for name, *_ in self.data.external or ()))
        sources = "" if self.sources is None else self.sources.state(place, paths)
        return joined_states(self._holder_state, outside, sources)

    def _at_rest(self) -> bool:
        if self._file.has_swmr_writer():  # which may wait for minutes before it writes what it has
            return False
        files = (self.holder, *(name for name, *_ in self.data.external or ()))
        rested = [self._rest.reached(file) for file in files]  # of each it is noted when it was seen
        return all(rested)

    def _end(self) -> float:
        """How many bytes the file has, see `is_there`."""
        if self._file.ours:
            return ANY_SIZE  # some of it is in the memory of its writer
        size = os.path.getsize(self.holder)
        if self.data.chunks is None:
            return size
        # A SWMR writer writes a chunk before it says that it is there.
        return math.inf if self._file.swmr or self.data.file.id.get_filesize() <= size else size


def _others(file: OpenFile) -> str:
    """What data sets of images there are, for who misspelt one."""
    try:
        found = image_datasets(file.file)
    except Exception:  # in a damaged file of whatever kind; this is only a hint
        return ""
    return f"; the file has {listing(found)}" if found else ""
