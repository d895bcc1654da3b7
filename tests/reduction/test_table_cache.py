"""Tables kept on disk."""

from __future__ import annotations

import numpy as np
import pytest
from ponis import write_poni

from bluesky_diffractogram.config import load_config
from bluesky_diffractogram.reduction import splitting, table_cache
from bluesky_diffractogram.reduction.corrections import make_corrections, read_images
from bluesky_diffractogram.reduction.disk_cache import FOLDER_VARIABLE, wait_until_written
from bluesky_diffractogram.reduction.frame import Frame
from bluesky_diffractogram.reduction.geometry import Geometry
from bluesky_diffractogram.reduction.opening import open_geometry
from bluesky_diffractogram.reduction.reducer import Reducer
from bluesky_diffractogram.reduction.table_key import table_key

RANGES = [[10, 60, 4, 16], [170, 200, None, None]]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    path = tmp_path / "tables"
    monkeypatch.setenv(FOLDER_VARIABLE, str(path))
    return path


def configured(poni, **settings):
    base = {"calibration": str(poni), "diff_ranges": RANGES, "npt": 200, "diff_units": "q [1/A]", "peaks": False}
    return load_config({**base, **settings})


def reduce(poni, image, **settings):
    config = configured(poni, **settings)
    reducer = Reducer(config, open_geometry(config), image.shape)
    wait_until_written()
    return reducer, reducer.reduce(Frame(image, 0.0)).diffractograms


def key_of(poni, **settings):
    config = configured(poni, **settings)
    geometry = open_geometry(config)
    return table_key(config, geometry, make_corrections(config, geometry, read_images(config)))


def test_a_kept_table_gives_the_same_bits_without_a_splitting(folder, poni, rings, monkeypatch):
    flat = np.random.default_rng(0).uniform(0.5, 2, rings.shape)
    settings = {"flat": flat, "dark": flat, "npt": [200, 150]}
    first, once = reduce(poni, rings, **settings)
    assert len(list(folder.glob("*.npz"))) == 1

    def never(*_):
        raise AssertionError("a kept table needs no splitting")

    monkeypatch.setattr(splitting, "split_pixels", never)
    monkeypatch.setattr(Geometry, "pixels", never)
    second, again = reduce(poni, rings, **settings)
    assert second.ranges == first.ranges
    for one, other in zip(once, again, strict=True):
        np.testing.assert_array_equal(one.radial, other.radial)
        np.testing.assert_array_equal(one.intensity, other.intensity)
        np.testing.assert_array_equal(one.count, other.count)


@pytest.mark.parametrize(
    "change",
    [
        {"npt": 201},
        {"diff_ranges": [[10, 61, 4, 16], [170, 200, None, None]]},
        {"diff_ranges": [[10, 60, 4, 15], [170, 200, None, None]]},
        {"diff_units": "q [1/nm]"},
        {"range_unit": "2th_rad", "diff_ranges": [[10, 60, 0.1, 0.2], [170, 200, None, None]]},
        {"method": "no"},
        {"correct_solid_angle": False},
        {"polarization_factor": 0.9},
        {"transformation": "flip-up-down"},
        {"wavelength": 5e-11},
        {"mask": np.eye(240, 260)},
        {"flat": np.full((240, 260), 2.0)},
        {"dark": np.full((240, 260), 2.0)},
        {"binning": 2},
    ],
    ids=lambda change: "-".join(change),
)
def test_whatever_alters_a_table_alters_its_key(poni, change):
    assert key_of(poni, **change) != key_of(poni)


def test_the_geometry_is_part_of_the_key(tmp_path, poni):
    keys = {key_of(poni)}
    for n, other in enumerate(
        ({"distance": 0.11}, {"rot": (0.031, -0.05, 0.4)}, {"centre": (120, 130.5)}, {"pixel": (3e-4, 3e-4)})
    ):
        keys.add(key_of(write_poni(tmp_path / f"{n}.poni", **{"rot": (0.03, -0.05, 0.4), **other})))
    assert len(keys) == 5


def test_what_alters_no_table_does_not(poni):
    assert key_of(poni, dummy=3.0, buffer_size=7, error_model="poisson") == key_of(poni)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 half an archive"])
def test_a_damaged_file_is_removed_and_built_anew(folder, poni, rings, content):
    _, once = reduce(poni, rings)
    (path,) = folder.glob("*.npz")
    path.write_bytes(content)
    _, again = reduce(poni, rings)
    np.testing.assert_array_equal(once[0].intensity, again[0].intensity)
    assert path.stat().st_size > 1000


def test_an_empty_variable_keeps_nothing(tmp_path, monkeypatch, poni, rings):
    monkeypatch.setenv(FOLDER_VARIABLE, "")
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.rglob("*"))
    reduce(poni, rings)
    assert set(tmp_path.rglob("*")) == before


def test_a_folder_that_cannot_be_written_to_is_no_error(tmp_path, monkeypatch, poni, rings):
    file = tmp_path / "a file"
    file.write_text("")
    monkeypatch.setenv(FOLDER_VARIABLE, str(file / "below"))
    assert np.isfinite(reduce(poni, rings)[1][0].intensity).any()


def test_the_ones_used_longest_ago_go_when_there_are_too_many(folder, poni, rings, monkeypatch):
    reduce(poni, rings)
    (first,) = folder.glob("*.npz")
    monkeypatch.setattr(table_cache, "MOST_BYTES", int(1.5 * first.stat().st_size))
    reduce(poni, rings, npt=210)
    (second,) = folder.glob("*.npz")
    assert second != first
