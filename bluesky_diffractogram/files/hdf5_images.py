"""Whether an HDF5 data set can hold images."""

from __future__ import annotations

import math
from typing import Any

from .errors import Unreadable

MOST_BYTES_OF_A_FRAME = 2**30


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
