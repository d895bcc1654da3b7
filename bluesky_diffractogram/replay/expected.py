"""How many frames raw runs will have, as far as their documents say it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..config import DiffractogramConfig
from ..documents.images import find_image_key

Document = Mapping[str, Any]


@dataclass
class _Run:
    points: int | None
    frames: int = 1  # to a point
    image_key: str = ""


class ExpectedFrames:
    """Counts the frames that are to come, called with raw documents.

    Parameters
    ----------
    config
        Which images are reduced.
    """

    def __init__(self, config: DiffractogramConfig) -> None:
        self._config = config
        self._runs: dict[str, _Run] = {}
        self._stop: Document | None = None
        self._done = 0

    def announce(self, stop: Document | None) -> None:
        """Take the stop document of the run that is to start next, where it is known before the others."""
        self._stop = stop

    def __call__(self, name: str, doc: Document) -> None:
        """Take one document of any run."""
        if name == "start":
            stop, self._stop = self._stop, None
            announced = self._points(stop) if stop is not None and stop.get("run_start") == doc["uid"] else None
            self._runs[doc["uid"]] = _Run(announced or _number(doc.get("num_points")))
        elif name == "descriptor" and doc.get("run_start") in self._runs and doc.get("name") == self._config.stream:
            run, image_key = self._runs[doc["run_start"]], find_image_key(doc, self._config.image_key)
            if image_key is not None and self._config.frames_per_event == "each":
                leading = list(doc["data_keys"][image_key].get("shape") or ())[:-2]
                run.frames = max(1, math.prod(int(n) for n in leading if n))
        elif name == "stop" and doc.get("run_start") in self._runs:
            run = self._runs[doc["run_start"]]
            run.points = self._points(doc) or run.points

    def reduced(self, raw_uid: str, received: int) -> None:
        """A run has ended with so many frames."""
        if raw_uid in self._runs:
            self._runs[raw_uid] = _Run(received)

    @property
    def total(self) -> int | None:
        """Of the runs that have begun; None if it is not known of one of them."""
        known = [run.points * run.frames for run in self._runs.values() if run.points is not None]
        return sum(known) if len(known) == len(self._runs) else None

    def _points(self, stop: Document) -> int | None:
        return _number((stop.get("num_events") or {}).get(self._config.stream))


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
