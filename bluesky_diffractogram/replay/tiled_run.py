"""The documents of a run that a TiledWriter stored, made again from the parts that tiled keeps of it."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import DiffractogramConfig
from ..documents.darks import find_images, looked_at
from ..documents.moving import tells_geometry
from ..files import Paths
from .document_files import NamedDocument
from .errors import ReplayError
from .tiled_frames import RowsInFiles, ServedRows, refuse_shared_files, rows_of
from .values import plain

_Point = tuple[float, list[NamedDocument]]

TIME, SEQ_NUM, TIMESTAMP = "time", "seq_num", "ts_"


def is_tiled_run(run: Any) -> bool:
    """Whether `run` is a run as TiledWriter stores it, rather than one of databroker's."""
    if not hasattr(run, "item") or not hasattr(run, "base"):
        return False
    specs = getattr(run, "specs", None) or ()
    return any(spec.name == "BlueskyRun" and str(spec.version).startswith("3") for spec in specs)


def documents_of_tiled_run(
    run: Any, config: DiffractogramConfig | None = None, paths: Paths | None = None, *, arrays: bool = True
) -> Iterator[NamedDocument]:
    """The documents of `run`; events and their values are read as they are asked for.

    The server need not export documents. What tiled does not keep is made up: uids of events, and the timestamps of
    external values, for which the event's own time stands.

    Parameters
    ----------
    run
        tiled's client of the run.
    config
        Says which stream and which of its arrays is wanted; None gives all.
    paths
        Where files lie here; what is not there is read through the server.
    arrays
        Whether events without `config` are to hold their arrays.

    Yields
    ------
    name, doc
        Start; of each stream the descriptors and StreamResource documents; StreamDatum documents or events, those of
        several streams in the order of their times; stop if there is one.

    Raises
    ------
    ReplayError
        The values can be read neither from their files nor through the server, or which they are is not stored.
    """
    metadata = run.metadata
    start = plain(metadata["start"])
    yield "start", start
    whole = (metadata.get("stop") or {}).get("exit_status") == "success"
    points: list[Iterator[_Point]] = []
    images: dict[str | None, dict[str, Any]] = {}  # by data key and stream
    for name, stream in _streams(run):
        descriptors = [{**plain(doc), "name": name, "run_start": start["uid"]} for doc in stream.descriptors]
        wanted: set[str | None] | None = None if arrays else set()
        if config is not None:
            readings = tells_geometry(config, name)
            if not looked_at(name, config) and not readings:
                yield from (("descriptor", descriptor) for descriptor in descriptors)
                continue
            wanted = {find_images(descriptors[0], config), *(each.image_key for each in config.merge)}
            wanted = set() if readings else wanted
            for key in wanted if config.dark_of_run is not None else ():
                if key in stream.base:
                    images.setdefault(key, {})[name] = stream.base[key]
                    refuse_shared_files(images[key], start["uid"])
        head, of_stream = _stream(stream, descriptors, wanted, paths or Paths(), whole)
        yield from head
        points.append(of_stream)
    for _, documents in heapq.merge(*points, key=lambda point: point[0]):
        yield from documents
    if metadata.get("stop"):
        yield "stop", plain(metadata["stop"])


def _streams(run: Any) -> Iterator[tuple[str, Any]]:
    # Items come with what their listing says; each that is asked for by its name is one more request.
    for name, node in run.base.items():
        # Early writers put the streams into a node of their own.
        if name == "streams" and "BlueskyEventStream" not in {spec.name for spec in node.specs}:
            yield from node.items()
        else:
            yield name, node


def _stream(
    stream: Any, descriptors: list[dict[str, Any]], wanted: set[str | None] | None, paths: Paths, whole: bool
) -> tuple[list[NamedDocument], Iterator[_Point]]:
    """The documents of a stream that come before its events; and of each event the time, and what there is of it."""
    data_keys, run_uid = descriptors[0]["data_keys"], descriptors[0]["run_start"]
    parts = dict(stream.base.items())
    table = _table(parts)
    arrays = {key: node for key, node in parts.items() if key in data_keys and (wanted is None or key in wanted)}
    shapes = {key: data_keys[key].get("shape") or () for key in arrays}
    rows = {key: rows_of(key, node, shapes[key], run_uid, paths, whole=whole) for key, node in arrays.items()}
    in_files = {key: each for key, each in rows.items() if isinstance(each, RowsInFiles)}
    served = {key: each for key, each in rows.items() if isinstance(each, ServedRows)}
    for descriptor in descriptors:
        for key in in_files:
            descriptor["data_keys"][key]["external"] = "STREAM:"
    head: list[NamedDocument] = [("descriptor", descriptor) for descriptor in descriptors]
    head += [("stream_resource", doc) for each in in_files.values() for doc in each.resources]
    event, number = _events(descriptors, table, served), _number_of_events(descriptors[0]["name"], table, rows)

    def point(row: int) -> _Point:
        doc = event(row)
        documents: list[NamedDocument] = [
            ("stream_datum", each.datum(row, doc["descriptor"], doc["seq_num"])) for each in in_files.values()
        ]
        # Fly scans have no events, and none are made up for them.
        return doc["time"], [*documents, ("event", doc)] if table or served else documents

    return head, map(point, range(number))


def _table(parts: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """The columns of the tables that hold what is no array, ``(n,)`` each; wide ones are stored in several."""
    columns: dict[str, NDArray[Any]] = {}
    for key, node in parts.items():
        if key.startswith("internal") and node.structure_family == "table":
            frame = node.read()
            columns |= {str(column): frame[column].to_numpy() for column in frame.columns}
    return columns


def _number_of_events(
    name: str, table: Mapping[str, NDArray[Any]], rows: Mapping[str, ServedRows | RowsInFiles]
) -> int:
    numbers = {key: len(each) for key, each in rows.items()}
    if table:
        numbers["its events"] = len(table[SEQ_NUM])
    if len(set(numbers.values())) > 1:
        told = ", ".join(f"{n} of {key}" for key, n in numbers.items())
        raise ReplayError(f"the stream {name!r} has {told}: which belong together is not stored in tiled")
    return next(iter(numbers.values()), 0)


def _events(
    descriptors: Sequence[Mapping[str, Any]],
    table: Mapping[str, NDArray[Any]],
    served: Mapping[str, ServedRows],
) -> Callable[[int], dict[str, Any]]:
    """What makes the event of a row."""
    scalars = [key for key in descriptors[0]["data_keys"] if key in table]

    def event(row: int) -> dict[str, Any]:
        time = float(table[TIME][row]) if TIME in table else float(descriptors[0]["time"])
        earlier = [doc for doc in descriptors if doc["time"] <= time]
        descriptor = (earlier or descriptors)[-1 if earlier else 0]["uid"]
        data = {key: _value(table[key][row]) for key in scalars}
        data |= {key: each.read(row) for key, each in served.items()}
        timestamps = {key: _time(table, key, row, time) for key in data}
        seq_num = int(table[SEQ_NUM][row]) if SEQ_NUM in table else row + 1
        return {
            "uid": f"{descriptor}/{row}", "descriptor": descriptor, "seq_num": seq_num, "time": time,
            "data": data, "timestamps": timestamps, "filled": {},
        }  # fmt: skip

    return event


def _time(table: Mapping[str, NDArray[Any]], key: str, row: int, time: float) -> float:
    column = table.get(TIMESTAMP + key)
    stamp = math.nan if column is None else float(column[row])
    return time if math.isnan(stamp) else stamp


def _value(cell: Any) -> Any:
    return cell.item() if isinstance(cell, np.generic) else cell
