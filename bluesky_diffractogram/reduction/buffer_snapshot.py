"""What a buffer held at one moment, and its export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from xarray import DataArray

Array = NDArray[np.float64]

RESERVED = ("time", "radial")
# datetime64[ns] ends in 2262.
LATEST = 9.2e9


@dataclass(frozen=True, eq=False, slots=True)
class BufferSnapshot:
    """What a buffer held at one moment; copies, oldest row first.

    Attributes
    ----------
    radial
        ``(npt,)``; None as long as nobody has told it.
    rows
        ``(n, npt)`` intensities.
    timestamps
        ``(n,)`` seconds since the epoch.
    carried
        ``(n,)`` for each reading that any row carries: floats, NaN where a row has none; objects, None where a row
        has none, if there is anything but numbers.
    version
        The number of changes made to the buffer so far.
    total
        How many rows were appended since the last reset, also those that have been pushed out meanwhile: the oldest
        row here is number ``total - n``, counted from 0.
    """

    radial: Array | None
    rows: Array
    timestamps: Array
    carried: Mapping[str, NDArray]
    version: int
    total: int

    def __len__(self) -> int:
        return len(self.rows)

    def to_xarray(self, dim: str = "time", *, unit: str = "", attrs: Mapping[str, Any] | None = None) -> DataArray:
        """Export the rows.

        Parameters
        ----------
        dim
            The row dimension: ``"time"``, or the name of a carried reading.
        unit
            Of the radial axis.
        attrs
            Attributes of the array.

        Returns
        -------
        xarray.DataArray
            ``(n, npt)`` with dimensions ``(dim, "radial")``. Coordinates: ``time`` (UTC, to the microsecond that a
            float holds), ``radial`` with its ``units`` (bin numbers if there is no axis), and the carried readings,
            whose name gets a ``carried_`` in front where it is ``time`` or ``radial``.

        Raises
        ------
        KeyError
            `dim` is neither ``"time"`` nor a carried reading.
        """
        from xarray import DataArray  # takes half a second to import

        carried = {f"carried_{name}" if name in RESERVED else name: values for name, values in self.carried.items()}
        if dim != "time" and dim not in carried:
            raise KeyError(f"dim = {dim!r}: expected one of {', '.join(['time', *carried])}")
        coords: dict[str, Any] = {name: (dim, values) for name, values in carried.items()}
        coords["time"] = (dim, utc(self.timestamps))
        radial = np.arange(self.rows.shape[1], dtype=np.float64) if self.radial is None else self.radial
        coords["radial"] = ("radial", radial, {"units": unit} if unit else {})
        return DataArray(self.rows, dims=(dim, "radial"), coords=coords, name="intensity", attrs=attrs)


def columns(rows: list[Mapping[str, Any]]) -> dict[str, NDArray]:
    """Turn one dictionary for each row into one array ``(n,)`` for each name."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: _column([row.get(name) for row in rows]) for name in names}


def _column(values: list[Any]) -> NDArray:
    if all(value is None or isinstance(value, (bool, int, float, np.number, np.bool_)) for value in values):
        return np.array([np.nan if value is None else float(value) for value in values])
    return np.array(values, dtype=object)


def utc(timestamps: Array) -> NDArray[np.datetime64]:
    """``(n,)`` seconds since the epoch as UTC; not-a-time where they are none."""
    known = np.abs(np.nan_to_num(timestamps, nan=np.inf)) < LATEST
    microseconds = np.round(np.where(known, timestamps, 0.0) * 1e6).astype("datetime64[us]")
    return np.where(known, microseconds, np.datetime64("NaT")).astype("datetime64[ns]")
