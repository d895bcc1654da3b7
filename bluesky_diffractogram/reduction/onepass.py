"""All ranges in one pass over the frame: what this package is for."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from . import kernel
from .dark import table_with_dark
from .diffractogram import Diffractogram
from .table import STRIDE, Prepared
from .threads import cores, submit
from .validity import Validity

MOST_THREADS = 4


class OnePassIntegrator:
    """Integrates a frame over all ranges in one compiled pass over its used pixels.

    The numbers are those of pyFAI's `integrate1d`, whose own splitting fills the table, within float32
    rounding. The result does not depend on the number of threads, and one integrator may be used by several.

    Parameters
    ----------
    prepared
        What does not depend on the frame.
    variance
        Whether sigma is wanted, with Poisson's variance.
    threads
        How many work on one frame; as many as there are cores, at most 4, if None.
    """

    def __init__(self, prepared: Prepared, *, variance: bool = False, threads: int | None = None) -> None:
        self.ranges, self.axes, self.pixels = prepared.ranges, prepared.axes, prepared.pixels
        self.prepared, self.table = prepared, prepared.table
        self.coverage = tuple(
            self.table.count[start : start + wanted.npt]
            for wanted, start in zip(self.ranges, self.table.bins, strict=False)
        )
        self._variance = variance
        self._threads = min(MOST_THREADS, cores()) if threads is None else threads
        self._rules: dict[tuple[np.dtype, Validity], _Rules] = {}

    def with_dark(self, dark: NDArray[np.float32]) -> OnePassIntegrator:
        """The same with a dark, see `Integrator.with_dark`."""
        prepared = replace(self.prepared, table=table_with_dark(self.table, dark))
        return OnePassIntegrator(prepared, variance=self._variance, threads=self._threads)

    def integrate(
        self,
        image: NDArray,
        validity: Validity,
        *,
        monitor: float | None = None,
        exposures: int = 1,
    ) -> tuple[Diffractogram, ...]:
        """Integrate one stored frame; see `Integrator.integrate`."""
        table = self.table
        image = _as_the_kernel_reads_it(image)
        rules = self._rules_for(image.dtype, validity)
        blocks = range(len(table.blocks) - 1)
        if self._threads > 1 and len(blocks) > 1:
            # One of the threads is this one, which would else only wait.
            lots = [blocks[i :: self._threads] for i in range(self._threads)]
            others = [submit(_pool(), self._blocks, image, rules, lot) for lot in lots[1:]]
            done = self._blocks(image, rules, lots[0])
            for other, lot in zip(others, lots[1:], strict=True):
                done |= self._blocks(image, rules, lot) if other is None else other.result()
        else:
            done = self._blocks(image, rules, blocks)
        return self._result([done[block] for block in blocks], monitor, exposures)

    def _blocks(self, image: NDArray, rules: _Rules, blocks: range) -> dict[int, _Sums]:
        return {block: self._block(image, rules, block) for block in blocks}

    def _block(self, image: NDArray, rules: _Rules, block: int) -> _Sums:
        table = self.table
        start, stop = table.blocks[block], table.blocks[block + 1]
        rows = (image, table.pixel, table.first_bin, table.first_part, table.second_part, start, stop)
        scratch = _scratch(stop - start)
        signal = np.zeros(len(table.count))
        n = kernel.add_rows(*rows, rules.low, rules.high, rules.intervals, rules.marks, signal, scratch)
        # The scratch belongs to this thread, which may take another block before the sums are put together.
        bad = scratch[:n].copy()
        variance = None
        if self._variance:
            variance = np.zeros(len(table.count))
            kernel.add_variance(*rows, bad, variance)
        return _Sums(signal, variance, bad)

    def _result(self, sums: list[_Sums], monitor: float | None, exposures: int) -> tuple[Diffractogram, ...]:
        table = self.table
        signal = sums[0].signal
        for each in sums[1:]:
            signal += each.signal
        if table.dark_sum is not None:
            signal -= exposures * table.dark_sum
        normalization, count = table.normalization, table.count
        if any(len(each.bad) for each in sums):
            normalization, count = normalization.copy(), count.copy()
            rows = (table.first_bin, table.first_part, table.second_part)
            for each in sums:
                where = (each.bad, table.pixel, table.used_at, STRIDE, *rows)
                kernel.take_away(*where, table.weight, 1.0, normalization)
                kernel.discount(each.bad, *rows, count)
                if table.dark is not None:
                    kernel.take_away(*where, table.dark, -float(exposures), signal)
        filled = count > 0
        divisor = np.where(filled, normalization, 1.0) * (1.0 if monitor is None else monitor)
        intensity = np.where(filled, signal / divisor, np.nan)
        sigma = None
        if self._variance:
            variance = sum(each.variance for each in sums if each.variance is not None)
            sigma = np.where(filled, np.sqrt(variance) / divisor, np.nan)
        # Bins that lost all their pixels keep a residue of the subtraction, which is no signal.
        signal, normalization = np.where(filled, signal, 0.0), np.where(filled, normalization, 0.0)
        return tuple(
            Diffractogram(
                radial=axis,
                intensity=intensity[start : start + wanted.npt],
                count=count[start : start + wanted.npt],
                signal=signal[start : start + wanted.npt],
                normalization=normalization[start : start + wanted.npt],
                sigma=None if sigma is None else sigma[start : start + wanted.npt],
            )
            for wanted, axis, start in zip(self.ranges, self.axes, table.bins, strict=False)
        )

    def _rules_for(self, dtype: np.dtype, validity: Validity) -> _Rules:
        key = (dtype, validity)
        if key not in self._rules:
            self._rules[key] = _Rules(dtype, validity)
        return self._rules[key]


class _Sums:
    """What one block adds to the bins, and its rows of invalid pixels."""

    __slots__ = ("bad", "signal", "variance")

    def __init__(self, signal: NDArray, variance: NDArray | None, bad: NDArray) -> None:
        self.signal, self.variance, self.bad = signal, variance, bad


class _Rules:
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


def _as_the_kernel_reads_it(image: NDArray) -> NDArray:
    """The frame, flattened, in native byte order; a copy only if it is not so already."""
    if image.dtype.kind == "b":
        image = image.view(np.uint8)
    elif image.dtype.kind == "f" and image.dtype.itemsize not in (4, 8):
        image = image.astype(np.float64)
    elif not image.dtype.isnative:
        image = image.astype(image.dtype.newbyteorder("="))
    return np.ascontiguousarray(image).reshape(-1)


_local = threading.local()


def _scratch(rows: int) -> NDArray[np.uint32]:
    """Room for the rows of invalid pixels, this thread's own, kept from frame to frame."""
    if getattr(_local, "rows", -1) < rows:
        _local.rows, _local.scratch = rows, np.empty(rows, np.uint32)
    return _local.scratch


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="diffractogram-kernel")
