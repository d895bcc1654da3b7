"""What needs all pixels of a bin at once: their scatter, their median, and means without what is far from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import DiffractogramConfig
from .bin_kernel import between_percentiles, clipped_mean, scatter_about_mean, sort_by_bin
from .dark import table_with_dark
from .kernel_rules import as_kernels_read_it, kernel_rules
from .preparation import where_stored
from .table import Arrays, PixelTable, Prepared, first_rows, of_frame
from .table_integrator import BinSums, TableIntegrator
from .threads import MOST_THREADS_OF_A_FRAME, cores, on_one_frame
from .validity import Validity


@dataclass(frozen=True, eq=False, slots=True)
class BinEntries(Arrays):
    """The splitting of all ranges, sorted by bins and in each by the calibration's pixels.

    Attributes
    ----------
    start
        ``(bins + 1,)`` where the entries of each bin begin; the bins are those of the table.
    pixel
        ``(entries,)`` uint32: index into the flattened stored frame.
    part, weight, dark
        ``(entries,)`` float32: which part of the pixel is in the bin, its flat·Ω·P, and its dark, or nothing.
    """

    start: NDArray[np.int64]
    pixel: NDArray[np.uint32]
    part: NDArray[np.float32]
    weight: NDArray[np.float32]
    dark: NDArray[np.float32]

    @staticmethod
    def of(table: PixelTable, shape: tuple[int, int], transformation: str) -> BinEntries:
        """The entries of a table for frames of `shape`, as the calibration sees them."""
        rows = (table.pixel, table.first_bin, table.first_part, table.second_part)
        if transformation != "none":
            seen_at = np.empty(shape[0] * shape[1], np.uint32)
            seen_at[where_stored(shape, transformation).ravel()] = np.arange(seen_at.size, dtype=np.uint32)
            order = np.argsort(seen_at[table.pixel], kind="stable")
            rows = (rows[0][order], rows[1][order], rows[2][order], rows[3][order])
        start, pixel, part = sort_by_bin(*rows, len(table.count))
        used, pixels = table.pixel[first_rows(table.pixel)], shape[0] * shape[1]
        weight = of_frame(table.weight, used, pixels)[pixel]
        dark = np.empty(0, np.float32) if table.dark is None else of_frame(table.dark, used, pixels)[pixel]
        return BinEntries(start, pixel, part, weight, dark)

    def with_dark_of(self, table: PixelTable, pixels: int) -> BinEntries:
        """The same with the dark of a table that differs in nothing else, for frames of so many pixels."""
        assert table.dark is not None
        used = table.pixel[first_rows(table.pixel)]
        return replace(self, dark=of_frame(table.dark, used, pixels)[self.pixel])


class BinIntegrator(TableIntegrator):
    """Integrates a frame over all ranges, bin by bin, where it takes more than sums.

    The numbers are those of pyFAI's `integrate1d` with ``error_model="azimuthal"``, `sigma_clip_ng` and `medfilt1d_ng`,
    within float32 rounding. One may be used by several threads.

    Parameters
    ----------
    config
        Its error model, statistic and transformation are used.
    prepared
        What does not depend on the frame.
    shape
        ``(ny, nx)`` as the calibration sees the frame.
    entries
        Those of the table, if they are known.
    """

    def __init__(
        self,
        config: DiffractogramConfig,
        prepared: Prepared,
        shape: tuple[int, int],
        entries: BinEntries | None = None,
    ) -> None:
        super().__init__(prepared)
        self._config, self._shape = config, shape
        self.entries = entries or BinEntries.of(prepared.table, shape, config.transformation)
        self._loop = _loop(config)
        self._variance = config.error_model is not None
        threads = min(MOST_THREADS_OF_A_FRAME, cores())
        cuts = np.searchsorted(self.entries.start, np.linspace(0, self.entries.start[-1], threads + 1))
        cuts[0], cuts[-1] = 0, len(self.entries.start) - 1
        self._cuts = cuts.tolist()

    @property
    def tables(self) -> tuple[Arrays, ...]:
        """All arrays that it holds."""
        return (self.table, self.entries)

    def with_dark(self, dark: NDArray[np.float32]) -> BinIntegrator:
        """The same with a dark, see `Integrator.with_dark`."""
        table, entries = table_with_dark(self.table, dark), None
        if table.first_part is self.table.first_part:  # else it is not known of some pixels, which are not used then
            entries = self.entries.with_dark_of(table, dark.size)
        return BinIntegrator(self._config, replace(self.prepared, table=table), self._shape, entries)

    def sums(self, image: NDArray, validity: Validity, exposures: int) -> BinSums:
        """Add up one stored frame; see `Integrator.integrate`."""
        image = as_kernels_read_it(image)
        rules = kernel_rules(image.dtype, validity)
        entries = self.entries
        sums = np.zeros((4, len(entries.start) - 1))
        frame = (image, rules.low, rules.high, rules.intervals, rules.marks, exposures)
        columns = (entries.start, entries.pixel, entries.part, entries.weight, entries.dark)
        on_one_frame([partial(self._loop, *frame, *columns, first, stop, sums) for first, stop in pairwise(self._cuts)])
        signal, normalization, variance, count = sums
        whole = np.where(normalization > 0.0, count, 0).astype(np.int64)
        # Rounding may leave a scatter of pixels that are all alike below nothing.
        return BinSums(signal, normalization, whole, np.maximum(variance, 0.0) if self._variance else None)


def _loop(config: DiffractogramConfig) -> Callable[..., Any]:
    """Which loop goes over the pixels of each bin."""
    statistic = config.statistic
    if statistic.method == "median":
        percentile = statistic.percentile
        low, high = percentile if isinstance(percentile, tuple) else (percentile, percentile)
        return _with(between_percentiles, low / 100.0, high / 100.0)
    if statistic.method == "sigma-clip":
        return _with(clipped_mean, float(statistic.thres), statistic.max_iter, config.error_model == "poisson")
    return scatter_about_mean


def _with(loop: Callable[..., Any], *settings: Any) -> Callable[..., Any]:
    return lambda *arguments: loop(*arguments, *settings)


def needs_bins(config: DiffractogramConfig) -> bool:
    """Whether all pixels of a bin are needed at once."""
    return config.error_model == "azimuthal" or config.statistic.method != "mean"
