"""Checks of settings that must agree with each other."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

from .errors import ConfigError
from .merge import check_merge
from .quantities import HC

if TYPE_CHECKING:
    from .model import DiffractogramConfig

logger = logging.getLogger(__name__)


def check_together(config: DiffractogramConfig) -> None:
    """Raise a ConfigError for settings that contradict each other."""
    _check_npt(config)
    _check_limits(config)
    _check_main_plot(config)
    _check_wavelength(config)
    _check_error_model(config)
    _check_statistic(config)
    _check_background(config)
    _check_dark(config)
    check_merge(config)
    if config.delta_dummy is not None and config.dummy is None:
        logger.warning("delta_dummy = %g has no effect without dummy", config.delta_dummy)


def _check_error_model(config: DiffractogramConfig) -> None:
    if config.error_model != "azimuthal" or isinstance(config.method, str):
        return
    for wanted in config.ranges:
        if wanted.arc.wrapped:
            raise ConfigError(
                "error_model",
                "azimuthal",
                "'poisson', a method like 'bbox' that is a splitting alone, or arcs that do not cross 180°",
                f"range {wanted.number} ({wanted.arc.start:g}° to {wanted.arc.end:g}°) is integrated in two parts, "
                "whose scatter about one mean is not known",
            )


def _check_statistic(config: DiffractogramConfig) -> None:
    average = config.statistic.method
    if average == "median":
        if not isinstance(config.method, str):
            raise ConfigError(
                "method", config.method, "'no', 'bbox' or 'full', with median", "medians are not pyFAI's own"
            )
        if config.error_model == "azimuthal":
            raise ConfigError("error_model", "azimuthal", "'poisson' or null, with median")
    if average != "sigma-clip":
        return
    if config.split_method[:2] != ("no", "csr"):
        raise ConfigError(
            "method", config.method, "'no', with sigma-clip",
            "pyFAI leaves out whole pixels only: what is split over bins would be in one and not in the next",
        )  # fmt: skip
    if isinstance(config.method, str):
        return
    for wanted in config.ranges:
        if wanted.arc.wrapped:
            raise ConfigError(
                "statistic", average, "'mean', the method 'no' alone, or arcs that do not cross 180°",
                f"range {wanted.number} ({wanted.arc.start:g}° to {wanted.arc.end:g}°) is integrated in two parts, "
                "which have no common scatter to clip by",
            )  # fmt: skip


def _check_background(config: DiffractogramConfig) -> None:
    if config.background_curve is not None and config.background_unit is None:
        raise ConfigError(
            "background_unit", None, "the unit of background_curve, e.g. '2th_deg' or 'q_nm^-1'",
            "the curve is to stay right when diff_units changes",
        )  # fmt: skip
    if config.background_scale != 1.0 and config.background is None and config.background_curve is None:
        logger.warning(
            "background_scale = %g has no effect without background or background_curve", config.background_scale
        )


def _check_dark(config: DiffractogramConfig) -> None:
    dark = config.dark_of_run
    if dark is not None and dark.stream == config.stream:
        raise ConfigError(
            "dark.stream", dark.stream, f"another stream than {config.stream!r}, which is that of the images",
            "darks among them are told by a reading: key and value",
        )  # fmt: skip


def _check_npt(config: DiffractogramConfig) -> None:
    if isinstance(config.npt, int):
        return
    most = max(config.diff_number, len(config.diff_ranges))
    if not config.diff_number <= len(config.npt) <= most:
        raise ConfigError(
            "npt",
            list(config.npt),
            f"one integer, or a list of {config.diff_number}, one for each range",
            f"there are {len(config.npt)} for {config.diff_number} ranges",
        )


def _check_limits(config: DiffractogramConfig) -> None:
    unit = config.radial_limit_unit or config.unit
    half_turn = {"2th_deg": 180.0, "2th_rad": math.pi}.get(unit.name)
    if half_turn is None:
        return
    for entry, one in zip(config.diff_ranges, config.ranges, strict=False):
        for limit in (one.radial_min, one.radial_max):
            if limit is not None and abs(limit) > half_turn:
                raise ConfigError(
                    f"diff_ranges[{one.number - 1}]",
                    list(entry or ()),
                    f"radial limits up to {half_turn:g} for {unit.label}, or another range_unit",
                    f"{limit:g} of range {one.number} is no scattering angle",
                )


def _check_main_plot(config: DiffractogramConfig) -> None:
    kind, _, number = config.main_plot.partition(" ")
    missing = config.cake is None if kind == "cake" else bool(number) and int(number) > config.diff_number
    if missing:
        buffers = [repr(f"buffer {number}") for number in range(1, config.diff_number + 1)]
        if len(buffers) > 3:
            buffers[1:-1] = ["..."]
        cake = [] if config.cake is None else ["'cake'"]
        reason = "no cake is made; the key cake says whether and how" if kind == "cake" else ""
        raise ConfigError("main_plot", config.main_plot, ", ".join(["'image'", *cake, *buffers]), reason)


def _check_wavelength(config: DiffractogramConfig) -> None:
    told = None if config.geometry is None else config.geometry.of_wavelength
    for key in ("wavelength", "energy"):
        if told is not None and getattr(config, key) is not None:
            raise ConfigError(
                key, getattr(config, key), f"null where geometry.{told} tells it of each frame", "both tell the same"
            )
    if config.wavelength is None or config.energy is None:
        return
    expected = HC / config.energy * 1e-10
    if not math.isclose(expected, config.wavelength, rel_tol=1e-4):
        raise ConfigError(
            "wavelength",
            config.wavelength,
            "one of wavelength and energy, or both in agreement",
            f"energy = {config.energy:g} keV is a wavelength of {expected:.6g} m",
        )
