"""Detector images of a powder sample: what a calibrated pixel detector counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..reduction.geometry import Geometry
from .sample import PowderSample

GAP = -1
"""What a Pilatus writes where it has no pixel."""

DEAD = -2
"""What a Pilatus writes where a pixel does not work."""

# Far below a pixel and a line's width; a table of this step replaces a computation for each pixel.
STEP_DEG = 0.001


class PowderFrames:
    """Images of `sample` on the detector of `geometry`, with counting noise.

    A pixel's expectation is the sample's pattern at the 2θ of its centre, times its solid angle and the
    polarization factor. Everything else is Poisson noise, gaps, dead and hot pixels.

    Parameters
    ----------
    geometry
        A calibration with wavelength and shape.
    sample
        What scatters.
    gaps
        ``(ny, nx)``, True where there is no pixel; those of the detector if None.
    dead, hot
        Pixels that do not work, and that count `hot_counts` a second whatever hits them, as (row, column).
    hot_counts
        Counts per second of a hot pixel.
    polarization
        The beam's polarization factor, +1 for horizontal.
    seed
        The noise of frame n at temperature T is always the same for one seed.

    Raises
    ------
    ValueError
        The geometry lacks wavelength or shape.
    """

    def __init__(
        self,
        geometry: Geometry,
        sample: PowderSample,
        *,
        gaps: NDArray[np.bool_] | None = None,
        dead: Sequence[tuple[int, int]] = (),
        hot: Sequence[tuple[int, int]] = (),
        hot_counts: float = 50_000.0,
        polarization: float = 0.99,
        seed: int = 0,
    ) -> None:
        if geometry.shape is None or geometry.wavelength is None:
            raise ValueError("the simulated detector needs a calibration with shape and wavelength")
        self.shape = geometry.shape
        self.wavelength = geometry.wavelength
        self.sample = sample
        two_theta = np.rad2deg(geometry.pixels("center", "2th_deg"))
        self._index = np.rint(two_theta / STEP_DEG).astype(np.int32)
        self._angles = STEP_DEG * np.arange(int(self._index.max()) + 1)
        self._efficiency = np.asarray(geometry.solid_angle() * geometry.polarization(polarization), np.float64)
        if gaps is None:
            gaps = geometry.detector_mask()
        self._gaps = np.zeros(self.shape, dtype=bool) if gaps is None else gaps
        self._dead, self._hot = _where(dead, self.shape), _where(hot, self.shape)
        self._hot_counts = hot_counts
        self._seed = seed

    def expected(self, temperature: float, exposure: float = 1.0) -> NDArray[np.float64]:
        """``(ny, nx)`` expected counts after `exposure` s at `temperature` in K, without faulty pixels."""
        pattern = self.sample.pattern(self._angles, temperature, self.wavelength)
        return (exposure * pattern)[self._index] * self._efficiency

    def frame(self, number: int, temperature: float, exposure: float = 1.0) -> NDArray[np.int32]:
        """One image.

        Parameters
        ----------
        number
            Number of the frame, which with the temperature decides the noise.
        temperature
            In K.
        exposure
            In s.

        Returns
        -------
        numpy.ndarray
            ``(ny, nx)`` counts; −1 in gaps and −2 in dead pixels, as a Pilatus writes them.
        """
        expected = self.expected(temperature, exposure)
        expected[self._hot] = self._hot_counts * exposure
        rng = np.random.Generator(np.random.SFC64([self._seed, number, round(temperature * 1000.0)]))
        image = rng.poisson(expected).astype(np.int32)
        image[self._dead] = DEAD
        image[self._gaps] = GAP
        return image


def _where(pixels: Sequence[tuple[int, int]], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """``(ny, nx)``, True at `pixels`."""
    chosen = np.zeros(shape, dtype=bool)
    for row, column in pixels:
        chosen[row, column] = True
    return chosen
