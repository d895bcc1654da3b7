"""Integrating a frame over all ranges: the protocol, and the reference with one pyFAI integrator per range."""

from __future__ import annotations

import copy
import math
import threading
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from ..config import DiffractogramConfig
from .corrections import Corrections
from .dark import known_part
from .diffractogram import Diffractogram
from .geometry import Geometry
from .limits import IntegrationRange
from .transformation import transform
from .validity import Validity


class Integrator(Protocol):
    """What turns the pixels of one frame into one diffractogram per range."""

    ranges: tuple[IntegrationRange, ...]
    pixels: tuple[int, ...]
    """How many unmasked pixels each range has."""
    axes: tuple[NDArray[np.float64], ...]
    """``(npt,)`` bin centres of each range, in its unit."""
    coverage: tuple[NDArray[np.int64], ...]
    """``(npt,)`` how many unmasked pixels reach each bin of each range."""

    def integrate(
        self, image: NDArray, validity: Validity, *, monitor: float | None = None, exposures: int = 1
    ) -> tuple[Diffractogram, ...]:
        """Integrate one frame.

        Parameters
        ----------
        image
            ``(ny, nx)`` raw counts as they are stored, of any real dtype. Never written to.
        validity
            Which of its pixels count, besides the static mask.
        monitor
            Divides intensity and sigma.
        exposures
            How many frames were added up in `image`; as often the dark is subtracted.
        """
        ...

    def with_dark(self, dark: NDArray[np.float32]) -> Self:
        """An integrator that subtracts this dark besides, in no more time for a frame; this one stays as it is.

        Parameters
        ----------
        dark
            ``(ny, nx)`` as frames are stored; where it is not finite, no pixel counts.
        """
        ...


@dataclass(frozen=True, eq=False, slots=True)
class _Part:
    """A stretch of an arc that pyFAI handles as it is, with the integrator that is warm for it."""

    integrator: Any
    azimuth_range: tuple[float, float] | None
    table: _BinTable | None


