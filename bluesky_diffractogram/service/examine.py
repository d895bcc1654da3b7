"""What a configuration means: everything that can be told before a scan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..config import ConfigError, DiffractogramConfig, load_config, parse_unit
from ..reduction.conversion import convert_limit
from ..reduction.corrections import read_image, read_images
from ..reduction.detectors import Detector
from ..reduction.frame import FrameError
from ..reduction.geometry import Geometry
from ..reduction.limits import IntegrationRange
from ..reduction.opened_detectors import open_detectors
from ..reduction.opening import known_shape, open_geometry
from ..reduction.reducer import Reducer
from ..reduction.transformation import transform
from .console import package_log

FIT_STEPS = 16


@dataclass(frozen=True, eq=False, slots=True)
class Examined:
    """A configuration with what it was found to mean.

    Attributes
    ----------
    config, geometry
        The settings and the calibration.
    reducer
        What frames would be reduced with; None while the shape of the detector is not known.
    image
        ``(ny, nx)``, the frame that was given, as the calibration sees it, NaN where invalid; or None.
    warnings
        What was warned of meanwhile.
    others
        The further detectors.
    """

    config: DiffractogramConfig
    geometry: Geometry
    reducer: Reducer | None
    image: NDArray[np.float64] | None
    warnings: tuple[str, ...]
    others: tuple[Detector, ...] = ()


def examine(source: str, frame: str | None = None) -> Examined:
    """Read a configuration and prepare the reduction as a scan would.

    Parameters
    ----------
    source
        A JSON string, or the path of a file.
    frame
        Path of a frame, any that fabio reads.

    Raises
    ------
    ConfigError
        The configuration cannot be used, or the frame cannot be read or is none of this detector.
    """
    warnings: list[str] = []
    with package_log(lambda _, message: warnings.append(message)):
        config = load_config(source)
        geometry = open_geometry(config)
        others = open_detectors(config, geometry)
        stored = None if frame is None else read_image("frame", frame)
        images = read_images(config)
        shape = known_shape(config, geometry, images) if stored is None else (stored.shape[0], stored.shape[1])
        reducer = None
        if shape is not None:
            try:
                reducer = Reducer(config, geometry, shape, others=others)
            except FrameError as error:
                raise ConfigError("frame", frame, "a frame of the detector", str(error)) from None
    image = None
    if stored is not None and reducer is not None:
        oriented = transform(stored, config.transformation)
        image = oriented.astype(float)
        invalid = reducer.validity.invalid(oriented)
        if invalid is not None:
            image[invalid] = np.nan
    return Examined(config, geometry, reducer, image, tuple(warnings), others)


def two_theta_limits(wanted: IntegrationRange, geometry: Geometry) -> tuple[float, float]:
    """A range's radial limits as 2θ in degrees, the smaller first; NaN where a limit has no 2θ."""
    degrees = parse_unit("2th_deg")
    low, high = (convert_limit(g, wanted.unit, degrees, wanted.arc, geometry) for g in wanted.radial_range)
    return (low, high) if not low > high else (high, low)


def beam_centre(geometry: Geometry) -> tuple[float, float]:
    """Column and row where the beam meets the detector, in pixels, 0 in the centre of the first.

    On a flat detector the two coordinates across the beam, r·cos χ and r·sin χ, are linear in column and row.
    They are fitted on a coarse grid, and the fit is solved for where both are zero, be it off the detector.

    Parameters
    ----------
    geometry
        Of known shape.
    """
    assert geometry.shape is not None
    rows, columns = (np.unique(np.linspace(0, n - 1, FIT_STEPS).astype(int)) for n in geometry.shape)
    grid = np.ix_(rows, columns)
    radius, chi = geometry.pixels("center", "r_mm")[grid], geometry.pixels("center", "chi_deg")[grid]
    row, column = np.meshgrid(rows, columns, indexing="ij")
    terms = np.stack([np.ones(row.size), column.ravel(), row.ravel()], axis=1)
    across = np.stack([(radius * np.cos(chi)).ravel(), (radius * np.sin(chi)).ravel()], axis=1)
    fit = np.linalg.lstsq(terms, across, rcond=None)[0]
    x, y = np.linalg.solve(fit[1:].T, -fit[0])
    return float(x), float(y)
