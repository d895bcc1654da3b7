"""Cakes in a NeXus file, also after the application definition NXazint2d.

https://github.com/nexusformat/definitions/blob/main/applications/NXazint2d.nxdl.xml
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..config import RadialUnit
from .described import frame_dimension
from .nexus_azint1d import RADIAL_NAMES, new_subentry
from .nexus_fields import UNITS, new_group, write_field, write_rows

if TYPE_CHECKING:
    from xarray import Dataset

AXES = ("azimuthal", "radial")
FIELDS = ("I", "title", *AXES)


def write_cake(entry: Any, dataset: Dataset, axis: str, unit: RadialUnit) -> Any:
    """Write ``cake``, one image for each frame, some frames at a time.

    Parameters
    ----------
    entry
        Holds ``frames``.
    dataset
        With the variable ``cake``.
    axis
        The name of the field in ``frames`` that is the axis of the frames.
    unit
        Of the radial axis.

    Returns
    -------
    h5py.Group
        The NXdata.
    """
    rows = f"{axis}_axis" if axis in FIELDS else axis
    group = new_group(entry, "cake", "NXdata", title="cake: intensity by azimuth and radial value")
    group.attrs.update(signal="I", axes=[rows, *AXES], interpretation="image")
    for number, name in enumerate((rows, *AXES)):
        group.attrs[f"{name}_indices"] = number
    group[rows] = entry["frames"][axis]
    for name in AXES:
        write_field(group, name, dataset[f"cake_{name}"])
    group["azimuthal"].attrs.update(units="degrees", long_name="azimuth (deg)")
    group["radial"].attrs.update(units=UNITS[unit.name], long_name=unit.label)
    dims = (frame_dimension(dataset), *(f"cake_{name}" for name in AXES))
    written = write_rows(group, "I", dataset["cake"].transpose(*dims))
    written.attrs.update(long_name="intensity", units="arbitrary units")  # the words of NXazint2d
    return group


def write_azint2d(entry: Any, dataset: Dataset, unit: RadialUnit) -> Any:
    """Write ``azint2d``, a subentry that shares the data of ``cake`` (see `write_azint1d`).

    Parameters
    ----------
    entry
        Holds ``cake``, ``instrument``, ``reduction`` and ``frames``.
    dataset, unit
        What is written, where `nexus_azint1d.fits` says that it can be.

    Returns
    -------
    h5py.Group
        The NXsubentry.
    """
    subentry = new_subentry(entry, "azint2d", "NXazint2d", dataset)
    plot = entry["cake"]
    data = new_group(subentry, "data", "NXdata", I=plot["I"])
    data.attrs.update(signal="I", axes=[".", "azimuthal_axis", "radial_axis"], interpretation="image")
    data.attrs.update(azimuthal_axis_indices=1, radial_axis_indices=2)
    names = {"azimuthal": "azimuthal bin center", "radial": RADIAL_NAMES[unit.name]}
    for name, long_name in names.items():
        data[f"{name}_axis"] = plot[name][...]
        data[f"{name}_axis"].attrs.update(long_name=long_name, units=plot[name].attrs["units"])
    return subentry
