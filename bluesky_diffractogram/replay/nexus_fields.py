"""Groups and fields of a NeXus file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from xarray import DataArray

CHUNK_BYTES = 1 << 20
UNITS = {
    "q_nm^-1": "1/nm", "q_A^-1": "1/angstrom", "2th_deg": "degrees", "2th_rad": "radians", "r_mm": "mm",
    "r_pixel": "pixel", "d_A": "angstrom",
}  # fmt: skip
"""Units as NeXus writes them."""


def new_group(parent: Any, path: str, nx_class: str, /, **fields: Any) -> Any:
    """A group of a NeXus class with `fields` in it; those that are None are left out."""
    group = parent.create_group(path, track_order=True)
    group.attrs["NX_class"] = nx_class
    for key, value in fields.items():
        if value is not None:
            group[key] = value
    return group


def field_name(text: str) -> str:
    """`text` as a name that NeXus allows: letters, digits, underscores, and full stops within."""
    return re.sub(r"[^A-Za-z0-9_.]", "_", text).strip(".") or "_"


def write_rows(group: Any, name: str, values: DataArray) -> Any:
    """Write a variable with one row for each frame, some rows at a time.

    Chunks hold whole rows, about 1 MiB of them.

    Parameters
    ----------
    group, name
        Where to.
    values
        ``(n, …)`` numbers; read by the same blocks, so that what is not in memory does not come there at once.

    Returns
    -------
    h5py.Dataset
        Compressed with gzip, which every HDF5 library reads.
    """
    if 0 in values.shape:
        return group.create_dataset(name, values.shape, values.dtype)
    row = values.dtype.itemsize * int(np.prod(values.shape[1:]))
    rows = min(values.shape[0], max(1, CHUNK_BYTES // row))
    dataset = group.create_dataset(
        name, values.shape, values.dtype, chunks=(rows, *values.shape[1:]), compression="gzip",
        compression_opts=1, shuffle=True,
    )  # fmt: skip
    for first in range(0, values.shape[0], rows):
        dataset[first : first + rows] = values[first : first + rows].values
    return dataset


def write_field(group: Any, name: str, values: DataArray) -> Any:
    """Write a variable with its units and long name.

    Numbers and booleans stay what they are, dates become seconds since the first (attribute ``start``),
    everything else text.
    """
    array = np.asarray(values.values)
    attributes: dict[str, str] = {}
    if array.dtype.kind == "M":
        array, attributes = _seconds(array)
    elif array.dtype.kind not in "fiub":
        array = np.array([str(each) for each in array.ravel()], dtype=h5py.string_dtype()).reshape(array.shape)
    dataset = group.create_dataset(name, data=array)
    for key in ("units", "long_name"):
        if values.attrs.get(key):
            dataset.attrs[key] = str(values.attrs[key])
    dataset.attrs.update(attributes)
    return dataset


def _seconds(dates: NDArray[Any]) -> tuple[NDArray[np.float64], dict[str, str]]:
    """Seconds since the earliest date, NaN where there is none, and what the field says of them."""
    known = ~np.isnat(dates)
    if not known.any():
        return np.full(dates.shape, np.nan), {"units": "s"}
    start = dates[known].min()
    seconds = np.where(known, (dates - start) / np.timedelta64(1, "s"), np.nan)
    return seconds, {"units": "s", "start": iso8601(start)}


def iso8601(date: np.datetime64) -> str:
    """A UTC date as NeXus writes it, to the nanosecond."""
    return f"{np.datetime_as_string(date, unit='ns')}Z"
