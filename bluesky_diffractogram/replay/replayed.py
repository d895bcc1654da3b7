"""A replay: derived documents, a data set, or what a sink makes of them."""

from __future__ import annotations

import itertools
import logging
import os
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import DiffractogramConfig, load_config
from ..documents.setting import Setting
from ..documents.stream_join import is_stream
from ..files import Paths
from .dataset import DerivedRows, Key, pick
from .derived_source import for_every_frame, is_derived
from .document_files import NamedDocument
from .errors import ReplayError
from .frame_settings import FrameSettings, recorded_settings
from .reduction_pass import NO_STREAMS, ReductionPass
from .same_geometry import SameGeometry
from .stored import StoredRun, StoredRuns, stored_runs
from .there_already import Destination, ThereAlready

if TYPE_CHECKING:
    from xarray import Dataset

    from .workers import Workers

logger = logging.getLogger(__name__)

Sink = Callable[[str, dict[str, Any]], Any]
Progress = Callable[[int, int | None], Any]


class Replay:
    """Stored runs, reduced again whenever they are asked for; `replay` makes it.

    Iterating gives the derived documents ``(name, doc)`` as frames are reduced, those of several runs one run
    after the other; no more is kept in memory than that takes. Each iteration computes anew.

    Attributes
    ----------
    failures
        What kept raw runs from being replayed, in the latest iteration: a `ReplayError` by uid, or by what the run
        was called if not even that could be read.
    taken_over
        How many frames were taken over of earlier derived runs, in the latest iteration; the first one of a run is
        computed again, to compare.
    there_already
        How many frames each raw run has that was not replayed, as all of them are where they are wanted (`already`).
    """

    def __init__(
        self,
        runs: StoredRuns,
        config: DiffractogramConfig | None,
        raw: Any,
        options: Mapping[str, Any],
        workers: Workers | None = None,
        resume: Any = None,
        progress: Progress | None = None,
        already: ThereAlready | None = None,
    ) -> None:
        self._runs, self._config, self._raw, self._options = runs, config, raw, dict(options)
        self._workers, self._resume, self._progress = workers, resume, progress
        self._already = already
        self.taken_over = 0
        self.there_already: dict[str, int] = {}
        self._paths = Paths(options.get("root_map"), options.get("roots"))
        self._geometry = SameGeometry()
        self._datasets: dict[Key, Dataset] | None = None
        self.failures: dict[str, ReplayError] = {}

    def __iter__(self) -> Generator[NamedDocument, None, None]:
        """Derived documents.

        Raises
        ------
        ReplayError
            At the end, if no run could be replayed; of several the others go on, see `failures`.
        """
        self.failures = {}
        self.taken_over = 0
        self.there_already = {}
        self._geometry = SameGeometry()
        replayed = 0
        reduction: ReductionPass | None = None
        with tempfile.TemporaryDirectory(prefix="diffractogram-") as folder:
            try:
                for stored in self._runs.each():
                    try:
                        source = self._source(stored, Path(folder))
                        if source is None:
                            continue
                        documents, settings = source
                        config = settings.first
                        if self._already is not None and self._config is not None:
                            there = self._already.look(_careful(stored, config, self._paths), config)
                            self.there_already |= there.frames
                            replayed += len(there.frames)
                            if not there.more:
                                continue
                            documents = there.others(documents)
                        if reduction is None or reduction.config != config or settings.several:
                            if reduction is not None:
                                yield from self._told(reduction, reduction.finish())
                                replayed += reduction.replayed
                                self.taken_over += reduction.taken_over
                                reduction.close()
                            # Earlier runs are known by their first stream: of other settings nothing is taken over.
                            resume = None if settings.several else self._resume
                            reduction = ReductionPass(config, self._options, self._workers, resume)
                            reduction.failures = self.failures
                        if self._progress is not None:
                            reduction.announce(_announced(stored))
                        yield from self._told(reduction, _reduced(reduction, documents, settings))
                    except ReplayError as error:
                        self._failed(stored.name, error)
                if reduction is not None:
                    yield from self._told(reduction, reduction.finish())
                    replayed += reduction.replayed
            finally:
                if reduction is not None:
                    self.taken_over += reduction.taken_over
                    reduction.close()
                if self._workers is not None:
                    self._workers.close()
        if not replayed:
            self._raise_failures()

    def to_xarray(self, *, run: str | None = None, stream: str | None = None) -> Dataset:
        """The diffractograms as a data set; what was computed for one is kept for the next.

        Parameters
        ----------
        run
            The raw run's uid, or how it begins; needed where there are several.
        stream
            The name of the derived stream. A run has a second one, ``"diffractogram_2"``, where its frames changed
            their shape on the way: what has other axes is no part of the same data set.

        Returns
        -------
        xarray.Dataset
            For each range i ``diff_i (frame, radial_i)`` with the coordinate ``radial_i``, ``sigma_i`` and
            ``count_i`` where there are any, ``peaks_i_position`` and ``peaks_i_height (frame, peak)``, and the
            scalars of derived events.
            The first dimension is the scanned reading, if there was one alone, else ``frame``. Coordinates ``time``
            (UTC), ``seq_num`` and ``frame_index`` (of the raw run), and all carried readings. Attributes tell where
            the numbers come from. A frame that was taken again after a rewind is there once.

        Raises
        ------
        ReplayError
            No run could be replayed, or none is meant.
        ValueError
            There are several; the message lists them.
        """
        return pick(self.to_xarrays(), run, stream)

    def to_xarrays(self) -> dict[Key, Dataset]:
        """All data sets, by the uid of the raw run and the name of the derived stream; see `to_xarray`."""
        if self._datasets is None:
            rows = DerivedRows()
            self.store(rows)
            self._datasets = rows.datasets()
        return {key: each.copy() for key, each in self._datasets.items()}

    def store(self, *sinks: Sink) -> None:
        """Give the derived documents to `sinks`: a `TiledWriter`, ``db.insert``, anything that takes ``(name, doc)``.

        Raises
        ------
        ReplayError
            As iterating does.
        """
        for name, doc in self:
            for sink in sinks:
                sink(name, doc)

    def _told(self, reduction: ReductionPass, documents: Iterator[NamedDocument]) -> Iterator[NamedDocument]:
        """The same documents, told to `progress`."""
        for pair in documents:
            self._geometry.compare(pair)
            yield pair
            if self._progress is not None:
                expected = reduction.expected
                self._progress(reduction.reduced, expected if expected and expected >= reduction.reduced else None)

    def _failed(self, name: str, error: ReplayError) -> None:
        logger.error("%s", error)
        self.failures[name] = error

    def _raise_failures(self) -> None:
        if len(self.failures) > 1:
            told = "\n".join(f"- {error}" for error in self.failures.values())
            raise ReplayError(f"none of {len(self.failures)} runs could be replayed:\n{told}")
        for error in self.failures.values():
            raise error

    def _source(self, stored: StoredRun, folder: Path) -> tuple[Iterator[NamedDocument], FrameSettings] | None:
        """Raw documents, and with what they are to be reduced; None for a derived run among others."""
        documents = _careful(stored, self._config, self._paths)
        first = next(documents, None)
        if first is None:
            raise ReplayError(f"{stored.name} holds no documents")
        name, start = first
        if name != "start":
            raise ReplayError(f"{stored.name} begins with a {name} document, not with a start: {start.get('uid', '')}")
        if not is_derived(start):
            if self._config is None:
                raise ReplayError(f"raw run {start['uid']}: a configuration is needed to reduce it")
            return itertools.chain([first], documents), FrameSettings(self._config)
        if self._raw is None and self._runs.several:
            logger.info("derived run %s is passed over", start["uid"])
            return None
        if self._raw is None:
            raise ReplayError(
                f"run {start['uid']} is derived from {start['raw_uid']}: say with raw= where that is found"
            )
        settings = FrameSettings(self._config) if self._config is not None else None
        settings = settings or recorded_settings(start, documents, folder, self._geometry.expect)
        return _careful(_raw_run(self._raw, start["raw_uid"]), settings.first, self._paths), settings


