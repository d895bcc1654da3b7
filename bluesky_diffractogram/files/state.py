"""What tells whether the file of a frame is still what it was."""

from __future__ import annotations

import os
import stat
import time

# A file that was written so recently may be written again without its time showing it: file systems count in ticks of
# some milliseconds, or in seconds.
TICK_S = 0.02
WHOLE_SECONDS_S = 2.0


def file_state(path: str) -> str | None:
    """What a file is called, its size, and the times at which its content and its entry were changed last.

    Taken before a file is read: if it is the same later, the file holds what was read then.

    Parameters
    ----------
    path
        Of the file.

    Returns
    -------
    str or None
        None where it is no file, not there, or was written only just now.
    """
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    whole = found.st_mtime_ns % 10**9 == 0
    if time.time() - max(found.st_mtime, found.st_ctime) < (WHOLE_SECONDS_S if whole else TICK_S):
        return None
    # The time of the entry changes also where somebody sets the other one back.
    return f"{os.path.abspath(path)}\n{found.st_size}\n{found.st_mtime_ns}\n{found.st_ctime_ns}"


def joined_states(*states: str | None) -> str | None:
    """Of several, in order; None if one is not known."""
    known = [state for state in states if state is not None]
    return "\n\n".join(known) if len(known) == len(states) else None
