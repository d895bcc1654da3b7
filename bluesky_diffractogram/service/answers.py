"""What a running service may be asked, and told."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..config import INPUT_FILES
from ..documents.callback import ReductionCallback
from ..files import Paths, Unreadable

logger = logging.getLogger(__name__)

FILES = (*sorted(INPUT_FILES), "assets_dir")
"""The settings that name files and folders."""


def answers(
    callback: ReductionCallback, status: Callable[[], Any], roots: Sequence[str] | None = None
) -> dict[str, Callable[[Any], Any]]:
    """What gives the answer, by the word that is asked with, see `ControlServer`.

    Parameters
    ----------
    callback
        Is asked and told.
    status
        Tells how the service stands.
    roots
        Folders outside of which a setting that comes this way may name no file; None is no such limit.
    """
    paths = Paths(roots=roots)

    def configure(changes: Any) -> Any:
        if not isinstance(changes, dict):
            raise ValueError("configure takes a JSON object of settings")
        _hold_to(paths, changes)
        callback.configure(changes)
        logger.info("reconfigured: %s", ", ".join(changes))
        return callback.configuration()

    def switched(switch: Callable[[bool], None]) -> Callable[[Any], Any]:
        def set_to(on: Any) -> None:
            if on not in (None, True, False):
                raise ValueError("expected true or false")
            switch(on is not False)

        return set_to

    return {
        "configure": configure,
        "configuration": lambda _: callback.configuration(),
        "status": lambda _: status(),
        "results": lambda _: callback.results,
        "show": switched(callback.show),
        "collect": switched(callback.collect),
        "next": lambda _: callback.next(),
        "reset": lambda _: callback.reset(),
    }


def _hold_to(paths: Paths, changes: Mapping[str, Any]) -> None:
    for key in FILES:
        value = changes.get(key)
        if isinstance(value, str):
            # As the settings resolve it: of "inside/a.tif::/../../outside" only "outside" is left.
            path = os.path.abspath(os.path.expanduser(value))
            try:
                for each in (path, path.split("::")[0]):
                    paths.check(each)
            except Unreadable as error:
                raise ValueError(f"{key}: {error}") from None
    merged = changes.get("merge")
    for entry in merged if isinstance(merged, list) else ():
        if isinstance(entry, Mapping):
            _hold_to(paths, entry)
