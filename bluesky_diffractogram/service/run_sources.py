"""Which runs a command line means."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import typer

from ..replay.errors import ReplayError


def find_runs(arguments: Sequence[str]) -> tuple[Any, Any]:
    """The runs, and the catalogue that they are in, for `replay`.

    Parameters
    ----------
    arguments
        Paths of files; or a tiled URI or the name of a tiled profile (which databroker's catalogues are), with the
        path of a node in it after a slash, and then uids or scan ids.

    Returns
    -------
    runs, catalog
        The catalogue is None for files, and where all runs in it are meant.

    Raises
    ------
    ReplayError
        There is no such file and no such catalogue.
    """
    first, *others = arguments
    if os.path.exists(first):
        return list(arguments), None
    catalog = _catalog(first)
    if others:
        return [int(each) if each.lstrip("-").isdecimal() else each for each in others], catalog
    return catalog, None


def parse_root_map(given: Iterable[str]) -> dict[str, str]:
    """``THERE=HERE`` as a dictionary.

    Raises
    ------
    typer.BadParameter
        One is without ``=``.
    """
    pairs = [each.partition("=") for each in given]
    for there, sign, here in pairs:
        if not (there and sign and here):
            raise typer.BadParameter(f"{there!r}: expected THERE=HERE")
    return {there: here for there, _, here in pairs}


def _catalog(name: str) -> Any:
    from tiled.client import from_profile, from_uri
    from tiled.profiles import list_profiles

    try:
        if "://" in name:
            return from_uri(name)
        profile, _, path = name.partition("/")
        if profile not in list_profiles():
            raise ReplayError(f"{name} is no file, no URI, and no tiled profile (those: {', '.join(list_profiles())})")
        client = from_profile(profile)
        return client[tuple(path.split("/"))] if path else client
    except ReplayError:
        raise
    except Exception as error:  # no server, no access, no such node: each has errors of its own
        raise ReplayError(f"{name} cannot be opened ({type(error).__name__}: {error})") from error
