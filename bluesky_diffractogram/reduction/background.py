"""A measured background curve, taken away from every diffractogram."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..config import Arc, ConfigError, DiffractogramConfig, RadialUnit, parse_unit
from .conversion import convert_limit
from .geometry import Geometry
from .limits import IntegrationRange

logger = logging.getLogger(__name__)

ALLOWED = "a text file or an array with two columns: radial values, all different, and intensities"


def read_curve(source: str | NDArray) -> NDArray[np.float64]:
    """``(n, 2)``: radial value and intensity, ascending.

    Parameters
    ----------
    source
        An array, or a text file whose first two columns these are: ``.xy``, ``.chi``, ``.dat``. What stands before the
        first line of numbers is passed over; further columns, such as uncertainties, are not looked at.

    Raises
    ------
    ConfigError
        The file cannot be read, or there are not two columns of finite numbers.
    """
    shown = source if isinstance(source, str) else "array"
    try:
        curve = _numbers(Path(source).read_text("utf-8", "replace")) if isinstance(source, str) else np.asarray(source)
    except OSError as error:
        raise ConfigError("background_curve", shown, ALLOWED, f"cannot be read ({error.strerror})") from error
    if curve.ndim != 2 or curve.shape[1] < 2 or len(curve) < 2:
        raise ConfigError("background_curve", shown, ALLOWED, f"numbers of shape {curve.shape} were found")
    curve = curve[:, :2].astype(np.float64)
    if not np.isfinite(curve).all():
        raise ConfigError("background_curve", shown, ALLOWED, "not all of its numbers are finite")
    curve = curve[np.argsort(curve[:, 0])]
    if not (np.diff(curve[:, 0]) > 0.0).all():
        raise ConfigError("background_curve", shown, ALLOWED, "a radial value is there twice")
    return curve


def _numbers(text: str) -> NDArray[np.float64]:
    """The rows of at least two numbers, of which the first row says how many columns there are."""
    rows: list[list[float]] = []
    for line in text.splitlines():
        try:
            row = [float(part) for part in line.replace(",", " ").split()]
        except ValueError:
            continue
        if len(row) >= 2 and (not rows or len(row) == len(rows[0])):
            rows.append(row)
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(rows[0]) if rows else 0)


def backgrounds(
    config: DiffractogramConfig,
    geometry: Geometry,
    images: Mapping[str, NDArray],
    ranges: Sequence[IntegrationRange],
    axes: Sequence[NDArray[np.float64]],
    level: int = logging.WARNING,
) -> tuple[NDArray[np.float64], ...] | None:
    """What is taken away from the intensity of each range.

    Parameters
    ----------
    config
        Its ``background_scale`` multiplies the curve, whose radial values are in ``background_unit``.
    geometry
        Converts them to the unit of the axes.
    images
        As `read_images` gives them; the curve is ``background_curve``.
    ranges, axes
        The ranges, and ``(npt,)`` bin centres of each.
    level
        At which it is logged that the curve does not reach all of them.

    Returns
    -------
    tuple of numpy.ndarray, or None
        ``(npt,)`` for each range: the curve between its points, NaN beyond its ends. None without a curve.
    """
    curve = images.get("background_curve")
    if curve is None:
        return None
    assert config.background_unit is not None
    unit = parse_unit(config.background_unit)
    found = []
    for wanted, axis in zip(ranges, axes, strict=True):
        radial = _converted(curve[:, 0], unit, config.unit, wanted.arc, geometry)
        known = np.isfinite(radial)
        order = np.argsort(radial[known])
        values = np.interp(axis, radial[known][order], curve[known, 1][order], left=np.nan, right=np.nan)
        unknown = int(np.isnan(values).sum())
        if unknown:
            logger.log(
                level,
                "background_curve does not reach %d of the %d bins of range %d, which have no intensity: it goes from "
                "%g to %g %s, the range from %g to %g %s", unknown, len(axis), wanted.number,
                curve[0, 0], curve[-1, 0], unit.symbol, axis[0], axis[-1], wanted.unit.symbol,
            )  # fmt: skip
        found.append(config.background_scale * values)
    return tuple(found)


def _converted(
    radial: NDArray[np.float64], source: RadialUnit, target: RadialUnit, arc: Arc, geometry: Geometry
) -> NDArray[np.float64]:
    if source.name == target.name:
        return radial
    return np.array([convert_limit(float(value), source, target, arc, geometry) for value in radial])
