"""Names of files that are made of what a frame is called."""

from __future__ import annotations

import re
from pathlib import PurePath


def file_stem(imagename: str) -> str:
    """A file name for a frame: ``scan.h5[3]`` and ``scan.h5:3`` give ``scan_00003``, ``a/b_01.tif`` gives ``b_01``."""
    match = re.fullmatch(r"(.*)\[(\d+)\]", imagename) or re.fullmatch(r"(.*\.\w+):(\d+)", imagename)
    path, index = (match[1], f"_{int(match[2]):05d}") if match else (imagename, "")
    name = PurePath(path).name or "frame"
    stem = name[: -len(PurePath(name).suffix)] if PurePath(name).suffix else name
    return re.sub(r"[^\w.+-]", "_", stem) + index


def frame_stem(imagename: str, scan: object = None) -> str:
    """A file name for a frame; images that are in no file are called by a number, put after that of the scan.

    Parameters
    ----------
    imagename
        The file, or ``<run>/<data key>/<number>`` or just a number where there is none.
    scan
        The scan's id.
    """
    match = re.fullmatch(r"(?:[0-9a-f]{8}/.*/)?(\d+)(?:\[(\d+)\])?", imagename)
    if match is None:
        return file_stem(imagename)
    numbers = "".join(f"_{int(number):05d}" for number in match.groups() if number is not None)
    return ("frame" if scan is None else f"scan{scan}") + numbers


class FreeNames:
    """Hands out names of which no two are the same.

    Parameters
    ----------
    separator
        Stands between a name and its number.
    """

    def __init__(self, separator: str = "-") -> None:
        self._separator = separator
        self._taken: set[str] = set()

    def free(self, stem: str) -> str:
        """`stem`, numbered where that name was used before (files of one name in two folders)."""
        free, n = stem, 1
        while free in self._taken:
            n += 1
            free = f"{stem}{self._separator}{n}"
        self._taken.add(free)
        return free
