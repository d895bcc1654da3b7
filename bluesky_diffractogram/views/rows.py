"""The rows of one heat-map: the last diffractograms of one range, of one meaning."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bluesky_diffractogram.reduction.buffer import DiffractogramBuffer

from .derived import DerivedRuns, Stream, as_floats

BUFFER_SIZE = 1024
_RUN = "(run)"


@dataclass(frozen=True, eq=False, slots=True)
class Rows:
    """A consistent copy of the rows.

    Attributes
    ----------
    stream
        The stream of the newest row; all rows have its axis and unit.
    intensity
        ``(n, npt)``, the oldest first; NaN in empty bins.
    first
        The number of the oldest row, counted from 1 since the rows were last emptied.
    seconds
        ``(n,)`` frame times in seconds since the first frame after the rows were emptied.
    carried
        Readings ``(n,)`` by their name.
    run_labels
        The raw runs whose frames are among the rows, the oldest first.
    """

    stream: Stream
    intensity: NDArray[np.float64]
    first: int
    seconds: NDArray[np.float64]
    carried: Mapping[str, NDArray[np.float64]]
    run_labels: tuple[str, ...]


class RangeRows:
    """Keeps what the heat-map of one range shows; documents may come from any thread.

    Rows go on from run to run, as the buffers of the reduction do, until something that alters the numbers changes. A
    frame that comes again, after a rewind, replaces its row.

    Parameters
    ----------
    number
        The range, from 1.
    buffer_size
        How many rows are kept; None: as the configuration of each run says.
    reset_on_start
        Whether each run begins with no rows; None: as its configuration says.
    reading
        A scalar data key to be kept with each row, beside the dimensions of the scan.
    """

    def __init__(
        self,
        number: int,
        *,
        buffer_size: int | None = None,
        reset_on_start: bool | None = None,
        reading: str | None = None,
    ) -> None:
        self.number = number
        self.collecting = True
        self._size = buffer_size
        self._reset_on_start = reset_on_start
        self._reading = reading
        self._lock = threading.Lock()
        self._runs = DerivedRuns()
        self._buffer: DiffractogramBuffer | None = None
        self._newest: Stream | None = None
        self._meaning: tuple[Any, ...] = ()
        self._streams: list[Stream] = []
        self._empty()

    def start(self, doc: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Take a start document; its configuration if it begins a derived run."""
        with self._lock:
            configuration = self._runs.start(doc)
            if configuration is not None:
                wanted = self._reset_on_start
                if configuration.get("reset_on_start", False) if wanted is None else wanted:
                    self._empty()
            return configuration

    def descriptor(self, doc: Mapping[str, Any]) -> Stream | None:
        """Take a descriptor; its stream if that has our range. Rows of another meaning are forgotten."""
        with self._lock:
            stream = self._runs.descriptor(doc)
            if stream is None or self.number not in stream.ranges:
                return None
            size = self._size or int(stream.configuration.get("buffer_size", BUFFER_SIZE))
            meaning = (size, *stream.meaning(self.number))
            # a second stream of a run with nothing in its configuration to tell why: the numbers changed otherwise
            unexplained = any(
                other.run_uid == stream.run_uid
                and other.name != stream.name
                and other.configuration == stream.configuration
                for other in self._streams
            )
            if meaning != self._meaning or unexplained:
                self._buffer = DiffractogramBuffer(size, len(stream.ranges[self.number].radial))
                self._meaning = meaning
                self._streams = []
                self._empty()
            self._streams.append(stream)
            return stream

    def event(self, doc: Mapping[str, Any]) -> bool:
        """Take an event; whether it brought a row."""
        with self._lock:
            stream = self._runs.stream_of(doc)
            data = doc["data"]
            if stream not in self._streams or f"diff_{self.number}" not in data or not self.collecting:
                return False
            assert stream is not None
            assert self._buffer is not None
            if not self._labels or self._labels[-1] != stream.run_label:
                self._labels.append(stream.run_label)
            names = (*stream.dimensions, *([self._reading] if self._reading else []))
            timestamp = float(data.get("timestamp", doc["time"]))
            self._buffer.append(
                as_floats(data[f"diff_{self.number}"], 2)[1],
                timestamp,
                key=(stream.run_uid, stream.name, doc["seq_num"]),
                carried={name: _reading(data[name]) for name in names if name in data}
                | {_RUN: float(len(self._labels) - 1)},
            )
            if self._newest is None:
                self._begin = timestamp
            self._newest = stream
            return True

    def stop(self, doc: Mapping[str, Any]) -> None:
        """Take a stop document; its rows stay."""
        with self._lock:
            self._runs.stop(doc)
            self._streams = [stream for stream in self._streams if stream.run_uid != doc["run_start"]]

    def reset(self) -> None:
        """Forget all rows."""
        with self._lock:
            self._empty()

    def snapshot(self) -> Rows | None:
        """A consistent copy of the rows; None if there are none."""
        with self._lock:
            if self._buffer is None or self._newest is None:
                return None
            kept = self._buffer.snapshot()
            carried = dict(kept.carried)
            runs = carried.pop(_RUN).astype(int)
            return Rows(
                stream=self._newest,
                intensity=kept.rows,
                first=kept.total - len(kept.rows) + 1,
                seconds=kept.timestamps - self._begin,
                carried=carried,
                run_labels=tuple(self._labels[index] for index in np.unique(runs)),
            )

    def _empty(self) -> None:
        if self._buffer is not None:
            self._buffer.reset()
        self._newest = None
        self._begin = 0.0
        # of every run since the rows were emptied; each row keeps the index of its own
        self._labels: list[str] = []


def _reading(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")
