"""Tables kept on disk, so that the first frame of a known geometry need not wait for them."""

from __future__ import annotations

import logging
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from platformdirs import user_cache_path

from ..config import Arc, DiffractogramConfig
from .limits import IntegrationRange
from .table import PixelTable, Prepared
from .table_key import TableKey

logger = logging.getLogger(__name__)

FOLDER_VARIABLE = "BLUESKY_DIFFRACTOGRAM_CACHE"
MOST_BYTES = 2 * 1024**3


def cache_folder() -> Path | None:
    """The folder in BLUESKY_DIFFRACTOGRAM_CACHE, else one in the user's cache; None if that variable is empty."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder is None:
        return user_cache_path("bluesky-diffractogram")
    return Path(folder) if folder else None


def load_prepared(key: TableKey | None, config: DiffractogramConfig) -> Prepared | None:
    """What was kept under a key; None if nothing was, or if it cannot be read (it is removed then)."""
    folder = cache_folder()
    if key is None or folder is None:
        return None
    path = folder / f"{key.whole}.npz"
    try:
        with np.load(path, allow_pickle=False) as kept:
            arrays = {name: kept[name] for name in kept.files}
        os.utime(path)  # the ones used last are the last to be removed
        return _unpack(arrays, config, key)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    except Exception as error:  # half-written, of another version, or no file of ours
        logger.warning("the kept table %s cannot be used and is built anew: %s", path, error)
        with suppress(OSError):
            path.unlink()
        return None


def store_prepared(key: TableKey | None, prepared: Prepared) -> None:
    """Keep what was computed; a folder that cannot be written to is a pity and no error."""
    folder = cache_folder()
    if key is None or folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Another process may read, or write the same: a file appears under its name when it is whole.
        with tempfile.NamedTemporaryFile(dir=folder, suffix=".part", delete=False) as file:
            np.savez(file, **_pack(prepared))
        os.replace(file.name, folder / f"{key.whole}.npz")
        _remove_the_oldest(folder)
    except OSError as error:
        logger.info("the table is not kept in %s: %s", folder, error)


def _remove_the_oldest(folder: Path) -> None:
    files = sorted((path.stat().st_mtime, path.stat().st_size, path) for path in folder.glob("*.npz"))
    total = sum(size for _, size, _ in files)
    for _, size, path in files:
        if total <= MOST_BYTES:
            break
        path.unlink(missing_ok=True)
        total -= size


def _pack(prepared: Prepared) -> dict[str, Any]:
    table = prepared.table
    packed: dict[str, Any] = {
        f"table_{name}": getattr(table, name) for name in table.__dataclass_fields__ if getattr(table, name) is not None
    }
    ranges = [[*wanted.pyfai_limits, wanted.scale, wanted.arc.start, wanted.arc.end] for wanted in prepared.ranges]
    return packed | {
        "ranges": np.array(ranges),
        "axes": np.concatenate(prepared.axes),
        "pixels": np.array(prepared.pixels),
        "detector_limits": np.array(prepared.detector_limits),
    }


def _unpack(arrays: dict[str, Any], config: DiffractogramConfig, key: TableKey) -> Prepared:
    kept: dict[str, Any] = {name: arrays.get(f"table_{name}") for name in PixelTable.__dataclass_fields__}
    table = PixelTable(**kept)
    ranges = []
    for wanted, npt, (low, high, scale, start, end) in zip(
        config.ranges, config.npts, arrays["ranges"].tolist(), strict=True
    ):
        assert (start, end) == (wanted.arc.start, wanted.arc.end)
        ranges.append(
            IntegrationRange(wanted.number, Arc(start, wanted.arc.span, end), config.unit, npt, (low, high), scale)
        )
    axes = np.split(arrays["axes"], np.cumsum(config.npts)[:-1])
    pixels, (low, high) = tuple(arrays["pixels"].tolist()), arrays["detector_limits"].tolist()
    return Prepared(tuple(ranges), tuple(axes), pixels, table, (low, high), key.common)
