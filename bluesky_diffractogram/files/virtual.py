"""Where the frames of a virtual HDF5 data set really lie."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from h5py import h5s

# Start, stride, count and block of a selection in one dimension; an open end has a huge count.
Slab = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class SourceFrame:
    """A frame of a source, which is all or part of a frame of the virtual data set.

    Attributes
    ----------
    path, dataset, index
        Which one it is.
    whole
        Whether it is all of it, pixel by pixel.
    """

    path: str
    dataset: str
    index: int
    whole: bool

    @property
    def place(self) -> tuple[str, str]:
        """File and data set."""
        return self.path, self.dataset


@dataclass(frozen=True, slots=True)
class Mapping:
    """A part of a virtual data set and the part of a source that stands in for it.

    Attributes
    ----------
    path, dataset
        The source; both with ``%b`` for the number of a block where every block has one of its own.
    leading
        What is replaced, in the dimensions that number the frames.
    covers
        Whether it is all of a frame, by all of a source's.
    taken, source_shape
        What is taken of the leading dimensions of the source, and its shape; None is all of it.
    """

    path: str
    dataset: str
    leading: tuple[Slab, ...]
    covers: bool
    taken: tuple[Slab, ...] | None
    source_shape: tuple[int, ...] | None

    def find(self, place: tuple[int, ...]) -> SourceFrame | None:
        """The frame of the source behind the frame at `place`; None if this part does not touch it."""
        found = [_find(i, *slab) for i, slab in zip(place, self.leading, strict=True)]
        if None in found:
            return None
        spots = [each for each in found if each is not None]
        path, dataset = self.path, self.dataset
        if "%b" in path or "%b" in dataset:
            path, dataset = (name.replace("%b", str(spots[0][0])) for name in (path, dataset))
            spots[0] = 0, spots[0][1]
        # The elements of two selections belong together in their order.
        index = 0
        for (block, rest), (_, _, count, size) in zip(spots, self.leading, strict=True):
            index = index * count * size + block * size + rest
        if self.taken is not None and self.source_shape is not None:
            index = _index_in_source(index, self.taken, self.source_shape)
        return SourceFrame(path, dataset, index, self.covers)


def mappings(data: Any) -> list[Mapping]:
    """Of what a virtual `h5py.Dataset` of frames is made up."""
    folder, own = os.path.split(data.file.filename)
    leading = data.ndim - 2
    result = []
    for source in data.virtual_sources():
        selected = _hyperslab(source.vspace)
        taken, shape = None, None
        covers = _covers(selected[leading:], data.shape[-2:])
        if source.src_space.get_select_type() == h5s.SEL_HYPERSLABS:
            slabs, shape = _hyperslab(source.src_space), source.src_space.shape
            taken = tuple(slabs[:-2])
            covers = covers and _covers(slabs[-2:], shape[-2:])
        path = os.path.join(folder, own if source.file_name == "." else source.file_name)
        result.append(Mapping(path, source.dset_name, tuple(selected[:leading]), covers, taken, shape))
    return result


def source_frames(parts: Sequence[Mapping], place: tuple[int, ...]) -> Iterator[SourceFrame]:
    """The frames of which HDF5 makes one of a virtual data set up; none where it would make up zeros.

    Parameters
    ----------
    parts
        Of the data set (`mappings`).
    place
        Index of the frame in its leading dimensions.
    """
    for part in parts:
        frame = part.find(place)
        if frame is not None:
            yield frame


def _index_in_source(number: int, taken: tuple[Slab, ...], shape: tuple[int, ...]) -> int:
    """Which frame of a source is the `number`-th of those that are taken."""
    if not taken:
        return 0
    spots: list[int] = []
    for start, stride, count, size in reversed(taken[1:]):
        number, nth = divmod(number, count * size)
        spots.append(start + nth // size * stride + nth % size)
    start, stride, _, size = taken[0]
    spots.append(start + number // size * stride + number % size)
    index = 0
    for spot, n in zip(reversed(spots), shape[:-2], strict=True):
        index = index * n + spot
    return index


def _hyperslab(space: Any) -> list[Slab]:
    return list(zip(*space.get_regular_hyperslab(), strict=True))


def _find(i: int, start: int, stride: int, count: int, block: int) -> tuple[int, int] | None:
    """In which block of a selection `i` is, and where in it; None if it is not selected."""
    which, rest = divmod(i - start, stride if count > 1 else block)
    return (which, rest) if 0 <= which < count and rest < block else None


def _covers(selected: Sequence[Slab], shape: tuple[int, ...]) -> bool:
    """Whether a selection takes all of an array."""
    return math.prod(shape) > 0 and all(
        start == 0 and count * block == n for (start, _, count, block), n in zip(selected, shape, strict=True)
    )
