"""The search for peaks as it is configured: which finder, and whether what it finds is fitted."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Self

import numpy as np

from ..config import DiffractogramConfig
from .diffractogram import Diffractogram, Peaks
from .table import PixelTable

if TYPE_CHECKING:
    from .bin_covariance import BinCovariance


class PeakSearch:
    """Finds the peaks of the diffractograms of one configuration.

    Building it computes what does not depend on the frame, and compiles what is not compiled yet.

    Parameters
    ----------
    config
        Its ``peaks`` and ``error_model`` are used.
    table
        Of the ranges; None where pyFAI itself integrates.
    npts
        How many bins each range has.
    varying
        Whether noise is another along a curve, as where pixels of several detectors are merged.
    """

    def __init__(
        self, config: DiffractogramConfig, table: PixelTable | None, npts: Sequence[int], *, varying: bool = False
    ) -> None:
        self._find = _finders(config, table, len(npts), varying)
        self._fit: list[Callable[..., Peaks]] = []
        self._covariances: list[BinCovariance] = []
        if config.peaks is not None and config.peaks.method == "default":
            self._find[0](_one_line(npts[0]))  # so that the first frame does not wait for the compiler
        if config.peaks is None or config.peaks.fit is None:
            return
        from .bin_covariance import covariance_of_table
        from .peak_fit import fit_peaks

        fit = partial(fit_peaks, poisson=config.error_model == "poisson")
        self._fit = [fit] * len(npts)
        if table is not None:
            self._covariances = [covariance_of_table(table, i) for i in range(len(npts))]
            self._fit = [partial(fit, covariance=each) for each in self._covariances]
        _warm_up(self._fit[0], npts[0])

    def with_dark(self, table: PixelTable) -> Self:
        """The same for a table that differs in its dark, whose counts add to the uncertainties of what is fitted."""
        if not self._covariances:
            return self
        from .bin_covariance import with_dark_of

        other = copy.copy(self)
        other._covariances = [with_dark_of(table, i, each) for i, each in enumerate(self._covariances)]
        other._fit = [partial(fit, covariance=each) for fit, each in zip(self._fit, other._covariances, strict=True)]
        return other

    def __call__(self, number: int, diffractogram: Diffractogram, exposures: int = 1) -> Peaks:
        """The peaks of one diffractogram, strongest first.

        Parameters
        ----------
        number
            Of its range, counted from 0.
        diffractogram
            Of a frame.
        exposures
            How many frames were added up in that.
        """
        found = self._find[number](diffractogram)
        return self._fit[number](diffractogram, found, exposures=exposures) if self._fit else found


def _finders(
    config: DiffractogramConfig, table: PixelTable | None, ranges: int, varying: bool
) -> list[Callable[[Diffractogram], Peaks]]:
    """One for each range."""
    settings = config.peaks
    if settings is None:
        return [lambda _: Peaks.none()] * ranges
    if settings.method != "default":
        from .lavue_peaks import lavue_peaks, lavue_simple_peaks

        theirs = lavue_peaks if settings.method == "lavue" else lavue_simple_peaks
        return [partial(theirs, max_peaks=settings.max_peaks)] * ranges
    from .bin_covariance import shared_noise, varying_noise
    from .peaks import find_peaks

    find = partial(
        find_peaks, max_peaks=settings.max_peaks, min_snr=settings.min_snr, min_fwhm_bins=settings.min_fwhm_bins,
        max_fwhm_bins=settings.max_fwhm_bins,
    )  # fmt: skip
    if table is None:
        return [find] * ranges
    noise = varying_noise if varying else shared_noise
    return [partial(find, shared=noise(table, i)) for i in range(ranges)]


def _warm_up(fit: Callable[..., Peaks], npt: int) -> None:
    """Fit one line, so that the first frame does not wait for the compiler."""
    middle = np.array([npt / 2.0])
    fit(_one_line(npt), Peaks(middle, middle, np.ones(1), np.full(1, 4.0), middle, np.ones(1)))


def _one_line(npt: int) -> Diffractogram:
    """A curve with one line, somewhat noisy."""
    x = np.arange(npt, dtype=np.float64)
    intensity = 1.0 + np.exp(-0.1 * (x - npt // 2) ** 2) + 1e-3 * np.sin(x**2)
    one = np.ones(npt)
    return Diffractogram(x, intensity, one.astype(np.int64), intensity, one, one)
