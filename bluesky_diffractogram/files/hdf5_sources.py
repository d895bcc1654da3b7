"""The frames of virtual HDF5 data sets, put together from those of their sources."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .errors import NotReadable, NotThere, Unreadable
from .hdf5_images import Place
from .hdf5_written import Rest, fill_value
from .paths import Paths
from .state import joined_states
from .virtual import Parts, SourceFrame, mappings

MOST_OPEN = 128
MOST_KNOWN = 32

_KNOWN: dict[tuple[Any, ...], Parts | None] = {}  # used with HDF5's lock held


class Source(Protocol):
    """The frames of a data set."""

    def read(self, index: int | Place, paths: Paths | None = None) -> NDArray: ...
    def require(self, index: int | Place, paths: Paths | None = None) -> None: ...
    def state(self, index: int | Place, paths: Paths | None = None) -> str | None: ...
    def close(self) -> None: ...


class VirtualSources:
    """The sources of one virtual data set. HDF5 itself would give zeros for what is not there yet.

    Parameters
    ----------
    data
        The `h5py.Dataset`.
    state
        Of its file: what is the same as long as nothing has been written to it; None if that is not known.
    rest
        Tells which files have come to rest.
    open_source
        Gives the frames of a data set, by the path of its file and its name.
    """

    def __init__(
        self, data: Any, state: tuple[Any, ...] | None, rest: Rest, open_source: Callable[[str, str], Source]
    ) -> None:
        self._shape, self._dtype, self._fill = data.shape[-2:], data.dtype, fill_value(data)
        self._parts = _parts(data, state)
        self._folder = os.path.dirname(data.file.filename)
        self._rest, self._open_source = rest, open_source
        self._open: OrderedDict[tuple[str, str], Source] = OrderedDict()

    def read(self, data: Any, place: Place, paths: Paths | None) -> NDArray:
        """``(ny, nx)``: the frame at `place` of the leading dimensions of `data`.

        Raises
        ------
        NotReadable
            A part of it is not there yet, or no source is named for it.
        Unreadable
            It is none, or is damaged, or must not be opened.
        """
        if self._parts is None:
            return self._read_by_hdf5(data, place, paths)
        sources = self._of(place, paths)
        if len(sources) > 1:
            self.require(place, paths)  # before what is there is decoded for nothing
        elif sources[0][1].into is None:
            frames, frame = sources[0]
            with _of_one_part():
                image = frames.read(frame.index, paths)
            if image.shape == self._shape and frame.is_whole(image):
                return image
            stitched = np.empty(self._shape, self._dtype)
            frame.put(stitched, image)
            return stitched
        stitched = np.full(self._shape, self._fill, self._dtype)
        for frames, frame in sources:
            frame.put(stitched, frames.read(frame.index, paths))
        return stitched

    def require(self, place: Place, paths: Paths | None) -> None:
        """Raise what `read` would raise of a frame that is not there."""
        if self._parts is not None:
            for frames, frame in self._of(place, paths):
                with _of_one_part():
                    frames.require(frame.index, paths)

    def state(self, place: Place, paths: Paths | None) -> str | None:
        """What is the same as long as the parts of a frame are what they were; None where that cannot be told."""
        if self._parts is None:
            return None
        return joined_states(*(frames.state(frame.index, paths) for frames, frame in self._of(place, paths)))

    def close(self) -> None:
        """Close the sources."""
        sources, self._open = self._open, OrderedDict()
        for source in sources.values():
            source.close()

    def _of(self, place: Place, paths: Paths | None) -> list[tuple[Source, SourceFrame]]:
        found = [] if self._parts is None else self._parts.frames(place)
        if not found:
            raise NotReadable(f"nothing says where the frame at {place} lies")
        for frame in found:
            if frame.place not in self._open:
                path = source_path(frame.path, self._folder, paths)
                if not os.path.exists(path):  # it may come in either place
                    raise NotReadable(f"its source {path} is not there", path)
                self._open[frame.place] = self._open_source(path, frame.dataset)
            self._open.move_to_end(frame.place)
        while len(self._open) > max(MOST_OPEN, len(found)):
            self._open.popitem(last=False)[1].close()
        return [(self._open[frame.place], frame) for frame in found]

    def _read_by_hdf5(self, data: Any, place: Place, paths: Paths | None) -> NDArray:
        """What is not made up of frames, when all is there and at rest: HDF5 does not say what is missing."""
        if paths is not None and paths.limited:
            raise Unreadable("a virtual data set that is not made up of frames cannot be held to the roots")
        names = {each.file_name for each in data.virtual_sources()} - {"."}
        files = [os.path.join(self._folder, name) for name in sorted(names)]
        missing = [file for file in files if not os.path.exists(file)]
        if missing:
            raise NotReadable(f"its source {missing[0]} is not there", missing[0])
        rested = [self._rest.reached(file) for file in files]  # of each it is noted when it was seen
        if not all(rested):
            raise NotReadable("its sources are being written")
        return data[place]


def _parts(data: Any, state: tuple[Any, ...] | None) -> Parts | None:
    """To ask HDF5 for thousands of parts takes a second, at each opening of a file that nobody has written to."""
    key = None if state is None else (*state, data.name)
    if key is not None and key in _KNOWN:
        return _KNOWN[key]
    found = mappings(data)
    parts = None if found is None else Parts(found)
    if key is not None:
        _KNOWN[key] = parts
        while len(_KNOWN) > MOST_KNOWN:
            _KNOWN.pop(next(iter(_KNOWN)))
    return parts


def source_path(path: str, folder: str, paths: Paths | None) -> str:
    """Where a source is: where `root_map` says or as it is called, else beside its virtual data set as for HDF5.

    Parameters
    ----------
    path
        As the virtual data set calls it.
    folder
        In which that one's own file is.
    paths
        Has the `root_map`.
    """
    moved = path if paths is None else paths.moved(path)
    beside = os.path.join(folder, os.path.basename(path))
    return beside if not os.path.exists(moved) and os.path.exists(beside) else moved


@contextmanager
def _of_one_part() -> Iterator[None]:
    """Other frames may lie in files that are there."""
    try:
        yield
    except NotThere as error:
        raise NotReadable(str(error), error.missing) from error
