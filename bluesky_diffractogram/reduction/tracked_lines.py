"""Where on the axis of a range the peaks are that are to be followed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..config import ConfigError, DiffractogramConfig, DiffractogramRange, RadialUnit, parse_unit
from ..config.tracked import TrackedPhase
from ..config.units import D_A
from .conversion import convert_limit
from .geometry import Geometry
from .hkl import conventional, cubic_indices, hkl_name
from .limits import IntegrationRange, given_limits
from .pyfai_library import calibrant_reflections
from .shifted import placed


@dataclass(frozen=True, slots=True)
class TrackedLine:
    """A peak that is followed in one range.

    Attributes
    ----------
    name
        Of its data keys.
    low, high
        Between which positions it is first seen, in the radial unit; it may be anywhere if both are infinite.
    """

    name: str
    low: float = -math.inf
    high: float = math.inf

    @property
    def anywhere(self) -> bool:
        """Whether it is whichever peak there is."""
        return math.isinf(self.low)


def tracked_lines(
    config: DiffractogramConfig,
    wanted: IntegrationRange,
    axis: NDArray[np.float64],
    calibrated: Geometry,
    geometry: Geometry,
) -> tuple[TrackedLine, ...]:
    """What is followed in one range: of the peaks and phases of the configuration those that its axis holds.

    Of a geometry that moves lines along the axis it is all of them: it may bring them onto it.

    Parameters
    ----------
    config
        Its ``peaks`` are used.
    wanted, axis
        The range, and its ``(npt,)`` bin centres.
    calibrated, geometry
        To convert units: the calibration's geometry, checked with `check_tracked`, and the one that a frame has.
    """
    ends = float(axis[0]), float(axis[-1])
    return _lines_between(config, ends, lambda value, unit: placed(value, unit, wanted, calibrated, geometry))


def tracked_names(config: DiffractogramConfig, wanted: DiffractogramRange, geometry: Geometry) -> tuple[str, ...]:
    """What may be followed in a range, as far as the limits that are set for it tell before the axis is known.

    Parameters
    ----------
    config
        Its ``peaks`` are used.
    wanted
        One of its ranges.
    geometry
        To convert units; checked with `check_tracked` and `check_limits`, its shape need not be known.

    Returns
    -------
    tuple of str
        The names of `tracked_lines`, and of lines beyond the detector where a limit is the detector's own.
    """
    low, high = given_limits(wanted, config.radial_limit_unit or config.unit, config.unit, geometry)
    ends = -math.inf if low is None else low, math.inf if high is None else high
    lines = _lines_between(
        config, ends, lambda value, unit: convert_limit(value, unit, config.unit, wanted.arc, geometry)
    )
    return tuple(line.name for line in lines)


def _lines_between(
    config: DiffractogramConfig, ends: tuple[float, float], place: Callable[[float, RadialUnit], float]
) -> tuple[TrackedLine, ...]:
    settings = config.peaks
    if settings is None or not settings.tracked:
        return ()
    named: list[tuple[str, float, float, RadialUnit]] = []
    for peak in settings.track or ():
        unit = config.unit if peak.unit is None else parse_unit(peak.unit)
        named.append((peak.name, peak.near - peak.within, peak.near + peak.within, unit))
    for phase in settings.phases or ():
        for name, d in phase_lines(phase):
            named.append((f"{phase.name}_{name}", d * (1.0 - phase.within), d * (1.0 + phase.within), D_A))
    if config.geometry is not None and config.geometry.shifts(config.unit):
        ends = -math.inf, math.inf
    lines = []
    for name, one, other, unit in named:
        low, high = sorted(_finite_or_beyond(place(value, unit)) for value in (one, other))
        if low <= ends[1] and high >= ends[0]:
            lines.append(TrackedLine(name, low, high))
    return (*lines, *(TrackedLine(f"p{k}") for k in range(1, settings.auto + 1)))


def check_tracked(config: DiffractogramConfig, geometry: Geometry) -> None:
    """Check the peaks that are followed against the calibration and what pyFAI knows.

    Raises
    ------
    ConfigError
        A calibrant is not known, or a unit cannot be converted to that of the axis without a wavelength.
    """
    settings = config.peaks
    if settings is None:
        return
    units = [] if not settings.phases else [(f"phases[0].name = {settings.phases[0].name}", D_A)]
    units += [(peak.name, parse_unit(peak.unit)) for peak in settings.track or () if peak.unit is not None]
    for name, unit in units:
        if geometry.wavelength is None and unit.needs_wavelength != config.unit.needs_wavelength:
            raise ConfigError("peaks", name, "a unit that needs no wavelength, or the keys wavelength or energy")
    for phase in settings.phases or ():
        phase_lines(phase)


def _finite_or_beyond(at: float) -> float:
    return at if math.isfinite(at) else math.inf


def phase_lines(phase: TrackedPhase) -> tuple[tuple[str, float], ...]:
    """Names and d in Å of the lines of a phase that are followed, from large d to small.

    Raises
    ------
    ConfigError
        Its calibrant is not known.
    """
    lines: dict[str, float] = {}
    if phase.calibrant is not None:
        try:
            cell, reflections = calibrant_reflections(phase.calibrant)
        except ValueError as error:
            raise ConfigError("peaks.phases.calibrant", phase.calibrant, "one that pyFAI knows", str(error)) from error
        for number, (d, hkl) in enumerate(reflections, 1):
            lines.setdefault(f"d{number}" if hkl is None else hkl_name(conventional(hkl, cell)), d)
    else:
        given = phase.spacings or ()
        indices = cubic_indices([d for _, d in given]) if all(name is None for name, _ in given) else None
        for number, (name, d) in enumerate(given):
            lines.setdefault(name or (hkl_name(indices[number]) if indices else f"d{number + 1}"), d)
    return tuple(lines.items())[: phase.most]
