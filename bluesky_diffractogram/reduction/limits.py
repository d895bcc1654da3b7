"""Radial limits: from what users write to what pyFAI is asked for, and back for what is reported."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..config import Arc, ConfigError, DiffractogramConfig, DiffractogramRange, RadialUnit
from .conversion import convert_limit, pixels_per_mm
from .geometry import Geometry
from .geometry_kernel import extent

logger = logging.getLogger(__name__)

TILT_WORTH_A_WARNING_DEG = 1.0


@dataclass(frozen=True, slots=True)
class IntegrationRange:
    """A range with everything that stays the same from frame to frame.

    Attributes
    ----------
    number
        From 1, as in ``diff_1``.
    arc
        The azimuths, in degrees.
    unit
        Unit of the output.
    npt
        Number of bins.
    pyfai_limits
        ``(low, high)`` radial limits in the unit that pyFAI integrates in, `RadialUnit.pyfai`.
    scale
        Factor from that unit to `unit`: 1 but for ``r_pixel``.
    """

    number: int
    arc: Arc
    unit: RadialUnit
    npt: int
    pyfai_limits: tuple[float, float]
    scale: float = 1.0

    @property
    def radial_range(self) -> tuple[float, float]:
        """The effective radial limits in `unit`."""
        return self.pyfai_limits[0] * self.scale, self.pyfai_limits[1] * self.scale

    @property
    def stretches(self) -> tuple[tuple[float, float] | None, ...]:
        """The azimuth ranges that pyFAI is asked for, one after the other, to cover the arc; None is the full ring."""
        return (None,) if self.arc.full else self.arc.parts()

    @property
    def azimuth_range(self) -> tuple[float, float]:
        """The effective azimuthal limits in degrees, the start in [−180, 180)."""
        return self.arc.start, self.arc.end


def integration_ranges(
    config: DiffractogramConfig,
    geometry: Geometry,
    mask: NDArray[np.bool_] | None,
    detector_limits: tuple[float, float] | None = None,
) -> tuple[IntegrationRange, ...]:
    """The configured ranges in the output unit, their open limits taken from the unmasked pixels.

    Parameters
    ----------
    config, geometry
        Checked against each other.
    mask
        ``(ny, nx)``, True where masked.
    detector_limits
        What `open_limits` gives for them, computed where it is needed if None.

    Raises
    ------
    ConfigError
        A limit that cannot be expressed in the output unit, or a single one that no pixel reaches.
    """
    unit, limit_unit = config.unit, config.radial_limit_unit
    bounds = _OpenLimits(geometry, config, mask, detector_limits)
    return tuple(
        _integration_range(wanted, npt, unit, limit_unit or unit, geometry, bounds)
        for wanted, npt in zip(config.ranges, config.npts, strict=True)
    )


def limited_range(
    config: DiffractogramConfig,
    wanted: DiffractogramRange,
    npt: int,
    geometry: Geometry,
    mask: NDArray[np.bool_] | None,
) -> IntegrationRange:
    """One range that is none of the configured ones; see `integration_ranges`."""
    unit = config.unit
    bounds = _OpenLimits(geometry, config, mask, None)
    return _integration_range(wanted, npt, unit, config.radial_limit_unit or unit, geometry, bounds)


def _integration_range(
    wanted: DiffractogramRange,
    npt: int,
    unit: RadialUnit,
    limit_unit: RadialUnit,
    geometry: Geometry,
    bounds: _OpenLimits,
) -> IntegrationRange:
    scale = pixels_per_mm(geometry, wanted.arc) if unit.name == "r_pixel" else 1.0
    given = given_limits(wanted, limit_unit, unit, geometry)
    low, high = (bounds.known[side] if value is None else value / scale for side, value in enumerate(given))
    if None in given and low >= high:
        raise _out_of_reach(wanted, unit, limit_unit, geometry, given, [scale * each for each in bounds.known])
    return IntegrationRange(wanted.number, wanted.arc, unit, npt, (low, high), scale)


def _out_of_reach(
    wanted: DiffractogramRange,
    unit: RadialUnit,
    limit_unit: RadialUnit,
    geometry: Geometry,
    given: tuple[float | None, float | None],
    detector: Sequence[float],
) -> ConfigError:
    """A limit that is on the wrong side of the whole detector, which was to set the other one."""
    reached = [convert_limit(each, unit, limit_unit, wanted.arc, geometry) for each in detector]
    inner = wanted.radial_min is not None
    value = wanted.radial_min if inner else wanted.radial_max
    assert value is not None
    low, high = sorted(reached)
    covers = f"the detector covers {low:.6g} to {high:.6g} {limit_unit.symbol}"
    return _refused(wanted, value, f"a limit that the detector reaches: {covers}", "leaves no pixel")


def given_limits(
    wanted: DiffractogramRange, limit_unit: RadialUnit, unit: RadialUnit, geometry: Geometry
) -> tuple[float | None, float | None]:
    """The limits that are set for a range, in the unit of the axis; None where the detector's own holds.

    An outer limit beyond every angle, or beyond what a plane detector can see, is none. An inner one would
    leave nothing.

    Raises
    ------
    ConfigError
        The inner limit is such, or a d-spacing is not positive.
    """
    inner, outer = wanted.radial_min, wanted.radial_max
    if limit_unit.name == "d_A":  # d falls where 2θ rises
        inner, outer = outer, inner
        for given in (inner, outer):
            if given is not None and given <= 0:
                raise _refused(wanted, given, "d-spacings above 0", "is no d-spacing")
    low = None if inner is None else convert_limit(inner, limit_unit, unit, wanted.arc, geometry)
    high = None if outer is None else convert_limit(outer, limit_unit, unit, wanted.arc, geometry)
    if high is not None and not math.isfinite(high):
        high = None
    if unit.name == "d_A":
        if low is not None and not (math.isfinite(low) and low > 0):
            low = None  # 2θ of 0 is an infinite d
        return high, low
    if low is not None and not math.isfinite(low):
        assert inner is not None
        raise _refused(
            wanted, inner, "an inner limit that pixels can lie beyond", f"{limit_unit.label} lies beyond every pixel"
        )
    return low, high


def _refused(wanted: DiffractogramRange, value: float, allowed: str, reason: str) -> ConfigError:
    return ConfigError(f"diff_ranges[{wanted.number - 1}]", value, allowed, f"{value:g} {reason}")


def check_limits(config: DiffractogramConfig, geometry: Geometry) -> None:
    """Refuse limits that the geometry cannot have, and warn of those that are not what they seem.

    Raises
    ------
    ConfigError
        As `given_limits`.
    """
    unit = config.unit
    limit_unit = config.radial_limit_unit or unit
    for wanted in config.ranges:
        low, high = given_limits(wanted, limit_unit, unit, geometry)
        tilted = geometry.tilt > TILT_WORTH_A_WARNING_DEG
        if tilted and limit_unit.name[0] != "r" and unit.name[0] == "r" and (low, high) != (None, None):
            logger.warning(
                "range %d: the detector is tilted by %.1f°, so that a limit in %s is no single radius: its mean over "
                'the arc is taken; range_unit "same" takes limits in %s',
                wanted.number, geometry.tilt, limit_unit.label, unit.label,
            )  # fmt: skip
        if unit.name == "d_A" and high is None:
            logger.warning(
                "range %d: nothing limits the axis of d towards the beam, where d grows without end; most bins will "
                "be empty. Set an inner limit",
                wanted.number,
            )


class _OpenLimits:
    """The detector's own radial limits, computed when first needed."""

    def __init__(
        self,
        geometry: Geometry,
        config: DiffractogramConfig,
        mask: NDArray[np.bool_] | None,
        known: tuple[float, float] | None,
    ) -> None:
        self._geometry, self._config, self._mask, self._known = geometry, config, mask, known

    @property
    def known(self) -> tuple[float, float]:
        if self._known is None:
            self._known = open_limits(self._geometry, self._config.unit, self._config.split_method[0], self._mask)
        return self._known


