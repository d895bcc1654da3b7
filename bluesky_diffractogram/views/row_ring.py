"""The last intensities of one range."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class RowRing:
    """The last `size` rows of `npt` bins. Rows are counted from 0 on; whoever fills it knows which are there.

    Parameters
    ----------
    size, npt
        Rows and bins.
    """

    def __init__(self, size: int, npt: int) -> None:
        self.size = size
        # The system gives memory to pages when they are first written: an empty ring costs nothing.
        self._intensity = np.empty((size, npt))

    def check(self, curve: NDArray[np.float64]) -> None:
        """Refuse what is no row.

        Raises
        ------
        ValueError
            The shape is not ``(npt,)``.
        """
        npt = self._intensity.shape[1]
        if curve.shape != (npt,):
            raise ValueError(f"the shape of the intensities is {curve.shape}, expected ({npt},)")

    def put(self, row: int, curve: NDArray[np.float64] | float) -> None:
        """Set one row, one of the last `size`."""
        self._intensity[row % self.size] = curve

    def rows(self, begin: int, end: int) -> NDArray[np.float64]:
        """``(end - begin, npt)`` a copy of the rows from `begin` on, before `end`."""
        return self._intensity[np.arange(begin, end) % self.size]
