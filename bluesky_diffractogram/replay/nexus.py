"""A Dataset of diffractograms as a NeXus file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from .described import frame_dimension, radial_name, radial_unit, range_numbers
from .nexus_azint1d import fits, write_azint1d
from .nexus_cake import write_azint2d, write_cake
from .nexus_fields import UNITS, iso8601, new_group, write_field, write_rows
from .nexus_frames import write_frames
from .nexus_process import PROGRAM, write_instrument, write_process
from .whole_file import whole_file

if TYPE_CHECKING:
    from xarray import Dataset

FIELDS = ("I", "I_errors", "radial", "title")


def to_nexus(
    dataset: Dataset, path: str | Path, *,
    instrument: str = "unknown", source: str = "unknown", source_type: str = "unknown", probe: str = "x-ray",
) -> Path:  # fmt: skip
    """Write a NeXus file that silx view, h5py and whatever reads NXdata, NXazint1d or NXazint2d open.

    ``/entry`` holds for each range *i* an NXdata ``range_i``, the heat-map ``I (frame, radial)`` over the motor, the
    first of them being what opens by default; where the axis is q or 2θ and the wavelength is known, a subentry
    ``azint1d_i`` after the definition NXazint1d with the same numbers; with cakes an NXdata ``cake``, ``I (frame,
    azimuthal, radial)``, and likewise ``azint2d`` after NXazint2d; ``frames`` with everything that has one value for
    each frame, ``peaks_i``, and ``reduction`` with configuration, calibration and versions. Numbers are stored
    as they are; empty bins are NaN.

    Parameters
    ----------
    dataset
        As ``replay(…).to_xarray()`` gives it. Curves and cakes are read some frames at a time.
    path
        Replaced, once all is written, if it is there.
    instrument, source, source_type, probe
        Names of the beamline and the laboratory, the latter's type, and what is scattered: NXazint1d asks for them
        and no document tells them.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    ValueError
        `dataset` holds no diffractograms, or does not tell their unit; nothing is written.
    OSError
        The file cannot be written.
    """
    for number in range_numbers(dataset):
        radial_unit(dataset, number)
    path = Path(path)
    with whole_file(path) as part, h5py.File(part, "w") as file:
        _write_root(file, path.name)
        entry = _write_entry(file, dataset)
        write_instrument(
            entry, dataset, instrument=instrument, source=source, source_type=source_type, probe=probe
        )  # fmt: skip
        write_process(entry, dataset)
        axis = write_frames(entry, dataset)
        for number in range_numbers(dataset):
            _write_range(entry, number, dataset, axis)
            unit = radial_unit(dataset, number)
            if fits(dataset, unit):
                write_azint1d(entry, number, dataset, unit)
        if "cake" in dataset:
            write_cake(entry, dataset, axis, unit)
            if fits(dataset, unit):
                write_azint2d(entry, dataset, unit)
    return path


def _write_root(file: Any, name: str) -> None:
    file.attrs.update(
        NX_class="NXroot", default="entry", file_name=name, file_time=datetime.now(UTC).isoformat(), creator=PROGRAM,
        HDF5_Version=h5py.version.hdf5_version, h5py_version=h5py.version.version,
    )  # fmt: skip


def _write_entry(file: Any, dataset: Dataset) -> Any:
    scan, uid = dataset.attrs.get("raw_scan_id"), dataset.attrs.get("raw_uid")
    entry = new_group(
        file, "entry", "NXentry", program_name=PROGRAM, entry_identifier_uuid=uid,
        entry_identifier=None if scan is None else str(scan),
        title="diffractograms" if scan is None else f"diffractograms of scan {scan}",
    )  # fmt: skip
    if isinstance(dataset.attrs.get("sample"), str):
        new_group(entry, "sample", "NXsample", name=dataset.attrs["sample"])
    entry.attrs["default"] = f"range_{range_numbers(dataset)[0]}"
    if "time" in dataset.coords and dataset["time"].dtype.kind == "M":
        times = dataset["time"].values
        times = times[~np.isnat(times)]
        if len(times):
            entry["start_time"], entry["end_time"] = iso8601(times.min()), iso8601(times.max())
    return entry


def _write_range(entry: Any, number: int, dataset: Dataset, axis: str) -> None:
    """Write the heat-map of one range; its row axis is that of ``frames``."""
    variable, unit, dim = dataset[f"diff_{number}"], radial_unit(dataset, number), frame_dimension(dataset)
    rows = f"{axis}_axis" if axis in FIELDS else axis
    group = new_group(entry, f"range_{number}", "NXdata", title=_title(number, variable.attrs))
    group.attrs.update(signal="I", axes=[rows, "radial"], radial_indices=1, interpretation="image")
    group.attrs[f"{rows}_indices"] = 0
    for key in ("azimuth_range", "radial_range"):
        if key in variable.attrs:
            group.attrs[key] = np.asarray(variable.attrs[key], dtype=float)
    group[rows] = entry["frames"][axis]
    write_field(group, "radial", dataset[radial_name(dataset, number)])
    group["radial"].attrs.update(units=UNITS[unit.name], long_name=unit.label)
    for name, field, long_name in (
        (f"diff_{number}", "I", "intensity"), (f"sigma_{number}", "I_errors", "estimated intensity error"),
    ):  # fmt: skip
        if name in dataset:
            written = write_rows(group, field, dataset[name].transpose(dim, ...))
            # The words of NXazint1d: counts are divided by solid angle and, it may be, polarisation and a monitor.
            written.attrs.update(long_name=long_name, units="arbitrary units")


def _title(number: int, attributes: dict[Any, Any]) -> str:
    if "azimuth_range" not in attributes:
        return f"range {number}"
    start, end = attributes["azimuth_range"]
    return f"range {number}: azimuth {start:g} to {end:g} deg"
