"""One diffractogram on its way into a file of columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..config import RadialUnit

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class Curve:
    """A diffractogram and what the head of a file says of it.

    Attributes
    ----------
    stem
        File name of the frame, without range and suffix.
    number
        Of the range.
    unit
        Of `radial`.
    radial, intensity, sigma
        ``(npt,)`` each, NaN in empty bins; `sigma` is None without an error model.
    azimuth_range, radial_range
        Effective limits in degrees and in `unit`.
    imagename
        What the frame is called.
    calibration
        Path of the calibration file.
    wavelength
        In m; None if it is not known.
    readings
        Carried numbers, with their unit (empty if it is not known).
    """

    stem: str
    number: int
    unit: RadialUnit
    radial: Array
    intensity: Array
    sigma: Array | None
    azimuth_range: tuple[float, float]
    radial_range: tuple[float, float]
    imagename: str
    calibration: str
    wavelength: float | None = None
    readings: Mapping[str, tuple[float, str]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The file name without its suffix."""
        return f"{self.stem}_range{self.number}"

    @property
    def filled(self) -> NDArray[np.bool_]:
        """``(npt,)`` which bins a valid pixel reached."""
        return np.isfinite(self.intensity)

    @property
    def empty_note(self) -> str:
        """A sentence for the head of a file that leaves empty bins out, or nothing."""
        empty = int((~self.filled).sum())
        return f"empty bins left out: {empty} of {len(self.radial)}" if empty else ""
