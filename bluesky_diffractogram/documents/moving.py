"""The geometry of a frame, out of the readings of its event and the configuration of its descriptor."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..config import DiffractogramConfig, GeometryConfig
from ..config.moving import RECORDED, told_value
from ..config.values import as_real
from ..files import NotReadable, Unreadable
from ..reduction.frame import FrameError
from ..reduction.moved import UNITS, Moved, moved_by_poni
from .assets import Assets
from .baseline import BASELINE
from .messages import Document, ImagesReceived
from .readings import readings_or_baseline
from .setting import Setting

KIND = "geometry"
"""The reason for which frames are skipped whose geometry is not known."""


def moved_geometry(images: ImagesReceived, setting: Setting, assets: Assets) -> Moved | None:
    """What the documents tell of the geometry of an event's frames; None where it is the calibration's for all.

    Parameters
    ----------
    images, setting
        Which event, and the configuration.
    assets
        Reads the PONI files that documents name.

    Raises
    ------
    FrameError
        A reading is missing or is no number, its unit is not known, or no geometry is like that.
    """
    moving = setting.config.geometry
    if moving is None:
        return None
    found = Moved()
    if moving.poni is not None:
        found = _by_poni(moving, images, setting, assets)
    told: dict[str, Any] = {}
    for parameter, reading in moving.readings.items():
        if parameter == "poni":
            continue
        value, unit = find_reading(images, reading.key)
        try:
            told[parameter] = told_value(reading, parameter, _number(value), unit)
        except ValueError as error:
            raise _unknown(parameter, reading.key, str(error)) from None
    try:
        return replace(found, **told) if told else found
    except ValueError as error:
        raise FrameError(KIND, f"{error}, which no geometry has") from None


def _by_poni(moving: GeometryConfig, images: ImagesReceived, setting: Setting, assets: Assets) -> Moved:
    assert moving.poni is not None
    key = moving.poni.key
    value, _ = find_reading(images, key)
    if not isinstance(value, str):
        raise _unknown("poni", key, f"{value!r} is neither the text nor the path of a PONI file")
    try:
        text = images.texts.get(value)
        if isinstance(text, Exception):
            raise text
        if text is None:
            text = assets.text(value) if _is_path(value) else value
        geometry = setting.geometry
        slow, fast = (size / by for size, by in zip(geometry.pixel_size, geometry.binning, strict=True))
        found = moved_by_poni(text, (slow, fast), geometry.orientation)
    except (NotReadable, Unreadable, TypeError, ValueError, RecursionError) as error:
        raise _unknown("poni", key, str(error)) from None
    given_apart = moving.of_wavelength is not None or setting.config.wavelength_m is not None
    return replace(found, wavelength=None) if given_apart else found


def _is_path(value: str) -> bool:
    """Whether a reading names a PONI file, and is not its text."""
    return "distance:" not in value.lower()


def with_texts(images: ImagesReceived, read_text: Callable[[str], str]) -> ImagesReceived:
    """The images with the PONI file that their event names, as it is now: it may be overwritten before their turn.

    Parameters
    ----------
    images
        They have just come.
    read_text
        Gives the text of a file (`Assets.text`).
    """
    texts: dict[str, str | Exception] = {}
    for moving in _geometries(images.setting.config):
        found = [] if moving.poni is None else readings_or_baseline(images, moving.poni.key)
        path = found[0][0] if found else None
        if not isinstance(path, str) or not _is_path(path):
            continue
        try:
            texts[path] = read_text(path)
        except (NotReadable, Unreadable, ValueError, TypeError) as error:
            texts[path] = Unreadable(str(error))
    return replace(images, texts=texts) if texts else images


def _geometries(config: DiffractogramConfig) -> list[GeometryConfig]:
    """What is set of the geometries that move, of all detectors."""
    every = (config.geometry, *(each.geometry for each in config.merge))
    return [each for each in every if each is not None]


def _unknown(parameter: str, key: str, why: str) -> FrameError:
    return FrameError(KIND, f"geometry.{parameter} is told by {key!r}: {why}")


def find_reading(images: ImagesReceived, key: str) -> tuple[Any, str | None]:
    """The value of a data key, and its unit if that is said (`readings_or_baseline`).

    Raises
    ------
    FrameError
        It is in none.
    """
    found = readings_or_baseline(images, key)
    if found:
        return found[0]
    what = f"neither the event nor the configuration in the descriptor of {images.descriptor['name']!r} has {key!r}"
    if key in images.descriptor["data_keys"]:
        raise FrameError(KIND, f"{what}, which is one of its data keys")
    raise FrameError(KIND, f"{what}, nor has the baseline before it")


def _number(value: Any) -> float:
    if isinstance(value, (list, np.ndarray)) and np.size(value) == 1:
        value = np.asarray(value).item()
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"it is {value}")
    number = as_real(value)
    if number is None:
        raise ValueError(f"{value!r} is no number" if np.size(value) <= 1 else "it is no scalar")
    return number


def tells_geometry(config: DiffractogramConfig, stream: str | None) -> bool:
    """Whether a stream is looked at for readings alone, which tell the geometry of another's frames."""
    return config.moves and stream == BASELINE != config.stream


def only_readings(config: DiffractogramConfig, descriptor: Document) -> tuple[set[str], Document]:
    """The data keys that tell the geometry, and of a descriptor's ``configuration`` what may tell it."""
    wanted = {reading.key for each in _geometries(config) for reading in each.readings.values()}
    if not wanted:
        return set(), {}
    kept = {}
    for name, configured in (descriptor.get("configuration") or {}).items():
        parts = {part: configured.get(part) or {} for part in ("data", "data_keys")}
        if wanted & set(parts["data"]):
            kept[name] = {part: {key: each[key] for key in wanted & set(each)} for part, each in parts.items()}
    return wanted, kept


def recorded_parameters(config: DiffractogramConfig) -> tuple[str, ...]:
    """The parameters that may be others in each frame, which derived events therefore tell."""
    moving = config.geometry
    if moving is None:
        return ()
    names = set(moving.readings)
    if moving.poni is not None:
        names |= set(UNITS) - {"energy", "wavelength"}
        if moving.of_wavelength is None and config.wavelength_m is None:
            names.add("wavelength")
    return tuple(name for name in UNITS if name in names)


def moved_in(data: Mapping[str, Any]) -> Moved | None:
    """The geometry that the data of a derived event tell; None if they tell none."""
    told = {name: data[RECORDED + name] for name in UNITS if RECORDED + name in data}
    known: dict[str, Any] = {
        name: float(value) for name, value in told.items() if value is not None and math.isfinite(value)
    }
    return Moved(**known) if told else None
