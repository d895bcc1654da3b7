"""Curves of pyFAI's calibrants with lines of known place, width and signal-to-noise, and what finders make of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from peak_curves import line, split
from scipy import signal

from bluesky_diffractogram.reduction.diffractogram import Diffractogram
from bluesky_diffractogram.reduction.lavue_peaks import lavue_peaks
from bluesky_diffractogram.reduction.peak_fit import fit_peaks
from bluesky_diffractogram.reduction.peaks import find_peaks
from bluesky_diffractogram.reduction.pyfai_library import calibrant_lines

# Bins that are evaluated between two bins, and how many pixels contribute to a bin.
FINE, PIXELS = 16, 40
# A line weaker than this is in the curve, and a peak found there is no false one; it need not be found.
LEAST_SNR, MOST_LINES = 2.0, 60
ISOLATION = (1.0, 1.5, 2.0, 3.0, np.inf)
SNR = (4.0, 6.0, 8.0, 10.0, 15.0, 30.0, np.inf)


@dataclass(frozen=True, eq=False)
class PowderCurve:
    """A curve and what is in it.

    Attributes
    ----------
    diffractogram
        With noise, over bins as its axis.
    position, fwhm, height
        ``(n,)`` of the lines, in bins and intensity, from left to right.
    snr
        ``(n,)`` height over the least standard uncertainty that counting gives it, where background, and heights and
        positions of all lines are free: what a joint fit of all lines could tell (`least_uncertainty`).
    shared
        What neighbouring bins share of their noise, where a table tells it.
    halo
        From which bin to which the background has a wide maximum; None where it has none.
    """

    diffractogram: Diffractogram
    position: np.ndarray
    fwhm: np.ndarray
    height: np.ndarray
    snr: np.ndarray
    shared: tuple[float, ...] | None = None
    halo: tuple[float, float] | None = None

    @property
    def isolation(self) -> np.ndarray:
        """``(n,)`` distance to the nearest other line of any height, in the wider one's FWHM."""
        gaps = np.diff(self.position) / np.maximum(self.fwhm[1:], self.fwhm[:-1])
        return np.minimum(np.append(np.inf, gaps), np.append(gaps, np.inf))

    @property
    def eclipse(self) -> np.ndarray:
        """``(n,)`` how much higher the highest other line within three FWHM is, 0 where there is none."""
        near = np.abs(self.position[:, None] - self.position) < 3.0 * self.fwhm[:, None]
        np.fill_diagonal(near, False)
        return np.where(near, self.height[None, :] / self.height[:, None], 0.0).max(axis=1, initial=0.0)


def calibrant_curve(
    name: str,
    rng: np.random.Generator,
    *,
    n: int = 1500,
    fwhm: float = 6.0,
    width: float = 2.8,
    strongest: float = 300.0,
    lines: bool = True,
) -> PowderCurve:
    """A curve over the first lines of a calibrant, with counting noise in pixels that are split over bins.

    Parameters
    ----------
    name
        As pyFAI has it.
    n, fwhm
        Bins, and the lines' width in bins, which grows by a half along the curve.
    width
        Into how many bins a pixel is split; 0 is the splitting ``no``.
    strongest
        Lines are, were all else known, between 2 and so many times as high as their uncertainty, evenly on a
        logarithmic scale.
    lines
        Whether there are any.
    """
    q = np.unique(2.0 * np.pi / np.unique(calibrant_lines(name)))[:MOST_LINES]
    low, high = 0.7 * q[0], q[-1] + 0.3 * q[0]
    position = (q - low) / (high - low) * n
    widths = fwhm * (1.0 + 0.5 * position / n)
    x = np.arange(-FINE, (n + 1) * FINE) / FINE
    level = rng.uniform(20.0, 60.0)
    background = level * (1.0 + 2.0 * np.exp(-x / (0.15 * n)) + rng.uniform(0.0, 1.0) / (1.0 + (x / (0.4 * n)) ** 4))
    at_line = np.interp(position, x, background)
    # Σ line² over pixels, of which there are PIXELS to a bin, is 0.66 FWHM for this mixture.
    weight = np.sqrt(0.66 * widths * PIXELS)
    snr = LEAST_SNR * (strongest / LEAST_SNR) ** rng.uniform(0.0, 1.0, len(q))
    # snr = h weight / √(background + h/2), solved for h
    height = (snr**2 / 2.0 + np.sqrt(snr**4 / 4.0 + 4.0 * snr**2 * weight**2 * at_line)) / (2.0 * weight**2)
    if not lines:
        position, widths, height, snr = (each[:0] for each in (position, widths, height, snr))
    expected = background.copy()
    for p, w, h in zip(position, widths, height, strict=True):
        expected += h * line(x - p, w, 0.3)
    if len(position):
        snr = height / least_uncertainty(position, widths, height, np.interp(np.arange(n), x, expected) / PIXELS)
    curve = split(lambda at: np.interp(at, x, expected), n, PIXELS, max(width, 1e-3), rng)
    return PowderCurve(curve, position, widths, height, snr)


