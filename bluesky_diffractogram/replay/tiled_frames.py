"""Arrays in tiled, row by row: out of the files that they are registered from, or through the server."""

from __future__ import annotations

import logging
import math
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..documents.resources import HDF5, MULTIPART, plain_mimetype
from ..files import HDF5Frames, NotReadable, Paths, Unreadable
from ..files.paths import paths_of
from .errors import ReplayError

logger = logging.getLogger(__name__)

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
    run_uid
        Of the run.
    file
        That it is in, if the server does not keep it in its own; for messages.
    """

    def __init__(self, key: str, node: Any, shape: Sequence[int], run_uid: str, file: str | None = None) -> None:
        total = tuple(node.shape)
        self._key, self._node, self._run_uid, self._file = key, node, run_uid, file
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
                raise ReplayError(self._why(error)) from error
        return self._block[place] if self._stacked else self._block[place : place + self._step]

    def _why(self, error: Exception) -> str:
        """What cannot be read, and of files what mends it."""
        told = next(iter(str(error).splitlines()), "")
        message = f"raw run {self._run_uid}: {self._key!r} cannot be read through the tiled server"
        message += f" ({type(error).__name__}: {told})"
        if self._file is None:
            return message
        return (
            f"{message}. It is in {self._file}, which is not here either: if the files were moved, say "
            "where they are now with root_map={there: here}"
        )


class RowsInFiles:
    """The same, told of by StreamResource and StreamDatum documents.

    Parameters
    ----------
    key
        The data key.
    run_uid
        Of the run.
    mimetype
        Of the files.
    places
        For each event the URI and the parameters of a StreamResource, and the index in it.

    Attributes
    ----------
    resources
        The StreamResource documents.
    """

    def __init__(
        self, key: str, run_uid: str, mimetype: str, places: Sequence[tuple[str, Mapping[str, str], int]]
    ) -> None:
        self.resources: list[dict[str, Any]] = []
        self._places: list[tuple[str, int]] = []
        uids: dict[tuple[str, ...], str] = {}
        for uri, parameters, index in places:
            which = (uri, *parameters.values())
            if which not in uids:
                uids[which] = f"{run_uid}/{key}/{len(uids)}"
                self.resources.append(
                    {
                        "uid": uids[which], "run_start": run_uid, "data_key": key, "mimetype": mimetype, "uri": uri,
                        "parameters": dict(parameters),
                    }
                )  # fmt: skip
            self._places.append((uids[which], index))

    def __len__(self) -> int:
        """How many events they hold values for."""
        return len(self._places)

    def datum(self, row: int, descriptor: str, seq_num: int) -> dict[str, Any]:
        """The StreamDatum document of one event."""
        resource, index = self._places[row]
        return {
            "uid": f"{resource}/{row}", "stream_resource": resource, "descriptor": descriptor,
            "indices": {"start": index, "stop": index + 1}, "seq_nums": {"start": seq_num, "stop": seq_num + 1},
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
    source = (node.data_sources() or [None])[0]
    if source is None or str(getattr(source.management, "value", source.management)) != "external":
        return ServedRows(key, node, shape, run_uid)
    mimetype = plain_mimetype(source.mimetype)
    assets = sorted(source.assets, key=lambda asset: asset.num or 0)
    served = ServedRows(key, node, shape, run_uid, assets[0].data_uri if assets else None)
    found = [_here(asset.data_uri, paths) for asset in assets]
    uris = [path for path in found if path is not None]
    if not uris or len(uris) < len(found):
        return served
    if mimetype in HDF5 and len(uris) == 1 and not {"slice", "squeeze"} & set(source.parameters):
        dataset = str(source.parameters.get("dataset", ""))
        if _holds_no_more(uris[0], dataset, math.prod(node.shape[:-2]), paths):
            places = [(uris[0], {"dataset": dataset}, row) for row in range(len(served))]
            return RowsInFiles(key, run_uid, mimetype, places)
    numbered = [_numbered(path) for path in uris]
    if mimetype in MULTIPART and len(uris) == len(served) and None not in numbered:
        return RowsInFiles(key, run_uid, mimetype, [place for place in numbered if place is not None])
    return served


def _numbered(path: str) -> tuple[str, dict[str, str], int] | None:
    """The folder of a file, its name as a template, and the number in it; None where it has none."""
    folder, name = os.path.split(path)
    match = re.fullmatch(r"([^%{}]*?)(\d{1,18})([^%{}\d]*)", name)
    if match is None:
        return None
    begin, digits, end = match.groups()
    return folder, {"template": f"{begin}{{:0{len(digits)}d}}{end}"}, int(digits)


def _here(uri: str, paths: Paths) -> str | None:
    """The path that a URI means, as it was where the file was written, if the file is here."""
    try:
        return next((path for path in paths_of(uri) if os.path.exists(paths.resolve(path))), None)
    except Unreadable:
        return None


def _holds_no_more(uri: str, dataset: str, number: int, paths: Paths) -> bool:
    """Whether a file holds the run's frames alone, or not all of them; of more, tiled does not tell which they are."""
    try:
        with HDF5Frames.open(paths.resolve(uri), dataset) as frames:
            there = len(frames)
    except (NotReadable, Unreadable):
        return False
    if there > number:
        logger.warning(
            "%s holds %d frames, the run has %d: the first of them are taken, as tiled does", uri, there, number
        )
    return there <= number
