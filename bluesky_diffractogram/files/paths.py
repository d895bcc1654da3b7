"""From what documents say of a file to where it lies here, and whether it may be opened."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import unquote

from .errors import NotThere, Unreadable

_URI = re.compile(r"file:(?://([^/]*))?(/.*)", re.DOTALL)
_DRIVE = re.compile(r"/?[A-Za-z]:[/\\]")


def paths_of(uri: str) -> list[str]:
    """The paths that a ``file:`` URI may mean, the most literal first; a path is itself.

    The host is passed over: it is the one that wrote the file. Both percent-encoded URIs and those with a raw path
    behind ``file://localhost`` (ophyd-async's) occur, and only the latter can be taken literally.

    Raises
    ------
    Unreadable
        It is a URI of another kind.
    """
    match = _URI.fullmatch(uri)
    if match is None:
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", uri) and not _DRIVE.match(uri):
            raise Unreadable(f"{uri!r} is no file: URI")
        return [uri]
    path = match[2]
    candidates = [path, unquote(path)]
    return list(dict.fromkeys(each[1:] if _DRIVE.match(each) else each for each in candidates))


class Paths:
    """Where the files of documents lie here.

    Parameters
    ----------
    root_map
        Here by there: the longest folder that a path begins with is replaced.
    roots
        The folders outside of which nothing is opened; None is no such limit.

    Raises
    ------
    TypeError
        They are not what they should be.
    """

    def __init__(self, root_map: Mapping[str, str] | None = None, roots: Sequence[str] | None = None) -> None:
        if root_map is not None and not (isinstance(root_map, Mapping) and _are_names([*root_map, *root_map.values()])):
            raise TypeError(f"root_map = {root_map!r}: expected a dictionary of folders, {{there: here}}")
        if roots is not None and (isinstance(roots, str) or not _are_names(roots)):
            raise TypeError(f"roots = {roots!r}: expected a list of folders")
        moved = {os.fspath(there): os.fspath(here) for there, here in (root_map or {}).items()}
        self._root_map = sorted(moved.items(), key=lambda item: -len(item[0]))
        self._roots = None if roots is None else [os.path.realpath(root) for root in roots]

    @property
    def limited(self) -> bool:
        """Whether there are folders outside of which nothing is opened."""
        return self._roots is not None

    def resolve(self, uri: str) -> str:
        """The path of a file or folder here; of several that a URI may mean the first that is there.

        Raises
        ------
        NotThere
            None of several is there yet.
        Unreadable
            It lies outside the allowed folders.
        """
        candidates = [self.moved(path) for path in paths_of(uri)]
        there = [path for path in candidates if os.path.exists(path)]
        if not there and len(candidates) > 1:
            raise NotThere(f"{uri} is not there, as it is or decoded", candidates[-1])
        path = (there or candidates)[0]
        self.check(path)
        return path

    def allows(self, path: str) -> bool:
        """Whether a path, its links followed, lies inside the allowed folders."""
        if self._roots is None:
            return True
        real = os.path.realpath(path)
        return any(os.path.commonpath([real, root]) == root for root in self._roots)

    def check(self, path: str) -> None:
        """Raise `Unreadable` unless a path is allowed."""
        if not self.allows(path):
            raise Unreadable(f"{path} lies outside the allowed folders {', '.join(self._roots or [])}")

    def moved(self, path: str) -> str:
        """Where a path lies here, as `root_map` says."""
        windows = bool(_DRIVE.match(path))
        found = path.replace("\\", "/") if windows else path
        for there, here in self._root_map:
            folder = (there.replace("\\", "/") if _DRIVE.match(there) else there).rstrip("/")
            if found == folder or found.startswith(folder + "/"):
                return os.path.join(here, found[len(folder) :].lstrip("/"))
        return path


def _are_names(given: Iterable[object]) -> bool:
    return all(isinstance(each, (str, os.PathLike)) for each in given)
