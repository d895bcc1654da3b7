"""Frames of several detectors integrated into one curve for each range.

Intensity is Σ signal / Σ normalization over the detectors, bin by bin, as that of
`pyFAI.multi_geometry.MultiGeometry.integrate1d`. The solid angles that pyFAI gives are relative, each to that of a
pixel at its own detector's point of normal incidence, p₁·p₂/d² (pixel sizes, distance). Where they are corrected for,
MultiGeometry makes them absolute with that factor; here they are relative to the first detector: the factor is that
of the detector divided by that of the first. So equal scattering gives equal intensity on each detector, the same as
without `merge` on the first one alone, and MultiGeometry's times p₁·p₂/d² of the first. Where solid angles are not
corrected for, there is no such factor, there as here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..config import DiffractogramConfig
from .corrections import Corrections, make_corrections
from .detectors import Detector, naming
from .diffractogram import Diffractogram
from .frame import FrameError, check_image
from .geometry import Geometry
from .geometry_cache import provide_arrays
from .integrator import Integrator
from .limits import IntegrationRange, given_limits, integration_ranges, open_limits
from .table import STRIDE, PixelTable, Prepared, first_rows
from .table_integrator import BinSums, TableIntegrator
from .validity import Validity

Limits = tuple[float, float]
Make = Callable[[DiffractogramConfig, Geometry, Corrections, tuple[IntegrationRange, ...]], Integrator]


@dataclass(frozen=True, eq=False, slots=True)
class Merged:
    """A further detector with what integrates its frames.

    Attributes
    ----------
    factor
        What its normalization is multiplied with (see the module), divided by its scale.
    """

    detector: Detector
    integrator: Integrator
    validity: Validity
    mask: NDArray[np.bool_]
    factor: float


class MergedIntegrator:
    """Integrates the frames of several detectors and adds up what comes out.

    Parameters
    ----------
    first
        Of the first detector.
    others
        The further ones, with the same ranges.
    detector_limits
        The radial limits of all detectors' unmasked pixels, in the unit that pyFAI integrates in.
    """

    def __init__(self, first: Integrator, others: Sequence[Merged], detector_limits: Limits) -> None:
        self._first, self.others, self.detector_limits = first, tuple(others), detector_limits
        integrators = [first, *(each.integrator for each in others)]
        self.ranges, self.axes = first.ranges, first.axes
        self.pixels = tuple(map(sum, zip(*(each.pixels for each in integrators), strict=True)))
        self.coverage: tuple[NDArray[np.int64], ...] = tuple(
            np.sum(of_range, axis=0) for of_range in zip(*(each.coverage for each in integrators), strict=True)
        )

    @property
    def prepared(self) -> tuple[Prepared, ...]:
        """What was computed before the first frame, for each detector; nothing where pyFAI itself integrates."""
        integrators = [self._first, *(each.integrator for each in self.others)]
        return tuple(each.prepared for each in integrators if isinstance(each, TableIntegrator))

    def table(self) -> PixelTable | None:
        """The tables of all detectors as one, for the noise of their bins; None where pyFAI itself integrates."""
        tables = [each.table for each in self.prepared]
        return join_tables(tables, [1.0, *(each.factor for each in self.others)]) if tables else None

    def with_darks(self, darks: Sequence[NDArray[np.float32] | None]) -> MergedIntegrator:
        """The same with a dark of each detector, the first one's first, or None (`Integrator.with_dark`)."""
        of_first, *of_others = darks
        first = self._first if of_first is None else self._first.with_dark(of_first)
        others = [
            each if dark is None else replace(each, integrator=each.integrator.with_dark(dark))
            for each, dark in zip(self.others, of_others, strict=True)
        ]
        return MergedIntegrator(first, others, self.detector_limits)

    def only(self, there: Sequence[bool]) -> MergedIntegrator:
        """The same for frames without the further detectors for which `there` is False."""
        others = [each for each, is_there in zip(self.others, there, strict=True) if is_there]
        return MergedIntegrator(self._first, others, self.detector_limits)

    def check(self, images: Sequence[NDArray | None]) -> None:
        """Refuse frames that are not those of the further detectors; optional ones may be None.

        Raises
        ------
        FrameError
            Naming the data key, the expected and the actual shape, dtype or number.
        """
        if len(images) != len(self.others):
            keys = ", ".join(repr(each.detector.data_key) for each in self.others)
            raise FrameError("merge", f"the frame has {len(images)} further images, expected those under {keys}")
        for image, each in zip(images, self.others, strict=True):
            key = each.detector.data_key
            if image is None:
                if not each.detector.optional:
                    raise FrameError("no image", f"there is no image under {key!r}")
                continue
            try:
                check_image(image, each.detector.shape)
            except FrameError as error:
                raise FrameError(f"{error.kind} of {key}", f"{key!r}: {error}") from error

    def integrate(
        self,
        image: NDArray,
        validity: Validity,
        others: Sequence[NDArray],
        *,
        monitor: float | None = None,
        exposures: int = 1,
    ) -> tuple[Diffractogram, ...]:
        """Integrate the frames of one event.

        Parameters
        ----------
        others
            Those of the further detectors, in their order, ``(ny, nx)`` each as it is stored.
        image, validity, monitor, exposures
            As `Integrator.integrate`; `validity` is that of the first.
        """
        found = [self._first.integrate(image, validity, exposures=exposures)]
        for each, other in zip(self.others, others, strict=True):
            found.append(each.integrator.integrate(other, validity_of(each, exposures), exposures=exposures))
        factors = [1.0, *(each.factor for each in self.others)]
        return tuple(_added(parts, factors, monitor) for parts in zip(*found, strict=True))


