"""Which data sets of an HDF5 file hold its frames, where nobody has said it."""

from __future__ import annotations

import re
from typing import Any

from .errors import Unreadable
from .hdf5_open import lock_of_hdf5, open_hdf5

EIGER_GROUP = "/entry/data"
EIGER_DATA = re.compile(r"data_\d+$")
SHOWN = 8


def find_datasets(path: str) -> list[str]:
    """The data sets that hold the frames of a file, in order.

    Those that an Eiger's master file names ``/entry/data/data_000001`` and so on, else the only one of numbers
    with three dimensions, or if there is none, with two.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    NotReadable
        It cannot be opened.
    Unreadable
        There is none, or several that may be meant.
    """
    with lock_of_hdf5(), open_hdf5(path).file as file:
        group = file.get(EIGER_GROUP)
        series = sorted(name for name in group if EIGER_DATA.match(name)) if hasattr(group, "keys") else []
        if series:
            return [f"{EIGER_GROUP}/{name}" for name in series]
        candidates = image_datasets(file)
    if len(candidates) == 1:
        return candidates
    if not candidates:
        raise Unreadable(f"{path} holds no images")
    listed = listing(candidates)
    raise Unreadable(f"{path} holds several data sets, name the one that is meant as {path}::{candidates[0]}: {listed}")


def image_datasets(file: Any) -> list[str]:
    """The data sets of numbers of an open `h5py.File` with three or more dimensions, or if there is none, with two."""
    found: dict[int, list[str]] = {2: [], 3: []}

    def look(name: str, item: Any) -> None:
        shape, dtype = getattr(item, "shape", None), getattr(item, "dtype", None)
        if shape and dtype is not None and dtype.kind in "uif" and min(shape[-2:]) > 1 and len(shape) > 1:
            found[min(len(shape), 3)].append("/" + name)

    file.visititems(look)
    return found[3] or found[2]


def listing(datasets: list[str]) -> str:
    """The first data sets, for people."""
    return ", ".join(datasets[:SHOWN]) + (", …" if len(datasets) > SHOWN else "")
