"""Which pixels of a frame count: dead, saturated, negative and NaN pixels, by the rules of the frame's dtype."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..config import DiffractogramConfig

# What detectors write into signed integer frames for gaps (−1) and dead pixels (−2).
SIGNED_MARKS = (-2, -1)

# The top of an unsigned 32-bit frame, which stays in it when such a frame is cast to a wider type.
UINT32_MARK = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Validity:
    """The rules by which a raw frame's pixels are tested.

    Attributes
    ----------
    limits
        ``(low, high)``, inclusive, or None.
    excluded
        ``((low, high), …)``, inclusive: values in any of them are invalid.
    detector_dummy
        The detector's own mark and its tolerance, or None.
    mask_invalid
        Whether what detectors mark by convention is invalid.
    """

    limits: tuple[float, float] | None = None
    excluded: tuple[tuple[float, float], ...] = ()
    detector_dummy: tuple[float, float] | None = None
    mask_invalid: bool = True

    @staticmethod
    def from_config(config: DiffractogramConfig, detector_dummy: tuple[float, float] | None) -> Validity:
        """The rules of a configuration, for a detector whose dummy and tolerance are given."""
        limits = None
        if config.valid_range is not None:
            low, high = config.valid_range
            limits = (-math.inf if low is None else low, math.inf if high is None else high)
        excluded: tuple[tuple[float, float], ...] = ()
        if config.dummy is not None:
            delta = config.delta_dummy or 0.0
            excluded = ((config.dummy - delta, config.dummy + delta),)
        return Validity(limits, excluded, detector_dummy, config.mask_invalid)

    def marks(self, dtype: DTypeLike) -> tuple[int, ...]:
        """The exact values that mark a bad pixel in frames of `dtype`, ascending.

        Detectors mark pixels with integers. In a frame of floats they are therefore looked for as exact
        integers, since a frame with its dark subtracted has honest values between −3 and 0.
        """
        dtype = np.dtype(dtype)
        if not self.mask_invalid or dtype.kind not in "uif":
            return ()
        found: set[int] = set()
        wide = dtype.kind == "u" and dtype.itemsize in (2, 4)
        if self.detector_dummy is not None and (dtype.kind != "u" or wide):
            dummy, delta = self.detector_dummy
            near = range(math.ceil(dummy - delta), math.floor(dummy + delta) + 1)
            # Within Dectris' −2 ± 1.5 lies −3 too, which no detector writes and a subtracted dark can leave.
            for value in (v for v in near if dummy >= 0 or v in SIGNED_MARKS):
                # An unsigned frame holds −2 as its top value but one: the same bits.
                found.add(value % 2 ** (8 * dtype.itemsize) if dtype.kind == "u" else value)
        if wide:
            found.add(int(np.iinfo(dtype).max))
        if dtype.kind == "i":
            found.update(SIGNED_MARKS)
        if dtype.kind == "f" or dtype.itemsize == 8:
            found.add(UINT32_MARK)
        if dtype.kind in "ui":
            info = np.iinfo(dtype)
            found = {value for value in found if info.min <= value <= info.max}
        return tuple(sorted(found))

    def invalid(self, image: NDArray) -> NDArray[np.bool_] | None:
        """Where `image` is invalid.

        Parameters
        ----------
        image
            ``(ny, nx)`` raw counts.

        Returns
        -------
        numpy.ndarray or None
            ``(ny, nx)``, True where a pixel must not count; None if all count.
        """
        tests = []
        if image.dtype.kind == "f":
            tests.append(~np.isfinite(image))
        if self.limits is not None:
            tests.append(~((image >= self.limits[0]) & (image <= self.limits[1])))
        tests += [(image >= low) & (image <= high) for low, high in self.excluded]
        marks = self.marks(image.dtype)
        if image.dtype.kind == "f":
            tests += [image == image.dtype.type(mark) for mark in marks]
        else:
            tests += [(image >= low) & (image <= high) for low, high in _runs(marks)]
        if not tests:
            return None
        bad = np.logical_or.reduce(tests)
        return bad if bad.any() else None


def _runs(values: tuple[int, ...]) -> list[tuple[int, int]]:
    """Neighbouring integers as (first, last), so that each run costs one comparison of the frame."""
    runs: list[tuple[int, int]] = []
    for value in values:
        if runs and value == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], value)
        else:
            runs.append((value, value))
    return runs
