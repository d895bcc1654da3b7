"""The caked image: a frame regrouped on a grid of radial value and azimuth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .cake_table import CakeTable
from .dark import table_with_dark
from .diffractogram import Cake
from .onepass import OnePass
from .validity import Validity


class CakeIntegrator:
    """Regroups a frame in one compiled pass over its used pixels.

    The numbers are those of pyFAI's `integrate2d_ng`, whose own splitting fills the table, within float32 rounding.
    One may be used by several threads.

    Parameters
    ----------
    prepared
        What does not depend on the frame (`cake_table`).
    threads
        See `OnePass`.
    """

    def __init__(self, prepared: CakeTable, *, threads: int | None = None) -> None:
        self.prepared = prepared
        self.radial, self.azimuthal = prepared.radial, prepared.azimuthal
        self._one_pass = OnePass(prepared.table, threads=threads)
        self._threads = threads

    def with_dark(self, dark: NDArray[np.float32]) -> CakeIntegrator:
        """The same with a dark, see `Integrator.with_dark`."""
        prepared = replace(self.prepared, table=table_with_dark(self.prepared.table, dark))
        return CakeIntegrator(prepared, threads=self._threads)

    def integrate(
        self, image: NDArray, validity: Validity, *, monitor: float | None = None, exposures: int = 1
    ) -> Cake:
        """Regroup one frame; parameters as `Integrator.integrate`."""
        sums = self._one_pass.sums(image, validity, exposures=exposures)
        intensity, _ = sums.intensity(monitor)
        return Cake(
            radial=self.radial,
            azimuthal=self.azimuthal,
            intensity=self._grid(intensity).astype(np.float32, order="C"),
            signal=self._grid(sums.signal),
            normalization=self._grid(sums.normalization),
        )

    def _grid(self, bins: NDArray[np.float64]) -> NDArray[np.float64]:
        """``(npt_azim, npt_rad)``, without copying."""
        radial, azimuthal = len(self.radial), len(self.azimuthal)
        return bins[: radial * azimuthal].reshape(radial, azimuthal).T
