"""Which pixels count, as the compiled loops take it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .validity import Validity


class KernelRules:
    """`Validity` as the kernel takes it: an interval of the dtype in which all is valid, and the rules in full."""

    def __init__(self, dtype: np.dtype, validity: Validity) -> None:
        limits = validity.limits or (-np.inf, np.inf)
        self.intervals = np.array([limits, *validity.excluded], dtype=np.float64)
        self.marks = np.array(validity.marks(dtype), dtype=np.float64)
        if dtype.kind == "f":  # numpy compares in the frame's own precision, which holds no −0.1 in float32
            self.intervals = self.intervals.astype(dtype).astype(np.float64)
            self.marks = self.marks.astype(dtype).astype(np.float64)
        if dtype.kind == "f":
            least, most = float(np.finfo(dtype).min), float(np.finfo(dtype).max)
        else:
            least, most = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
        low, high = self._widest(max(least, limits[0]), min(most, limits[1]), dtype.kind)
        if not least <= low <= high <= most:
            low, high = 1, 0  # nothing is surely valid: every value is tested in full
        self.low, self.high = dtype.type(low), dtype.type(high)

    def _widest(self, low: float, high: float, kind: str) -> tuple[float, float]:
        """The part of ``[low, high]`` above everything excluded that lies in its lower half, and below the rest."""
        step = 1 if kind in "ui" else 0
        if kind in "ui":
            low, high = int(np.ceil(low)), int(np.floor(high))
        middle = max(1.0, low) if low <= 1.0 <= high else (low + high) / 2
        for first, last in [*self.intervals[1:].tolist(), *((mark, mark) for mark in self.marks.tolist())]:
            if last < middle:
                low = max(low, _above(last, step))
            elif first > middle:
                high = min(high, _below(first, step))
            else:
                return 1, 0  # what is excluded lies in the midst
        return low, high


def _above(value: float, step: int) -> float:
    return int(np.floor(value)) + 1 if step else float(np.nextafter(np.float32(value), np.float32(np.inf)))


def _below(value: float, step: int) -> float:
    return int(np.ceil(value)) - 1 if step else float(np.nextafter(np.float32(value), np.float32(-np.inf)))


@lru_cache(maxsize=64)
def kernel_rules(dtype: np.dtype, validity: Validity) -> KernelRules:
    """The rules for frames of a dtype."""
    return KernelRules(dtype, validity)


def as_kernels_read_it(image: NDArray) -> NDArray:
    """The frame, flattened, in native byte order; a copy only if it is not so already."""
    if image.dtype.kind == "b":
        image = image.view(np.uint8)
    elif image.dtype.kind == "f" and image.dtype.itemsize not in (4, 8):
        image = image.astype(np.float64)
    elif not image.dtype.isnative:
        image = image.astype(image.dtype.newbyteorder("="))
    return np.ascontiguousarray(image).reshape(-1)
