"""A further detector of a configuration, as if it was the only one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from numpy.typing import NDArray

from ..config import ConfigError, DiffractogramConfig
from .geometry import Geometry
from .moved import Moved
from .transformation import transformed_shape


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
    optional
        Whether the others do where there is no image of it.
    """

    config: DiffractogramConfig
    geometry: Geometry
    images: Mapping[str, NDArray]
    scale: float
    place: str
    optional: bool = False

    @property
    def data_key(self) -> str:
        """The data key of its image."""
        assert self.config.image_key is not None
        return self.config.image_key

    def moved(self, to: Moved | None) -> Detector:
        """It where something is told of its geometry; the same object where it is there already."""
        geometry = self.geometry if to is None else to.of(self.geometry)
        return self if geometry is self.geometry else replace(self, geometry=geometry)

    @property
    def shape(self) -> tuple[int, int]:
        """``(ny, nx)`` of its stored frames."""
        assert self.geometry.shape is not None
        return transformed_shape(self.geometry.shape, self.config.transformation)


@contextmanager
def naming(place: str) -> Iterator[None]:
    """Put `place` before the key of a ConfigError that is raised inside."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(place + error.key, error.value, error.allowed, error.reason) from error
