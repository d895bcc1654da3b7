"""One command at a time in a folder."""

from __future__ import annotations

import errno
import logging
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

logger = logging.getLogger(__name__)

LOCK = ".diffractogram.lock"

_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


class FolderBusy(OSError):
    """Another command writes to the folder."""


class FolderLock:
    """Keeps other commands out of a folder until it is released, or the process ends.

    Where the file system has no locks, nobody is kept out.

    Parameters
    ----------
    folder
        It is there.

    Raises
    ------
    FolderBusy
        Another command, or another lock of this process, has it.
    OSError
        Nothing can be written there.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK
        self._lock = FileLock(self._path, timeout=0, thread_local=False)
        try:
            self._lock.acquire()
        except Timeout:
            raise FolderBusy(
                f"another command is writing to {folder} (it holds {LOCK} there): wait for it, or give another folder"
            ) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            logger.info("%s: its file system has no locks (%s)", folder, error)
            self._path.unlink(missing_ok=True)

    def release(self) -> None:
        """Let others in; the second time nothing happens."""
        if self._lock.is_locked:
            # While it is held: whoever opened it meanwhile has a file of no name, and is turned away or opens it anew.
            with suppress(OSError):
                self._path.unlink()
            self._lock.release()
