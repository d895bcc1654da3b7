"""Into which other files a data set of an HDF5 file leads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from .errors import NotReadable, Unreadable
from .hdf5_open import lock_of_hdf5, open_hdf5
from .hdf5_sources import source_path
from .paths import Paths

MOST_FILES = 10_000


def other_files(path: str, dataset: str, paths: Paths | None = None) -> Iterator[str]:
    """The files of external links, virtual data sets and external storage, each before it is opened.

    Who takes them decides whether to go on: nothing of a file is looked at before the next one is asked for.

    Parameters
    ----------
    path, dataset
        Where to begin; `path` itself is not among them.
    paths
        Say where the sources of virtual data sets lie, which are opened here; HDF5 itself opens the others.

    Raises
    ------
    NotReadable
        The first one, or one that a link leads to, is not there.
    Unreadable
        They are too many, lead in a circle, or are called by numbers.
    """
    waiting, seen = [(path, dataset, True)], set()
    while waiting:
        holder, name, needed = waiting.pop()
        if (holder, name) in seen:
            continue
        seen.add((holder, name))
        if len(seen) > MOST_FILES:
            raise Unreadable(f"{path}::{dataset} leads into more than {MOST_FILES} files")
        try:
            found = list(_next(holder, name, paths))
        except NotReadable:
            if needed:  # where a link leads nowhere, HDF5 looks in other folders
                raise
            continue  # a source that is not there yet, behind which nothing can be
        for file, inside, linked in found:
            if "%b" in file:
                raise Unreadable(f"{holder}::{name} leads into files {file}, which cannot be checked by name")
            yield file
            if inside is not None:
                waiting.append((file, inside, linked))


def _next(path: str, dataset: str, paths: Paths | None) -> Iterator[tuple[str, str | None, bool]]:
    """Files to which a data set leads directly, with the data set in them if there is one, and whether by a link."""
    import h5py

    folder, own = os.path.split(path)
    found: list[tuple[str, str | None, bool]] = []
    with lock_of_hdf5(), open_hdf5(path).file as file:
        item: Any = file
        parts = [part for part in dataset.split("/") if part not in ("", ".")]
        steps = 0
        while parts:
            steps += 1
            if steps > 1000:
                raise Unreadable(f"the links of {path}::{dataset} lead in a circle")
            link = item.get(parts[0], getlink=True) if hasattr(item, "keys") and parts[0] in _names(item) else None
            if isinstance(link, h5py.ExternalLink):
                found.append((os.path.join(folder, link.filename), "/".join([link.path.strip("/"), *parts[1:]]), True))
                break
            if isinstance(link, h5py.SoftLink):
                parts = [part for part in link.path.split("/") if part not in ("", ".")] + parts[1:]
                item = file if link.path.startswith("/") else item
                continue
            if link is None:
                break
            item, parts = item[parts[0]], parts[1:]
        else:
            if isinstance(item, h5py.Dataset) and item.is_virtual:
                for source in item.virtual_sources():
                    name = own if source.file_name == "." else source.file_name
                    found.append((source_path(os.path.join(folder, name), folder, paths), source.dset_name, False))
            elif isinstance(item, h5py.Dataset):
                found.extend((name, None, False) for name, *_ in item.external or ())
    yield from found


def _names(group: Any) -> Any:
    return group.keys()
