"""Opening HDF5 files that may be open elsewhere, without being in the way of who writes them."""

from __future__ import annotations

import ctypes
import os
import stat
import threading
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import SimpleNamespace
from typing import Any, BinaryIO

from .errors import NotThere, Unreadable

DRIVER = "bluesky-diffractogram"

_OWN_LOCK = threading.RLock()


@dataclass(frozen=True, slots=True)
class OpenFile:
    """An `h5py.File` that is open for reading.

    Attributes
    ----------
    swmr
        Whether it is seen growing as its SWMR writer goes on, after a refresh.
    ours
        Whether a writer in this process has it open too. It must be closed before `lock_of_hdf5` is released: as long
        as it is not, the writer's own closing has no effect, and a new file of that name cannot be made.
    path, identity, modified, size
        What it was called, which file it was, when it was written last, and how large, when it was opened.
    """

    file: Any
    swmr: bool
    ours: bool
    path: str
    identity: tuple[int, int]
    modified: int
    size: int

    @property
    def state(self) -> tuple[tuple[int, int], int, int]:
        """What is the same as long as nobody has written to it."""
        return self.identity, self.modified, self.size

    def was_replaced(self) -> bool:
        """Whether another file has this name by now, or this one has been written to in a way that is not seen.

        Raises
        ------
        OSError
            It is not there any more.
        """
        now = os.stat(self.path)
        if (now.st_dev, now.st_ino) != self.identity or now.st_size < self.size:
            return True
        return not self.swmr and (now.st_mtime_ns, now.st_size) != (self.modified, self.size)

    def has_swmr_writer(self) -> bool:
        """Whether a SWMR writer in another process has not closed it yet.

        Raises
        ------
        NotThere
            It is not there any more.
        """
        return self.swmr and not self.ours and _look(self.path)[1]


# Without a lock: one held by us would keep a detector from opening its own file. A file of this process opens with the
# locking of its writer only.
WAYS: tuple[dict[str, Any], ...] = ({"locking": False},)
WAYS_HERE: tuple[dict[str, Any], ...] = ({}, {"locking": False}, {"swmr": True})
# What another process writes for SWMR opens so only. Anything else must not: of half a file HDF5 then tries to read
# what it lacks a hundred times, waiting twice as long each time, and stops all of this process meanwhile.
WAYS_SWMR: tuple[dict[str, Any], ...] = (*WAYS, {"locking": False, "swmr": True})

SIGNATURE = b"\x89HDF\r\n\x1a\n"
FLAGS_FROM_VERSION = 2  # of the superblock, in which they stand behind version and sizes of offsets and lengths
SWMR_WRITER = 5  # a writer, for SWMR
READ_ATTEMPTS = 20  # of what a SWMR writer may be writing just now: a millisecond
FARTHEST_SIGNATURE = 2**20


def open_hdf5(path: str) -> OpenFile:
    """Open a file for reading, with `lock_of_hdf5` held by the caller.

    Parameters
    ----------
    path
        Without links.

    Raises
    ------
    NotThere
        It is not there, or cannot be opened (now).
    Unreadable
        It is no file.
    """
    import h5py

    _prepare()
    status, has_swmr_writer = _look(path)
    ours = _is_written_here(path)
    problem = ""
    for way in WAYS_HERE if ours else WAYS_SWMR if has_swmr_writer else WAYS:
        try:
            file = h5py.File(path, "r", **way, **({} if ours else {"driver": DRIVER}))
            return OpenFile(
                file, "swmr" in way, ours, path, (status.st_dev, status.st_ino), status.st_mtime_ns, status.st_size
            )
        except OSError as error:
            problem = problem or str(error)
    raise NotThere(f"{path} cannot be opened: {problem}")


def _look(path: str) -> tuple[os.stat_result, bool]:
    """Whether there is a file and a SWMR writer has it, seen outside of HDF5, which holds up the whole process."""
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise Unreadable(f"{path} is no file")
        with open(path, "rb") as file:
            return status, _has_swmr_writer(file)
    except OSError as error:
        missing = path if isinstance(error, FileNotFoundError) else None
        raise NotThere(f"{path} is not there: {error}", missing) from error


def _has_swmr_writer(file: BinaryIO) -> bool:
    """Whether the superblock of a file says so; it stands behind 0, 512, 1024, 2048, … bytes of a user's own."""
    start = 0
    while start <= FARTHEST_SIGNATURE:
        file.seek(start)
        begin = file.read(12)
        if len(begin) < 12:
            return False
        if begin.startswith(SIGNATURE):
            return begin[8] >= FLAGS_FROM_VERSION and begin[11] == SWMR_WRITER
        start = 2 * start or 512
    return False


def lock_of_hdf5() -> Any:
    """The lock (re-entrant) that each call of h5py takes: while it is held, nobody in this process opens a file."""
    try:
        from h5py._objects import phil
    except ImportError:  # it is no public name
        return _OWN_LOCK
    return phil


def _is_written_here(path: str) -> bool:
    from h5py import h5f

    files = h5f.get_obj_ids(types=h5f.OBJ_FILE)
    return any(f.get_intent() & h5f.ACC_RDWR and os.path.realpath(os.fsdecode(f.name)) == path for f in files)


@cache
def _prepare() -> None:
    """Let h5py read what hdf5plugin knows (bitshuffle, blosc, zstd, …) if it is installed, and know our driver."""
    import h5py

    # HDF5 refuses to make a file anew that its process has open, which it finds among those of the same driver only.
    # The driver "log", which logs nothing where no flags are given, reads as the usual one does.
    h5py.register_driver(DRIVER, _set_up)
    try:
        import_module("hdf5plugin")
    except ImportError:
        return


def _set_up(plist: Any, **_: Any) -> None:
    """Driver and patience for one file, by its `h5py.h5p.PropFAID`."""
    plist.set_fapl_log(os.fsencode(os.devnull), 0, 0)
    _library().H5Pset_metadata_read_attempts(ctypes.c_int64(plist.id), ctypes.c_uint(READ_ATTEMPTS))


@cache
def _library() -> Any:
    """The HDF5 that h5py is linked with, for what h5py does not offer; where it is not found, what does nothing."""
    from h5py import h5p

    try:
        library = ctypes.CDLL(h5p.__file__)
        library.H5Pset_metadata_read_attempts  # noqa: B018  (looked up now)
    except (OSError, AttributeError):
        return SimpleNamespace(H5Pset_metadata_read_attempts=lambda *_: 0)
    return library
