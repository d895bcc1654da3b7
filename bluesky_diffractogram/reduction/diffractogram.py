"""What a frame is reduced to: diffractograms, their peaks, and all of a frame together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .frame import Frame


@dataclass(frozen=True, eq=False, slots=True)
class Diffractogram:
    """One frame integrated over one range.

    Attributes
    ----------
    radial
        ``(npt,)`` bin centres in the configured unit, ascending.
    intensity
        ``(npt,)`` Σ c·(I − dark) / Σ c·flat·Ω·P / monitor; NaN in bins that no valid pixel reaches.
    count
        ``(npt,)`` integer, how many valid pixels reach each bin; of clipped means, how many were left.
    signal
        ``(npt,)`` Σ c·(I − dark), in counts.
    normalization
        ``(npt,)`` Σ c·flat·Ω·P, without the monitor.
    sigma
        ``(npt,)`` standard uncertainty of `intensity`, NaN where that is; None without an error model.
    """

    radial: NDArray[np.float64]
    intensity: NDArray[np.float64]
    count: NDArray[np.int64]
    signal: NDArray[np.float64]
    normalization: NDArray[np.float64]
    sigma: NDArray[np.float64] | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Peaks:
    """The peaks of one diffractogram, strongest first.

    Attributes
    ----------
    position
        ``(n,)`` in the radial unit.
    height
        ``(n,)`` the curve's value at the peak, background included (as lavue lists it).
    net_height
        ``(n,)`` height above the local background.
    fwhm
        ``(n,)`` full width at half of the net height, in the radial unit; NaN if it cannot be told.
    area
        ``(n,)`` integral above the local background, intensity × radial unit; NaN if it cannot be told.
    position_error
        ``(n,)`` uncertainty of the position in the radial unit: the bin step where nothing was fitted.
    """

    position: NDArray[np.float64]
    height: NDArray[np.float64]
    net_height: NDArray[np.float64]
    fwhm: NDArray[np.float64]
    area: NDArray[np.float64]
    position_error: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.position)

    @staticmethod
    def none() -> Peaks:
        """No peaks at all."""
        empty = np.empty(0)
        return Peaks(empty, empty, empty, empty, empty, empty)


@dataclass(frozen=True, eq=False, slots=True)
class Cake:
    """One frame regrouped on a grid of azimuth and radial value.

    Attributes
    ----------
    radial
        ``(npt_rad,)`` bin centres in the configured unit, ascending.
    azimuthal
        ``(npt_azim,)`` bin centres in degrees, ascending.
    intensity
        ``(npt_azim, npt_rad)`` float32, Σ c·(I − dark) / Σ c·flat·Ω·P / monitor; NaN in bins without valid pixels.
    signal, normalization
        ``(npt_azim, npt_rad)`` the two sums, without the monitor.
    """

    radial: NDArray[np.float64]
    azimuthal: NDArray[np.float64]
    intensity: NDArray[np.float32]
    signal: NDArray[np.float64]
    normalization: NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class FittedPeaks(Peaks):
    """Peaks that were fitted, strongest first.

    Attributes
    ----------
    height_error, fwhm_error, area_error
        ``(n,)`` standard uncertainties of `net_height`, `fwhm` and `area`; NaN for a peak whose fit failed, whose other
        figures are the finder's.
    """

    height_error: NDArray[np.float64]
    fwhm_error: NDArray[np.float64]
    area_error: NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class Reduction:
    """All that is computed from one frame: for every range, in order, a diffractogram and its peaks; perhaps a cake."""

    frame: Frame
    diffractograms: tuple[Diffractogram, ...]
    peaks: tuple[Peaks, ...]
    cake: Cake | None = None
