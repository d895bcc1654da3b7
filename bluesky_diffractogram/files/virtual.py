"""Where the frames of a virtual HDF5 data set really lie."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from h5py import h5s
from numpy.typing import NDArray

from .errors import Unreadable

# Start, stride, count and block of a selection in one dimension; an open end has a huge count.
Slab = tuple[int, int, int, int]
Area = tuple[Slab, Slab]

FEW = 16


@dataclass(frozen=True, slots=True)
class SourceFrame:
    """A frame of a source, which is all or part of a frame of the virtual data set.

    Attributes
    ----------
    path, dataset, index
        Which one it is; a place in the leading dimensions of the data set, or a number that runs through them.
    into, out_of
        The rows and columns of the virtual frame, and those of the source's that stand in for them; None is all.
    """

    path: str
    dataset: str
    index: int | tuple[int, ...]
    into: Area | None
    out_of: Area | None

    def is_whole(self, source: NDArray) -> bool:
        """Whether all of the `source` frame is all of the virtual one."""
        return self.into is None and (self.out_of is None or _unless_all(self.out_of, source.shape) is None)

    def put(self, image: NDArray, source: NDArray) -> None:
        """Write what is taken of the `source` frame into the virtual `image`.

        Raises
        ------
        Unreadable
            They do not fit.
        """
        area = np.s_[:, :] if self.into is None else _spans(self.into)
        part = source if self.out_of is None else source[_spans(self.out_of)]
        shape = image[area].shape
        if part.size != math.prod(shape) or not np.can_cast(part.dtype, image.dtype, "same_kind"):
            raise Unreadable(
                f"{self.path}::{self.dataset} has {part.dtype} frames of shape {part.shape} where a virtual data set "
                f"has {image.dtype} of {shape}"
            )
        image[area] = part.reshape(shape)

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
    into, out_of
        See `SourceFrame`.
    taken
        What is taken of the leading dimensions of the source; None is all of it.
    """

    path: str
    dataset: str
    leading: tuple[Slab, ...]
    into: Area | None
    out_of: Area | None
    taken: tuple[Slab, ...] | None

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
        where = index if self.taken is None else _place_in_source(index, self.taken)
        return SourceFrame(path, dataset, where, self.into, self.out_of)


def mappings(data: Any) -> list[Mapping] | None:
    """Of what a virtual `h5py.Dataset` of frames is made up; None if not of frames, or not of regular parts of them."""
    folder, own = os.path.split(data.file.filename)
    leading = data.ndim - 2
    result = []
    for source in data.virtual_sources():
        try:
            *replaced, rows, columns = _hyperslab(source.vspace)
            taken, out_of = None, None
            if source.src_space.get_select_type() == h5s.SEL_HYPERSLABS:  # of which it does not say of what shape
                *before, source_rows, source_columns = _hyperslab(source.src_space)
                taken, out_of = tuple(before), (source_rows, source_columns)
        except (RuntimeError, ValueError):  # selected irregularly, or not from two dimensions
            return None
        if out_of is not None and _size(out_of) != _size((rows, columns)):
            return None
        path = os.path.join(folder, own if source.file_name == "." else source.file_name)
        into = _unless_all((rows, columns), data.shape[-2:])
        result.append(Mapping(path, source.dset_name, tuple(replaced[:leading]), into, out_of, taken))
    return result


class Parts:
    """The parts of a virtual data set, found by the frames that they touch.

    Parameters
    ----------
    mappings
        See `mappings`.
    """

    def __init__(self, mappings: Sequence[Mapping]) -> None:
        # Thousands of parts are of one frame each; those of many frames are few.
        self._of_many: list[tuple[int, Mapping]] = []
        self._of_few: dict[int, list[tuple[int, Mapping]]] = {}
        for number, part in enumerate(mappings):
            first = part.leading[0] if part.leading else None
            if first is None or first[2] * first[3] > FEW:
                self._of_many.append((number, part))
                continue
            start, stride, count, block = first
            for i in {start + k * stride + rest for k in range(count) for rest in range(block)}:
                self._of_few.setdefault(i, []).append((number, part))

    def frames(self, place: tuple[int, ...]) -> list[SourceFrame]:
        """The frames of which HDF5 makes one up, in the order of the parts; none where it would make up zeros.

        Parameters
        ----------
        place
            Index of the frame in the leading dimensions of the virtual data set.
        """
        few = self._of_few.get(place[0], []) if place else []
        parts = sorted([*self._of_many, *few], key=lambda numbered: numbered[0]) if few else self._of_many
        return [frame for _, part in parts if (frame := part.find(place)) is not None]


def _place_in_source(number: int, taken: tuple[Slab, ...]) -> tuple[int, ...]:
    """Where in the leading dimensions of a source the `number`-th frame is of those that are taken."""
    spots: list[int] = []
    for start, stride, count, size in reversed(taken[1:]):
        number, nth = divmod(number, count * size)
        spots.append(start + nth // size * stride + nth % size)
    for start, stride, _, size in taken[:1]:
        spots.append(start + number // size * stride + number % size)
    return tuple(reversed(spots))


def _hyperslab(space: Any) -> list[Slab]:
    return list(zip(*space.get_regular_hyperslab(), strict=True))


def _find(i: int, start: int, stride: int, count: int, block: int) -> tuple[int, int] | None:
    """In which block of a selection `i` is, and where in it; None if it is not selected."""
    which, rest = divmod(i - start, stride if count > 1 else block)
    return (which, rest) if 0 <= which < count and rest < block else None


def _unless_all(area: Area, shape: tuple[int, ...]) -> Area | None:
    """The area; None if it is all of an array."""
    covers = all(start == 0 and count * block == n for (start, _, count, block), n in zip(area, shape, strict=True))
    return None if covers else area


def _size(area: Area) -> int:
    return math.prod(count * block for _, _, count, block in area)


def _spans(area: Area) -> Any:
    """The rows and columns of an area, as an index."""
    if all(count == 1 or stride == block for _, stride, count, block in area):
        return tuple(slice(start, start + count * block) for start, _, count, block in area)
    return np.ix_(
        *(
            (start + stride * np.arange(count)[:, None] + np.arange(block)).reshape(-1)
            for start, stride, count, block in area
        )
    )
