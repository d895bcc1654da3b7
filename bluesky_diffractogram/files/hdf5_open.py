"""Opening HDF5 files that may be open elsewhere, without being in the way of who writes them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from .errors import NotReadable


@dataclass(frozen=True, slots=True)
class OpenFile:
    """An `h5py.File` that is open for reading.

    Attributes
    ----------
    swmr
        Whether it is seen growing as its SWMR writer goes on, after a refresh.
    ours
        Whether a writer in this process has it open too. It must be closed at once: as long as it is not, the writer's
        own closing has no effect, and a new file of that name cannot be made.
    """

    file: Any
    swmr: bool
    ours: bool


# Without a lock: one held by us would keep a detector from opening its own file. What another process writes opens
# for SWMR if it writes for SWMR; a file of this process opens with the locking of its writer only.
WAYS: tuple[dict[str, Any], ...] = (
    {"locking": False},
    {"locking": False, "swmr": True},
    {},
    {"swmr": True},
)


def open_hdf5(path: str) -> OpenFile:
    """Open a file for reading.

    Raises
    ------
    NotReadable
        It is not there, or cannot be opened (now).
    """
    import h5py

    _register_filters()
    if not os.path.exists(path):
        raise NotReadable(f"{path} is not there")
    problem = ""
    for way in WAYS:
        try:
            return OpenFile(h5py.File(path, "r", **way), "swmr" in way, "locking" not in way)
        except OSError as error:
            problem = problem or str(error)
    raise NotReadable(f"{path} cannot be opened: {problem}")


@cache
def _register_filters() -> None:
    """Let h5py read what hdf5plugin knows (bitshuffle, blosc, zstd, …), if it is installed."""
    try:
        import_module("hdf5plugin")
    except ImportError:
        return
