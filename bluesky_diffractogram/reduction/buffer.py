"""The last diffractograms of one range: what a heat-map draws and what is exported."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .buffer_snapshot import BufferSnapshot, columns

if TYPE_CHECKING:
    from xarray import DataArray

Array = NDArray[np.float64]


class DiffractogramBuffer:
    """A ring of the last `size` diffractograms with `npt` bins.

    All methods may be called from any thread; each sees, or makes, one whole change.

    Parameters
    ----------
    size
        How many rows are kept; the oldest is pushed out.
    npt
        Bins of a row.
    radial
        ``(npt,)`` the axis of the rows; may be told later, with the first row.

    Raises
    ------
    ValueError
        `size` or `npt` is less than 1, or `radial` has another shape.
    """

    def __init__(self, size: int, npt: int, radial: ArrayLike | None = None) -> None:
        if size < 1 or npt < 1:
            raise ValueError(f"size = {size}, npt = {npt}: expected at least 1 of each")
        self.size, self.npt = int(size), int(npt)
        self._lock = threading.Lock()
        # The system gives memory to pages when they are first written: an empty buffer costs nothing.
        self._intensity = np.empty((self.size, self.npt))
        self._timestamp = np.empty(self.size)
        self._carried: list[Mapping[str, Any]] = []
        self._keys: list[Hashable | None] = []
        self._slot_of: dict[Hashable, int] = {}
        self._next = self._total = self._version = 0
        self._radial: Array | None = None
        if radial is not None:
            self._tell(self._checked("radial", radial))

    def __len__(self) -> int:
        with self._lock:
            return len(self._keys)

    def __contains__(self, key: Hashable) -> bool:
        with self._lock:
            return key in self._slot_of

    @property
    def version(self) -> int:
        """Counts changes; it never falls, so that a view that remembers it sees whether there is something new."""
        return self._version

    @property
    def radial(self) -> Array | None:
        """``(npt,)`` the axis of the rows, not to be written to; None until it is told."""
        return self._radial

    def append(
        self,
        intensity: ArrayLike,
        timestamp: float,
        *,
        radial: ArrayLike | None = None,
        key: Hashable | None = None,
        carried: Mapping[str, Any] | None = None,
    ) -> None:
        """Add a row, or put it in the place of the row with the same key.

        Parameters
        ----------
        intensity
            ``(npt,)``; copied.
        timestamp
            Seconds since the epoch.
        radial
            ``(npt,)`` the axis of the row.
        key
            What the row is, (run, seq_num, frame_index) say: a scan that rewinds takes the same frame again, and
            the later one counts. None is the same as no other.
        carried
            Scalars that were read with the frame: motor positions, a temperature.

        Raises
        ------
        ValueError
            `intensity` or `radial` has another shape, or `radial` other values than that of the rows that are there:
            two axes need two buffers. The buffer is as it was.
        """
        row = self._checked("intensity", intensity)
        axis = None if radial is None else self._checked("radial", radial)
        with self._lock:
            if axis is not None:
                self._tell(axis)
            slot = None if key is None else self._slot_of.get(key)
            if slot is None:
                slot = self._free_slot(key)
            self._fill(slot, row, timestamp, carried)

    def replace(
        self,
        key: Hashable,
        intensity: ArrayLike,
        timestamp: float,
        *,
        carried: Mapping[str, Any] | None = None,
    ) -> None:
        """Put a row in the place of that with `key`.

        Raises
        ------
        KeyError
            There is no such row, or no longer.
        ValueError
            `intensity` has another shape.
        """
        row = self._checked("intensity", intensity)
        with self._lock:
            self._fill(self._slot_of[key], row, timestamp, carried)

    def reset(self) -> None:
        """Empty the buffer, and forget its axis."""
        with self._lock:
            self._carried.clear()
            self._keys.clear()
            self._slot_of.clear()
            self._radial = None
            self._next = self._total = 0
            self._version += 1

    def snapshot(self) -> BufferSnapshot:
        """Everything, at one moment."""
        with self._lock:
            order = self._order()
            return BufferSnapshot(
                radial=self._radial,
                rows=self._intensity[order],
                timestamps=self._timestamp[order],
                carried=columns([self._carried[slot] for slot in order]),
                version=self._version,
                total=self._total,
            )

    @property
    def rows(self) -> Array:
        """``(n, npt)`` a copy of the intensities, oldest first."""
        with self._lock:
            return self._intensity[self._order()]

    def last(self, n: int) -> Array:
        """``(min(n, len), npt)`` a copy of the last rows, newest last."""
        with self._lock:
            order = self._order()
            return self._intensity[order[max(0, len(order) - max(n, 0)) :]]

    @property
    def timestamps(self) -> Array:
        """``(n,)`` seconds since the epoch, oldest first."""
        with self._lock:
            return self._timestamp[self._order()]

    def carried(self, name: str) -> NDArray:
        """``(n,)`` a carried reading, oldest first; see `BufferSnapshot`.

        Raises
        ------
        KeyError
            No row has it.
        """
        with self._lock:
            found = columns([self._carried[slot] for slot in self._order()])
        if name not in found:
            raise KeyError(f"no row carries {name!r}; carried are {', '.join(found) or 'no readings'}")
        return found[name]

    def to_xarray(self, dim: str = "time", *, unit: str = "", attrs: Mapping[str, Any] | None = None) -> DataArray:
        """Export the rows ``(n, npt)`` with dimensions ``(dim, "radial")``; see `BufferSnapshot.to_xarray`."""
        return self.snapshot().to_xarray(dim, unit=unit, attrs=attrs)

    def _checked(self, name: str, values: ArrayLike) -> Array:
        found = np.asarray(values, dtype=np.float64)
        if found.shape != (self.npt,):
            raise ValueError(f"the shape of {name} is {found.shape}, expected ({self.npt},)")
        return found

    def _tell(self, radial: Array) -> None:
        if self._radial is not None and np.array_equal(self._radial, radial):
            return
        if self._keys and self._radial is not None:
            raise ValueError(
                f"the buffer holds {len(self._keys)} rows with radial {self._radial[0]:g} to {self._radial[-1]:g}; "
                f"a row with radial {radial[0]:g} to {radial[-1]:g} needs another buffer"
            )
        self._radial = radial.copy()
        self._radial.flags.writeable = False

    def _free_slot(self, key: Hashable | None) -> int:
        slot = self._next
        if slot == len(self._keys):
            self._keys.append(key)
            self._carried.append({})
        else:
            pushed_out = self._keys[slot]
            if pushed_out is not None:
                del self._slot_of[pushed_out]
            self._keys[slot] = key
        if key is not None:
            self._slot_of[key] = slot
        self._next = (slot + 1) % self.size
        self._total += 1
        return slot

    def _fill(self, slot: int, row: Array, timestamp: float, carried: Mapping[str, Any] | None) -> None:
        self._intensity[slot] = row
        self._timestamp[slot] = timestamp
        self._carried[slot] = dict(carried or {})
        self._version += 1

    def _order(self) -> NDArray[np.intp]:
        n = len(self._keys)
        return (np.arange(n) + (self._next if n == self.size else 0)) % self.size
