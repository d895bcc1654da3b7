"""The curves of a Dataset, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from .curve import Curve
from .described import frame_dimension, radial_name, radial_unit, range_numbers, settings, wavelength, wavelengths
from .names import FreeNames, frame_stem

if TYPE_CHECKING:
    from xarray import Dataset

NOT_CARRIED = ("time", "seq_num", "frame_index")


def curves(dataset: Dataset) -> Iterator[Curve]:
    """Every diffractogram of `dataset`: all ranges of the first frame, then of the next.

    Parameters
    ----------
    dataset
        As ``replay(…).to_xarray()`` gives it.

    Raises
    ------
    ValueError
        It holds no diffractograms, or does not tell their unit.
    """
    numbers, dim = range_numbers(dataset), frame_dimension(dataset)
    units = {number: radial_unit(dataset, number) for number in numbers}
    radials = {number: np.asarray(dataset[radial_name(dataset, number)].values, dtype=float) for number in numbers}
    length, lengths = wavelength(dataset), wavelengths(dataset)
    calibration = str(settings(dataset).get("calibration", ""))
    carried = _carried(dataset, dim)
    names = FreeNames()
    for frame in range(dataset.sizes[dim]):
        at = {dim: frame}
        imagename = str(dataset["imagename"].isel(at).item()) if "imagename" in dataset else str(frame)
        stem = names.free(frame_stem(imagename, dataset.attrs.get("raw_scan_id")))
        readings = {name: (float(dataset[name].isel(at)), unit) for name, unit in carried.items()}
        for number in numbers:
            variable, sigma = dataset[f"diff_{number}"], dataset.get(f"sigma_{number}")
            yield Curve(
                stem=stem,
                number=number,
                unit=units[number],
                radial=radials[number],
                intensity=np.asarray(variable.isel(at).values, dtype=float),
                sigma=None if sigma is None else np.asarray(sigma.isel(at).values, dtype=float),
                azimuth_range=_limits(variable.attrs.get("azimuth_range")),
                radial_range=_limits(variable.attrs.get("radial_range")),
                imagename=imagename,
                calibration=calibration,
                wavelength=length if lengths is None else float(lengths[frame]),
                readings=readings,
            )


def _limits(attribute: object) -> tuple[float, float]:
    low, high = (np.nan, np.nan) if attribute is None else np.asarray(attribute, dtype=float)
    return float(low), float(high)


def _carried(dataset: Dataset, dim: str) -> dict[str, str]:
    """The carried readings that are numbers, each with its unit."""
    return {
        str(name): str(coordinate.attrs.get("units", ""))
        for name, coordinate in dataset.coords.items()
        if coordinate.dims == (dim,) and coordinate.dtype.kind in "fiu" and name not in (*NOT_CARRIED, "frame")
    }
