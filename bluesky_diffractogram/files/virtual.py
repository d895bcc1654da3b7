"""Where the frames of a virtual HDF5 data set really lie."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from h5py import h5s


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


def source_frames(data: Any, place: tuple[int, ...]) -> Iterator[SourceFrame]:
    """The frames of which HDF5 makes one of a virtual data set up; none where it would make up zeros.

    Parameters
    ----------
    data
        A virtual `h5py.Dataset` of frames.
    place
        Index of the frame in its leading dimensions.
    """
    folder, own = os.path.split(data.file.filename)
    for source in data.virtual_sources():
        selected = _hyperslab(source.vspace)
        found = [_find(i, *sides) for i, sides in zip(place, selected, strict=False)]
        if None in found:
            continue
        block, index = (found and found[0]) or (0, 0)
        path, dataset = (own if name == "." else name for name in (source.file_name, source.dset_name))
        if "%b" in path or "%b" in dataset:  # a file or data set for every block
            path, dataset = (name.replace("%b", str(block)) for name in (path, dataset))
        elif found:
            index += block * selected[0][3]
        taken = None  # all of the source
        if source.src_space.get_select_type() == h5s.SEL_HYPERSLABS:
            taken = _hyperslab(source.src_space)
            start, stride, _, size = taken[0]
            index = start + index // size * stride + index % size
        whole = len(place) == 1 and _covers(selected[1:], data.shape[1:])
        whole = whole and (taken is None or _covers(taken[-2:], source.src_space.shape[-2:]))
        yield SourceFrame(os.path.join(folder, path), dataset, index, whole)


def _hyperslab(space: Any) -> list[tuple[int, int, int, int]]:
    """Start, stride, count and block of a selection in each dimension."""
    return list(zip(*space.get_regular_hyperslab(), strict=True))  # an open end has a huge count


def _find(i: int, start: int, stride: int, count: int, block: int) -> tuple[int, int] | None:
    """In which block of a selection `i` is, and where in it; None if it is not selected."""
    which, rest = divmod(i - start, stride if count > 1 else block)
    return (which, rest) if 0 <= which < count and rest < block else None


def _covers(selected: list[tuple[int, int, int, int]], shape: tuple[int, ...]) -> bool:
    """Whether a selection takes all of an array."""
    return all(start == 0 and count * block == n for (start, _, count, block), n in zip(selected, shape, strict=True))
