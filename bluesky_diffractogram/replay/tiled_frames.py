"""Arrays in tiled, row by row: out of the files that they are registered from, or through the server."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..files import HDF5Frames, NotReadable, Paths, Unreadable
from ..files.paths import paths_of
from .errors import ReplayError

logger = logging.getLogger(__name__)

HDF5 = ("application/x-hdf5", "application/x-hdf")
ONE_FILE_EACH = tuple(f"multipart/related;type={kind}" for kind in ("image/tiff", "image/jpeg", "application/x-npy"))
BLOCK_BYTES = 16 * 2**20


class ServedRows:
    """An array of tiled, read through the server in blocks of several rows.

    Parameters
    ----------
    key
        What to call it.
    node
        tiled's client of the array: ``(n, …)``, or ``(n · m, …)`` with `m` leading entries for each event.
    shape
        Of one event's value, as the descriptor says it.
    """

    def __init__(self, key: str, node: Any, shape: Sequence[int]) -> None:
        total = tuple(node.shape)
        self._key, self._node = key, node
        self._stacked = len(total) == len(shape) + 1
        self._step = 1 if self._stacked else max(1, int(shape[0]))
        self._number = total[0] // self._step if total else 0
        row_bytes = self._step * math.prod(total[1:]) * np.dtype(node.dtype).itemsize
        self._rows_per_block = max(1, BLOCK_BYTES // max(1, row_bytes))
        self._first, self._block = 0, np.empty(0)

    def __len__(self) -> int:
        """How many events it has values for."""
        return self._number

    def read(self, row: int) -> NDArray[Any]:
        """The value of one event.

        Raises
        ------
        ReplayError
            The server does not give it.
        """
        place = (row - self._first) * self._step
        if not 0 <= place < len(self._block):
            self._first, place = row, 0
            last = min(row + self._rows_per_block, self._number)
            try:
                self._block = np.asarray(self._node[row * self._step : last * self._step])
            except Exception as error:  # whatever the way to the server raises
                raise ReplayError(
                    f"{self._key!r} cannot be read through the tiled server ({type(error).__name__}: {error}), and its "
                    "files are not here: say where they are with root_map={there: here}"
                ) from error
        return self._block[place] if self._stacked else self._block[place : place + self._step]


class RowsInFiles:
    """The same, told of by StreamResource and StreamDatum documents.

    Parameters
    ----------
    key
        The data key.
    run_uid
        Of the run.
    number
        How many events there are.
    mimetype, parameters
        Of the files.
    uris
        Of one file that holds all, or of one for each event.
    """

    def __init__(
        self, key: str, run_uid: str, number: int, mimetype: str, parameters: Mapping[str, Any], uris: Sequence[str]
    ) -> None:
        self._number = number
        self.resources = [
            {
                "uid": f"{run_uid}/{key}/{n}", "run_start": run_uid, "data_key": key, "mimetype": mimetype,
                **_file(mimetype, uri, parameters),
            }
            for n, uri in enumerate(uris)
        ]  # fmt: skip

    def __len__(self) -> int:
        """How many events they hold values for."""
        return self._number

    def datum(self, row: int, descriptor: str, seq_num: int) -> dict[str, Any]:
        """The StreamDatum document of one event."""
        one_file = len(self.resources) == 1
        resource = self.resources[0 if one_file else row]["uid"]
        start = row if one_file else 0
        return {
            "uid": f"{resource}/{row}", "stream_resource": resource, "descriptor": descriptor,
            "indices": {"start": start, "stop": start + 1}, "seq_nums": {"start": seq_num, "stop": seq_num + 1},
        }  # fmt: skip


def rows_of(key: str, node: Any, shape: Sequence[int], run_uid: str, paths: Paths) -> ServedRows | RowsInFiles:
    """The rows of an array in tiled, from its files if those are here: they keep the dtype that was measured.

    Parameters
    ----------
    key, node, shape
        See `ServedRows`.
    run_uid
        Of the run.
    paths
        Where files lie here.
    """
    served = ServedRows(key, node, shape)
    source = (node.data_sources() or [None])[0]
    if source is None or str(getattr(source.management, "value", source.management)) != "external":
        return served
    mimetype = str(source.mimetype).replace(" ", "").lower()
    assets = sorted(source.assets, key=lambda asset: asset.num or 0)
    found = [_here(asset.data_uri, paths) for asset in assets]
    uris = [path for path in found if path is not None]
    if not uris or len(uris) < len(found):
        return served
    if mimetype in HDF5 and len(uris) == 1 and not {"slice", "squeeze"} & set(source.parameters):
        dataset = str(source.parameters.get("dataset", ""))
        if _holds_exactly(uris[0], dataset, math.prod(node.shape[:-2]), paths):
            return RowsInFiles(key, run_uid, len(served), mimetype, {"dataset": dataset}, uris)
    if mimetype in ONE_FILE_EACH and len(uris) == len(served) and not any("%" in uri for uri in uris):
        return RowsInFiles(key, run_uid, len(served), mimetype, {}, uris)
    return served


def _file(mimetype: str, uri: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What a StreamResource says of one file; of a frame alone the name is a template with no place for a number."""
    if mimetype not in ONE_FILE_EACH:
        return {"uri": uri, "parameters": dict(parameters)}
    folder, name = os.path.split(uri)
    return {"uri": folder, "parameters": {**parameters, "template": name.replace("{", "{{").replace("}", "}}")}}


def _here(uri: str, paths: Paths) -> str | None:
    """The path that a URI means, as it was where the file was written, if the file is here."""
    try:
        return next((path for path in paths_of(uri) if os.path.exists(paths.resolve(path))), None)
    except Unreadable:
        return None


def _holds_exactly(uri: str, dataset: str, number: int, paths: Paths) -> bool:
    """Whether a file holds as many frames as the run has; of more, tiled does not tell which are the run's."""
    try:
        with HDF5Frames.open(paths.resolve(uri), dataset) as frames:
            there = len(frames)
    except (NotReadable, Unreadable):
        return False
    if there != number:
        logger.warning(
            "%s holds %d frames, the run has %d: the first of them are taken, as tiled does", uri, there, number
        )
    return there == number
