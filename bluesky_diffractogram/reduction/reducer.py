"""From a frame to its reduction: test, transform, integrate, find peaks."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ..config import ConfigError, DiffractogramConfig, parse_unit
from .background import backgrounds
from .cake import CakeIntegrator
from .calibration import load_geometry
from .corrections import Corrections, make_corrections, read_images
from .detectors import Detector
from .diffractogram import Diffractogram, Reduction
from .frame import Frame, FrameError, check_image
from .geometry import Geometry
from .geometry_cache import keep_arrays, provide_arrays
from .integrator import Integrator, PyFAIIntegrator
from .limits import IntegrationRange, check_limits, integration_ranges, open_limits
from .median import MedianIntegrator
from .merged import MergedIntegrator, merged_integrator, validity_of
from .onepass import OnePassIntegrator
from .peak_search import PeakSearch
from .preparation import prepare
from .pyfai_library import check_method
from .table import Prepared
from .table_cache import load_prepared, store_prepared
from .table_key import table_key
from .tracked_lines import check_tracked, tracked_lines
from .transformation import transform, transformed_shape
from .validity import Validity

logger = logging.getLogger(__name__)

Shape = tuple[int, int]

MASKED_WORTH_A_WARNING = 0.2


def open_geometry(config: DiffractogramConfig, images: Mapping[str, NDArray] | None = None) -> Geometry:
    """Open the calibration and check the configuration against it, as far as the detector's shape is known.

    Parameters
    ----------
    config
        The configuration.
    images
        Its mask, dark and flat (`read_images`), read now if None.

    Raises
    ------
    ConfigError
        The calibration cannot be used, a q or d unit needs a wavelength that nobody gave, the method is not
        offered by this pyFAI, or a mask, dark or flat has not the shape of the detector.
    """
    geometry = load_geometry(config.calibration, wavelength=config.wavelength_m)
    if config.binning is not None and geometry.shape is None:
        geometry = geometry.binned(config.binning)
    limit_unit = config.radial_limit_unit
    curve_unit = None if config.background_unit is None else parse_unit(config.background_unit)
    units = {"diff_units": config.unit, "range_unit": limit_unit, "background_unit": curve_unit}
    for key, unit in units.items():
        if unit is not None and unit.needs_wavelength and geometry.wavelength is None:
            raise ConfigError(
                key, unit.label, "a unit without wavelength, or the keys wavelength or energy",
                f"{config.calibration} has no wavelength",
            )  # fmt: skip
    check_method(config.split_method)
    check_limits(config, geometry)
    check_tracked(config, geometry)
    images = read_images(config) if images is None else images
    shape = known_shape(config, geometry, images)
    if shape is not None:
        try:
            geometry = geometry.for_shape(transformed_shape(shape, config.transformation))
        except ValueError as error:
            key = "binning" if config.detector_shape is None else "detector_shape"
            raise ConfigError(key, getattr(config, key), f"{geometry.shape} or a binning of it", str(error)) from error
        except (RuntimeError, AssertionError) as error:
            raise _no_detector(config, error) from error
        try:
            geometry.detector_mask()
        except Exception as error:  # each of pyFAI's detectors has a way of its own
            raise _no_detector(config, error) from error
        make_corrections(config, geometry, images)
    return geometry


def _no_detector(config: DiffractogramConfig, error: Exception) -> ConfigError:
    return ConfigError("calibration", config.calibration, "a calibration whose detector pyFAI can build", str(error))


def known_shape(config: DiffractogramConfig, geometry: Geometry, images: Mapping[str, NDArray]) -> Shape | None:
    """The shape of stored frames, as far as configuration and calibration tell it; else None.

    The first of: ``detector_shape``; the calibration's, divided by ``binning``; that of the mask, dark or flat.
    """
    if config.detector_shape is not None:
        return config.detector_shape
    if geometry.shape is not None:
        by = (config.binning or (1, 1)) if geometry.binning == (1, 1) else (1, 1)  # else it is that of the frames
        return transformed_shape((geometry.shape[0] // by[0], geometry.shape[1] // by[1]), config.transformation)
    for key, image in images.items():
        if key not in ("mask", "dark", "flat"):  # the others are of another measurement, and may be of another detector
            continue
        shape = (image.shape[0], image.shape[1])
        return transformed_shape(shape, config.transformation) if key == "mask" and config.mask_transformed else shape
    return None


class Reducer:
    """Reduces frames of one shape under one configuration.

    Building it computes everything that does not depend on the frame, which takes from a fraction of a second
    to several seconds on large detectors.

    Parameters
    ----------
    config
        The configuration.
    geometry
        As `open_geometry` gave it for this configuration.
    shape
        ``(ny, nx)`` of the stored frames.
    images
        The mask, dark and flat (`read_images`), read now if None.
    earlier
        Reducers from which ranges that they have in common with this one are taken over.
    others
        The further detectors whose frames are merged with those of this one (`open_detectors`).

    Raises
    ------
    FrameError
        `shape` is neither the detector's nor a binning of it.
    ConfigError
        The mask, dark or flat do not fit frames of this shape.
    """

    def __init__(
        self,
        config: DiffractogramConfig,
        geometry: Geometry,
        shape: Shape,
        images: Mapping[str, NDArray] | None = None,
        earlier: Sequence[Reducer] = (),
        others: Sequence[Detector] = (),
    ) -> None:
        self.config = config
        self.shape = shape
        try:
            self.geometry = geometry.for_shape(transformed_shape(shape, config.transformation))
        except ValueError as error:
            raise FrameError("shape", str(error)) from error
        images = read_images(config) if images is None else images
        corrections = make_corrections(config, self.geometry, images)
        make = partial(make_integrator, earlier=[known for each in earlier for known in each.all_prepared])
        self.integrator: Integrator | MergedIntegrator
        if others:
            self.integrator = merged_integrator(config, self.geometry, corrections, others, make)
        else:
            self.integrator = make(config, self.geometry, corrections)
        self.ranges: tuple[IntegrationRange, ...] = self.integrator.ranges
        self.validity = Validity.from_config(config, self.geometry.detector_dummy())
        self.mask = corrections.mask
        self.axes = self.integrator.axes
        self.coverage = self.integrator.coverage
        self.cake = None if config.cake is None else CakeIntegrator(config, self.geometry, corrections)
        self._backgrounds = backgrounds(config, self.geometry, images, self.ranges, self.axes)
        if isinstance(self.integrator, MergedIntegrator):
            table = self.integrator.table()
        else:
            table = None if self.prepared is None else self.prepared.table
        self.tracked = tuple(
            tracked_lines(config, wanted, axis, self.geometry)
            for wanted, axis in zip(self.ranges, self.axes, strict=True)
        )
        """The peaks of each range that are followed by name."""
        self._find_peaks = PeakSearch(config, table, [len(axis) for axis in self.axes], varying=bool(others))
        self._first = True
        self._report_empty_ranges()
        # Angles and solid angles of all pixels are some 400 MB on large detectors, and the tables are built.
        self.geometry.forget_arrays()

    @property
    def prepared(self) -> Prepared | None:
        """What was computed before the first frame; None where pyFAI itself integrates, or several detectors merge."""
        return self.integrator.prepared if isinstance(self.integrator, OnePassIntegrator) else None

    @property
    def all_prepared(self) -> tuple[Prepared, ...]:
        """What was computed before the first frame, for each detector; nothing where pyFAI itself integrates."""
        if isinstance(self.integrator, MergedIntegrator):
            return self.integrator.prepared
        return () if self.prepared is None else (self.prepared,)

    def reduce(self, frame: Frame) -> Reduction:
        """Reduce one frame.

        Raises
        ------
        FrameError
            The frame's shape or dtype is not the detector's, or its monitor cannot divide.
        """
        check_image(frame.image, self.shape)
        if isinstance(self.integrator, MergedIntegrator):
            self.integrator.check(frame.others)
        monitor = frame.monitor
        if monitor is not None and not (math.isfinite(monitor) and monitor > 0.0):
            raise FrameError("normalization", f"the normalization is {monitor}, expected a positive number")
        # What was added up has been tested frame by frame: what was invalid is NaN.
        validity = self.validity if frame.exposures == 1 else Validity(mask_invalid=False)
        if self._first:
            self._report_masked(frame, validity)
        diffractograms = self._integrate(frame, validity)
        if self._backgrounds is not None:
            times = frame.exposures if self.config.frames_per_event == "sum" else 1
            diffractograms = tuple(
                replace(each, intensity=each.intensity - times * known)
                for each, known in zip(diffractograms, self._backgrounds, strict=True)
            )
        cake = None
        if self.cake is not None:
            cake = self.cake.integrate(frame.image, validity, monitor=monitor, exposures=frame.exposures)
        peaks = (self._find_peaks(i, each, frame.exposures) for i, each in enumerate(diffractograms))
        return Reduction(frame, diffractograms, tuple(peaks), cake)

    def _integrate(self, frame: Frame, validity: Validity) -> tuple[Diffractogram, ...]:
        monitor, exposures = frame.monitor, frame.exposures
        if isinstance(self.integrator, MergedIntegrator):
            others = frame.others
            return self.integrator.integrate(frame.image, validity, others, monitor=monitor, exposures=exposures)
        return self.integrator.integrate(frame.image, validity, monitor=monitor, exposures=exposures)

    def _report_masked(self, frame: Frame, validity: Validity) -> None:
        self._first = False
        _report_masked("", frame.image, validity, self.mask, self.config)
        if isinstance(self.integrator, MergedIntegrator):
            for image, each in zip(frame.others, self.integrator.others, strict=True):
                name, own = f" under {each.detector.data_key!r}", validity_of(each, frame.exposures)
                _report_masked(name, image, own, each.mask, each.detector.config)

    def _report_empty_ranges(self) -> None:
        for wanted, pixels in zip(self.ranges, self.integrator.pixels, strict=True):
            if pixels:
                continue
            if isinstance(self.integrator, MergedIntegrator):
                low, high = self.integrator.detector_limits
            elif self.prepared is None:
                low, high = open_limits(self.geometry, wanted.unit, self.config.split_method[0], self.mask)
            else:
                low, high = self.prepared.detector_limits
            logger.warning(
                "range %d (azimuth %g…%g°, radial %g…%g %s) holds no unmasked pixel; the detector covers %g…%g %s",
                wanted.number, *wanted.azimuth_range, *wanted.radial_range, wanted.unit.symbol,
                low * wanted.scale, high * wanted.scale, wanted.unit.symbol,
            )  # fmt: skip


def _report_masked(
    name: str, image: NDArray, validity: Validity, mask: NDArray[np.bool_], config: DiffractogramConfig
) -> None:
    invalid = validity.invalid(transform(image, config.transformation))
    usable = ~mask
    total = int(usable.sum())
    lost = 0 if invalid is None else int((invalid & usable).sum())
    if total and lost > MASKED_WORTH_A_WARNING * total:
        logger.warning(
            "%.0f %% of the first frame's pixels%s are invalid (dead, saturated, NaN or outside valid_range); "
            "if they are honest, set mask_invalid, dummy or valid_range",
            100.0 * lost / total, name,
        )  # fmt: skip


def make_integrator(
    config: DiffractogramConfig,
    geometry: Geometry,
    corrections: Corrections,
    ranges: tuple[IntegrationRange, ...] | None = None,
    earlier: Sequence[Prepared] = (),
) -> Integrator:
    """One pass for a splitting; pyFAI itself for its own methods and what needs a second pass.

    Parameters
    ----------
    config, geometry, corrections
        As `prepare` takes them.
    ranges
        With frozen limits; those of the configuration, on this detector alone, if None.
    earlier
        Tables whose rows are taken over where they are those of a range that is wanted again.
    """
    if config.statistic.method == "median":
        ranges = integration_ranges(config, geometry, corrections.mask)
        return MedianIntegrator(config, ranges, geometry, corrections)
    own = isinstance(config.method, str) and config.error_model != "azimuthal" and config.statistic.method == "mean"
    if not own:
        ranges = ranges or integration_ranges(config, geometry, corrections.mask)
        return PyFAIIntegrator(config, ranges, geometry, corrections)
    key = table_key(config, geometry, corrections, ranges)
    prepared = load_prepared(key, config)
    if prepared is None:
        akin = [each for each in earlier if key is not None and each.common == key.common]
        if not akin:
            provide_arrays(geometry, config, azimuthal=not all(wanted.arc.full for wanted in config.ranges))
        limits = akin[0].detector_limits if akin else None
        ranges = ranges or integration_ranges(config, geometry, corrections.mask, limits)
        prepared = prepare(config, ranges, geometry, corrections, akin, None if key is None else key.common)
        keep_arrays(geometry, config)
        store_prepared(key, prepared)
    return OnePassIntegrator(prepared, variance=config.error_model is not None)
