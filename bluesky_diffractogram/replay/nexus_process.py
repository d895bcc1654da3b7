"""How the curves of a NeXus file were computed: its NXprocess and NXinstrument."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from ..config.quantities import HC
from .described import settings, wavelength, wavelengths
from .nexus_fields import field_name, new_group

if TYPE_CHECKING:
    from xarray import Dataset

PROGRAM = "bluesky-diffractogram"
REFERENCE = "pyFAI, whose pixel splitting is used: https://doi.org/10.1107/S1600576715004306"
CONVENTION = (
    "Azimuth is pyFAI's chi in degrees: 0 along axis 2 of the detector, positive towards axis 1. Bins that no valid "
    "pixel reaches are NaN."
)


WRITTEN_APART = ("configuration", "calibration", "calibration_sha256", "versions")


def write_process(entry: Any, dataset: Dataset) -> Any:
    """Write ``reduction``: program, parameters, what is recorded of the run, and configuration and calibration.

    Returns
    -------
    h5py.Group
        The NXprocess.
    """
    told, versions = settings(dataset), json.loads(dataset.attrs.get("versions") or "{}")
    process = new_group(
        entry, "reduction", "NXprocess", program=PROGRAM, version=versions.get(PROGRAM) or version(PROGRAM),
        date=datetime.now(UTC).isoformat(), reference=REFERENCE, note=CONVENTION,
    )  # fmt: skip
    parameters = new_group(process, "input", "NXparameters")
    for key, value in told.items():
        if value is not None:
            parameters[field_name(key)] = plain(value)
    if dataset.attrs.get("calibration_sha256"):
        parameters["calibration_sha256"] = dataset.attrs["calibration_sha256"]
    recorded = {key: value for key, value in dataset.attrs.items() if key not in WRITTEN_APART}
    new_group(process, "run", "NXcollection", **{field_name(str(key)): plain(each) for key, each in recorded.items()})
    new_group(process, "versions", "NXcollection", **{field_name(key): str(each) for key, each in versions.items()})
    if told:
        new_group(
            process, "configuration", "NXnote", type="application/json", data=dataset.attrs["configuration"],
            description="bluesky_diffractogram.load_config accepts it",
        )  # fmt: skip
    if dataset.attrs.get("calibration"):
        new_group(
            process, "calibration", "NXnote", type="text/plain", data=dataset.attrs["calibration"],
            file_name=told.get("calibration"),
            description="geometry file, in a PONI file's text; pyFAI.load reads it",
        )  # fmt: skip
    return process


def plain(value: Any) -> bool | int | float | str:
    """`value` if it is a number or text, else as JSON."""
    return value if isinstance(value, (bool, int, float, str)) else json.dumps(value, default=str)


def write_instrument(
    entry: Any, dataset: Dataset, *, instrument: str, source: str, source_type: str, probe: str
) -> Any:
    """Write ``instrument`` with its source and, where the wavelength is known, its monochromator.

    Returns
    -------
    h5py.Group
        The NXinstrument.
    """
    group = new_group(entry, "instrument", "NXinstrument", name=instrument)
    of_frames = wavelengths(dataset)
    length: Any = wavelength(dataset) if of_frames is None else of_frames
    if length is not None:
        angstrom = length * 1e10
        monochromator = new_group(group, "monochromator", "NXmonochromator", wavelength=angstrom, energy=HC / angstrom)
        monochromator["wavelength"].attrs["units"] = "angstrom"
        monochromator["energy"].attrs["units"] = "keV"
    new_group(group, "source", "NXsource", name=source, type=source_type, probe=probe)
    return group