def validity_of(each: Merged, exposures: int) -> Validity:
    """The rules for its frame; what was added up has been tested frame by frame: what was invalid is NaN."""
    return each.validity if exposures == 1 else Validity(mask_invalid=False)


def _added(parts: Sequence[Diffractogram], factors: Sequence[float], monitor: float | None) -> Diffractogram:
    """One diffractogram of those of all detectors over one range."""
    normalizations = [factor * each.normalization for factor, each in zip(factors, parts, strict=True)]
    signal, normalization = np.sum([each.signal for each in parts], axis=0), np.sum(normalizations, axis=0)
    count = np.sum([each.count for each in parts], axis=0)
    variance = None
    if parts[0].sigma is not None:
        # In counts, whatever the factor; where a detector has no pixel, its sigma is NaN.
        deviations = [each.sigma * each.normalization for each in parts if each.sigma is not None]
        variance = np.nansum(np.square(deviations), axis=0)
    intensity, sigma = BinSums(signal, normalization, count, variance).intensity(monitor)
    return Diffractogram(
        radial=parts[0].radial,
        intensity=intensity,
        count=count,
        signal=signal,
        normalization=normalization,
        sigma=sigma,
    )


def merged_integrator(
    config: DiffractogramConfig,
    geometry: Geometry,
    corrections: Corrections,
    others: Sequence[Detector],
    make: Make,
    calibrated: MergedIntegrator | None = None,
) -> MergedIntegrator:
    """What integrates the frames of several detectors over common ranges.

    Limits that are open are those of all detectors together.

    Parameters
    ----------
    config, geometry, corrections
        Of the first detector, as `make_integrator` takes them.
    others
        The further ones.
    make
        Gives what integrates the frames of one, over the ranges that it is given.
    calibrated
        That of the calibrations' own geometries, if these are moved: its limits hold here too.

    Raises
    ------
    ConfigError
        A limit that cannot be expressed in the unit of the axis, or an image that has not the detector's shape.
    """
    # As of the first (`Reducer`): no table of a detector that moves may depend on which ones were built before.
    geometries = [each.geometry.apart() if config.moves else each.geometry for each in others]
    of_others = []
    for each, of_other in zip(others, geometries, strict=True):
        with naming(each.place):
            of_others.append(make_corrections(each.config, of_other, each.images))
    all_of_them = [(config, geometry, corrections)]
    everything_else = zip(others, geometries, of_others, strict=True)
    all_of_them += [(each.config, of_other, own) for each, of_other, own in everything_else]

    limits = None if calibrated is None else calibrated.detector_limits
    if calibrated is not None:
        ranges = calibrated.ranges
    else:
        limits = _union(_limits(*each) for each in all_of_them) if _is_open(config, geometry) else None
        ranges = integration_ranges(config, geometry, corrections.mask, limits)
    first, *made = (make(*each, ranges) for each in all_of_them)
    if limits is None:
        known = [each.prepared.detector_limits for each in (first, *made) if isinstance(each, TableIntegrator)]
        limits = _union(known or (_limits(*each) for each in all_of_them))
    unit_angle = _unit_angle(geometry)
    merged = []
    for each, of_other, own, integrator in zip(others, geometries, of_others, made, strict=True):
        factor = _unit_angle(of_other) / unit_angle if config.correct_solid_angle else 1.0
        validity = Validity.from_config(each.config, of_other.detector_dummy())
        merged.append(Merged(each, integrator, validity, own.mask, factor / each.scale))
        of_other.forget_arrays()
    return MergedIntegrator(first, merged, limits)


