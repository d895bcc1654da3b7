"""A configuration's calibration, opened and checked against the rest of it."""

from __future__ import annotations

from collections.abc import Mapping

from numpy.typing import NDArray

from ..config import ConfigError, DiffractogramConfig, parse_unit
from .calibration import load_geometry
from .corrections import make_corrections, read_images
from .geometry import Geometry
from .limits import check_limits
from .pyfai_library import check_method
from .tracked_lines import check_tracked
from .transformation import transformed_shape

Shape = tuple[int, int]


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
            allowed = "a unit without wavelength, or the keys wavelength or energy"
            if config.geometry is not None and config.geometry.of_wavelength is not None:
                allowed = "a unit without wavelength, or a calibration that has one: that in which the limits hold"
            raise ConfigError(key, unit.label, allowed, f"{config.calibration} has no wavelength")
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
