"""NeXus files, as h5py, silx and a validator of NeXus read them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyFAI
import pytest
import silx.io
import xarray
from derived_datasets import AXES, PONI, WAVELENGTH, made, reduced
from silx.io.nxdata import get_default, is_NXroot_with_default_NXdata, is_valid_nxdata

from bluesky_diffractogram.config import load_config
from bluesky_diffractogram.replay import nexus_fields
from bluesky_diffractogram.replay.nexus import to_nexus

# Required by NXazint1d, in the words of its NXDL; values where it lists them.
REQUIRED = {
    "definition": "NXazint1d", "solid_angle_applied": bool, "polarization_applied": bool,
    "normalization_applied": bool, "instrument/name": str, "instrument/monochromator/wavelength": float,
    "instrument/monochromator/energy": float, "instrument/source/name": str, "instrument/source/type": str,
    "instrument/source/probe": str, "reduction/program": str, "reduction/version": str, "reduction/date": str,
    "reduction/reference": str,
}  # fmt: skip


def text(dataset: h5py.Dataset) -> str:
    return dataset[()].decode()


def nxdata_groups(file: h5py.File) -> Iterator[h5py.Group]:
    """Every NXdata of a file, under each of its paths."""
    found: list[h5py.Group] = []

    def visit(group: h5py.Group) -> None:
        for each in group.values():
            if isinstance(each, h5py.Group):
                if each.attrs["NX_class"] == "NXdata":
                    found.append(each)
                visit(each)

    visit(file)
    yield from found


@pytest.mark.parametrize("unit", AXES)
def test_silx_opens_the_heat_map_of_the_first_range(unit: str, tmp_path: Path) -> None:
    dataset = made(unit)
    with silx.io.open(str(to_nexus(dataset, tmp_path / "a.nxs"))) as file:
        assert is_NXroot_with_default_NXdata(file)
        shown = get_default(file)
        assert shown.is_valid, shown.issues
        assert shown.group.name == "/entry/range_1"
        assert shown.axes_names == ["furnace (K)", dataset["radial_1"].attrs["long_name"]]
        np.testing.assert_array_equal(shown.signal[()], dataset["diff_1"].values)
        np.testing.assert_array_equal(shown.errors[()], dataset["sigma_1"].values)
        for axis, name in zip(shown.axes, ("furnace", "radial_1"), strict=True):
            np.testing.assert_array_equal(axis[()], dataset[name].values)
        assert shown.title == "range 1: azimuth 170 to 190 deg"


@pytest.mark.parametrize("frames", [1, 2, 5])
@pytest.mark.parametrize("dim", ["frame", "furnace"])
def test_every_nxdata_is_valid_for_silx(frames: int, dim: str, tmp_path: Path) -> None:
    dataset = made(frames=frames, dim=dim, sigma=False)
    with h5py.File(to_nexus(dataset, tmp_path / "a.nxs")) as file:
        groups = list(nxdata_groups(file))
        assert len(groups) == 5  # two ranges, twice, and what there is of each frame
        assert all(map(is_valid_nxdata, groups))
        assert all("I_errors" not in group for group in groups)
        assert file["entry/range_1"].attrs["axes"].tolist() == [dim, "radial"]


def test_the_subentries_are_what_nxazint1d_asks_for(tmp_path: Path) -> None:
    dataset = made("2th_deg")
    path = to_nexus(dataset, tmp_path / "a.nxs", instrument="P02.1", source="PETRA III", source_type="Synchrotron")
    with h5py.File(path) as file:
        for i in (1, 2):
            subentry = file[f"entry/azint1d_{i}"]
            assert subentry.attrs["NX_class"] == "NXsubentry"
            for name, wanted in REQUIRED.items():
                value = subentry[name][()]
                value = value.decode() if isinstance(value, bytes) else value.item()
                assert value == wanted if isinstance(wanted, str) else isinstance(value, wanted), name
            assert subentry["reduction/input"].attrs["NX_class"] == "NXparameters"
            assert text(subentry["instrument/name"]) == "P02.1"
            assert text(subentry["instrument/source/name"]) == "PETRA III"
            assert text(subentry["instrument/source/probe"]) == "x-ray"
            data = subentry["data"]
            assert data.attrs["axes"].tolist() == [".", "radial_axis"]
            assert (data.attrs["signal"], data.attrs["interpretation"]) == ("I", "spectrum")
            assert dict(data["I"].attrs) == {"long_name": "intensity", "units": "arbitrary units"}
            assert data["I_errors"].attrs["long_name"] == "estimated intensity error"
            assert dict(data["radial_axis"].attrs) == {"long_name": "2theta", "units": "degrees"}
            np.testing.assert_array_equal(data["I"][()], dataset[f"diff_{i}"].values)
            np.testing.assert_array_equal(data["radial_axis"][()], dataset[f"radial_{i}"].values)
            assert data["I"] == file[f"entry/range_{i}/I"], "stored once"
        monochromator = file["entry/instrument/monochromator"]
        assert monochromator["wavelength"][()] == pytest.approx(0.4)
        assert monochromator["energy"][()] == pytest.approx(30.99605, abs=1e-5)  # hc = 12.39842 keV Å


@pytest.mark.parametrize("unit", ["q_A^-1", "2th_rad"])
def test_a_validator_of_nexus_finds_nothing(unit: str, tmp_path: Path) -> None:
    validate = pytest.importorskip("nexusformat.nexus.validate")
    path = to_nexus(
        made(unit, normalization="ring_current"), tmp_path / "a.nxs", instrument="P02.1", source="PETRA III",
        source_type="Synchrotron X-ray Source",
    )  # fmt: skip
    assert validate.validate_application(str(path), path="/entry/azint1d_1", application="NXazint1d") == (0, 0)
    _, errors = validate.validate_file(str(path))
    assert errors == 0


@pytest.mark.parametrize(
    "dataset",
    [made("r_mm"), made("r_pixel"), made("d_A"), made("2th_deg", poni="Distance: 0.1\n")],
    ids=["r_mm", "r_pixel", "d", "no wavelength"],
)
def test_what_the_definition_has_no_words_for_does_not_claim_it(dataset: xarray.Dataset, tmp_path: Path) -> None:
    with h5py.File(to_nexus(dataset, tmp_path / "a.nxs")) as file:
        assert not any("azint1d" in name for name in file["entry"])
        assert is_valid_nxdata(file["entry/range_2"])
        assert ("monochromator" in file["entry/instrument"]) == (dataset.attrs["calibration"] == PONI)


@pytest.mark.parametrize(
    ("settings", "applied"),
    [
        ({}, (True, False, False)),
        ({"correct_solid_angle": False}, (False, False, False)),
        ({"polarization_factor": 0.99}, (True, True, False)),
        ({"polarization_factor": 0.0}, (True, True, False)),
        ({"normalization": "ring_current"}, (True, False, True)),
    ],
)
def test_corrections_are_told_as_they_were_set(settings: dict[str, Any], applied: tuple, tmp_path: Path) -> None:
    with h5py.File(to_nexus(made(**settings), tmp_path / "a.nxs")) as file:
        subentry = file["entry/azint1d_1"]
        names = ("solid_angle_applied", "polarization_applied", "monitor_applied")
        assert tuple(bool(subentry[name][()]) for name in names) == applied
        assert ("monitor" in subentry) == applied[2]
        if applied[2]:
            np.testing.assert_array_equal(subentry["monitor/data"], [100.0, 99.5, 99.0])


def test_the_calibration_comes_back_as_pyfai_read_it(tmp_path: Path) -> None:
    with h5py.File(to_nexus(made(), tmp_path / "a.nxs")) as file:
        note = file["entry/reduction/calibration"]
        assert (note.attrs["NX_class"], text(note["file_name"])) == ("NXnote", "/data/lab6.poni")
        assert text(note["data"]) == PONI
        (tmp_path / "b.poni").write_text(text(note["data"]))
        parameters = file["entry/reduction/input"]
        assert (parameters["npt"][()], text(parameters["diff_units"])) == (40, "q [1/A]")
        assert text(parameters["calibration_sha256"]) == "00ff"
        assert text(file["entry/reduction/versions/pyFAI"]) == "2026.9"
        assert text(file["entry/entry_identifier_uuid"]) == made().attrs["raw_uid"]
        assert text(file["entry/entry_identifier"]) == "7"
    geometry = pyFAI.load(str(tmp_path / "b.poni"))
    assert (geometry.dist, geometry.rot1, geometry.wavelength) == (0.1, 0.01, WAVELENGTH)


def test_what_is_recorded_of_the_run_is_there(tmp_path: Path) -> None:
    dataset = made().assign_attrs(sample="CeO2", plan_name="scan", exit_status="success", frames='{"reduced": 3}')
    with h5py.File(to_nexus(dataset, tmp_path / "a.nxs")) as file:
        run = {name: each[()] for name, each in file["entry/reduction/run"].items()}
        assert run == {
            "raw_uid": dataset.attrs["raw_uid"].encode(), "raw_scan_id": 7, "sample": b"CeO2", "plan_name": b"scan",
            "exit_status": b"success", "frames": b'{"reduced": 3}',
        }  # fmt: skip
        assert text(file["entry/sample/name"]) == "CeO2"


def test_times_keep_their_nanoseconds(tmp_path: Path) -> None:
    dataset = made(frames=3)
    dataset["time"].values[1] = np.datetime64("NaT")
    with h5py.File(to_nexus(dataset, tmp_path / "a.nxs")) as file:
        time = file["entry/frames/time"]
        np.testing.assert_array_equal(time[()], [0.0, np.nan, 3.0])
        assert dict(time.attrs) == {"units": "s", "start": "2024-03-01T10:00:00.000000001Z"}
        assert text(file["entry/start_time"]) == "2024-03-01T10:00:00.000000001Z"
        assert text(file["entry/end_time"]) == "2024-03-01T10:00:03.000000001Z"


def test_everything_else_of_a_frame_is_there(tmp_path: Path) -> None:
    dataset = made()
    dataset["aligned"] = ("furnace", np.array([True, False, True]))
    with h5py.File(to_nexus(dataset, tmp_path / "a.nxs")) as file:
        frames = file["entry/frames"]
        assert frames.attrs["signal"] == "peak_1_position"
        numbers = [
            str(name) for name, each in dataset.variables.items() if each.dims == ("furnace",)
            and each.dtype.kind in "fiub"
        ]  # fmt: skip
        assert len(numbers) == 11
        for name in numbers:
            assert frames[name].dtype == dataset[name].dtype
            np.testing.assert_array_equal(frames[name][()], dataset[name].values)
        assert frames["imagename"].asstr()[()].tolist() == ["scan.h5[0]", "scan.h5[1]", "scan.h5[2]"]
        assert frames["ring_current"].attrs["units"] == "mA"
        np.testing.assert_array_equal(file["entry/peaks_2/height"], dataset["peaks_2_height"].values)


@pytest.mark.parametrize("row", [["a", "b", "c"], [1.0, np.nan, 2.0]])
def test_a_reading_that_is_no_axis_is_kept_and_frames_are_counted(row: list, tmp_path: Path) -> None:
    dataset = made().drop_vars("furnace").assign_coords(furnace=("furnace", row))
    with h5py.File(to_nexus(dataset, tmp_path / "a.nxs")) as file:
        assert file["entry/range_1"].attrs["axes"].tolist() == ["frame", "radial"]
        assert file["entry/range_1/frame"][()].tolist() == [0, 1, 2]
        kept = file["entry/frames/furnace"]
        np.testing.assert_array_equal(kept.asstr()[()] if isinstance(row[0], str) else kept[()], row)


@pytest.mark.parametrize("name", ["I", "radial", "title", "tth/arm-1", "frame_index.", "µm"])
def test_no_name_of_a_motor_spoils_the_file(name: str, tmp_path: Path) -> None:
    dataset = made(sigma=False).rename(furnace=name)
    with h5py.File(to_nexus(dataset, tmp_path / "a.nxs")) as file:
        assert all(map(is_valid_nxdata, nxdata_groups(file)))
        axis = file["entry/range_1"].attrs["axes"][0]
        np.testing.assert_array_equal(file["entry/range_1"][axis], [300.0, 312.5, 325.0])
        np.testing.assert_array_equal(file["entry/range_1/I"], dataset["diff_1"].values)
        assert len(file["entry/frames"]) == len([each for each in dataset.variables.values() if each.dims == (name,)])


def test_many_frames_are_written_by_blocks_of_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nexus_fields, "CHUNK_BYTES", 7 * 41 * 8 + 5)
    dataset = made(frames=50)
    with h5py.File(to_nexus(dataset, tmp_path / "a.nxs")) as file:
        stored = file["entry/range_1/I"]
        assert stored.chunks == (7, 41)
        assert stored.compression == "gzip"
        np.testing.assert_array_equal(stored[()], dataset["diff_1"].values)


def test_no_frames_at_all_make_a_file_too(tmp_path: Path) -> None:
    with h5py.File(to_nexus(made(frames=3).isel(furnace=slice(0)), tmp_path / "a.nxs")) as file:
        assert file["entry/range_1/I"].shape == (0, 41)
        assert "start_time" not in file["entry"]


def test_a_file_is_there_whole_or_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.nxs"
    to_nexus(made(frames=2), path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="no variable diff_1"):
        to_nexus(xarray.Dataset(), path)
    broken = made()
    broken["sigma_2"] = broken["sigma_2"].astype(object)
    with pytest.raises(TypeError):
        to_nexus(broken, path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["a.nxs"]
    to_nexus(made(frames=4), path)
    with h5py.File(path) as file:
        assert file["entry/range_1/I"].shape == (4, 41)


@pytest.mark.parametrize("still", [False, True])
def test_a_reduced_scan_is_found_again_in_its_file(still: bool, tmp_path: Path) -> None:
    dataset = reduced(tmp_path / "scan", num=3, still=still, error_model="poisson", polarization_factor=0.99)
    with h5py.File(to_nexus(dataset, tmp_path / "a.nxs")) as file:
        shown = get_default(file)
        assert shown.is_valid, shown.issues
        np.testing.assert_array_equal(shown.signal[()], dataset["diff_1"].values)
        np.testing.assert_array_equal(shown.errors[()], dataset["sigma_1"].values)
        assert shown.axes_dataset_names == ["frame" if still else "furnace", "radial"]
        assert file["entry/instrument/monochromator/wavelength"][()] == pytest.approx(0.31)
        settings = json.loads(text(file["entry/reduction/configuration/data"]))
    assert load_config(settings).error_model == "poisson"
