"""All bins in one pass over the frame: what this package is for."""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from . import kernel
from .dark import table_with_dark
from .kernel_rules import KernelRules, as_kernels_read_it, kernel_rules
from .table import STRIDE, PixelTable, Prepared
from .table_integrator import BinSums, TableIntegrator
from .threads import MOST_THREADS_OF_A_FRAME, cores, on_one_frame
from .validity import Validity


class OnePass:
    """Adds a frame up in all bins of a table, in one compiled pass over its used pixels.

    The result does not depend on the number of threads, and one may be used by several.

    Parameters
    ----------
    table
        For the kernel.
    variance
        Whether Poisson's variance is wanted.
    threads
        How many work on one frame; as many as there are cores, at most 4, if None.
    """

    def __init__(self, table: PixelTable, *, variance: bool = False, threads: int | None = None) -> None:
        self.table = table
        self._variance = variance
        self._threads = min(MOST_THREADS_OF_A_FRAME, cores()) if threads is None else threads

    def sums(self, image: NDArray, validity: Validity, *, exposures: int = 1) -> BinSums:
        """Add up one stored frame; parameters as of `Integrator.integrate`."""
        table = self.table
        image = as_kernels_read_it(image)
        rules = kernel_rules(image.dtype, validity)
        blocks = range(len(table.blocks) - 1)
        if self._threads > 1 and len(blocks) > 1:
            lots = [blocks[i :: self._threads] for i in range(self._threads)]
            of_lots = on_one_frame([partial(self._blocks, image, rules, lot) for lot in lots])
            done = {block: sums for each in of_lots for block, sums in each.items()}
        else:
            done = self._blocks(image, rules, blocks)
        return self._together([done[block] for block in blocks], exposures)

    def _blocks(self, image: NDArray, rules: KernelRules, blocks: range) -> dict[int, _Sums]:
        return {block: self._block(image, rules, block) for block in blocks}

    def _block(self, image: NDArray, rules: KernelRules, block: int) -> _Sums:
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

    def _together(self, sums: list[_Sums], exposures: int) -> BinSums:
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
        variance = None
        if self._variance:
            variance = np.sum([each.variance for each in sums if each.variance is not None], axis=0)
        # Bins that lost all their pixels keep a residue of the subtraction, which is no signal.
        filled = count > 0
        return BinSums(np.where(filled, signal, 0.0), np.where(filled, normalization, 0.0), count, variance)


class OnePassIntegrator(TableIntegrator):
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
        See `OnePass`.
    """

    def __init__(self, prepared: Prepared, *, variance: bool = False, threads: int | None = None) -> None:
        super().__init__(prepared)
        self.one_pass = OnePass(prepared.table, variance=variance, threads=threads)
        self._variance, self._threads = variance, threads

    def with_dark(self, dark: NDArray[np.float32]) -> OnePassIntegrator:
        """The same with a dark, see `Integrator.with_dark`."""
        prepared = replace(self.prepared, table=table_with_dark(self.table, dark))
        return OnePassIntegrator(prepared, variance=self._variance, threads=self._threads)

    def sums(self, image: NDArray, validity: Validity, exposures: int) -> BinSums:
        """Add up one stored frame; see `Integrator.integrate`."""
        return self.one_pass.sums(image, validity, exposures=exposures)


class _Sums:
    """What one block adds to the bins, and its rows of invalid pixels."""

    __slots__ = ("bad", "signal", "variance")

    def __init__(self, signal: NDArray, variance: NDArray | None, bad: NDArray) -> None:
        self.signal, self.variance, self.bad = signal, variance, bad


_local = threading.local()


def _scratch(rows: int) -> NDArray[np.uint32]:
    """Room for the rows of invalid pixels, this thread's own, kept from frame to frame."""
    if getattr(_local, "rows", -1) < rows:
        _local.rows, _local.scratch = rows, np.empty(rows, np.uint32)
    return _local.scratch
