"""Derived runs read back from where they were stored, without computing anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..files import Paths
from .dataset import DerivedRows, pick
from .stored import stored_runs

if TYPE_CHECKING:
    from xarray import Dataset


def read_derived(derived: Any, *, catalog: Any = None, run: str | None = None, stream: str | None = None) -> Dataset:
    """The data set of a stored derived run, as `Replay.to_xarray` made it when it was computed.

    Parameters
    ----------
    derived, catalog
        The derived run, in any of the forms that `replay` takes.
    run, stream
        As in `Replay.to_xarray`.

    Raises
    ------
    ReplayError
        It cannot be read, or is no derived run.
    ValueError
        There are several; the message lists them.
    """
    rows = DerivedRows()
    for stored in stored_runs(derived, catalog).each():
        for name, doc in stored.documents(None, Paths()):
            rows(name, doc)
    return pick(rows.datasets(), run, stream)
