"""Frames out of files, as the documents of a raw bluesky run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from event_model import compose_run
from numpy.typing import NDArray

IMAGE = "image"
STREAM = "primary"

Emit = Callable[[str, dict[str, Any]], Any]


class FrameFile:
    """The frames of one file that fabio reads; to be used in a ``with`` statement.

    Parameters
    ----------
    path
        The file; ``file.h5::/path/inside`` names a data set in an HDF5 file.

    Attributes
    ----------
    timestamp
        When the file was last written, in seconds since the epoch.

    Raises
    ------
    Exception
        Whatever fabio's readers raise where a file cannot be read.
    """

    def __init__(self, path: str | Path) -> None:
        import fabio

        self.path = str(path)
        self.timestamp = os.stat(self.path.split("::")[0]).st_mtime
        self._image = fabio.open(self.path)

    def __enter__(self) -> FrameFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._image.close()

    def __len__(self) -> int:
        return max(1, int(self._image.nframes))

    def __iter__(self) -> Iterator[tuple[str, NDArray]]:
        """Name and ``(ny, nx)`` counts of each frame: ``a_01.tif``, ``scan.h5[0]`` in a file of several."""
        name = os.path.basename(self.path.split("::")[0])
        n = len(self)
        for index in range(n):
            image = self._image if n == 1 else self._image.get_frame(index)
            if image.data is None:
                raise ValueError("there is no image in it")
            yield (name if n == 1 else f"{name}[{index}]"), np.asarray(image.data)


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
