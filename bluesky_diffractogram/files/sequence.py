"""Frames in a file each: TIFF, JPEG and NPY."""

from __future__ import annotations

import os
import re
import stat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import NotReadable, Unreadable
from .paths import Paths
from .state import file_state

MOST_BYTES = 2**30
TEMPLATE = re.compile(
    r"(?:[^{}%]|%%|\{\{|\}\})*(?:\{(?:0?:0?\d{0,2}d?)?\}|%(?:\d{0,2}(?:\.\d{1,2})?)d)(?:[^{}%]|%%|\{\{|\}\})*"
)


class FileSequence:
    """Frames whose files are numbered.

    Parameters
    ----------
    folder
        Where they lie.
    template
        Of a file's name: ``img_{:06d}.tiff`` or ``img_%06d.tiff``.
    """

    def __init__(self, folder: str, template: str) -> None:
        self.folder, self.template = folder, template

    def path(self, index: int) -> str:
        """The file of frame `index`, counted from 0.

        Raises
        ------
        Unreadable
            The template is none.
        """
        if not TEMPLATE.fullmatch(self.template):
            raise Unreadable(f"{self.template!r} is no template of a file's name")
        try:
            name = self.template % index if "%" in self.template else self.template.format(index)
        except (TypeError, ValueError, IndexError, KeyError, AttributeError) as error:
            raise Unreadable(f"{self.template!r} is no template of a file's name: {error}") from error
        return os.path.join(self.folder, name)

    def read(self, index: int, paths: Paths | None = None) -> NDArray:
        """``(ny, nx)``: one frame.

        Parameters
        ----------
        index
            Which one, from 0.
        paths
            Says where files may be opened.

        Raises
        ------
        NotReadable
            Its file is not there, or not whole yet.
        Unreadable
            It holds no image, or lies where nothing may be opened.
        """
        path = self.path(index)
        if paths is not None:
            paths.check(path)
        try:
            if not stat.S_ISREG(os.stat(path).st_mode):
                raise Unreadable(f"{path} is no file")
            data = _npy(path) if path.endswith(".npy") else _image(path)
        except Unreadable:
            raise
        except Exception as error:  # whatever the readers of the formats raise for half a file
            missing = path if isinstance(error, FileNotFoundError) else None
            raise NotReadable(f"{path} cannot be read: {error}", missing) from error
        if data.ndim == 3 and data.shape[0] == 1:
            data = data[0]
        if data.ndim != 2:
            raise Unreadable(f"{path} holds an array of shape {data.shape}, expected (ny, nx)")
        return np.asarray(data)

    def require(self, index: int, paths: Paths | None = None) -> None:
        """Raise `NotReadable` where the file of a frame is not there."""
        if paths is not None:
            paths.check(self.path(index))
        if not os.path.exists(self.path(index)):
            raise NotReadable(f"{self.path(index)} is not there", self.path(index))

    def state(self, index: int, paths: Paths | None = None) -> str | None:
        """What is the same as long as the file of a frame is what it was; None where that cannot be told."""
        try:
            path = self.path(index)
            if paths is not None:
                paths.check(path)
        except Unreadable:
            return None
        return file_state(path)

    def close(self) -> None:
        """Nothing is kept open."""

    def name(self, index: int) -> str:
        """What people call a frame: its file."""
        return self.path(index)

    def __str__(self) -> str:
        return os.path.join(self.folder, self.template)


def _npy(path: str) -> NDArray:
    data = np.load(path, mmap_mode="r", allow_pickle=False)  # which looks at the size that is there first
    if data.nbytes > MOST_BYTES:
        raise Unreadable(f"{path} holds {data.nbytes} bytes; more than {MOST_BYTES} are not read")
    return np.array(data)


def _image(path: str) -> NDArray:
    """By the name of the file: one of another format could lead into files elsewhere."""
    from fabio.jpegimage import JpegImage

    if os.path.getsize(path) > MOST_BYTES:
        raise Unreadable(f"{path} is larger than {MOST_BYTES} bytes")
    return _found(JpegImage().read(path).data) if path.lower().endswith((".jpg", ".jpeg")) else _tiff(path)


def _tiff(path: str) -> NDArray:
    """By Pillow where it is compressed: fabio makes noise of PackBits."""
    from fabio.tifimage import TifImage
    from PIL import Image, UnidentifiedImageError
    from PIL.TiffImagePlugin import COMPRESSION, SAMPLEFORMAT

    pages = 1
    try:
        with Image.open(path, formats=["TIFF"]) as image:
            tags: Any = getattr(image, "tag_v2", {})
            _check_whole(tags, os.path.getsize(path))
            pages = int(getattr(image, "n_frames", 1))
            if pages == 1 and tags.get(COMPRESSION, 1) != 1:
                data = np.asarray(image)
                unsigned = data.dtype == np.int32 and tags.get(SAMPLEFORMAT, (1,))[0] == 1  # which Pillow has not
                return data.view(np.uint32) if unsigned else data
    except UnidentifiedImageError:
        pass  # half a file, or numbers that only fabio knows
    if pages > 1:
        raise Unreadable(f"{path} holds {pages} images, where files of one each are read")
    return _found(TifImage().read(path).data)


def _check_whole(tags: Any, size: int) -> None:
    """Raise OSError where a TIFF file ends before its image, for which Pillow would give zeros."""
    from PIL.TiffImagePlugin import STRIPBYTECOUNTS, STRIPOFFSETS, TILEBYTECOUNTS, TILEOFFSETS

    begins = tags.get(STRIPOFFSETS) or tags.get(TILEOFFSETS) or ()
    sizes = tags.get(STRIPBYTECOUNTS) or tags.get(TILEBYTECOUNTS) or ()
    if not begins or len(begins) != len(sizes) or max(map(sum, zip(begins, sizes, strict=True))) > size:
        raise OSError("it is not whole")


def _found(data: Any) -> NDArray:
    if data is None:  # what fabio says of half a file
        raise OSError("there is no image in it")
    return np.asarray(data)
