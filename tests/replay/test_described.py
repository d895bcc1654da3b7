"""What a dataset says of itself."""

from __future__ import annotations

from pathlib import Path

import pyFAI
import pytest
import xarray
from derived_datasets import AXES, PONI, made

from bluesky_diffractogram.config.quantities import HC
from bluesky_diffractogram.replay.described import (
    frame_dimension,
    poni_wavelength,
    radial_unit,
    range_numbers,
    wavelength,
)


@pytest.mark.parametrize("unit", AXES)
def test_the_unit_is_known_by_name_label_symbol_and_configuration(unit: str) -> None:
    dataset = made(unit)
    assert radial_unit(dataset, 2).name == unit
    axis = dataset["radial_2"]
    for text in (unit, axis.attrs["long_name"]):
        axis.attrs["units"] = text
        assert radial_unit(dataset, 2).name == unit
    del axis.attrs["units"]
    assert radial_unit(dataset, 2).name == unit
    dataset.attrs["configuration"] = "{}"
    with pytest.raises(ValueError, match="radial_2"):
        radial_unit(dataset, 2)


def test_the_configuration_overrules_the_calibrations_wavelength() -> None:
    assert wavelength(made()) == 4e-11
    assert wavelength(made(wavelength=5e-11)) == 5e-11
    assert wavelength(made(energy=HC)) == pytest.approx(1e-10)
    assert wavelength(made(poni="Distance: 0.1\nWavelength: None\n")) is None
    assert wavelength(made().assign_attrs(calibration="", configuration="")) is None


def test_a_poni_file_says_what_pyfai_reads_in_it(tmp_path: Path) -> None:
    path = tmp_path / "a.poni"
    path.write_text(PONI)
    assert poni_wavelength(PONI) == pyFAI.load(str(path)).wavelength


def test_ranges_are_counted_as_numbers_and_none_is_an_error() -> None:
    dataset = made(ranges=11)
    assert range_numbers(dataset) == tuple(range(1, 12))
    assert frame_dimension(dataset) == "furnace"
    with pytest.raises(ValueError, match=r"no variable diff_1: .*it has image"):
        range_numbers(xarray.Dataset({"image": ("x", [1.0])}))
