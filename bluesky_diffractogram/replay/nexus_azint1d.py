"""The application definition NXazint1d.

https://github.com/nexusformat/definitions/blob/main/applications/NXazint1d.nxdl.xml
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..config import DiffractogramConfig, RadialUnit
from .described import settings, wavelength, wavelengths
from .nexus_fields import field_name, new_group

if TYPE_CHECKING:
    from xarray import Dataset

RADIAL_NAMES = {"q_nm^-1": "q", "q_A^-1": "q", "2th_deg": "2theta", "2th_rad": "2theta"}
"""What the definition calls an axis; it knows of no others."""


def fits(dataset: Dataset, unit: RadialUnit) -> bool:
    """Whether NXazint1d describes `dataset`: the axis is q or 2θ, and the wavelength that it asks for is known."""
    known = wavelength(dataset) is not None or wavelengths(dataset) is not None
    return unit.name in RADIAL_NAMES and known


def write_azint1d(entry: Any, number: int, dataset: Dataset, unit: RadialUnit) -> Any:
    """Write ``azint1d_<number>``, a subentry that shares the data of ``range_<number>``.

    The definition wants a first dimension without an axis, where a heat-map has the motor: so the same numbers are
    there under two groups, stored once.

    Parameters
    ----------
    entry
        Holds ``range_<number>``, ``instrument`` and ``reduction``.
    number
        Of the range.
    dataset, unit
        What is written.

    Returns
    -------
    h5py.Group
        The NXsubentry.
    """
    subentry = new_subentry(entry, f"azint1d_{number}", "NXazint1d", dataset)
    plot = entry[f"range_{number}"]
    data = new_group(subentry, "data", "NXdata", I=plot["I"], I_errors=plot.get("I_errors"))
    data.attrs.update(signal="I", axes=[".", "radial_axis"], interpretation="spectrum", radial_axis_indices=1)
    data["radial_axis"] = plot["radial"][...]
    data["radial_axis"].attrs.update(long_name=RADIAL_NAMES[unit.name], units=plot["radial"].attrs["units"])
    return subentry


def new_subentry(entry: Any, name: str, definition: str, dataset: Dataset) -> Any:
    """An NXsubentry with all that NXazint1d and NXazint2d ask for besides the data, which are to be in ``data``.

    Parameters
    ----------
    entry
        Holds ``instrument``, ``reduction`` and ``frames``.
    name, definition
        Of the subentry.
    dataset
        What is written.
    """
    told = settings(dataset)
    monitor = told.get("normalization")
    subentry = new_group(
        entry, name, "NXsubentry", definition=definition,
        solid_angle_applied=bool(_setting(told, "correct_solid_angle")),
        polarization_applied=_setting(told, "polarization_factor") is not None,
        normalization_applied=True, monitor_applied=monitor is not None,
    )  # fmt: skip
    subentry.attrs["default"] = "data"
    for shared in ("instrument", "reduction"):
        subentry[shared] = entry[shared]
    if monitor is not None and field_name(monitor) in entry["frames"]:
        new_group(subentry, "monitor", "NXmonitor", data=entry["frames"][field_name(monitor)])
    return subentry


def _setting(told: dict[str, Any], key: str) -> Any:
    """A setting as recorded, or its default: defaults are not recorded."""
    return told[key] if key in told else DiffractogramConfig.model_fields[key].default
