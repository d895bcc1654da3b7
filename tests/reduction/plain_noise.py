"""The noise of blocks of a curve with numpy: what the compiled loops are compared with."""

from __future__ import annotations

import numpy as np

from bluesky_diffractogram.reduction.noise_kernel import (
    BACKGROUND_QUANTILE,
    BLOCK_BINS,
    CHANCE,
    HALF_NORMAL_MEDIAN,
    LOW_PART,
    MOST_BLOCKS,
)  # fmt: skip


def _differences(y, lag):
    """``(npt - 2 lag,)`` absolute second differences, scaled to the deviation of independent bins."""
    return np.abs(y[lag:-lag] - (y[: -2 * lag] + y[2 * lag :]) / 2.0) / np.sqrt(1.5)


def _level(y, lag):
    """``(npt - 2 lag,)`` means of the bins that make the differences."""
    return (y[: -2 * lag] + y[lag:-lag] + y[2 * lag :]) / 3.0


def plain_blocks(y, lag, root):
    """Deviations times `root`, levels of the background and middles of the blocks."""
    differences = _differences(y, lag) * root[lag:-lag]
    usable = np.flatnonzero(np.isfinite(differences))
    if not len(usable):
        return np.empty(0), np.empty(0), np.empty(0)
    blocks = min(max(1, len(usable) // max(BLOCK_BINS, 8 * lag)), MOST_BLOCKS)
    size = len(usable) // blocks
    blockwise = usable[: blocks * size].reshape(blocks, size)
    middle, third = size // 2, int(BACKGROUND_QUANTILE * (size - 1))
    quiet = np.partition(differences[blockwise], middle, axis=1)[:, middle] / HALF_NORMAL_MEDIAN
    background = np.partition(y[blockwise + lag], third, axis=1)[:, third]
    # Lines are where the curve is high, and differ by more than noise there. The mean of the three bins that make a
    # difference is independent of it, as far as it is noise, so that to choose by one does not alter the other.
    level = _level(y, lag)
    low = max(int(LOW_PART * size), 1)
    lowest = np.argpartition(level[blockwise], low - 1, axis=1)[:, :low]
    rows = np.arange(blocks)[:, None]
    quiet_low = np.median(differences[blockwise][rows, lowest], axis=1) / HALF_NORMAL_MEDIAN
    background_low = np.median(level[blockwise][rows, lowest], axis=1)
    # Where the lowest bins are much quieter, beyond what their level explains, the others are lines.
    by_chance = max(1.0 - CHANCE / np.sqrt(low), 0.4)
    lined = by_chance * quiet > quiet_low * np.sqrt(np.fmax(background / background_low, 1.0))
    quiet, background = np.where(lined, quiet_low, quiet), np.where(lined, background_low, background)
    return quiet, background, blockwise[:, size // 2] + lag
