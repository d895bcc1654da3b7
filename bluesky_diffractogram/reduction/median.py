"""Medians along the azimuth, and means between two percentiles."""

from __future__ import annotations

import copy
from functools import partial
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..config import DiffractogramConfig
from .compiled import compiled
from .corrections import Corrections
from .diffractogram import Diffractogram
from .geometry import Geometry
from .integrator import seen_by_pyfai
from .limits import IntegrationRange
from .preparation import pixel_weights
from .splitting import SplitMatrix, split_range
from .threads import cores, side_by_side
from .transformation import transform
from .validity import Validity

MOST_THREADS = 4


class MedianIntegrator:
    """The percentiles of the pixels in each bin, weighted with what each pixel counts for there.

    As pyFAI's ``medfilt1d_ng`` defines them: the pixels of a bin are sorted by I/(flat·Ω·P), their weights c·flat·Ω·P
    added up in that order, and the mean is taken over those at which the sum passes the percentile, or lies between the
    two. pyFAI's own compiled one sorts wrongly where pixels are invalid, and takes no arcs across ±180°.

    Parameters
    ----------
    config
        Its splitting, corrections, error model and statistic are used.
    ranges
        With frozen limits (`integration_ranges`).
    geometry, corrections
        As the calibration sees the frame.
    """

    def __init__(
        self,
        config: DiffractogramConfig,
        ranges: tuple[IntegrationRange, ...],
        geometry: Geometry,
        corrections: Corrections,
    ) -> None:
        self.ranges = ranges
        self._transformation, self._dark = config.transformation, corrections.dark
        percentile = config.statistic.percentile
        low, high = percentile if isinstance(percentile, tuple) else (percentile, percentile)
        self._quantiles = low / 100.0, high / 100.0
        self._variance = config.error_model is not None
        masked = geometry.with_mask(corrections.mask)
        self._weight = pixel_weights(config, masked, corrections).ravel()
        (ny, nx), splitting = corrections.mask.shape, config.split_method[0]
        split = [split_range(wanted, masked.integrator(), (ny, nx), splitting) for wanted in ranges]
        self.axes = tuple(parts[0].axis * wanted.scale for parts, wanted in zip(split, ranges, strict=True))
        self._bins = [_Bins.of(parts, wanted.npt) for parts, wanted in zip(split, ranges, strict=True)]
        self.coverage = tuple(np.diff(each.start) for each in self._bins)
        self.pixels = tuple(len(np.unique(each.pixel)) for each in self._bins)

    def with_dark(self, dark: NDArray[np.float32]) -> Self:
        """The same with a dark, see `Integrator.with_dark`: pixels whose signal is NaN are passed over anyway."""
        other = copy.copy(self)
        dark = transform(dark, self._transformation)
        other._dark = dark if self._dark is None else self._dark + dark
        return other

    def integrate(
        self, image: NDArray, validity: Validity, *, monitor: float | None = None, exposures: int = 1
    ) -> tuple[Diffractogram, ...]:
        """Integrate one frame; see `Integrator.integrate`."""
        image, _ = seen_by_pyfai(image, self._transformation, validity)
        raw = np.ascontiguousarray(image, dtype=np.float32).ravel()
        signal = raw if self._dark is None else raw - np.float32(exposures) * self._dark.ravel()
        found = []
        for wanted, axis, bins in zip(self.ranges, self.axes, self._bins, strict=True):
            sums = np.zeros((4, wanted.npt))
            arrays = (bins.start, bins.pixel, bins.part, signal, raw, self._weight)
            side_by_side(
                [partial(_percentiles, first, stop, *arrays, *self._quantiles, sums)
                 for first, stop in zip(bins.cuts[:-1], bins.cuts[1:], strict=True)]
            )  # fmt: skip
            found.append(self._diffractogram(axis, sums, 1.0 if monitor is None else monitor))
        return tuple(found)

    def _diffractogram(self, axis: NDArray[np.float64], sums: NDArray[np.float64], monitor: float) -> Diffractogram:
        signal, normalization, variance, count = sums
        filled = normalization > 0.0
        divisor = np.where(filled, normalization, 1.0) * monitor
        return Diffractogram(
            radial=axis,
            intensity=np.where(filled, signal / divisor, np.nan),
            count=np.where(filled, count, 0).astype(np.int64),
            signal=signal,
            normalization=normalization,
            sigma=np.where(filled, np.sqrt(variance) / divisor, np.nan) if self._variance else None,
        )


class _Bins:
    """The splitting of one range, sorted by bins, and where it is cut for parallel work."""

    def __init__(self, start: NDArray[np.int64], pixel: NDArray[np.uint32], part: NDArray[np.float32]) -> None:
        self.start, self.pixel, self.part = start, pixel, part
        shares = np.linspace(0, start[-1], min(MOST_THREADS, cores()) + 1)
        self.cuts = np.searchsorted(start, shares)
        self.cuts[-1] = len(start) - 1

    @staticmethod
    def of(parts: list[SplitMatrix], npt: int) -> _Bins:
        bin = np.concatenate([each.bin for each in parts])
        order = np.argsort(bin, kind="stable")
        start = np.concatenate([[0], np.cumsum(np.bincount(bin, minlength=npt))])
        owner, part = (np.concatenate([getattr(each, name) for each in parts]) for name in ("owner", "coefficient"))
        return _Bins(start, owner[order], part[order])


@compiled
def _percentiles(
    first: int, stop: int, start: NDArray, pixel: NDArray, part: NDArray, signal: NDArray, raw: NDArray,
    weight: NDArray, low: float, high: float, sums: NDArray,
) -> None:  # fmt: skip
    """Fill ``sums[:, first:stop]``: signal, normalization and variance of what is averaged; how many are valid."""
    for bin in range(first, stop):
        entry = np.empty(start[bin + 1] - start[bin], np.int64)
        value = np.empty(len(entry), np.float32)
        n = 0
        for i in range(start[bin], start[bin + 1]):
            if np.isfinite(signal[pixel[i]]):
                entry[n], value[n] = i, signal[pixel[i]] / weight[pixel[i]]
                n += 1
        order = np.argsort(value[:n])
        total = 0.0
        for k in order:
            total += part[entry[k]] * weight[pixel[entry[k]]]
        below = 0.0
        for k in order:
            i = entry[k]
            here = pixel[i]
            up_to = below + part[i] * weight[here]
            if up_to >= low * total and below <= high * total:
                sums[0, bin] += part[i] * signal[here]
                sums[1, bin] += part[i] * weight[here]
                sums[2, bin] += part[i] * part[i] * max(np.float32(1.0), raw[here])
            below = up_to
        sums[3, bin] = n
