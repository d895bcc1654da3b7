"""What a NeXus file holds of each frame beside its curves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from xarray import DataArray

from .described import frame_dimension, range_numbers
from .names import FreeNames
from .nexus_fields import field_name, new_group, write_field

if TYPE_CHECKING:
    from xarray import Dataset

PLOTTED = ("peak_{}_position", "mean_{}")


def write_frames(entry: Any, dataset: Dataset) -> str:
    """Write ``frames``: everything that has one value for each frame, and ``peaks_<i>`` with the listed peaks.

    Parameters
    ----------
    entry
        An NXentry.
    dataset
        As ``replay(…).to_xarray()`` gives it.

    Returns
    -------
    str
        The name of the field in ``frames`` that is the axis: the carried reading that the frames are counted by, or
        ``frame``, their number, where that reading is no axis for a plot (text, not finite).
    """
    dim, names = frame_dimension(dataset), FreeNames("_")
    frames = new_group(entry, "frames", "NXdata")
    row, fields = dataset.get(dim) if _is_axis(dataset, dim) else None, {}
    axis = names.free("frame" if row is None else field_name(dim))
    write_field(frames, axis, DataArray(np.arange(dataset.sizes[dim]), dims=dim) if row is None else row)
    for name in map(str, dataset.variables):
        if dataset[name].dims == (dim,) and (name != dim or row is None):
            fields[name] = names.free(field_name(name))
            write_field(frames, fields[name], dataset[name])
    frames.attrs["axes"] = [axis]
    frames.attrs[f"{axis}_indices"] = 0
    _choose_signal(entry, frames, dataset, fields)
    _write_peaks(entry, dataset, dim)
    return axis


def _is_axis(dataset: Dataset, dim: str) -> bool:
    return dim in dataset.coords and dataset[dim].dtype.kind in "fiu" and bool(np.isfinite(dataset[dim]).all())


def _choose_signal(entry: Any, frames: Any, dataset: Dataset, fields: dict[str, str]) -> None:
    wanted = [name.format(number) for name in PLOTTED for number in range_numbers(dataset)]
    there = [fields[name] for name in wanted if name in fields]
    if there:
        frames.attrs["signal"] = there[0]
    else:  # NXdata must have something to plot
        frames.attrs["NX_class"] = "NXcollection"


def _write_peaks(entry: Any, dataset: Dataset, dim: str) -> None:
    for number in range_numbers(dataset):
        names = [name for name in (f"peaks_{number}_position", f"peaks_{number}_height") if name in dataset]
        if names:
            peaks = new_group(entry, f"peaks_{number}", "NXcollection")
            for name in names:
                write_field(peaks, name.rpartition("_")[2], dataset[name].transpose(dim, ...))
