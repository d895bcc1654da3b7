"""Which run a document belongs to."""

from __future__ import annotations

from typing import Any


class RunOf:
    """Gives the uid of a document's run; called with every document of any number of runs, in order.

    A run is forgotten with its stop.
    """

    def __init__(self) -> None:
        self._of_descriptor: dict[str, str] = {}

    def __call__(self, name: str, doc: dict[str, Any]) -> str:
        """The run of this document.

        Raises
        ------
        KeyError
            An event whose descriptor has not been given.
        """
        if name == "start":
            return str(doc["uid"])
        uid = str(doc.get("run_start") or self._of_descriptor[doc["descriptor"]])
        if name == "descriptor":
            self._of_descriptor[doc["uid"]] = uid
        elif name == "stop":
            self._of_descriptor = {each: run for each, run in self._of_descriptor.items() if run != uid}
        return uid
