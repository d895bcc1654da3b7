"""From angles to pixels: where rays of given 2θ and χ meet a detector."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .geometry import Geometry

FIT_STEPS = 12
FITTED_PIXELS = 1e-3  # what the plane may be off without being mended
SETTLED_PIXELS = 0.5
MOST_STEPS = 12
BEYOND = 0.1  # of the detector's size: farther out the plane alone is good enough
GRAZING_DEG = 0.5


class Projection:
    """Rays from the sample to the pixels of a detector, tilted as it may be.

    A plane is fitted to where pyFAI sees the pixels, which is exact for flat detectors of equal pixels in every
    orientation and binning. For others (modules with wide pixels, splines, curved ones) what the plane gives is
    mended step by step with pyFAI's own positions.

    Parameters
    ----------
    geometry
        Of known shape. It is copied, so that it can be used in other threads meanwhile.
    """

    def __init__(self, geometry: Geometry) -> None:
        assert geometry.shape is not None
        self.geometry = geometry.apart()
        self.shape = geometry.shape
        rows, columns = (np.linspace(0, n - 1, FIT_STEPS) for n in self.shape)
        row, column = (each.ravel() for each in np.meshgrid(rows, columns, indexing="ij"))
        found = self.geometry.positions(row, column)
        terms = np.stack([column, row, np.ones_like(row)], axis=1)
        along_column, along_row, self._origin = np.linalg.lstsq(terms, found.T, rcond=None)[0]
        self._along = np.stack([along_column, along_row], axis=1)
        self._to_pixels = np.linalg.pinv(self._along)
        normal = np.cross(along_column, along_row)
        normal *= np.sign(normal @ self._origin) or 1.0
        self._normal = normal / np.linalg.norm(normal)
        size = min(np.linalg.norm(along_column), np.linalg.norm(along_row))
        off = np.stack([along_column, along_row, self._origin]).T @ terms.T - found
        self.plane = bool(np.abs(off).max() < FITTED_PIXELS * size)

    def angles(self, column: NDArray[np.float64], row: NDArray[np.float64]) -> tuple[NDArray, NDArray]:
        """2θ and χ, ``(n,)`` in radians, at points given in pixels."""
        first, second, third = self.geometry.positions(row, column)
        return np.arctan2(np.hypot(first, second), third), np.arctan2(first, second)

    def bounded(self, two_theta: NDArray[np.float64], azimuth: NDArray[np.float64]) -> NDArray[np.float64]:
        """`two_theta` brought to where rays of that azimuth still meet the plane of the detector, far out; in rad."""
        along = self._normal[2]
        across = self._normal[0] * np.sin(azimuth) + self._normal[1] * np.cos(azimuth)
        steepest = np.arctan2(across, along)
        most = math.pi / 2 - math.radians(GRAZING_DEG)
        return np.clip(two_theta, np.maximum(steepest - most, 0.0), steepest + most)

    def pixels(self, two_theta: NDArray[np.float64], azimuth: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where rays meet the detector, or its plane beyond it.

        Parameters
        ----------
        two_theta, azimuth
            ``(n,)`` in radians.

        Returns
        -------
        numpy.ndarray
            ``(n, 2)`` column and row in pixels, 0 in the centre of the first; NaN where they miss the plane.
        """
        ray = np.stack([
            np.sin(two_theta) * np.sin(azimuth), np.sin(two_theta) * np.cos(azimuth), np.cos(two_theta)
        ])  # fmt: skip
        towards = self._normal @ ray
        meets = towards > 1e-9
        length = np.where(meets, self._normal @ self._origin / np.where(meets, towards, 1.0), np.nan)
        pixels = self._to_pixels @ (length * ray - self._origin[:, None])
        return (pixels if self.plane else self._mended(pixels, ray, towards)).T

    def _mended(self, pixels: NDArray, ray: NDArray, towards: NDArray) -> NDArray:
        """`pixels` on or near the detector brought to where pyFAI sees the ray; NaN in gaps, where no pixel does."""
        ny, nx = self.shape
        margin = BEYOND * max(ny, nx)
        near = (pixels[0] > -margin) & (pixels[0] < nx + margin) & (pixels[1] > -margin) & (pixels[1] < ny + margin)
        if not near.any():
            return pixels
        found, ray, towards = pixels[:, near], ray[:, near], towards[near]
        step = np.zeros_like(found)
        for _ in range(MOST_STEPS):
            here = self._positions(found)
            step = self._to_pixels @ (ray * (self._normal @ here / towards) - here)
            found = found + step
            if np.abs(step).max() < FITTED_PIXELS:
                break
        pixels[:, near] = np.where(np.abs(step).max(axis=0) < SETTLED_PIXELS, found, np.nan)
        return pixels

    def _positions(self, pixels: NDArray) -> NDArray[np.float64]:
        """``(3, n)`` positions in metres, going on beyond the detector as the plane does."""
        ny, nx = self.shape
        on_it = np.clip(pixels, -0.5, [[nx - 0.5], [ny - 0.5]])
        return self.geometry.positions(on_it[1], on_it[0]) + self._along @ (pixels - on_it)
