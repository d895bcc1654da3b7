"""Which runs a command line means."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import typer

from ..replay.errors import ReplayError
from ..replay.look_up import look_up
from .catalogues import open_catalogue


@dataclass(frozen=True, slots=True)
class FoundRuns:
    """The runs that a command line means.

    Attributes
    ----------
    runs
        As `replay` takes them.
    catalog
        That they are in; None for files.
    missing
        What is wrong with those that are not there.
    """

    runs: Any
    catalog: Any
    missing: tuple[str, ...] = ()


def find_runs(arguments: Sequence[str]) -> FoundRuns:
    """Find the runs.

    Parameters
    ----------
    arguments
        Paths of files; or a catalogue as `open_catalogue` takes it, and then uids or scan ids.

    Raises
    ------
    ReplayError
        There is no such file and no such catalogue, or it has none of these runs.
    """
    first, *others = arguments
    if os.path.exists(first) and not os.path.isdir(first):
        for each in others:
            if not os.path.exists(each):
                raise ReplayError(
                    f"{each} is no file: after {first} there may be more files of documents, of which all runs are "
                    "reduced; uids and scan ids choose runs of a catalogue"
                )
        return FoundRuns(list(arguments), None)
    catalog = open_catalogue(first)
    if not others:
        return FoundRuns(catalog, catalog)
    found, missing = [], []
    for each in others:
        try:
            found.append(look_up(catalog, int(each) if each.lstrip("-").isdecimal() else each))
        except ReplayError as error:
            missing.append(str(error))
    if not found:
        raise ReplayError("; ".join(missing))
    return FoundRuns(found, catalog, tuple(missing))


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
