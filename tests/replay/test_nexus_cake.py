"""Cakes in NeXus files, as h5py, silx, nexusformat and a validator of NeXus read them."""

from __future__ import annotations

from pathlib import Path

import bluesky.plans as bp
import h5py
import numpy as np
import pytest
import silx.io
from derived_datasets import AXES, made
from live_runs import run_live
from silx.io.nxdata import NXdata, is_valid_nxdata
from xarray.core.indexing import ExplicitlyIndexed

from bluesky_diffractogram import replay
from bluesky_diffractogram.replay.nexus import to_nexus

CAKE = (12, 30)


@pytest.mark.parametrize("unit", AXES)
def test_silx_and_nexusformat_find_frames_azimuths_and_radial_values_in_this_order(unit: str, tmp_path: Path) -> None:
    nexusformat = pytest.importorskip("nexusformat.nexus")
    dataset = made(unit, cake=CAKE)
    path = to_nexus(dataset, tmp_path / "a.nxs")
    with silx.io.open(str(path)) as file:
        shown = NXdata(file["entry/cake"])
        assert shown.is_valid, shown.issues
        assert shown.axes_dataset_names == ["furnace", "azimuthal", "radial"]
        assert shown.interpretation == "image"
        np.testing.assert_array_equal(shown.signal[()], dataset["cake"].values)
        for axis, name in zip(shown.axes, ("furnace", "cake_azimuthal", "cake_radial"), strict=True):
            np.testing.assert_array_equal(axis[()], dataset[name].values)
    with nexusformat.nxopen(str(path)) as root:
        group = root["entry/cake"]
        assert [axis.nxname for axis in group.nxaxes] == ["furnace", "azimuthal", "radial"]
        assert group.nxsignal.shape == (3, *CAKE)
        assert group["azimuthal"].attrs["units"] == "degrees"


def test_the_heat_map_is_still_what_opens_and_without_cakes_there_is_nothing(tmp_path: Path) -> None:
    with h5py.File(to_nexus(made(cake=CAKE), tmp_path / "a.nxs")) as file:
        assert file["entry"].attrs["default"] == "range_1"
    with h5py.File(to_nexus(made(), tmp_path / "b.nxs")) as file:
        assert not {"cake", "azint2d"} & set(file["entry"])


@pytest.mark.parametrize("unit", ["q_A^-1", "q_nm^-1", "2th_deg", "2th_rad"])
def test_a_validator_finds_nothing_wrong_with_the_subentry_of_nxazint2d(unit: str, tmp_path: Path) -> None:
    validate = pytest.importorskip("nexusformat.nexus.validate")
    dataset = made(unit, cake=CAKE, normalization="ring_current", polarization_factor=0.99)
    path = to_nexus(
        dataset, tmp_path / "a.nxs", instrument="P02.1", source="PETRA III", source_type="Synchrotron X-ray Source"
    )  # fmt: skip
    assert validate.validate_application(str(path), path="/entry/azint2d", application="NXazint2d") == (0, 0)
    assert validate.validate_file(str(path))[1] == 0
    with h5py.File(path) as file:
        subentry = file["entry/azint2d"]
        assert subentry["definition"].asstr()[()] == "NXazint2d"
        assert [bool(subentry[f"{name}_applied"][()]) for name in ("solid_angle", "polarization", "monitor")] == [
            True
        ] * 3
        assert subentry["reduction"] == file["entry/reduction"]
        data = subentry["data"]
        assert data.attrs["axes"].tolist() == [".", "azimuthal_axis", "radial_axis"]
        assert is_valid_nxdata(data)
        assert data["I"] == file["entry/cake/I"], "stored once"
        assert data["azimuthal_axis"].attrs["long_name"] == "azimuthal bin center"
        assert data["radial_axis"].attrs["long_name"] in ("q", "2theta")


@pytest.mark.parametrize("dataset", [made("r_mm", cake=CAKE), made("d_A", cake=CAKE)], ids=["r", "d"])
def test_what_nxazint2d_has_no_words_for_does_not_claim_it(dataset, tmp_path: Path) -> None:
    with h5py.File(to_nexus(dataset, tmp_path / "a.nxs")) as file:
        assert "azint2d" not in file["entry"]
        assert is_valid_nxdata(file["entry/cake"])


@pytest.mark.parametrize("name", ["azimuthal", "radial", "I", "title"])
def test_no_name_of_a_motor_spoils_the_cake(name: str, tmp_path: Path) -> None:
    dataset = made(cake=CAKE).rename(furnace=name)
    with h5py.File(to_nexus(dataset, tmp_path / "a.nxs")) as file:
        group = file["entry/cake"]
        assert is_valid_nxdata(group)
        np.testing.assert_array_equal(group[group.attrs["axes"][0]], [300.0, 312.5, 325.0])
        np.testing.assert_array_equal(group["I"], dataset["cake"].values)


def test_cakes_are_read_a_frame_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a dataset whose cakes are somewhere else: never more of them than about 1 MiB is in memory."""
    dataset = made(frames=5)
    asked: list[int] = []
    cakes = np.random.default_rng(1).normal(size=(5, 300, 700)).astype(np.float32)

    class Elsewhere(ExplicitlyIndexed):
        shape, dtype, ndim = cakes.shape, cakes.dtype, 3

        def __init__(self, key: tuple = (slice(None),) * 3) -> None:
            self._key = key
            self.shape = cakes[key].shape

        def __getitem__(self, key):
            return Elsewhere((key.tuple[0], *self._key[1:]))

        def get_duck_array(self):
            asked.append(len(cakes[self._key]))
            return cakes[self._key]

        def __array__(self, dtype=None, copy=None):
            return self.get_duck_array()

    dims = ("furnace", "cake_azimuthal", "cake_radial")
    dataset = dataset.assign_coords(
        cake_azimuthal=("cake_azimuthal", np.linspace(-179, 179, 300)), cake_radial=("cake_radial", np.arange(700.0))
    )
    from xarray import Variable
    from xarray.core.indexing import LazilyIndexedArray

    dataset["cake"] = Variable(dims, LazilyIndexedArray(Elsewhere()), fastpath=True)
    asked.clear()
    with h5py.File(to_nexus(dataset, tmp_path / "a.nxs")) as file:
        assert file["entry/cake/I"].chunks == (1, 300, 700)
        np.testing.assert_array_equal(file["entry/cake/I"], cakes)
    assert asked == [1] * 5


def test_the_cakes_of_a_run_are_found_again_in_its_file(cfg, motor, detector, tmp_path: Path) -> None:
    config = {**cfg, "cake": {"npt_rad": 30, "npt_azim": 20}}
    live = run_live(config, bp.scan([detector], motor, 0, 1, 3))
    dataset = replay(live.raw, config).to_xarray()
    assert dataset["cake"].dims == ("motor", "cake_azimuthal", "cake_radial")
    assert dataset["cake_radial"].attrs["long_name"] == "q [1/A]"
    assert dataset["cake_azimuthal"].attrs["units"] == "deg"
    with h5py.File(to_nexus(dataset, tmp_path / "a.nxs")) as file:
        group = file["entry/cake"]
        np.testing.assert_array_equal(group["I"], [data["cake"] for data in live.events])
        assert group.attrs["axes"].tolist() == ["motor", "azimuthal", "radial"]
        assert file["entry/reduction/input/cake"].asstr()[()] == '{"npt_rad": 30, "npt_azim": 20}'
