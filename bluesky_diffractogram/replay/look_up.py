"""One run in a catalogue, by what people call it."""

from __future__ import annotations

from typing import Any

from .errors import ReplayError


def look_up(catalog: Any, key: str | int) -> Any:
    """The run `key` of `catalog`.

    Parameters
    ----------
    catalog
        Of databroker or tiled, or any mapping.
    key
        A uid; a scan id, of which the latest run counts; a negative number, from the end. In tiled and databroker
        also how a uid begins.

    Raises
    ------
    ReplayError
        It is not there, or several uids begin so.
    """
    try:
        return catalog[key]
    except Exception as error:  # each catalogue has errors of its own
        failed: Exception = error
    try:
        found = _in_container(catalog, key)
        if found is not None:
            return found
    except (KeyError, IndexError):
        pass  # the first error says it
    except Exception as error:
        failed = error
    raise ReplayError(f"{key!r} is not in the catalogue ({type(failed).__name__}: {failed})") from failed


def _in_container(catalog: Any, key: str | int) -> Any:
    """Looks in a node of tiled that is not marked as a catalogue of runs, and so knows its own keys only."""
    if not hasattr(catalog, "search") or not hasattr(catalog, "structure_clients"):
        return None
    from tiled.queries import Eq, Like

    if isinstance(key, str):
        if not key or {"%", "_"} & set(key):  # which would stand for anything
            return None
        runs = catalog.search(Like("start.uid", key + "%"))
        uids = runs.keys()[:2]
        if len(uids) > 1:
            raise ValueError(f"the uids of several runs begin with {key!r}")
        return runs[uids[0]] if uids else None
    if key < 0:
        return catalog.values()[key]
    return catalog.search(Eq("start.scan_id", key)).values().last()
