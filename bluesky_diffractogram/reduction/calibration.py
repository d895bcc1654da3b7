"""Opening a calibration file, and refusing what is none."""

from __future__ import annotations

import hashlib
import logging
import math
from pathlib import Path
from typing import Any

from ..config.errors import ConfigError
from .geometry import Geometry
from .pyfai_library import load_integrator

logger = logging.getLogger(__name__)

Shape = tuple[int, int]

# Shorter than gamma rays at beamlines, longer than soft X-rays and neutrons: a wavelength given in Å instead of
# metres falls outside by orders of magnitude.
WAVELENGTH_LIMITS_M = (1e-14, 1e-7)


def load_geometry(path: str | Path, *, wavelength: float | None = None, shape: Shape | None = None) -> Geometry:
    """Open a calibration file.

    Parameters
    ----------
    path
        Anything that `pyFAI.load` reads, usually a PONI file (version 1, 2 or 2.1).
    wavelength
        In metres; takes the place of the calibration's. A difference is logged.
    shape
        ``(ny, nx)`` of the frames, for calibrations that do not say it.

    Raises
    ------
    ConfigError
        The file is not there, is no calibration, or holds values that no geometry has (pyFAI loads an
        empty file, a negative distance, or a wavelength in Å without complaint).
    """
    allowed = "a geometry file that pyFAI.load reads, e.g. a PONI file"
    file = Path(path)
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise ConfigError("calibration", str(path), allowed, f"cannot be read ({error.strerror})") from error
    try:
        integrator = load_integrator(file)
    except Exception as error:  # pyFAI raises whatever its parsers raise
        first_line = str(error).partition("\n")[0][:160]
        raise ConfigError("calibration", str(path), allowed, f"is no calibration ({first_line})") from error
    if wavelength is not None:
        given = integrator.wavelength
        if given is not None and not math.isclose(given, wavelength, rel_tol=1e-4):
            logger.warning("wavelength %g m is used instead of the calibration's %g m", wavelength, given)
        integrator.wavelength = wavelength
    _check(integrator, str(path), allowed)
    geometry = Geometry(integrator, str(path), raw.decode("utf-8", "replace"), hashlib.sha256(raw).hexdigest())
    if shape is not None and geometry.shape is None:
        geometry = geometry.for_shape(shape)
    return geometry


def _check(integrator: Any, path: str, allowed: str) -> None:
    """Refuse what pyFAI loads although no detector can be like that."""

    def refuse(reason: str) -> None:
        raise ConfigError("calibration", path, allowed, f"is no usable calibration: {reason}")

    detector = integrator.detector
    for name, size in (("pixel1", detector.pixel1), ("pixel2", detector.pixel2)):
        if size is None or not math.isfinite(size) or size <= 0:
            refuse(f"{name} is {size}")
    if not math.isfinite(integrator.dist) or integrator.dist <= 0:
        refuse(f"the distance is {integrator.dist} m")
    for name in ("poni1", "poni2", "rot1", "rot2", "rot3"):
        if not math.isfinite(getattr(integrator, name)):
            refuse(f"{name} is {getattr(integrator, name)}")
    wavelength = integrator.wavelength
    low, high = WAVELENGTH_LIMITS_M
    if wavelength is not None and not low < wavelength < high:
        refuse(f"the wavelength is {wavelength} m (PONI files give it in metres)")
