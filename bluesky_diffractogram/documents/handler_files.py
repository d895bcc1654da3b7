"""The files that a reader of somebody else's reads an image from, and whether they are what they were."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from ..files import file_state, joined_states

MOST_FILES = 10_000
HDF5 = b"\x89HDF\r\n\x1a\n"


class HandlerFiles:
    """Tells the states of files that readers name, as long as these are those that the readers have opened."""

    def __init__(self) -> None:
        self._first: OrderedDict[str, str] = OrderedDict()

    def state(self, handler: Any, datum_kwargs: Mapping[str, Any]) -> str | None:
        """What is the same as long as an image is what it was; None where that cannot be told.

        Parameters
        ----------
        handler
            The reader. To say what it reads it may have databroker's ``get_file_list``.
        datum_kwargs
            Of the image.
        """
        get_file_list = getattr(handler, "get_file_list", None)
        if get_file_list is None:
            return None
        try:
            paths = [str(path) for path in get_file_list([dict(datum_kwargs)])]
            what = json.dumps([f"{type(handler).__module__}.{type(handler).__qualname__}", dict(datum_kwargs)])
        except Exception:  # whatever it raises, or cannot be written
            return None
        return joined_states(what, *map(self._state, paths)) if paths else None

    def forget(self) -> None:
        """The readers have been closed."""
        self._first.clear()

    def _state(self, path: str) -> str | None:
        state = file_state(path)
        if state is None or _is_hdf5(path):  # which may lead into others, that a reader does not name
            return None
        first = self._first.setdefault(path, state)
        while len(self._first) > MOST_FILES:
            self._first.popitem(last=False)
        return state if state == first else None


def _is_hdf5(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(len(HDF5)) == HDF5
    except OSError:
        return True
