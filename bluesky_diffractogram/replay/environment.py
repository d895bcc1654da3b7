"""What dask sets in this process's environment for those that it starts, and would leave there."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable


class KeptEnvironment:
    """Puts environment variables back after processes were started with others.

    Of several clusters at once the last one puts them back.

    Parameters
    ----------
    names
        Of the variables.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = tuple(names)
        self._lock = threading.Lock()
        self._changed = 0
        self._before: dict[str, str | None] = {}

    def keep(self) -> None:
        """Remember them as they are, until `restore`."""
        with self._lock:
            if not self._changed:
                self._before = {name: os.environ.get(name) for name in self._names}
            self._changed += 1

    def restore(self) -> None:
        """As they were before `keep`."""
        with self._lock:
            self._changed -= 1
            if self._changed:
                return
            for name, value in self._before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
