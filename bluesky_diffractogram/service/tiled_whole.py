"""Derived runs into a tiled server when they are whole, and those that are there already not again."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from typing import Any

from ..documents.derived_run import PURPOSE
from ..documents.earlier import same_value
from ..replay.document_files import NamedDocument
from ..replay.errors import ReplayError
from ..replay.tiled_run import documents_of_tiled_run
from .run_of import RunOf
from .spool import Spool, spooled
from .tiled_runs import TiledRuns

logger = logging.getLogger(__name__)

COMPUTED_BY = ("configuration", "calibration", "arrays", "merge", "versions")


class TiledWhole:
    """Stores derived runs, called with their documents; one that cannot be stored is an error in the log.

    A run is kept in a file on this machine until its last document is there. tiled's writer sends most of a run at its
    end, and what it has sent of a run that is interrupted is of no use to anybody.

    Parameters
    ----------
    client
        Of the node of tiled that gets the runs.
    name
        What to call it.

    Attributes
    ----------
    places
        Where derived runs are, by uid.
    """

    def __init__(self, client: Any, name: str) -> None:
        self.places: dict[str, str] = {}
        self._client, self._name = client, name
        self._write = TiledRuns(client, name)
        self._spools: dict[str, Spool] = {}
        self._raw_uids: dict[str, str] = {}
        self._run_of = RunOf()

    def earlier(self, raw_uid: str) -> list[Any]:
        """What there is of derived runs of a raw one, as `replay` takes it for ``resume``: the complete ones first."""
        try:
            return [*self._stored(raw_uid), *spooled(raw_uid, self._name)]
        except Exception as error:  # whatever the way to the server raises
            logger.warning(
                "%s cannot be searched for earlier results (%s: %s)", self._name, type(error).__name__, error
            )
            return [*spooled(raw_uid, self._name)]

    @property
    def name(self) -> str:
        """What it is called."""
        return self._name

    def whole(self, raw_uid: str) -> list[Any] | None:
        """The derived runs of a raw one in it that came to their end."""
        try:
            return [run for run in self._stored(raw_uid) if run.metadata.get("stop")] or None
        except Exception:  # which is said where earlier results are looked for
            return None

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        """Take one document of any derived run; with the stop all is stored."""
        uid = self._run_of(name, doc)
        try:
            if name == "start":
                self._spools[uid] = Spool(str(doc["raw_uid"]), self._name)
                self._raw_uids[uid] = str(doc["raw_uid"])
            spool = self._spools.get(uid)
            if spool is None:
                return
            spool(name, doc)
            if name == "stop":
                self._finish(uid, self._spools.pop(uid))
        except OSError as error:
            self._spools.pop(uid, None)
            raw_uid = self._raw_uids.get(uid, uid)
            logger.error(
                "the derived run of raw run %s cannot be kept on its way to %s: %s", raw_uid, self._name, error
            )

    def close(self) -> None:
        """Leave what runs that were interrupted have on this machine."""
        while self._spools:
            self._spools.popitem()[1].close()

    def _finish(self, uid: str, spool: Spool) -> None:
        there = self._same(spool, self._raw_uids[uid])
        if there is not None:
            self.places[uid] = f"{there} in {self._name}, where it was already"
        elif all(self._write(*pair) for pair in spool.documents()):
            self.places[uid] = f"{uid} in {self._name}"
        else:
            spool.close()
            return
        spool.remove()

    def _same(self, spool: Spool, raw_uid: str) -> str | None:
        """The uid of a derived run on the server that holds the same."""
        try:
            for run in self._stored(raw_uid):
                if run.metadata.get("stop") and _are_same(spool.documents(), documents_of_tiled_run(run)):
                    return str(run.metadata["start"]["uid"])
        except Exception as error:  # whatever the way to the server raises; then it is stored once more
            logger.info("derived runs in %s cannot be compared: %s", self._name, error)
        return None

    def _stored(self, raw_uid: str) -> list[Any]:
        from tiled.queries import Eq

        if not hasattr(self._client, "search"):
            raise ReplayError(f"{self._name} cannot be searched")
        runs = [run for _, run in self._client.search(Eq("start.raw_uid", raw_uid)).items()]
        derived = [run for run in runs if (run.metadata.get("start") or {}).get("purpose") == PURPOSE]
        return sorted(derived, key=lambda run: not run.metadata.get("stop"))


def _are_same(documents: Iterator[NamedDocument], others: Iterator[NamedDocument]) -> bool:
    """Whether two derived runs of one raw run say the same, but for uids and the times of their documents."""
    pairs = itertools.zip_longest(_said(documents), _said(others))
    return all(one is not None and other is not None and _alike(one, other) for one, other in pairs)


def _said(documents: Iterator[NamedDocument]) -> Iterator[dict[str, Any]]:
    for name, doc in documents:
        if name == "start":
            yield {key: doc.get(key) for key in COMPUTED_BY}
        elif name == "descriptor":
            yield {
                "name": doc["name"],
                "keys": sorted(doc["data_keys"]),
                **doc["configuration"]["diffractogram"]["data"],
            }
        elif name == "event":
            yield {"seq_num": doc["seq_num"], **doc["data"]}
        elif name == "stop":
            yield {"exit_status": doc["exit_status"], "frames": doc.get("frames")}


def _alike(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(same_value(one[key], other[key]) for key in one)
