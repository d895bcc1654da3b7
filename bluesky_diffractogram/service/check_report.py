"""The tables that ``check`` prints."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from rich.console import Console, ConsoleOptions
from rich.table import Table
from rich.text import Text

from ..config import Arc, DiffractogramConfig, GeometryConfig
from ..config.quantities import HC
from ..reduction.detectors import Detector
from .examine import Examined, beam_centre, two_theta_limits


def print_report(examined: Examined, console: Console) -> None:
    """Print geometry, ranges, corrections and warnings."""
    console.print(_geometry_facts(examined), soft_wrap=True)
    for each in examined.others:
        console.print(_detector_facts(each), soft_wrap=True)
    console.print(_ranges_table(examined))
    console.print(_settings_facts(examined), soft_wrap=True)
    for message in examined.warnings:
        console.print(Text.assemble(("warning: ", "yellow"), message), soft_wrap=True)
    if examined.reducer is None:
        console.print(
            "The calibration does not say the detector's shape. It will be that of the first frame; to see "
            "pixels and a picture now, give a frame (--frame) or the key detector_shape.",
            soft_wrap=True,
        )


class _Facts:
    """Names and values, a line each. Never wrapped: a path must be there to copy."""

    def __init__(self, title: str) -> None:
        self._lines = [Text(title, style="bold")]

    def add_row(self, name: str, value: str) -> None:
        self._lines.append(Text.assemble((f"{name:<17}", "dim"), value))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        yield from self._lines


def _geometry_facts(examined: Examined) -> _Facts:
    geometry = examined.geometry if examined.reducer is None else examined.reducer.geometry
    facts = _Facts("Geometry")
    facts.add_row("calibration", geometry.path)
    facts.add_row("detector", geometry.describe().split("\t")[0].removeprefix("Detector "))
    shape = geometry.shape
    facts.add_row("shape", "not known" if shape is None else f"{shape[0]} rows × {shape[1]} columns")
    if geometry.binning != (1, 1):
        facts.add_row("binning", f"{geometry.binning[0]} × {geometry.binning[1]} of the detector's pixels")
    slow, fast = (1e6 * size for size in geometry.pixel_size)
    facts.add_row("pixel", f"{slow:g} × {fast:g} µm (vertical × horizontal)")
    facts.add_row("distance", f"{1e3 * geometry.distance:.4f} mm")
    if shape is not None:
        column, row = beam_centre(geometry)
        facts.add_row("beam centre", f"column {column:.2f}, row {row:.2f} (0 is the centre of the first pixel)")
    facts.add_row("tilt", f"{geometry.tilt:.3f}°")
    wavelength = geometry.wavelength
    if wavelength is None:
        facts.add_row("wavelength", "not known")
    else:
        facts.add_row("wavelength", f"{1e10 * wavelength:.6g} Å, {HC / (1e10 * wavelength):.4g} keV")
    _add_moves(facts, examined.config.geometry)
    return facts


def _add_moves(facts: _Facts, moving: GeometryConfig | None) -> None:
    if moving is not None:
        told = ", ".join(f"{name} by {reading.key!r}" for name, reading in moving.readings.items())
        facts.add_row("moves", f"{told}; limits and axes are those of the above")


def _detector_facts(detector: Detector) -> _Facts:
    """What is a further detector's own, and set."""
    geometry, config = detector.geometry, detector.config
    facts = _Facts(f"Merged: {detector.data_key}")
    facts.add_row("calibration", geometry.path)
    facts.add_row("shape", f"{detector.shape[0]} rows × {detector.shape[1]} columns")
    facts.add_row("distance", f"{1e3 * geometry.distance:.4f} mm")
    facts.add_row("tilt", f"{geometry.tilt:.3f}°")
    _add_moves(facts, config.geometry)
    facts.add_row("transformation", config.transformation)
    facts.add_row("scale", f"{detector.scale:g}")
    if config.dark_of_run is not None:
        facts.add_row("dark", f"the latest before the frame: {config.dark_of_run.meaning}")
    if detector.optional:
        facts.add_row("optional", "events without its image are reduced from the others")
    for key, image in detector.images.items():
        given = getattr(config, key)
        facts.add_row(key, given if isinstance(given, str) else f"array of {image.shape}")
    return facts


