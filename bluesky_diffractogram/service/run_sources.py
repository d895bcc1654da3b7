"""Which runs a command line means."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import typer

from .catalogues import open_catalogue


def find_runs(arguments: Sequence[str]) -> tuple[Any, Any]:
    """The runs, and the catalogue that they are in, for `replay`.

    Parameters
    ----------
    arguments
        Paths of files; or a catalogue as `open_catalogue` takes it, and then uids or scan ids.

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
    catalog = open_catalogue(first)
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
