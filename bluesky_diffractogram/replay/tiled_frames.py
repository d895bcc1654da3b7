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
    lost
        Its file, if the server does not keep it in its own and it is not here; for messages.
    """

    def __init__(self, key: str, node: Any, shape: Sequence[int], run_uid: str, lost: str | None = None) -> None:
        total = tuple(node.shape)
        self._key, self._node, self._run_uid, self._lost = key, node, run_uid, lost
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
        if self._lost is None:
            return message
        return (
            f"{message}. It is in {self._lost}, which is not here either: if the files were moved, say "
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
                uids[which] = "/".join((run_uid, key, *which))  # unlike those of the run's other streams
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


def rows_of(
    key: str, node: Any, shape: Sequence[int], run_uid: str, paths: Paths, *, whole: bool = True
) -> ServedRows | RowsInFiles:
    """The rows of an array in tiled, from its files if those are here: they keep the dtype that was measured.

    Parameters
    ----------
    key, node, shape
        See `ServedRows`.
    run_uid
        Of the run.
    paths
        Where files lie here.
    whole
        Whether the run ended well. If not, the detector may have been ahead of the events.

    Raises
    ------
    ReplayError
        Its files hold more than the run: which of their frames are the run's, tiled does not keep.
    """
    source = _external(node)
    if source is None:
        return ServedRows(key, node, shape, run_uid)
    mimetype = plain_mimetype(source.mimetype)
    assets = sorted(source.assets, key=lambda asset: asset.num or 0)
    found = [(_here(asset.data_uri, paths), asset.data_uri) for asset in assets]
    uris = [path for path, _ in found if path is not None]
    served = ServedRows(key, node, shape, run_uid, next((uri for path, uri in found if path is None), None))
    if not uris or len(uris) < len(found):
        return served
    if mimetype in HDF5 and not {"slice", "squeeze"} & set(source.parameters):
        dataset = str(source.parameters.get("dataset", ""))
        places = _in_hdf5(uris, dataset, len(served), math.prod(node.shape[:-2]), run_uid, paths, whole=whole)
        return served if places is None else RowsInFiles(key, run_uid, mimetype, places)
    numbered = [_numbered(path) for path in uris]
    if mimetype in MULTIPART and len(uris) == len(served) and None not in numbered:
        return RowsInFiles(key, run_uid, mimetype, [place for place in numbered if place is not None])
    return served


def _external(node: Any) -> Any:
    """What tiled keeps of the files that an array is registered from; None if they are its own."""
    source = (node.data_sources() or [None])[0]
    external = source is not None and str(getattr(source.management, "value", source.management)) == "external"
    return source if external else None


def refuse_shared_files(nodes: Mapping[str, Any], run_uid: str) -> None:
    """Raise `ReplayError` where the arrays of several streams lie in the same files.

    TiledWriter keeps how many frames of them are each stream's, not which; tiled serves the first to all.

    Parameters
    ----------
    nodes
        tiled's clients of the arrays, by stream.
    run_uid
        Of the run.
    """
    owner: dict[tuple[str, str], str] = {}
    for stream, node in nodes.items():
        source = _external(node)
        for asset in () if source is None else source.assets:
            first = owner.setdefault((asset.data_uri, str(source.parameters.get("dataset", ""))), stream)
            if first != stream:
                raise ReplayError(
                    f"raw run {run_uid} has frames of the streams {first!r} and {stream!r} in {asset.data_uri}, and "
                    "tiled does not keep which are whose (it has no indices of StreamDatum documents): replay the run "
                    "from a file of its documents"
                )


def _in_hdf5(
    uris: Sequence[str], dataset: str, rows: int, frames: int, run_uid: str, paths: Paths, *, whole: bool
) -> list[tuple[str, dict[str, str], int]] | None:
    """Where `rows` events with `frames` frames are, one file after the other; None if the server may know better."""
    room: list[int] = []
    more = False
    for uri in uris:
        try:
            with HDF5Frames.open(paths.resolve(uri), dataset) as file:
                before = sum(room)
                room.append(len(file))
                more = more or (sum(room) > frames and _is_written(file, max(frames - before, 0)))
        except (NotReadable, Unreadable):
            return None
    if more:
        # TiledWriter keeps of StreamDatum documents how many frames there are, not which; tiled serves the first.
        files, there = uris[0] if len(uris) == 1 else f"{len(uris)} files from {uris[0]} on", sum(room)
        if whole:
            raise ReplayError(
                f"raw run {run_uid} has {frames} of the {there} frames in {files}, and tiled does not keep which (it "
                "has no indices of StreamDatum documents): replay the run from a file of its documents"
            )
        what = "raw run %s did not end well: of the %d frames in %s the first %d are taken"
        logger.warning(what, run_uid, there, files, frames)
    each = max(1, frames // max(rows, 1))
    last = len(uris) - 1
    lots = [n // each if i < last else rows for i, n in enumerate(room)]
    places = [(uri, {"dataset": dataset}, row) for uri, n in zip(uris, lots, strict=True) for row in range(n)]
    return places[:rows]


def _is_written(file: HDF5Frames, index: int) -> bool:
    """Whether there is a frame, where there is room for it."""
    try:
        file.read(index)
    except NotReadable:
        return False
    return True


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
