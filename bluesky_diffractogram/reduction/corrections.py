"""What is known of the pixels before a frame comes: mask, dark, flat, background and absorption."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..config import ConfigError, DiffractogramConfig
from .background import read_curve
from .geometry import Geometry
from .transformation import transform, transformed_shape

IMAGES = ("mask", "dark", "flat", "background", "absorption")


@dataclass(frozen=True, eq=False, slots=True)
class Corrections:
    """The pixel arrays that go with a geometry, all as the calibration sees them.

    Attributes
    ----------
    mask
        ``(ny, nx)``, True where a pixel is never used: the detector's gaps, the configured mask, pixels whose
        flat or absorption is not positive, or which have anything that is not finite.
    dark
        ``(ny, nx)`` float32, what is subtracted from each exposure, the scaled background included; zero where
        masked. None for nothing. A dark that comes with the frames (`dark.Dark`) is not in it.
    flat
        ``(ny, nx)`` float32, what a pixel counts for, the absorption included; one where masked. None for one.
    """

    mask: NDArray[np.bool_]
    dark: NDArray[np.float32] | None
    flat: NDArray[np.float32] | None


def read_image(key: str, source: str | NDArray) -> NDArray:
    """The image that a configuration key names: an array as it is, ``.npy``, or any file that fabio reads.

    Raises
    ------
    ConfigError
        The file cannot be read, or is no two-dimensional image of real numbers.
    """
    allowed = "a two-dimensional array, or a file that fabio or numpy.load reads"
    if isinstance(source, str):
        try:
            image = _read_file(source)
        except Exception as error:  # fabio raises whatever its readers raise
            first_line = str(error).partition("\n")[0][:160]
            raise ConfigError(key, source, allowed, f"cannot be read ({first_line})") from error
    else:
        image = np.asarray(source)
    if image.ndim != 2 or image.dtype.kind not in "uifb":
        shown = source if isinstance(source, str) else "array"
        raise ConfigError(key, shown, allowed, f"it has shape {image.shape} and dtype {image.dtype}")
    return image


def _read_file(path: str) -> NDArray:
    if path.endswith(".npy"):
        return np.load(path, allow_pickle=False)
    import fabio

    with fabio.open(path) as image:
        return np.asarray(image.data)


def read_images(config: DiffractogramConfig) -> dict[str, NDArray]:
    """The configured images, as they are stored, under their keys; those that are not set are left out.

    A ``background_curve`` is there as well, ``(n, 2)``.

    Raises
    ------
    ConfigError
        As `read_image`.
    """
    sources = {key: getattr(config, key) for key in IMAGES if getattr(config, key) is not None}
    if config.dark_of_run is not None:
        del sources["dark"]
    images = {key: read_image(key, source) for key, source in sources.items()}
    if config.background_curve is not None:
        images["background_curve"] = read_curve(config.background_curve)
    return images


def make_corrections(config: DiffractogramConfig, geometry: Geometry, images: Mapping[str, NDArray]) -> Corrections:
    """Bring the mask, dark and flat into the geometry's orientation.

    Parameters
    ----------
    config
        The configuration.
    images
        As `read_images` gives them.
    geometry
        Of known shape, which is that of the transformed frame.

    Raises
    ------
    ConfigError
        An image has not the shape of the detector.
    """
    shape = geometry.shape
    assert shape is not None
    mask = np.zeros(shape, dtype=bool)
    own = geometry.detector_mask()
    if own is not None and own.shape == shape:
        mask |= own
    if "mask" in images:
        given = images["mask"] != 0  # NaN is not zero, so it masks too
        mask |= _oriented("mask", given, config, geometry, transformed=config.mask_transformed)
    dark = flat = None
    if "dark" in images:
        dark = _oriented("dark", images["dark"], config, geometry).astype(np.float32)
    elif config.dark_of_run is None:
        dark = _of_the_detector("dark", geometry)
    if "background" in images:
        scaled = config.background_scale * _oriented("background", images["background"], config, geometry)
        dark = (scaled if dark is None else dark + scaled).astype(np.float32)
    if "flat" in images:
        flat = _oriented("flat", images["flat"], config, geometry).astype(np.float32)
    else:
        flat = _of_the_detector("flat", geometry)
    if "absorption" in images:
        passed = _oriented("absorption", images["absorption"], config, geometry).astype(np.float32)
        flat = passed if flat is None else flat * passed
    if dark is not None:
        mask |= ~np.isfinite(dark)
    if flat is not None:
        mask |= ~(np.isfinite(flat) & (flat > 0.0))
        flat[mask] = 1.0
    if dark is not None:
        dark[mask] = 0.0
    return Corrections(mask, dark, flat)


def _of_the_detector(key: str, geometry: Geometry) -> NDArray[np.float32] | None:
    """The detector's own dark or flat, which pyFAI applies when it is given none."""
    image = geometry.detector_image(key)
    return None if image is None or image.shape != geometry.shape else image.astype(np.float32)


def _oriented(
    key: str, image: NDArray, config: DiffractogramConfig, geometry: Geometry, *, transformed: bool = False
) -> NDArray:
    """`image` as the calibration sees it, checked against the detector's shape; a mask may be of the unbinned one."""
    shape = geometry.shape
    assert shape is not None
    oriented = image if transformed else transform(image, config.transformation)
    if oriented.shape == shape:
        return oriented
    by_slow, by_fast = geometry.binning
    if key == "mask" and oriented.shape == (shape[0] * by_slow, shape[1] * by_fast):
        return np.asarray(oriented.reshape(shape[0], by_slow, shape[1], by_fast).any(axis=(1, 3)))
    expected = shape if transformed else transformed_shape(shape, config.transformation)
    given = getattr(config, key)
    raise ConfigError(
        key, given if isinstance(given, str) else "array", f"the shape of the detector's frames, {expected}",
        f"it has shape {image.shape}",
    )  # fmt: skip
