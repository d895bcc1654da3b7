"""What people call a stored run, recognised by what it offers, as its documents."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..config import DiffractogramConfig
from ..files import Paths
from .document_files import NamedDocument, documents_of_file, last_stop
from .errors import ReplayError
from .look_up import look_up
from .tiled_run import documents_of_tiled_run, is_tiled_run

ALLOWED = (
    "a run of databroker or tiled, an iterable of (name, doc), or the path of a JSON-lines or msgpack file of "
    "documents; or several of these: a list, a query's result, a catalogue, or uids with catalog="
)


Documents = Callable[[DiffractogramConfig | None, Paths], Iterator[NamedDocument]]


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A source of documents: mostly one run, but files and iterables may hold several.

    Attributes
    ----------
    name
        What to call it before its uid is known.
    documents
        Gives ``(name, doc)`` from the beginning each time it is called, with the configuration that says which are
        wanted (None for all) and where files lie here; `ReplayError` where it cannot.
    outline
        Gives the same with no arrays in the events, where that takes less time.
    stop
        Gives the stop document of a single run before the others, where that takes no time; None if it is not there.
    """

    name: str
    documents: Documents
    outline: Callable[[], Iterator[NamedDocument]] | None = None
    stop: Callable[[], Mapping[str, Any] | None] = lambda: None


@dataclass(frozen=True, slots=True)
class StoredRuns:
    """One stored run or several.

    Attributes
    ----------
    several
        Whether more than one may come.
    each
        Gives them, from the first each time it is called.
    """

    several: bool
    each: Callable[[], Iterator[StoredRun]]


def stored_runs(run: Any, catalog: Any = None) -> StoredRuns:
    """Find out what `run` is.

    Parameters
    ----------
    run
        See `replay`.
    catalog
        Where runs given by uid or scan id are found.

    Raises
    ------
    ReplayError
        It is nothing known.
    """
    one = _one(run, catalog)
    if one is not None:
        return StoredRuns(False, lambda: iter([one]))
    if _runs_through_uids(run):
        return StoredRuns(True, lambda: (_several(each, catalog) for each in run.values()))
    if callable(getattr(run, "insert", None)) and hasattr(run, "v2"):  # a catalogue by databroker's interface 1
        return stored_runs(run.v2)
    if not isinstance(run, Iterable):
        raise ReplayError(f"a {type(run).__name__} cannot be replayed; expected {ALLOWED}")
    first, again = _peek(run)
    if _is_document(first):
        single = StoredRun("the documents", lambda config, paths: again(), stop=lambda: _stop_of(run))
        return StoredRuns(False, lambda: iter([single]))
    return StoredRuns(True, lambda: (_several(each, catalog) for each in again()))


def _runs_through_uids(run: Any) -> bool:
    """Whether it is a catalogue, or a query's result; those of databroker 1 are no Mapping, but offer the same."""
    return isinstance(run, Mapping) or (callable(getattr(run, "values", None)) and callable(getattr(run, "keys", None)))


def _several(run: Any, catalog: Any) -> StoredRun:
    """One of several, which may turn out to be none when its documents are asked for."""
    try:
        one = _one(run, catalog)
        if one is None:
            inner = stored_runs(run)
            if inner.several:
                raise ReplayError(f"a {type(run).__name__} among several runs is no run")
            one = next(inner.each())
        return one
    except ReplayError as error:
        return StoredRun(_short(run), _raising(error))


def _one(run: Any, catalog: Any) -> StoredRun | None:
    if isinstance(run, (str, int)) and not isinstance(run, bool) and catalog is not None:
        return StoredRun(
            str(run),
            lambda *where: _documents(look_up(catalog, run), *where),
        )
    if isinstance(run, (str, os.PathLike)):
        return StoredRun(os.fspath(run), lambda *where: documents_of_file(run), stop=lambda: last_stop(run))
    if isinstance(run, int):
        raise ReplayError(f"{run!r}: a scan id is found with catalog=")
    if is_tiled_run(run):
        outline = partial(documents_of_tiled_run, run, arrays=False)
        return StoredRun(_short(run), lambda *where: _documents(run, *where), outline, lambda: _stop(run))
    if callable(getattr(run, "documents", None)):
        return StoredRun(_short(run), lambda *where: _documents(run, *where), stop=lambda: _stop(run))
    return None


def _stop(run: Any) -> Mapping[str, Any] | None:
    """What a catalogue says at once."""
    found = (getattr(run, "metadata", None) or {}).get("stop") or getattr(run, "stop", None)
    return found if isinstance(found, Mapping) else None


def _stop_of(documents: Any) -> Mapping[str, Any] | None:
    """Of a single run in a list."""
    if not isinstance(documents, (list, tuple)):
        return None
    stops = [doc for name, doc in documents if name == "stop"]
    return stops[0] if len(stops) == 1 else None


def _documents(run: Any, config: DiffractogramConfig | None, paths: Paths) -> Iterator[NamedDocument]:
    # databroker's interface 1 wraps a run of tiled's, whose own documents() needs a server that exports them.
    inner = run if is_tiled_run(run) else getattr(run, "v2", None)
    if inner is not None and is_tiled_run(inner):
        return documents_of_tiled_run(inner, config, paths)
    if not callable(getattr(run, "documents", None)):
        inner_runs = stored_runs(run)
        if inner_runs.several:
            raise ReplayError(f"a {type(run).__name__} is several runs, expected one")
        return next(inner_runs.each()).documents(config, paths)
    # Runs of databroker 1's interface 2, which alone have this older name for their documents, take words.
    return iter(run.documents(fill="no" if callable(getattr(run, "canonical", None)) else False))


def _peek(run: Iterable[Any]) -> tuple[Any, Callable[[], Iterator[Any]]]:
    """The first item, and a function that gives all of them, each time if `run` can be run through again."""
    items = iter(run)
    try:
        first = next(items)
    except StopIteration:
        raise ReplayError("there is nothing to replay: no run, no document") from None
    if items is not iter(run):
        return first, lambda: iter(run)
    rest: list[Iterator[Any]] = [itertools.chain([first], items)]

    def once() -> Iterator[Any]:
        if not rest:
            raise ReplayError(
                "the iterator was used up by the first replay; give a list, or something that can begin again"
            )
        return rest.pop()

    return first, once


def _is_document(item: Any) -> bool:
    return (
        isinstance(item, (tuple, list)) and len(item) == 2 and isinstance(item[0], str) and isinstance(item[1], Mapping)
    )


def _raising(error: ReplayError) -> Documents:
    def documents(config: DiffractogramConfig | None, paths: Paths) -> Iterator[NamedDocument]:
        raise error

    return documents


def _short(run: Any) -> str:
    start = getattr(run, "start", None) or (getattr(run, "metadata", None) or {}).get("start") or {}
    return str(start["uid"]) if "uid" in start else f"a {type(run).__name__}"
