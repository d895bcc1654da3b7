"""Past scans: stored runs reduced again, and what comes of them as data sets and files.

Nothing here is imported before it is used. The package's root takes `replay` from here at once: left to be
found when it is asked for, the function would have the name of this folder, and whichever came last would stay.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distributed import Client

    from ..config import DiffractogramConfig
    from .replayed import Replay


def replay(
    run: Any,
    config: DiffractogramConfig | Mapping[str, Any] | str | os.PathLike[str] | None = None,
    *,
    catalog: Any = None,
    raw: Any = None,
    handler_registry: Mapping[str, Any] | None = None,
    root_map: Mapping[str, str] | None = None,
    roots: Sequence[str] | None = None,
    file_timeout: float = 0.0,
    workers: int | Client | None = None,
    resume: Any = None,
    progress: Callable[[int, int | None], Any] | None = None,
) -> Replay:
    """Reduce a stored run, or several, to the same numbers as live.

    Parameters
    ----------
    run
        A run of databroker (``db[-1]``, of its interface 1 or 2) or tiled; an iterable of ``(name, doc)``; the path
        of a JSON-lines, JSON or msgpack file of documents. Or several: a list of these, the result of a query,
        a catalogue, or a list of uids or scan ids with `catalog`.
    config
        As that of `DiffractogramCallback`. Every frame is reduced, whatever it says of the continuous mode. None
        takes the one that a derived run was computed with.
    catalog
        Where runs that are given by uid or scan id are found.
    raw
        Where the raw run of a derived run is found: a catalogue, or the raw run itself in any of the forms of `run`.
    handler_registry, root_map, roots
        As those of `DiffractogramCallback`.
    file_timeout
        How many seconds to wait for files that are not there.
    workers
        Reduce frames that lie in files in so many processes on this machine, or in those of a ``dask.distributed``
        client; needs the extra ``dask``. The numbers are the same, to the last bit. None is this process alone.
    resume
        What an earlier replay of the same run gave, in any of the forms of `run`, mostly the file or the catalogue that
        it was stored in; complete, or cut off anywhere. Frames that it holds are not computed again, if calibration,
        mask, configuration and versions are the same, and the files that they were read from (path, size, times of
        change), or the pixels of those in memory. Or a function that gives it, or None, for the uid of a raw run.
        Do not write the new one into the same file.
    progress
        Called as derived documents come, with how many frames are reduced and how many the runs that have begun have;
        None where that is not known.

    Returns
    -------
    Replay
        Nothing is computed before it is asked for.

    Raises
    ------
    ConfigError
        The configuration cannot be used.
    ReplayError
        `run` is nothing that can be replayed.

    Examples
    --------
    >>> replay(db[-1], {"calibration": "lab6.poni"}).to_xarray()    # doctest: +SKIP
    """
    from .replayed import open_replay

    return open_replay(
        run,
        config,
        catalog=catalog,
        raw=raw,
        workers=workers,
        resume=resume,
        progress=progress,
        options={
            "handler_registry": handler_registry,
            "root_map": root_map,
            "roots": roots,
            "file_timeout": file_timeout,
        },
    )