class PyFAIIntegrator:
    """pyFAI's own `integrate1d`, one warm integrator per range.

    The reference for the numbers, and the way to any of pyFAI's methods. An arc across ±180°, which pyFAI
    would cut, is integrated as two and summed.

    Parameters
    ----------
    config
        Its method, corrections and error model are used.
    ranges
        With frozen limits (`integration_ranges`).
    geometry
        Of known shape.
    corrections
        In the orientation of `geometry` (`make_corrections`).
    """

    def __init__(
        self,
        config: DiffractogramConfig,
        ranges: tuple[IntegrationRange, ...],
        geometry: Geometry,
        corrections: Corrections,
    ) -> None:
        self.ranges = ranges
        self._mask, self._dark, self._flat = corrections.mask, corrections.dark, corrections.flat
        self._unknown: NDArray[np.bool_] | None = None
        self._method = config.split_method
        self._statistic = config.statistic
        self._error_model = config.error_model
        self._solid_angle = config.correct_solid_angle
        self._polarization = config.polarization_factor
        self._transformation = config.transformation
        self._lock = threading.Lock()
        masked = geometry.with_mask(corrections.mask)
        blank = np.zeros(corrections.mask.shape, dtype=np.float32)
        warm = None
        parts_of_ranges, pixels, axes, coverage = [], [], [], []
        for wanted in ranges:
            parts = []
            used, reached = 0, np.zeros(wanted.npt, dtype=np.int64)
            for stretch in wanted.stretches:
                # Integrating a blank frame builds the table now: the first real one would else wait for it.
                warm = masked.integrator(warm)
                result = self._call(warm, stretch, wanted, blank, 1)
                table = _BinTable.of(warm, wanted.npt)
                parts.append(_Part(warm, stretch, table))
                used += _used_pixels(table, result)
                reached += self._count(table, result)
            parts_of_ranges.append(tuple(parts))
            pixels.append(used)
            coverage.append(reached)
            axes.append(np.asarray(result.radial, dtype=float) * wanted.scale)
        self._parts = tuple(parts_of_ranges)
        self.pixels = tuple(pixels)
        self.axes = tuple(axes)
        self.coverage = tuple(coverage)

    def with_dark(self, dark: NDArray[np.float32]) -> Self:
        """The same with a dark, see `Integrator.with_dark`; both use the same warm integrators."""
        other = copy.copy(self)
        dark = transform(dark, self._transformation)
        other._dark, other._unknown = known_part(dark, self._mask, self._dark)
        return other

    def integrate(
        self, image: NDArray, validity: Validity, *, monitor: float | None = None, exposures: int = 1
    ) -> tuple[Diffractogram, ...]:
        """Integrate one frame; see `Integrator.integrate`."""
        image, invalid = seen_by_pyfai(image, self._transformation, validity, self._unknown)
        valid = None if invalid is None else ~invalid.ravel()
        divisor = 1.0 if monitor is None else monitor
        with self._lock:  # two threads in one warm pyFAI integrator give wrong curves
            return tuple(
                self._one(parts, wanted, axis, image, valid, divisor, exposures)
                for parts, wanted, axis in zip(self._parts, self.ranges, self.axes, strict=True)
            )

    def _one(
        self,
        parts: tuple[_Part, ...],
        wanted: IntegrationRange,
        axis: NDArray[np.float64],
        image: NDArray,
        valid: NDArray[np.bool_] | None,
        divisor: float,
        exposures: int,
    ) -> Diffractogram:
        results = [self._call(part.integrator, part.azimuth_range, wanted, image, exposures) for part in parts]
        signal = sum(np.asarray(r.sum_signal, dtype=float) for r in results)
        normalization = sum(np.asarray(r.sum_normalization, dtype=float) for r in results)
        weight = sum(np.asarray(r.count, dtype=float) for r in results)
        count = np.zeros(wanted.npt, dtype=np.int64)
        for part, result in zip(parts, results, strict=True):
            count += self._count(part.table, result, valid)
        filled = (weight > 0.0) & (normalization > 0.0)
        safe = np.where(filled, normalization, 1.0) * divisor
        sigma = None
        if self._error_model is not None:
            variance = sum(np.asarray(r.sum_variance, dtype=float) for r in results)
            sigma = np.where(filled, np.sqrt(variance) / safe, np.nan)
        return Diffractogram(
            radial=axis,
            intensity=np.where(filled, signal / safe, np.nan),
            count=np.where(filled, count, 0),
            signal=np.where(filled, signal, 0.0),
            normalization=np.where(filled, normalization, 0.0),
            sigma=sigma,
        )

    def _count(self, table: _BinTable | None, result: Any, valid: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """``(npt,)`` how many pixels reach each bin; without a table or where some are clipped, as the result says."""
        if table is None or self._statistic.method == "sigma-clip":
            return np.ceil(result.count).astype(np.int64)
        return table.count(valid)

    def _call(
        self,
        integrator: Any,
        azimuth_range: tuple[float, float] | None,
        wanted: IntegrationRange,
        image: NDArray,
        exposures: int,
    ) -> Any:
        dark = self._dark
        if dark is not None and exposures > 1:
            dark = dark * np.float32(exposures)
        average = self._statistic
        call, settings = integrator.integrate1d, dict[str, Any](error_model=self._error_model)
        if average.method == "sigma-clip":
            # What is clipped by is the scatter about the mean: a bin with one spike would, by Poisson's law, lose all.
            settings["error_model"] = "hybrid" if self._error_model == "poisson" else "azimuthal"
            call, settings["thres"], settings["max_iter"] = integrator.sigma_clip_ng, average.thres, average.max_iter
        return call(
            image,
            wanted.npt,
            **settings,
            unit=wanted.unit.pyfai,
            radial_range=wanted.pyfai_limits,
            azimuth_range=azimuth_range,
            method=self._method,
            correctSolidAngle=self._solid_angle,
            polarization_factor=self._polarization,
            dark=dark,
            flat=self._flat,
            # Without any, pyFAI takes the detector's; which pixels count has been decided.
            dummy=np.nan,
        )


def seen_by_pyfai(
    image: NDArray, transformation: str, validity: Validity, unknown: NDArray[np.bool_] | None = None
) -> tuple[NDArray, NDArray[np.bool_] | None]:
    """``(ny, nx)`` as the calibration sees it, NaN where a pixel does not count; and where that is, or None.

    That is where it is not valid, and where `unknown` ``(ny, nx)``, in the calibration's orientation, is True.
    """
    image = transform(image, transformation)
    if image.dtype.kind == "b":
        image = image.view(np.uint8)
    invalid = validity.invalid(image)
    if unknown is not None:
        invalid = unknown if invalid is None else invalid | unknown
    if invalid is not None:
        # pyFAI skips NaN pixels. A mask given per call would rebuild its table.
        image = image.astype(np.float32)
        image[invalid] = np.nan
    return image, invalid


class _BinTable:
    """Which pixels reach which bin, read off pyFAI's sparse matrix: what its float weights cannot count exactly."""

    def __init__(self, bins: NDArray, pixels: NDArray, npt: int) -> None:
        self._bins, self._pixels, self._npt = bins, pixels, npt
        self._all = np.bincount(bins, minlength=npt)

    @staticmethod
    def of(integrator: Any, npt: int) -> _BinTable | None:
        """The table of a warm integrator; None where its method keeps no matrix (histograms, OpenCL)."""
        for engine in integrator.engines.values():
            matrix = engine.engine
            try:
                start, index = np.asarray(matrix.indptr), np.asarray(matrix.indices)
            except AttributeError:
                continue
            owner = np.repeat(np.arange(len(start) - 1), np.diff(start))
            by_bin = len(start) == npt + 1  # CSR; else CSC, whose rows are pixels
            return _BinTable(owner, index, npt) if by_bin else _BinTable(index, owner, npt)
        return None

    def count(self, valid: NDArray[np.bool_] | None) -> NDArray[np.int64]:
        """``(npt,)`` how many pixels reach each bin, of those that `valid` ``(ny·nx,)`` lets count."""
        if valid is None:
            return self._all
        return np.bincount(self._bins[valid[self._pixels]], minlength=self._npt)

    def distinct_pixels(self) -> int:
        return int(np.unique(self._pixels).size)


def _used_pixels(table: _BinTable | None, blank_result: Any) -> int:
    if table is not None:
        return table.distinct_pixels()
    return math.ceil(float(np.sum(blank_result.count)))
