"""What integrators that work on a table have in common: what goes into the bins, and what comes out of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from .diffractogram import Diffractogram
from .table import Arrays, Prepared
from .validity import Validity


@dataclass(frozen=True, eq=False, slots=True)
class BinSums:
    """What one frame adds up to in each bin of a table.

    Attributes
    ----------
    signal, normalization
        ``(bins,)`` Σ c·(I − dark) and Σ c·flat·Ω·P, without the monitor; 0 in bins without valid pixels.
    count
        ``(bins,)`` integer, how many valid pixels reach each bin.
    variance
        ``(bins,)`` of the signal; None if it is not wanted.
    """

    signal: NDArray[np.float64]
    normalization: NDArray[np.float64]
    count: NDArray[np.int64]
    variance: NDArray[np.float64] | None

    def intensity(self, monitor: float | None) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """``(bins,)`` intensity and, with a variance, its standard uncertainty; NaN in bins without valid pixels."""
        filled = self.count > 0
        divisor = np.where(filled, self.normalization, 1.0) * (1.0 if monitor is None else monitor)
        intensity = np.where(filled, self.signal / divisor, np.nan)
        sigma = None if self.variance is None else np.where(filled, np.sqrt(self.variance) / divisor, np.nan)
        return intensity, sigma


class TableIntegrator(ABC):
    """An `Integrator` over the bins of a table.

    Parameters
    ----------
    prepared
        What does not depend on the frame.
    """

    def __init__(self, prepared: Prepared) -> None:
        self.ranges, self.axes, self.pixels = prepared.ranges, prepared.axes, prepared.pixels
        self.prepared, self.table = prepared, prepared.table
        self.coverage = tuple(
            self.table.count[start : start + wanted.npt]
            for wanted, start in zip(self.ranges, self.table.bins, strict=False)
        )

    @property
    def tables(self) -> tuple[Arrays, ...]:
        """All arrays that it holds."""
        return (self.table,)

    @abstractmethod
    def with_dark(self, dark: NDArray[np.float32]) -> Self:
        """The same with a dark, see `Integrator.with_dark`."""

    @abstractmethod
    def sums(self, image: NDArray, validity: Validity, exposures: int) -> BinSums:
        """Add up one stored frame; parameters as of `integrate`."""

    def integrate(
        self, image: NDArray, validity: Validity, *, monitor: float | None = None, exposures: int = 1
    ) -> tuple[Diffractogram, ...]:
        """Integrate one stored frame; see `Integrator.integrate`."""
        sums = self.sums(image, validity, exposures)
        intensity, sigma = sums.intensity(monitor)
        return tuple(
            Diffractogram(
                radial=axis,
                intensity=intensity[start : start + wanted.npt],
                count=sums.count[start : start + wanted.npt],
                signal=sums.signal[start : start + wanted.npt],
                normalization=sums.normalization[start : start + wanted.npt],
                sigma=None if sigma is None else sigma[start : start + wanted.npt],
            )
            for wanted, axis, start in zip(self.ranges, self.axes, self.table.bins, strict=False)
        )