def open_replay(
    run: Any,
    config: Any,
    *,
    catalog: Any = None,
    raw: Any = None,
    workers: Any = None,
    resume: Any = None,
    progress: Progress | None = None,
    options: Mapping[str, Any],
    destinations: Sequence[Destination] = (),
) -> Replay:
    """See `replay`; of runs that all `destinations` have as they would be now nothing is given out."""
    checked = None if config is None else for_every_frame(load_config(config))
    if checked is not None:
        Setting.open(checked)
    already = ThereAlready(destinations, options) if destinations else None
    return Replay(stored_runs(run, catalog), checked, raw, options, _workers(workers), resume, progress, already)


def _workers(given: Any) -> Workers | None:
    if given is None:
        return None
    from .workers import Workers

    return Workers(given)


def _announced(stored: StoredRun) -> Mapping[str, Any] | None:
    try:
        return stored.stop()
    except Exception:  # whatever its catalogue raises, which is said of its documents
        return None


def _reduced(
    reduction: ReductionPass, documents: Iterator[NamedDocument], settings: FrameSettings
) -> Iterator[NamedDocument]:
    """The derived documents of one source; what is wrong with it ends the runs that it has begun."""
    reason = "the raw run has no stop document"
    broken: ReplayError | None = None
    try:
        for config, name, doc in settings.along(documents):
            reduction.use(config)
            yield from reduction.feed(name, doc)
    except ReplayError as error:
        broken, reason = error, str(error)
    yield from reduction.end(reason, broken=broken is not None)
    reduction.use(settings.first)
    if broken is not None:
        raise broken


def _raw_run(raw: Any, uid: str) -> StoredRun:
    """The raw run `uid`: `raw` itself, or in the catalogue `raw`."""
    if isinstance(raw, (str, os.PathLike)) or not hasattr(raw, "__getitem__") or isinstance(raw, (list, tuple)):
        return next(stored_runs(raw).each())
    if (getattr(raw, "metadata", None) or {}).get("start") or callable(getattr(raw, "documents", None)):
        return next(stored_runs(raw).each())
    return next(stored_runs(uid, raw).each())


def _careful(stored: StoredRun, config: DiffractogramConfig | None, paths: Paths) -> Iterator[NamedDocument]:
    """The documents of `stored`; whatever else a catalogue raises is a `ReplayError` of that run."""
    streams = False
    try:
        for name, doc in stored.documents(config, paths):
            streams = streams or (name == "descriptor" and any(is_stream(key) for key in doc["data_keys"].values()))
            yield name, doc
    except ReplayError:
        raise
    except Exception as error:
        message = f"{stored.name} cannot be read ({type(error).__name__}: {error})"
        raise ReplayError(f"{message}: {NO_STREAMS}" if streams else message) from error
