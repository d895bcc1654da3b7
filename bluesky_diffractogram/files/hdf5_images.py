"""Whether an HDF5 data set can hold images."""

from __future__ import annotations

import math
from typing import Any

from .errors import Unreadable

MOST_BYTES_OF_A_FRAME = 2**30

# Of a frame, in the leading dimensions of its data set.
Place = tuple[int, ...]


def check_images(data: Any, name: str) -> None:
    """Refuse what holds no images, or larger ones than there are.

    Parameters
    ----------
    data
        What a file has under a name, an `h5py.Dataset` if all is well.
    name
        What it is called.

    Raises
    ------
    Unreadable
        Saying what was expected.
    """
    shape, dtype = getattr(data, "shape", None), getattr(data, "dtype", None)
    if shape is None or dtype is None or dtype.kind not in "uifb":
        raise Unreadable(f"{name} holds no numbers")
    if len(shape) < 2 or 0 in shape[-2:]:
        raise Unreadable(f"{name} has shape {shape}, expected (ny, nx) or (n, ny, nx)")
    for what in (shape[-2:], data.chunks or ()):
        if math.prod(what) * dtype.itemsize > MOST_BYTES_OF_A_FRAME:
            # A file of a few kilobytes can say so.
            raise Unreadable(
                f"{name} has frames or chunks of shape {what}: more than {MOST_BYTES_OF_A_FRAME} bytes are not read"
            )


def number_of_frames(data: Any) -> int:
    """How many frames a data set has room for: all its dimensions but the last two number them."""
    return math.prod(data.shape[:-2])


def place_of(data: Any, index: int | Place) -> Place | None:
    """Where a frame is that is given by its number or by its place; None if the data set has no room for it now."""
    leading = data.shape[:-2]
    if isinstance(index, int):
        return _unravelled(index, leading) if index < number_of_frames(data) else None
    return index if len(index) == len(leading) and all(i < n for i, n in zip(index, leading, strict=True)) else None


def number_of(place: Place, data: Any) -> int:
    """The number of the frame at a place in the leading dimensions."""
    number = 0
    for i, n in zip(place, data.shape, strict=False):
        number = number * n + i
    return number


def _unravelled(number: int, shape: Place) -> Place:
    """In Python's integers: a file may declare more frames than numpy can count."""
    place = []
    for n in reversed(shape):
        number, i = divmod(number, n)
        place.append(i)
    return tuple(reversed(place))
