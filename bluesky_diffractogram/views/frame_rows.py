"""The rows of the heat-maps: the last diffractograms of all ranges, of one meaning."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bluesky_diffractogram.reduction.buffer_snapshot import columns

from .derived import DerivedRuns, Stream, as_floats, frame_of
from .row_ring import RowRing
from .rows import Rows

logger = logging.getLogger(__name__)

BUFFER_SIZE = 1024
# of memory for the rows of ranges without a heat-map, which may get one: 32 ranges of 1000 bins keep 1048 rows each
HIDDEN_BYTES = 2**28
ROW_AXES = ("auto", "frame", "time")
"""What the row axis may be beside the name of a reading."""


@dataclass(frozen=True, eq=False, slots=True)
class _Frame:
    key: tuple[Any, ...]
    seq_num: int
    index: int
    timestamp: float
    carried: Mapping[str, float]
    run: int


class FrameRows:
    """Keeps what the heat-maps show, one row of all ranges for each frame; documents may come from any thread.

    Rows go on from run to run, as the buffers of the reduction do, until something that alters the numbers changes. A
    frame that comes again, after a rewind, replaces its row. Of two runs at once whose numbers mean different things,
    the one that began last is kept.

    Parameters
    ----------
    numbers
        The ranges that are kept, from 1; None: all.
    seen
        How many ranges keep as many rows as wanted, from the first on. The others share `HIDDEN_BYTES` of memory, and
        keep fewer where that is too little. None: all.
    buffer_size
        How many rows are kept; None: as was told by `resize`, or the configuration of each run says.
    reset_on_start
        Whether each run begins with no rows; None: as its configuration says.

    Attributes
    ----------
    collecting
        Whether events that come become rows.
    reading
        A scalar data key to be kept with each row from now on, beside the dimensions of the scan; or None.
    version
        Counts changes.
    """

    def __init__(
        self,
        *,
        numbers: Collection[int] | None = None,
        seen: int | None = None,
        buffer_size: int | None = None,
        reset_on_start: bool | None = None,
    ) -> None:
        self.collecting = True
        self.reading: str | None = None
        self.version = 0
        self._numbers, self._seen = numbers, seen
        self._size, self._fixed = buffer_size, buffer_size is not None
        self._reset_on_start = reset_on_start
        self._lock = threading.Lock()
        self._runs = DerivedRuns()
        self._leading: Stream | None = None
        self._meaning: tuple[Any, ...] = ()
        self._streams: list[Stream] = []  # of runs that are open
        self._rings: dict[int, RowRing] = {}
        self._most = BUFFER_SIZE
        self._frames: deque[_Frame] = deque()
        self._row_of: dict[tuple[Any, ...], int] = {}
        self._total, self._begun = 0, 0.0
        self._newest: Stream | None = None
        # raw uid and label of every run since the rows were emptied; each frame keeps the index of its own
        self._labels: list[tuple[str, str]] = []
        self._emptied = 0
        self._missed: str | None = None  # the reading of which it was said that it is not there

    def check_row_axis(self, row_axis: str) -> None:
        """Raise ValueError if rows of the latest stream have no such reading; before the first one nothing is known."""
        stream = self._leading
        if stream is not None and row_axis not in ROW_AXES and row_axis not in stream.scalars:
            raise ValueError(f"row_axis = {row_axis!r}: expected {_allowed(stream)}")

    def start(self, doc: Mapping[str, Any]) -> None:
        """Take a start document."""
        with self._lock:
            configuration = self._runs.start(doc)
            if configuration is not None:
                wanted = self._reset_on_start
                if configuration.get("reset_on_start", False) if wanted is None else wanted:
                    self._empty()

    def descriptor(self, doc: Mapping[str, Any]) -> None:
        """Take a descriptor. Rows of another meaning than its stream's are forgotten."""
        with self._lock:
            stream = self._runs.descriptor(doc)
            if stream is None:
                return
            self._streams.append(stream)
            self._lead(stream)
            if self.reading not in (None, self._missed) and self.reading not in stream.scalars:
                self._missed = self.reading
                logger.warning(
                    "row_axis = %r: %s has no such reading, and its frames' numbers are shown; expected %s",
                    self.reading, stream.run_label, _allowed(stream),
                )  # fmt: skip

    def event(self, doc: Mapping[str, Any]) -> bool:
        """Take an event; whether it brought a row.

        Raises
        ------
        ValueError
            A diffractogram has another shape than the stream says. All rows are as they were.
        """
        with self._lock:
            stream = self._runs.stream_of(doc)
            data = doc["data"]
            if stream is None or not self.collecting:
                return False
            if stream is not self._leading and not self._follow(stream):
                return False
            curves = {n: as_floats(data[f"diff_{n}"], 2)[1] for n in self._rings if f"diff_{n}" in data}
            if not curves:
                return False
            for number, curve in curves.items():
                self._rings[number].check(curve)
            self._put(self._frame(stream, doc), curves)
            return True

    def leads(self, doc: Mapping[str, Any]) -> bool:
        """Whether an event is of the kind that becomes rows: its numbers mean what those of the rows mean."""
        with self._lock:
            stream = self._runs.stream_of(doc)
            return stream is not None and (stream is self._leading or self._follow(stream))

    def stop(self, doc: Mapping[str, Any]) -> None:
        """Take a stop document; its rows stay."""
        with self._lock:
            self._runs.stop(doc)
            self._streams = [stream for stream in self._streams if stream.run_uid != doc["run_start"]]

    def reset(self) -> None:
        """Forget all rows."""
        with self._lock:
            self._empty()

    def resize(self, size: int) -> None:
        """Keep so many rows, whatever documents say; rows are forgotten if that is another number."""
        with self._lock:
            if not self._fixed and size != self._size:
                self._size = size
                if self._leading is not None:
                    self._begin(self._leading)

    def snapshot(self, number: int) -> Rows | None:
        """A consistent copy of the rows of one range; None if there are none."""
        with self._lock:
            ring = self._rings.get(number)
            if ring is None or self._newest is None:
                return None
            first = max(self._total - ring.size, self._total - len(self._frames))
            frames = list(self._frames)[first - self._total :]
            known, runs = np.unique([frame.run for frame in frames], return_inverse=True)
            return Rows(
                stream=self._newest,
                intensity=ring.rows(first, self._total),
                first=first + 1,
                seq_nums=np.array([frame.seq_num for frame in frames]),
                indices=np.array([frame.index for frame in frames]),
                seconds=np.array([frame.timestamp for frame in frames]) - self._begun,
                carried=columns([frame.carried for frame in frames]),
                runs=runs,
                run_labels=tuple(self._labels[run][1] for run in known),
                emptied=self._emptied,
            )

    def curves(self, emptied: int, position: int) -> Mapping[int, NDArray[np.float64]]:
        """``(2, npt)`` radial and intensity of all ranges of one row that is still there, by range.

        Parameters
        ----------
        emptied, position
            As `Rows` has them: how often the rows had been emptied, and the row's position, from 1.
        """
        with self._lock:
            row = position - 1
            if emptied != self._emptied or self._newest is None or not 0 <= row < self._total:
                return {}
            return {
                number: np.stack([self._newest.ranges[number].radial, ring.rows(row, row + 1)[0]])
                for number, ring in self._rings.items()
                if row >= self._total - min(ring.size, len(self._frames))
            }

    @property
    def emptied(self) -> int:
        """How often the rows have been emptied."""
        return self._emptied

    def _lead(self, stream: Stream) -> None:
        """Let the rows have the meaning of `stream`, from now on if they have not."""
        if (self._wanted_size(stream), *stream.meaning()) != self._meaning:
            self._begin(stream)
        self._leading = stream

    def _follow(self, stream: Stream) -> bool:
        """Whether an event of `stream` becomes a row, though the latest was one of another stream."""
        assert self._leading is not None
        alike = stream.meaning() == self._leading.meaning()
        if alike or stream.run_uid == self._leading.run_uid or self._leading not in self._streams:
            self._lead(stream)
            return True
        return False

    def _begin(self, stream: Stream) -> None:
        """Make room for rows of `stream`, and forget those that there are."""
        size = self._wanted_size(stream)
        self._meaning = (size, *stream.meaning())
        npts = {n: len(of.radial) for n, of in stream.ranges.items() if self._numbers is None or n in self._numbers}
        hidden = {n: npt for n, npt in npts.items() if self._seen is not None and n > self._seen}
        share = max(1, HIDDEN_BYTES // (8 * max(1, sum(hidden.values()))))
        self._rings = {n: RowRing(min(size, share) if n in hidden else size, npt) for n, npt in npts.items()}
        self._most = size
        self._empty()

    def _wanted_size(self, stream: Stream) -> int:
        return self._size or int(stream.configuration.get("buffer_size", BUFFER_SIZE))

    def _frame(self, stream: Stream, doc: Mapping[str, Any]) -> _Frame:
        data = doc["data"]
        run = (stream.raw_uid, stream.run_label)
        if not self._labels or self._labels[-1] != run:
            self._labels.append(run)
        names = (*stream.dimensions, *([self.reading] if self.reading else []))
        seq_num, index = frame_of(doc)
        return _Frame(
            # a frame that is taken again has the numbers of the first one, and takes its place
            key=(stream.raw_uid, seq_num, index),
            seq_num=seq_num,
            index=index,
            timestamp=float(data.get("timestamp", doc["time"])),
            carried={name: _reading(data[name]) for name in names if name in data},
            run=len(self._labels) - 1,
        )

    def _put(self, frame: _Frame, curves: Mapping[int, NDArray[np.float64]]) -> None:
        row = self._row_of.get(frame.key)
        if row is None:
            row, self._total = self._total, self._total + 1
            if len(self._frames) == self._most:
                del self._row_of[self._frames.popleft().key]
            self._frames.append(frame)
            self._row_of[frame.key] = row
        else:
            self._frames[row - self._total] = frame
        for number, ring in self._rings.items():
            if row >= self._total - ring.size:
                ring.put(row, curves.get(number, np.nan))
        if self._newest is None:
            self._begun = frame.timestamp
        self._newest = self._leading
        self.version += 1

    def _empty(self) -> None:
        self._frames.clear()
        self._row_of.clear()
        self._total, self._begun = 0, 0.0
        self._newest = None
        self._labels = []
        self._emptied += 1
        self.version += 1


def _allowed(stream: Stream) -> str:
    """What the row axis may be, in words."""
    computed = next((key for key in sorted(stream.scalars) if key.endswith("_position")), "")
    names = [*map(repr, ROW_AXES), *stream.carried, *([f"what is computed, such as {computed}"] if computed else [])]
    return ", ".join(names[:-1]) + f", or {names[-1]}"


def _reading(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")
