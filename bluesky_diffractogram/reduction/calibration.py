"""Opening a calibration file, and refusing what is none."""

from __future__ import annotations

import hashlib
import logging
import math
from numbers import Integral
from pathlib import Path
from typing import Any

from ..config.errors import ConfigError
from ..config.keys import MOST_PIXELS
from .geometry import Geometry
from .pyfai_library import load_integrator

logger = logging.getLogger(__name__)

Shape = tuple[int, int]

# Shorter than gamma rays at beamlines, longer than soft X-rays and neutrons: a wavelength given in Å instead of
# metres falls outside by orders of magnitude.
WAVELENGTH_LIMITS_M = (1e-14, 1e-7)
# Of pixels and distances: atoms are smaller, and no beamline is longer.
LENGTH_LIMITS_M = (1e-10, 1e6)


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
    try:
        reason = _impossible(integrator)
    except Exception as error:  # texts and lists where numbers belong
        reason = f"{type(error).__name__}: {error}"
    if reason is not None:
        raise ConfigError("calibration", path, allowed, f"is no usable calibration: {reason}")


def _impossible(integrator: Any) -> str | None:
    """What is impossible about a calibration; None if nothing is."""
    detector = integrator.detector
    smallest, largest = LENGTH_LIMITS_M
    for name, size in (("pixel1", detector.pixel1), ("pixel2", detector.pixel2)):
        if size is None or not smallest < size < largest:
            return f"{name} is {size} m"
    if not smallest < integrator.dist < largest:
        return f"the distance is {integrator.dist} m"
    for name in ("poni1", "poni2"):
        if not abs(getattr(integrator, name)) < largest:
            return f"{name} is {getattr(integrator, name)} m"
    for name in ("rot1", "rot2", "rot3"):
        if not math.isfinite(getattr(integrator, name)):
            return f"{name} is {getattr(integrator, name)}"
    wavelength = integrator.wavelength
    low, high = WAVELENGTH_LIMITS_M
    if wavelength is not None and not low < wavelength < high:
        return f"the wavelength is {wavelength} m (PONI files give it in metres)"
    for shape in (detector.shape, detector.max_shape):
        if not _is_shape(shape):
            return f"the detector's shape is {shape}, expected rows and columns, {MOST_PIXELS} pixels at most"
    str(integrator)  # which `check` shows, and which fails on other nonsense, such as a sensor of no thickness
    return None


def _is_shape(shape: Any) -> bool:
    """Whether it is none, or rows and columns of what may be a detector."""
    if not shape:  # it may be ()
        return True
    rows, columns = shape
    are_counts = all(isinstance(n, Integral) and not isinstance(n, bool) and int(n) >= 1 for n in (rows, columns))
    return are_counts and int(rows) * int(columns) <= MOST_PIXELS
