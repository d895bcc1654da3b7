"""The caked image: a frame regrouped on a grid of radial value and azimuth."""

from __future__ import annotations

import copy
import threading
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..config import ConfigError, DiffractogramConfig
from .corrections import Corrections
from .dark import known_part
from .diffractogram import Cake
from .geometry import Geometry
from .integrator import seen_by_pyfai
from .limits import IntegrationRange, limited_range
from .transformation import transform
from .validity import Validity


class CakeIntegrator:
    """pyFAI's own `integrate2d_ng`, warm, with limits that stay as they are.

    Parameters
    ----------
    config
        Its ``cake``, method (the splitting), corrections and units are used.
    geometry
        Of known shape.
    corrections
        In the orientation of `geometry` (`make_corrections`).
    wanted
        Its limits, if they are not those that follow from `geometry`.

    Raises
    ------
    ConfigError
        A limit that cannot be expressed in the unit of the axis.
    """

    def __init__(
        self,
        config: DiffractogramConfig,
        geometry: Geometry,
        corrections: Corrections,
        wanted: IntegrationRange | None = None,
    ) -> None:
        settings = config.cake
        assert settings is not None
        self._config, self._mask, self._dark, self._flat = config, corrections.mask, corrections.dark, corrections.flat
        self._unknown: NDArray[np.bool_] | None = None
        self._npt = settings.npt_rad, settings.npt_azim
        try:
            limits = settings.limits, settings.npt_rad, geometry, corrections.mask
            self.range = wanted or limited_range(config, *limits)
        except ConfigError as error:
            raise ConfigError("cake.range", settings.range, error.allowed, error.reason) from error
        (self._azimuth,) = self.range.arc.parts()
        self._integrator = geometry.with_mask(corrections.mask).integrator()
        self._lock = threading.Lock()
        # Regrouping a blank frame builds the table now: the first real one would else wait for it.
        blank = self._call(np.zeros(corrections.mask.shape, dtype=np.float32), 1)
        self.radial: NDArray[np.float64] = np.asarray(blank.radial, dtype=float) * self.range.scale
        """``(npt_rad,)`` bin centres in the unit of the axis."""
        self.azimuthal: NDArray[np.float64] = np.asarray(blank.azimuthal, dtype=float)
        """``(npt_azim,)`` bin centres in degrees."""

    def with_dark(self, dark: NDArray[np.float32]) -> Self:
        """The same with a dark, see `Integrator.with_dark`; both use the same warm integrator."""
        other = copy.copy(self)
        dark = transform(dark, self._config.transformation)
        other._dark, other._unknown = known_part(dark, self._mask, self._dark)
        return other

    def integrate(
        self, image: NDArray, validity: Validity, *, monitor: float | None = None, exposures: int = 1
    ) -> Cake:
        """Regroup one frame; parameters as `Integrator.integrate`."""
        image, _ = seen_by_pyfai(image, self._config.transformation, validity, self._unknown)
        with self._lock:  # two threads in one warm pyFAI integrator give wrong numbers
            result = self._call(image, exposures)
            signal = np.array(result.sum_signal, dtype=np.float64)
            normalization = np.array(result.sum_normalization, dtype=np.float64)
        filled = normalization > 0.0
        divisor = np.where(filled, normalization, 1.0) * (1.0 if monitor is None else monitor)
        return Cake(
            radial=self.radial,
            azimuthal=self.azimuthal,
            intensity=np.where(filled, signal / divisor, np.nan).astype(np.float32),
            signal=np.where(filled, signal, 0.0),
            normalization=np.where(filled, normalization, 0.0),
        )

    def _call(self, image: NDArray, exposures: int) -> Any:
        dark = self._dark
        if dark is not None and exposures > 1:
            dark = dark * np.float32(exposures)
        return self._integrator.integrate2d_ng(
            image,
            *self._npt,
            unit=self.range.unit.pyfai,
            radial_range=self.range.pyfai_limits,
            azimuth_range=self._azimuth,
            method=(self._config.split_method[0], "csr", "cython"),
            correctSolidAngle=self._config.correct_solid_angle,
            polarization_factor=self._config.polarization_factor,
            dark=dark,
            flat=self._flat,
            dummy=np.nan,
        )
