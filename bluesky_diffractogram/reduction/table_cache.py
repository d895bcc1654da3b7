"""Tables kept on disk, so that the first frame of a known geometry need not wait for them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..config import Arc, DiffractogramConfig
from .disk_cache import cache_folder, read_arrays, remove_unusable, write_arrays
from .limits import IntegrationRange
from .table import PixelTable, Prepared
from .table_key import TableKey

MOST_BYTES = 1024**3


def load_prepared(key: TableKey | None, config: DiffractogramConfig) -> Prepared | None:
    """What was kept under a key; None if nothing was, or if it cannot be read (it is removed then)."""
    folder = cache_folder()
    if key is None or folder is None:
        return None
    path = folder / f"{key.whole}.npz"
    arrays = read_arrays(path)
    if arrays is None:
        return None
    try:
        return _unpack(arrays, config, key)
    except Exception as error:  # no file of ours
        remove_unusable(path, error)
        return None


def store_prepared(key: TableKey | None, prepared: Prepared) -> None:
    """Keep what was computed (`write_arrays`)."""
    folder = cache_folder()
    if key is not None and folder is not None:
        write_arrays(folder / f"{key.whole}.npz", _pack(prepared), MOST_BYTES)


def _pack(prepared: Prepared) -> dict[str, Any]:
    ranges = [[*wanted.pyfai_limits, wanted.scale, wanted.arc.start, wanted.arc.end] for wanted in prepared.ranges]
    return pack_table(prepared.table) | {
        "ranges": np.array(ranges),
        "axes": np.concatenate(prepared.axes),
        "pixels": np.array(prepared.pixels),
        "detector_limits": np.array(prepared.detector_limits),
    }


def _unpack(arrays: dict[str, Any], config: DiffractogramConfig, key: TableKey) -> Prepared:
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
    return Prepared(tuple(ranges), tuple(axes), pixels, unpack_table(arrays), (low, high), key.common)


def pack_table(table: PixelTable) -> dict[str, Any]:
    """The arrays of a table under the names that `unpack_table` knows."""
    fields = {f"table_{name}": getattr(table, name) for name in table.__dataclass_fields__}
    return {name: array for name, array in fields.items() if array is not None}


def unpack_table(arrays: dict[str, Any]) -> PixelTable:
    """The table out of arrays that `pack_table` gave, among others."""
    fields: dict[str, Any] = {name: arrays.get(f"table_{name}") for name in PixelTable.__dataclass_fields__}
    return PixelTable(**fields)
