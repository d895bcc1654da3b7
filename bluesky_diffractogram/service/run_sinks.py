"""Where derived runs go: folders of files, and tiled servers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer

from ..replay.errors import ReplayError
from .catalogues import open_catalogue, without_key
from .derived_files import FORMATS, USUAL
from .run_folders import RunFolders
from .tiled_whole import TiledWhole

TILED = "tiled"


@dataclass(frozen=True, slots=True)
class Destinations:
    """What ``--to`` says.

    Attributes
    ----------
    formats
        Of files, in a folder for each run; none without them.
    servers
        Tiled clients by what they are called.
    """

    formats: tuple[str, ...]
    servers: dict[str, Any]


@dataclass(slots=True)
class WrittenRun:
    """What was written of a raw run.

    Attributes
    ----------
    raw_uid
        Its uid.
    places
        Where the derived run is.
    frames
        The ``frames`` of the derived stop document, once there is one.
    events
        How many derived events there are so far.
    """

    raw_uid: str
    places: list[str]
    frames: dict[str, Any] = field(default_factory=dict)
    events: int = 0


def split_destinations(given: Sequence[str] | None) -> list[str]:
    """The destinations on a command line, where they may be separated by commas.

    Raises
    ------
    typer.BadParameter
        One is nothing known.
    """
    found = [name.strip() for each in given or USUAL for name in each.split(",") if name.strip()]
    for name in found:
        if name not in FORMATS and name != TILED and "://" not in name and not name.startswith(f"{TILED}:"):
            raise typer.BadParameter(
                f"--to {name}: expected some of {', '.join(FORMATS)}, {TILED}, {TILED}:PROFILE, or the URI of a tiled "
                "server"
            )
    return list(dict.fromkeys(found))


def find_destinations(names: Sequence[str], source: Any) -> Destinations:
    """Open the servers among `names`.

    Parameters
    ----------
    names
        As `split_destinations` gives them.
    source
        Where the runs are: ``tiled`` means the same.

    Raises
    ------
    ReplayError
        One cannot be opened, or the runs are in no tiled server.
    """
    servers: dict[str, Any] = {}
    for name in names:
        if name == TILED:
            if not hasattr(source, "create_container") or hasattr(source, "documents"):
                raise ReplayError(f"--to {TILED}: the runs are in no catalogue of tiled; give the URI of a server")
            servers[without_key(source.uri)] = source
        elif name not in FORMATS:
            uri = name.removeprefix(f"{TILED}:")
            servers[without_key(uri)] = open_catalogue(uri)
    return Destinations(tuple(name for name in names if name in FORMATS), servers)


class RunSinks:
    """Writes derived runs to where they are wanted, called with their documents.

    Parameters
    ----------
    destinations
        Where to.
    directory, log
        As `RunFolders` takes them.

    Attributes
    ----------
    written
        One entry for each run.

    Raises
    ------
    OSError
        As `RunFolders.check` does.
    """

    def __init__(self, destinations: Destinations, directory: Path, *, log: bool = False) -> None:
        self.written: list[WrittenRun] = []
        folders = RunFolders(directory, log=log, formats=destinations.formats)
        self._earlier_files = folders.earlier
        self._folders = folders if destinations.formats else None
        if self._folders is not None:
            self._folders.check()
        self._servers = [TiledWhole(client, name) for name, client in destinations.servers.items()]
        self._runs: dict[str, WrittenRun] = {}
        self._run_of_descriptor: dict[str, WrittenRun] = {}
        self._latest: WrittenRun | None = None

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        """Take one document of any derived run; with the stop all is written."""
        in_folder = self._folders is not None and self._folders(name, doc)
        for server in self._servers:
            server(name, doc)
        if name == "start":
            self._runs[doc["uid"]] = WrittenRun(str(doc["raw_uid"]), [])
            self.written.append(self._runs[doc["uid"]])
        elif name == "descriptor":
            self._latest = self._run_of_descriptor[doc["uid"]] = self._runs[doc["run_start"]]
        elif name == "event":
            self._latest = self._run_of_descriptor[doc["descriptor"]]
            self._latest.events += 1
        elif name == "stop":
            run = self._runs.pop(doc["run_start"])
            run.frames = doc.get("frames", {})
            if self._folders is not None and in_folder:
                run.places.append(str(self._folders.folder(run.raw_uid)))
            places = [server.places.get(doc["run_start"]) for server in self._servers]
            run.places += [place for place in places if place is not None]

    def close(self) -> None:
        """Let go of what runs that were interrupted have open."""
        if self._folders is not None:
            self._folders.close()
        for server in self._servers:
            server.close()

    def earlier(self, raw_uid: str) -> list[Any] | None:
        """What an earlier replay of a raw run has left here, as `replay` takes it for ``resume``."""
        found: list[Any] = [*(self._earlier_files(raw_uid) or ())]
        for server in self._servers:
            found += server.earlier(raw_uid)
        return found or None

    @property
    def whole(self) -> list[Callable[[str], Any]]:
        """Of each destination what gives the whole derived run of a raw one that it has, as `open_replay` takes it."""
        folders = [] if self._folders is None else [self._folders.whole]
        return [*folders, *(server.whole for server in self._servers)]

    def places_of(self, raw_uid: str) -> list[str]:
        """Where the derived run of a raw one goes."""
        folders = [] if self._folders is None else [str(self._folders.folder(raw_uid))]
        return [*folders, *(server.name for server in self._servers)]

    @property
    def reached(self) -> str:
        """How far it has come."""
        if self._latest is None or self._latest.frames:
            return f"after {len(self.written)} runs" if self.written else "before the first frame"
        return f"at frame {self._latest.events} of run {self._latest.raw_uid}"
