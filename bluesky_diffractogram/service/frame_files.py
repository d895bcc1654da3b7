"""Frames out of files, as the documents of a raw bluesky run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from event_model import compose_run
from numpy.typing import NDArray

from ..files import HDF5Frames, find_datasets, read_ahead

IMAGE = "image"
STREAM = "primary"

Emit = Callable[[str, dict[str, Any]], Any]


class FrameFile:
    """The frames of one file; to be used in a ``with`` statement.

    Parameters
    ----------
    path
        A file that fabio reads, or an HDF5 file; ``file.h5::/path/inside`` names a data set in it.

    Attributes
    ----------
    timestamp
        When the file was last written, in seconds since the epoch.

    Raises
    ------
    Exception
        Whatever fabio's readers raise where a file cannot be read, and `files.NotReadable` and `files.Unreadable`.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        self._file, _, dataset = self.path.partition("::")
        self.timestamp = os.stat(self._file).st_mtime
        self._closing = ExitStack()
        self._reads: Iterator[Callable[[], NDArray]]
        if _is_hdf5(self._file):
            datasets = [dataset] if dataset else find_datasets(self._file)
            opened = [self._closing.enter_context(HDF5Frames.open(self._file, each)) for each in datasets]
            lengths = [len(each) for each in opened]
            self._number = sum(lengths)
            self._reads = (partial(each.read, i) for each, n in zip(opened, lengths, strict=True) for i in range(n))
        else:
            import fabio

            image = self._closing.enter_context(closing(fabio.open(self.path)))
            self._number = max(1, int(image.nframes))
            self._reads = (partial(_frame_of, image, index) for index in range(self._number))

    def __enter__(self) -> FrameFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def __len__(self) -> int:
        return self._number

    def __iter__(self) -> Iterator[tuple[str, NDArray]]:
        """Name and ``(ny, nx)`` counts of each frame: ``a_01.tif``, ``scan.h5[0]`` in a file of several.

        The next ones are read while one is worked on.
        """
        name = os.path.basename(self._file)
        for index, frame in enumerate(read_ahead(lambda read: read(), self._reads)):
            yield (name if len(self) == 1 else f"{name}[{index}]"), frame()


def _is_hdf5(path: str) -> bool:
    import h5py

    return bool(h5py.is_hdf5(path))


def _frame_of(image: Any, index: int) -> NDArray:
    data = (image if index == 0 else image.get_frame(index)).data
    if data is None:
        raise ValueError("there is no image in it")
    return np.asarray(data)


@dataclass
class RawRun:
    """Composes the raw run whose frames come from files.

    Parameters
    ----------
    emit
        Called with ``(name, doc)`` of every document.
    metadata
        For the start document.
    """

    emit: Emit
    metadata: Mapping[str, Any]
    _bundle: Any = None
    _compose_event: Any = None
    _kind: tuple[Any, ...] = field(default=())

    def start(self) -> None:
        """Emit the start document."""
        self._bundle = compose_run(metadata=dict(self.metadata))
        self.emit("start", self._bundle.start_doc)

    def frame(self, imagename: str, image: NDArray, timestamp: float) -> None:
        """Emit the event of one frame, before it a descriptor where its shape or dtype is new."""
        kind = (image.shape, image.dtype.str)
        if kind != self._kind:
            bundle = self._bundle.compose_descriptor(
                name=STREAM,
                data_keys=_data_keys(image),
                object_keys={"files": [IMAGE, "imagename"]},
                configuration={},
                hints={},
            )
            self.emit("descriptor", bundle.descriptor_doc)
            self._compose_event, self._kind = bundle.compose_event, kind
        data = {IMAGE: image, "imagename": imagename}
        self.emit("event", self._compose_event(data=data, timestamps=dict.fromkeys(data, timestamp), time=timestamp))

    def stop(self, exit_status: str = "success", reason: str = "") -> None:
        """Emit the stop document."""
        self.emit("stop", self._bundle.compose_stop(exit_status=exit_status, reason=reason))


def _data_keys(image: NDArray) -> dict[str, Any]:
    return {
        IMAGE: {
            "source": "file",
            "dtype": "array",
            "dtype_numpy": image.dtype.str,
            "shape": list(image.shape),
            "object_name": "files",
        },
        "imagename": {"source": "file", "dtype": "string", "shape": [], "object_name": "files"},
    }
