"""What a Dataset of diffractograms says of itself: its ranges, units, settings and wavelength."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..config import UNITS, RadialUnit, parse_unit
from ..config.moving import OF_WAVELENGTH, told_wavelength
from ..config.quantities import HC

if TYPE_CHECKING:
    from xarray import Dataset


def range_numbers(dataset: Dataset) -> tuple[int, ...]:
    """The numbers of the ranges that `dataset` holds, ascending.

    Raises
    ------
    ValueError
        There is none.
    """
    found = (re.fullmatch(r"diff_(\d+)", str(name)) for name in dataset.data_vars)
    numbers = tuple(sorted(int(match[1]) for match in found if match))
    if not numbers:
        raise ValueError(
            "the dataset has no variable diff_1: expected one as replay(…).to_xarray() gives; it has "
            + (", ".join(map(str, dataset.data_vars)) or "no variables")
        )
    return numbers


def frame_dimension(dataset: Dataset) -> str:
    """The name of the dimension that counts frames."""
    return str(dataset[f"diff_{range_numbers(dataset)[0]}"].dims[0])


def radial_name(dataset: Dataset, number: int) -> str:
    """The name of the radial dimension of a range, and of its coordinate."""
    return str(dataset[f"diff_{number}"].dims[1])


def radial_unit(dataset: Dataset, number: int) -> RadialUnit:
    """The unit of the radial axis of a range.

    It is told by pyFAI's name, our label or the bare symbol in the attributes ``unit`` or ``units`` of the
    coordinate, else by the configuration.

    Raises
    ------
    ValueError
        Nothing tells it.
    """
    attributes = dataset[radial_name(dataset, number)].attrs
    for text in (attributes.get("unit"), attributes.get("units"), settings(dataset).get("diff_units")):
        unit = _unit(text)
        if unit is not None:
            return unit
    raise ValueError(f"the dataset does not tell the unit of its coordinate {radial_name(dataset, number)}")


def _unit(text: Any) -> RadialUnit | None:
    symbols = {unit.symbol: unit for unit in UNITS}
    if text in symbols:
        return symbols[text]
    try:
        return parse_unit(text)
    except ValueError:
        return None


def settings(dataset: Dataset) -> dict[str, Any]:
    """The configuration, as it was recorded: lavue's keys and those changed from their defaults; empty if none was."""
    return json.loads(dataset.attrs.get("configuration") or "{}")


def wavelengths(dataset: Dataset) -> NDArray[np.float64] | None:
    """``(n,)`` the wavelength in m of each frame, where it moves; else None."""
    told = {key: np.asarray(dataset[key].values, dtype=float) for key in OF_WAVELENGTH if key in dataset}
    return told_wavelength(told)


def wavelength(dataset: Dataset) -> float | None:
    """The wavelength in m that all of `dataset` was computed with; None if nothing tells it.

    Where it moves that of the calibration, see `wavelengths`.
    """
    return wavelength_of(settings(dataset), str(dataset.attrs.get("calibration") or ""))


def wavelength_of(told: Mapping[str, Any], calibration: str) -> float | None:
    """The wavelength in m that a configuration sets, else that of the text of the calibration; None if neither does."""
    if told.get("wavelength") is not None:
        return float(told["wavelength"])
    if told.get("energy") is not None:
        return HC / float(told["energy"]) * 1e-10
    return poni_wavelength(calibration)


def poni_wavelength(text: str) -> float | None:
    """The wavelength in m in the text of a PONI file; the last one counts, since calibrations are appended."""
    found = None
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon and key.strip().lower() == "wavelength":
            found = value.strip()
    return None if found in (None, "", "None") else float(found)
