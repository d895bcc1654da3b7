"""pyFAI's pixel splitting of one range, or of a cake, in the order of the pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .limits import IntegrationRange
from .pyfai_library import in_our_words, settle_split_buffer, unit_scale


@dataclass(frozen=True, eq=False, slots=True)
class SplitMatrix:
    """pyFAI's splitting as a sparse matrix in the order of the pixels.

    Attributes
    ----------
    owner, bin, coefficient
        ``(entries,)``: a pixel's index in the flattened frame, a bin, and which part of the pixel goes there.
    axis
        ``(npt,)`` bin centres.
    """

    owner: NDArray[np.uint32]
    bin: NDArray[np.int32]
    coefficient: NDArray[np.float32]
    axis: NDArray[np.float64]


def split_pixels(
    integrator: Any,
    shape: tuple[int, int],
    npt: int,
    unit: str,
    limits: tuple[float, float],
    azimuth_range: tuple[float, float] | None,
    split: str,
) -> SplitMatrix:
    """Which part of each unmasked pixel goes into which bin.

    Parameters
    ----------
    integrator
        Of a geometry (`Geometry.integrator`), whose arrays it keeps for the next range.
    shape
        ``(ny, nx)`` of the frame.
    npt, unit, limits, split
        Bins, pyFAI's radial unit, its radial limits, and ``"no"``, ``"bbox"`` or ``"full"``.
    azimuth_range
        In degrees within [−180, 180]; None is the full ring.
    """
    matrix = _sparse(integrator, shape, npt, unit, unit, limits, azimuth_range, split)
    return _in_order(matrix, matrix.bin_centers, unit)


def split_cake(
    integrator: Any,
    shape: tuple[int, int],
    npt: tuple[int, int],
    unit: str,
    limits: tuple[float, float],
    azimuth_range: tuple[float, float],
    split: str,
) -> tuple[SplitMatrix, NDArray[np.float64]]:
    """Which part of each unmasked pixel goes into which bin of radial value and azimuth.

    Parameters
    ----------
    npt
        Bins along the radial axis and along the azimuth.
    integrator, shape, unit, limits, azimuth_range, split
        As for `split_pixels`.

    Returns
    -------
    SplitMatrix
        Its bins are counted through, those of one radial value and all azimuths together; its axis is the radial one.
    numpy.ndarray
        ``(npt[1],)`` azimuthal bin centres in degrees.
    """
    settle_split_buffer()
    matrix = _sparse(integrator, shape, npt, (unit, "chi_deg"), unit, limits, azimuth_range, split)
    return _in_order(matrix, matrix.bin_centers0, unit), np.rad2deg(np.asarray(matrix.bin_centers1, np.float64))


def _sparse(
    integrator: Any,
    shape: tuple[int, int],
    npt: int | tuple[int, int],
    units: str | tuple[str, str],
    radial_unit: str,
    limits: tuple[float, float],
    azimuth_range: tuple[float, float] | None,
    split: str,
) -> Any:
    """pyFAI's sparse matrix, a row for each pixel."""
    scale = unit_scale(radial_unit)
    with in_our_words.holds():
        return integrator.setup_sparse_integrator(
            shape,
            npt,
            mask=integrator.detector.mask,
            pos0_range=(limits[0] / scale, limits[1] / scale),
            # Radians whatever else the units are: degrees would silently give an empty matrix.
            pos1_range=None
            if azimuth_range is None
            else (math.radians(azimuth_range[0]), math.radians(azimuth_range[1])),
            unit=units,
            split=split,
            algo="CSC",
            scale=False,
        )


def _in_order(matrix: Any, centres: NDArray, unit: str) -> SplitMatrix:
    start = np.asarray(matrix.indptr)
    owner = np.repeat(np.arange(len(start) - 1, dtype=np.uint32), np.diff(start))
    axis = np.asarray(centres) * unit_scale(unit)
    return SplitMatrix(owner, np.asarray(matrix.indices), np.asarray(matrix.data), axis)


def split_range(wanted: IntegrationRange, integrator: Any, shape: tuple[int, int], split: str) -> list[SplitMatrix]:
    """Which part of each unmasked pixel goes into which bin of a range: two matrices where its arc crosses ±180°.

    A pixel that touches both sides of ±180° is in the first only. Other parameters as `split_pixels`.
    """
    settings = (shape, wanted.npt, wanted.unit.pyfai, wanted.pyfai_limits)
    first, *rest = (split_pixels(integrator, *settings, stretch, split) for stretch in wanted.stretches)
    found = [first]
    for matrix in rest:
        before, now = (each.owner.astype(np.int64) * wanted.npt + each.bin for each in (first, matrix))
        new = ~np.isin(now, before)
        found.append(SplitMatrix(matrix.owner[new], matrix.bin[new], matrix.coefficient[new], matrix.axis))
    return found