def _ranges_table(examined: Examined) -> Table:
    unit = examined.config.unit
    table = Table(title="Ranges", title_justify="left", title_style="bold")
    other_unit = [unit.label] if unit.name != "2th_deg" else []
    for heading in ("", "azimuth (°)", "span (°)", "2θ (°)", *other_unit, "npt", "pixels"):
        table.add_column(heading, justify="right")
    if examined.reducer is None:
        _add_wanted(table, examined.config, other_unit)
        return table
    reducer = examined.reducer
    for wanted, pixels in zip(reducer.ranges, reducer.integrator.pixels, strict=True):
        table.add_row(
            str(wanted.number),
            _azimuth(wanted.arc),
            f"{wanted.arc.span:g}",
            _limits(*two_theta_limits(wanted, reducer.geometry)),
            *[_limits(*wanted.radial_range) for _ in other_unit],
            str(wanted.npt),
            Text(str(pixels)) if pixels else Text("none", style="red"),
        )
    return table


def _add_wanted(table: Table, config: DiffractogramConfig, other_unit: list[str]) -> None:
    """The ranges as they are written, where the detector is not known well enough for more."""
    limit_unit = config.radial_limit_unit or config.unit
    for wanted, npt in zip(config.ranges, config.npts, strict=True):
        limits = _limits(wanted.radial_min, wanted.radial_max)
        table.add_row(
            str(wanted.number),
            _azimuth(wanted.arc),
            f"{wanted.arc.span:g}",
            limits if limit_unit.name == "2th_deg" else "?",
            *[limits if limit_unit == config.unit else "?" for _ in other_unit],
            str(npt),
            "?",
        )


def _azimuth(arc: Arc) -> str:
    return "full ring" if arc.full else f"{arc.start:g} … {arc.end:g}"


def _limits(low: float | None, high: float | None) -> str:
    shown = ["?" if limit is None or np.isnan(limit) else f"{limit:.5g}" for limit in (low, high)]
    return f"{shown[0]} … {shown[1]}"


def _settings_facts(examined: Examined) -> _Facts:
    config, reducer = examined.config, examined.reducer
    facts = _Facts("Corrections")
    for key in ("mask", "dark", "flat", "background", "background_curve", "absorption"):
        given = getattr(config, key)
        if key == "dark" and config.dark_of_run is not None:
            facts.add_row(key, f"the latest before the frame: {config.dark_of_run.meaning}")
            continue
        facts.add_row(key, "none" if given is None else given if isinstance(given, str) else f"array of {given.shape}")
    if reducer is not None:
        masked = int(reducer.mask.sum())
        facts.add_row("masked", f"{masked} of {reducer.mask.size} pixels ({100 * masked / reducer.mask.size:.2f} %)")
    if examined.image is not None and reducer is not None:
        invalid = int((np.isnan(examined.image) & ~reducer.mask).sum())
        facts.add_row("invalid", f"{invalid} more pixels of the frame")
    facts.add_row("solid angle", "corrected" if config.correct_solid_angle else "not corrected")
    factor = config.polarization_factor
    facts.add_row("polarization", "not corrected" if factor is None else f"factor {factor:g}")
    facts.add_row("uncertainties", config.error_model or "none")
    facts.add_row("method", ", ".join(map(str, config.split_method)))
    facts.add_row("transformation", config.transformation)
    if config.normalization:
        facts.add_row("normalization", f"by the reading {config.normalization!r}")
    _add_peaks(facts, examined)
    if config.cake is not None:
        facts.add_row("cake", f"{config.cake.npt_azim} azimuths × {config.cake.npt_rad} radial bins")
    return facts


def _add_peaks(facts: _Facts, examined: Examined) -> None:
    """How peaks are searched for, and which named ones where."""
    settings, reducer = examined.config.peaks, examined.reducer
    if settings is None:
        facts.add_row("peaks", "not searched")
        return
    facts.add_row("peaks", f"{settings.method} finder" + (f", fitted with {settings.fit}" if settings.fit else ""))
    for number, lines in enumerate(reducer.tracked if reducer is not None else (), 1):
        places = (line.name if line.anywhere else f"{line.name} ({line.low:.5g} … {line.high:.5g})" for line in lines)
        if lines:
            facts.add_row(f"followed in {number}", ", ".join(places))