def _union(limits: Iterable[Limits]) -> Limits:
    lows, highs = zip(*limits, strict=True)
    return min(lows), max(highs)


def _unit_angle(geometry: Geometry) -> float:
    """The solid angle of a pixel at the point of normal incidence."""
    slow, fast = geometry.pixel_size
    return slow * fast / geometry.distance**2


def _is_open(config: DiffractogramConfig, geometry: Geometry) -> bool:
    """Whether the limits of any range are those of the detectors."""
    limit_unit = config.radial_limit_unit or config.unit
    return any(None in given_limits(wanted, limit_unit, config.unit, geometry) for wanted in config.ranges)


def _limits(config: DiffractogramConfig, geometry: Geometry, corrections: Corrections) -> Limits:
    provide_arrays(geometry, config, azimuthal=False)
    return open_limits(geometry, config.unit, config.split_method[0], corrections.mask)


def join_tables(tables: Sequence[PixelTable], factors: Sequence[float]) -> PixelTable:
    """The tables of several detectors over the same ranges as that of one, which has the pixels of all.

    Parameters
    ----------
    tables
        As `table.assemble` made them.
    factors
        What the weights of each are multiplied with.
    """
    first, columns = tables[0], [np.array([], np.int64)]
    behind = 0
    for table in tables:
        columns.append(table.pixel.astype(np.int64) + behind)
        behind += int(table.pixel[-1]) + 1 if len(table.pixel) else 0
    pixel = np.concatenate(columns).astype(np.uint32)
    darks = [np.zeros_like(each.weight) if each.dark is None else each.dark for each in tables]
    dark_sums = [each.dark_sum for each in tables if each.dark_sum is not None]
    return replace(
        first,
        pixel=pixel,
        first_bin=np.concatenate([each.first_bin for each in tables]),
        first_part=np.concatenate([each.first_part for each in tables]),
        second_part=np.concatenate([each.second_part for each in tables]),
        weight=np.concatenate([np.float32(f) * each.weight for f, each in zip(factors, tables, strict=True)]),
        dark=np.concatenate(darks) if dark_sums else None,
        normalization=np.sum([f * each.normalization for f, each in zip(factors, tables, strict=True)], axis=0),
        dark_sum=np.sum(dark_sums, axis=0) if dark_sums else None,
        count=np.sum([each.count for each in tables], axis=0),
        used_at=(np.cumsum(first_rows(pixel))[::STRIDE] - 1).astype(np.uint32),
        blocks=np.array([0, len(pixel)]),
    )
