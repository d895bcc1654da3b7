"""Opening what a configuration names of further detectors."""

from __future__ import annotations

import math

from ..config import ConfigError, DiffractogramConfig, as_if_alone
from .calibration import load_geometry
from .corrections import read_images
from .detectors import Detector, naming
from .geometry import Geometry
from .opening import open_geometry

SAME_WAVELENGTH = 1e-4


def open_detectors(config: DiffractogramConfig, first: Geometry) -> tuple[Detector, ...]:
    """Open what a configuration names of further detectors.

    All have the wavelength of the first: events have one beam, and q of two would be two axes.

    Parameters
    ----------
    config
        The configuration.
    first
        The calibration of the first detector, as it was opened for `config`.

    Raises
    ------
    ConfigError
        As `open_geometry`, naming the detector; its calibration has another wavelength and none is set for all, or
        nothing tells its shape.
    """
    found = []
    for number, entry in enumerate(config.merge):
        place = f"merge.{number}."
        with naming(place):
            alone = as_if_alone(config, number)
            if config.wavelength_m is None:
                own = load_geometry(alone.calibration).wavelength
                _check_wavelength(alone.calibration, own, config.calibration, first.wavelength)
                alone = alone.model_copy(update={"wavelength": first.wavelength})
            images = read_images(alone)
            geometry = open_geometry(alone, images)
            if geometry.shape is None:
                raise ConfigError(
                    "detector_shape", None, "[rows, columns] of its frames",
                    f"neither {alone.calibration} nor a mask says it",
                )  # fmt: skip
        found.append(Detector(alone, geometry, images, entry.scale, place, entry.optional))
    return tuple(found)


def _check_wavelength(path: str, own: float | None, first_path: str, first: float | None) -> None:
    if own is None or first is None or math.isclose(own, first, rel_tol=SAME_WAVELENGTH):
        return
    raise ConfigError(
        "calibration", path, "calibrations of one wavelength, or the key wavelength or energy for all",
        f"its wavelength is {own:g} m, that of {first_path} is {first:g} m",
    )  # fmt: skip
