"""Arrays kept on disk under a name, so that the first frame of what is known need not wait for them."""

from __future__ import annotations

import logging
import os
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path

from .threads import OfThisThread

logger = logging.getLogger(__name__)

FOLDER_VARIABLE = "BLUESKY_DIFFRACTOGRAM_CACHE"
SECONDS_OF_AN_ABANDONED_PART = 3600.0
WRITER = "diffractogram-cache"


nothing_kept = OfThisThread()
"""Nothing is kept, and nothing that was kept is read."""


def cache_folder() -> Path | None:
    """The folder in BLUESKY_DIFFRACTOGRAM_CACHE, else one in the user's cache; None if that variable is empty."""
    if nothing_kept.now:
        return None
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder is None:
        return user_cache_path("bluesky-diffractogram")
    return Path(folder) if folder else None


def read_arrays(path: Path) -> dict[str, NDArray] | None:
    """The arrays that were kept in a file; None if it is not there, or cannot be read (it is removed then)."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            arrays = {name: kept[name] for name in kept.files}
        with suppress(OSError):  # another's folder may be read as well
            os.utime(path)  # the ones used last are the last to be removed
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    except Exception as error:  # half-written, or no file of ours
        remove_unusable(path, error)
        return None
    return arrays


def remove_unusable(path: Path, reason: object) -> None:
    """Remove a file of which nothing can be made, with a warning."""
    logger.warning("the kept %s cannot be used and is built anew: %s", path, reason)
    with suppress(OSError):
        path.unlink()


def write_arrays(path: Path, arrays: Mapping[str, NDArray], most_bytes: int) -> None:
    """Keep arrays in a file, written while the caller goes on, as one file of a folder of bounded size.

    A folder that cannot be written to, or is full, is a pity and no error.

    Parameters
    ----------
    path
        An ``.npz`` file; it appears under its name when it is whole.
    arrays
        Of any shape and type; nobody may write to them any more.
    most_bytes
        The files of the folder that were used longest ago are removed until the rest take no more. What is
        larger by itself is not written.
    """
    if sum(array.nbytes for array in arrays.values()) > most_bytes:
        return
    # On a network's home folder this may take longer than the computing, and a frame waits. Not a daemon: the
    # interpreter ends when it is written.
    with suppress(RuntimeError):  # at the interpreter's end no thread begins
        threading.Thread(target=_write, args=(path, arrays, most_bytes), name=WRITER).start()


def wait_until_written() -> None:
    """Until all that this process keeps is on disk."""
    for thread in threading.enumerate():
        if thread.name == WRITER:
            thread.join()


def _write(path: Path, arrays: Mapping[str, NDArray], most_bytes: int) -> None:
    part: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Another process may read, or write the same.
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
            part = Path(file.name)
            np.savez(file, **arrays)  # type: ignore[arg-type]
        os.replace(part, path)
        _remove_the_oldest(path.parent, most_bytes)
    except OSError as error:
        logger.info("%s is not kept: %s", path, error)
        if part is not None:  # on a full disk above all
            part.unlink(missing_ok=True)


def _remove_the_oldest(folder: Path, most_bytes: int) -> None:
    files = []
    for path in folder.iterdir():
        with suppress(FileNotFoundError):  # another process removes too
            files.append((path.stat().st_mtime, path.stat().st_size, path))
    # What a process has begun that was killed.
    newest = max((modified for modified, _, _ in files), default=0.0)
    for modified, _, path in files:
        if path.suffix == ".part" and modified < newest - SECONDS_OF_AN_ABANDONED_PART:
            path.unlink(missing_ok=True)
    kept = sorted(each for each in files if each[2].suffix == ".npz")
    total = sum(size for _, size, _ in kept)
    for _, size, path in kept:
        if total <= most_bytes:
            break
        path.unlink(missing_ok=True)
        total -= size