def least_uncertainty(position: np.ndarray, fwhm: np.ndarray, height: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """The Cramér-Rao bound of each line's height, in a window of four widths with all that reaches into it.

    Parameters
    ----------
    position, fwhm, height
        ``(n,)``, in bins and intensity.
    variance
        ``(npt,)`` of independent bins.
    """
    bins = np.arange(len(variance))
    bound = np.full(len(position), np.inf)
    for k in range(len(position)):
        inside = bins[np.abs(bins - position[k]) <= max(4.0 * fwhm[k], 8.0)]
        near = np.flatnonzero(np.abs(position - position[k]) <= 5.0 * fwhm[k])
        if len(inside) < 2 * len(near) + 3:
            continue
        slopes = [np.ones(len(inside)), (inside - position[k]) / fwhm[k]]
        for j in [k, *near[near != k]]:
            away = inside - position[j]
            slopes += [
                line(away, fwhm[j], 0.3),
                height[j] * (line(away - 0.01, fwhm[j], 0.3) - line(away + 0.01, fwhm[j], 0.3)) / 0.02,
            ]
        scaled = np.array(slopes) / np.sqrt(variance[inside])
        bound[k] = np.sqrt(np.linalg.pinv(scaled @ scaled.T)[2, 2])
    return bound


@dataclass
class Score:
    """What a finder did on many curves.

    Attributes
    ----------
    wanted, found
        ``(isolation classes, SNR classes)`` how many lines there are, and were found within half a FWHM.
    missed_lines
        Of those that were not found: calibrant, position, isolation, SNR, eclipse.
    false, halos, curves
        Peaks farther than a FWHM from every line; of a curve whose background has a maximum, one that is there is none
        of these but a halo; curves.
    misses, pulls
        Position errors of lines with 3 FWHM to the next and an SNR above 10: in bins, and in least deviations.
    close_misses
        Position errors of lines with less to the next and an SNR above 30, in bins.
    """

    wanted: np.ndarray = field(default_factory=lambda: np.zeros((len(ISOLATION) - 1, len(SNR) - 1), int))
    found: np.ndarray = field(default_factory=lambda: np.zeros((len(ISOLATION) - 1, len(SNR) - 1), int))
    missed_lines: list[tuple[str, float, float, float, float]] = field(default_factory=list)
    false: int = 0
    halos: int = 0
    curves: int = 0
    misses: list[float] = field(default_factory=list)
    pulls: list[float] = field(default_factory=list)
    close_misses: list[float] = field(default_factory=list)

    def add(self, name: str, curve: PowderCurve, position: np.ndarray) -> None:
        """Count the peaks at `position`, in bins."""
        self.curves += 1
        if not len(curve.position):
            self.false += len(position)
            return
        distance = np.abs(position[:, None] - curve.position)
        false = position[(distance > np.maximum(curve.fwhm, 1.5)).all(axis=1)]
        low, high = curve.halo or (np.inf, -np.inf)
        halo = bool(((false >= low) & (false <= high)).any())
        self.halos += halo
        self.false += len(false) - halo
        n = len(curve.diffractogram.radial)
        # What a finder sees but in part, it need not find.
        inside = (curve.position > 4.0 * curve.fwhm) & (curve.position < n - 4.0 * curve.fwhm)
        isolation, eclipse = curve.isolation, curve.eclipse
        for k in np.flatnonzero(inside & (isolation >= ISOLATION[0]) & (curve.snr >= SNR[0])):
            cell = (  # infinity is in the last class
                np.searchsorted(ISOLATION[:-1], isolation[k], "right") - 1,
                np.searchsorted(SNR[:-1], curve.snr[k], "right") - 1,
            )
            self.wanted[cell] += 1
            nearest = int(distance[:, k].argmin()) if len(position) else -1
            if nearest < 0 or distance[nearest, k] > 0.5 * curve.fwhm[k]:
                self.missed_lines.append((name, curve.position[k], isolation[k], curve.snr[k], eclipse[k]))
                continue
            self.found[cell] += 1
            miss = position[nearest] - curve.position[k]
            if isolation[k] <= 3.0 and curve.snr[k] > 30.0:
                self.close_misses.append(miss)
            if isolation[k] > 3.0 and curve.snr[k] > 10.0:
                self.misses.append(miss)
                # as of a Gaussian in even noise
                self.pulls.append(miss / (0.6 * curve.fwhm[k] / curve.snr[k]))

    def recall(self, isolation: float = 1.0, snr: float = 10.0) -> float:
        """The part found of the lines at least so isolated and so strong."""
        rows, columns = np.searchsorted(ISOLATION, isolation), np.searchsorted(SNR, snr)
        wanted = int(self.wanted[rows:, columns:].sum())
        return int(self.found[rows:, columns:].sum()) / wanted if wanted else 1.0


Finder = Callable[[PowderCurve], np.ndarray]


def default(curve: PowderCurve) -> np.ndarray:
    """This package's finder."""
    return find_peaks(curve.diffractogram, max_peaks=1000, shared=curve.shared).position


def fitted(curve: PowderCurve) -> np.ndarray:
    """This package's finder, and its fits."""
    found = find_peaks(curve.diffractogram, max_peaks=1000, shared=curve.shared)
    return fit_peaks(curve.diffractogram, found).position


def lavue(curve: PowderCurve) -> np.ndarray:
    """lavue's, which is told how many lines there are; else it gives as many peaks as it may."""
    return lavue_peaks(curve.diffractogram, max_peaks=max(len(curve.position), 1)).position


def plain_scipy(curve: PowderCurve) -> np.ndarray:
    """scipy's, with a prominence of five times the deviation that neighbouring bins show."""
    y = curve.diffractogram.intensity
    noise = np.median(np.abs(np.diff(y))) / 0.6745 / np.sqrt(2.0)
    return curve.diffractogram.radial[signal.find_peaks(y, prominence=5.0 * noise)[0]]


FINDERS: dict[str, Finder] = {
    "default": default,
    "default, fitted": fitted,
    "lavue": lavue,
    "plain find_peaks": plain_scipy,
}


def compare(curves: Iterable[tuple[str, PowderCurve]], finders: dict[str, Finder]) -> dict[str, Score]:
    """Have every finder look at the same curves."""
    scores = {name: Score() for name in finders}
    for name, curve in curves:
        for finder, score in scores.items():
            score.add(name, curve, finders[finder](curve))
    return scores