def open_limits(
    geometry: Geometry, unit: RadialUnit, split: str, mask: NDArray[np.bool_] | None
) -> tuple[float, float]:
    """The radial limits that pyFAI takes when it is given none: those of the unmasked pixels' own extents.

    Parameters
    ----------
    geometry
        Of known shape.
    unit
        The result is in its `RadialUnit.pyfai`.
    split
        ``"no"`` takes pixel centres, ``"bbox"`` the centres ± half widths, ``"full"`` the corners.
    mask
        ``(ny, nx)``, True where masked.
    """
    assert geometry.shape is not None
    used = np.broadcast_to(np.True_, geometry.shape) if mask is None or mask.all() else ~mask
    # A pixel in the beam has no d, and its neighbours' extents no end: what is not finite is left out.
    if split == "full":
        corner = geometry.pixels("corner", unit.pyfai)[..., 0][used]
        corner = corner[np.isfinite(corner)]
        low, high = corner.min(), corner.max()
    else:
        nothing = np.broadcast_to(np.float64(0), geometry.shape)
        width = geometry.pixels("delta", unit.pyfai) if split == "bbox" else nothing
        low, high = extent(geometry.pixels("center", unit.pyfai), width, used)
    return max(0.0, float(low)) * unit.si_scale, float(high) * unit.si_scale
