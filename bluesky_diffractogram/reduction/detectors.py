"""The further detectors of a configuration, each opened as if it was the only one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from numpy.typing import NDArray

from ..config import ConfigError, DiffractogramConfig, as_if_alone
from .calibration import load_geometry
from .corrections import read_images
from .geometry import Geometry
from .transformation import transformed_shape

SAME_WAVELENGTH = 1e-4


@dataclass(frozen=True, eq=False, slots=True)
class Detector:
    """A further detector, whose frames are merged with those of the first.

    Attributes
    ----------
    config
        The configuration as if this detector was the only one (`config.as_if_alone`).
    geometry
        Its calibration, of known shape.
    images
        Its mask, dark and flat (`read_images`).
    scale
        What its intensity is multiplied with.
    place
        What its settings are called in errors, ``merge.0.``.
    """

    config: DiffractogramConfig
    geometry: Geometry
    images: Mapping[str, NDArray]
    scale: float
    place: str

    @property
    def data_key(self) -> str:
        """The data key of its image."""
        assert self.config.image_key is not None
        return self.config.image_key

    @property
    def shape(self) -> tuple[int, int]:
        """``(ny, nx)`` of its stored frames."""
        assert self.geometry.shape is not None
        return transformed_shape(self.geometry.shape, self.config.transformation)


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
    from .reducer import open_geometry

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
        found.append(Detector(alone, geometry, images, entry.scale, place))
    return tuple(found)


@contextmanager
def naming(place: str) -> Iterator[None]:
    """Put `place` before the key of a ConfigError that is raised inside."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(place + error.key, error.value, error.allowed, error.reason) from error


def _check_wavelength(path: str, own: float | None, first_path: str, first: float | None) -> None:
    if own is None or first is None or math.isclose(own, first, rel_tol=SAME_WAVELENGTH):
        return
    raise ConfigError(
        "calibration", path, "calibrations of one wavelength, or the key wavelength or energy for all",
        f"its wavelength is {own:g} m, that of {first_path} is {first:g} m",
    )  # fmt: skip
