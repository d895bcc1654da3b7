"""Arrays of a geometry kept on disk."""

from __future__ import annotations

import numpy as np
import pytest
from ponis import write_poni

from bluesky_diffractogram.config import load_config
from bluesky_diffractogram.reduction import disk_cache, geometry_arrays, geometry_cache
from bluesky_diffractogram.reduction.disk_cache import FOLDER_VARIABLE, wait_until_written
from bluesky_diffractogram.reduction.frame import Frame
from bluesky_diffractogram.reduction.geometry import Geometry
from bluesky_diffractogram.reduction.opening import open_geometry
from bluesky_diffractogram.reduction.reducer import Reducer

SECTOR, RING = [[10, 60, 4, 16]], [None]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    path = tmp_path / "kept"
    monkeypatch.setenv(FOLDER_VARIABLE, str(path))
    return path / "geometry"


@pytest.fixture
def computed(monkeypatch):
    """The spaces of which half widths are computed."""
    names = []
    real = geometry_arrays.half_widths

    def counted(centre, corners, coordinate, period):
        names.append("chi" if coordinate else "radial")
        return real(centre, corners, coordinate, period)

    monkeypatch.setattr(geometry_arrays, "half_widths", counted)
    return names


def reduce(poni, image, **settings):
    base = {"calibration": str(poni), "diff_ranges": SECTOR, "npt": 200, "diff_units": "q [1/A]", "peaks": False}
    config = load_config({**base, **settings})
    reducer = Reducer(config, open_geometry(config), image.shape)
    wait_until_written()
    return reducer.reduce(Frame(image, 0.0)).diffractograms


def fresh(monkeypatch, poni, image, **settings):
    """What comes out with nothing on disk."""
    with monkeypatch.context() as patch:
        patch.setenv(FOLDER_VARIABLE, "")
        return reduce(poni, image, **settings)


def assert_same_bits(ours, theirs):
    for one, other in zip(ours, theirs, strict=True):
        for name in ("radial", "intensity", "count", "normalization"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize(
    ("change", "anew"),
    [
        ({"diff_ranges": [[10, 61, 4, 16], [170, 200, None, None]]}, []),
        ({"mask": np.eye(240, 260), "polarization_factor": 0.9}, []),
        ({"correct_solid_angle": False}, []),
        ({"diff_units": "q [1/nm]"}, []),
        ({"diff_units": "2th [deg]"}, ["radial"]),
        ({"diff_units": "d [A]"}, ["radial"]),
        ({"method": "no"}, []),
        ({"method": "full"}, []),
        ({"wavelength": 5e-11}, ["radial", "chi"]),
    ],
    ids=["ranges", "mask", "solid angle", "factor", "unit", "d", "no", "full", "wavelength"],
)
def test_only_what_is_not_kept_is_computed_and_the_bits_are_the_same(
    folder, poni, rings, computed, monkeypatch, change, anew
):
    expected = fresh(monkeypatch, poni, rings, **change)
    reduce(poni, rings)
    assert len(list(folder.glob("*.npz"))) == 3  # q, χ and the solid angle
    computed.clear()
    assert_same_bits(reduce(poni, rings, **change), expected)
    assert sorted(computed, reverse=True) == anew


def test_what_is_kept_is_read_and_not_computed_by_pyfai_either(folder, poni, rings, monkeypatch):
    expected = fresh(monkeypatch, poni, rings, npt=201)
    reduce(poni, rings)
    computing = Geometry.pixels

    def only_held(self, kind, unit):
        before = set(self._ai._cached_array)
        array = computing(self, kind, unit)
        assert set(self._ai._cached_array) == before
        return array

    def never(*_):
        raise AssertionError("the solid angle is kept")

    monkeypatch.setattr(Geometry, "pixels", only_held)
    geometry = open_geometry(load_config({"calibration": str(poni)}))
    monkeypatch.setattr(type(geometry._ai), "diffSolidAngle", never)
    monkeypatch.setattr(type(geometry._ai), "corner_array", never)
    monkeypatch.setattr(type(geometry._ai), "position_array", never)
    assert_same_bits(reduce(poni, rings, npt=201), expected)


def test_a_ring_keeps_no_azimuths(folder, poni, rings):
    reduce(poni, rings, diff_ranges=RING)
    assert len(list(folder.glob("*.npz"))) == 2
    reduce(poni, rings)
    assert len(list(folder.glob("*.npz"))) == 3


def test_splitting_without_half_widths_keeps_the_solid_angle_alone(folder, poni, rings):
    reduce(poni, rings, method="no")
    assert len(list(folder.glob("*.npz"))) == 1


@pytest.mark.parametrize(
    "other", [{"distance": 0.11}, {"rot": (0.031, -0.05, 0.4)}, {"centre": (120, 130.5)}, {"pixel": (3e-4, 3e-4)}]
)
def test_another_geometry_takes_nothing(folder, tmp_path, poni, rings, monkeypatch, other):
    reduce(poni, rings)
    poni = write_poni(tmp_path / "other.poni", **{"rot": (0.03, -0.05, 0.4), **other})
    assert_same_bits(reduce(poni, rings), fresh(monkeypatch, poni, rings))


def test_nothing_is_kept_of_a_geometry_that_is_not_known(folder, poni, rings, monkeypatch):
    monkeypatch.setattr(Geometry, "fingerprint", lambda _: None)
    reduce(poni, rings)
    assert not folder.exists()


@pytest.mark.parametrize("content", ["nothing", "half", "others"])
def test_a_damaged_file_is_removed_and_computed_anew(folder, poni, rings, content, computed, caplog):
    expected = reduce(poni, rings)
    sizes = {path: path.stat().st_size for path in folder.glob("*.npz")}
    for path, size in sizes.items():
        if content == "others":
            np.savez(path, q_center=np.zeros((3, 4)))
        else:
            path.write_bytes(b"" if content == "nothing" else path.read_bytes()[: size // 2])
    for path in folder.parent.glob("*.npz"):
        path.unlink()  # the table, so that the arrays are asked for
    computed.clear()
    assert_same_bits(reduce(poni, rings), expected)
    assert sorted(computed) == ["chi", "radial"]
    assert caplog.text.count("cannot be used and is built anew") == 3
    assert {path: path.stat().st_size for path in folder.glob("*.npz")} == sizes


def test_the_folder_is_bounded_and_what_was_used_last_stays(folder, poni, rings, monkeypatch):
    reduce(poni, rings)
    largest = max(path.stat().st_size for path in folder.glob("*.npz"))
    monkeypatch.setattr(geometry_cache, "MOST_BYTES", int(2.6 * largest))
    reduce(poni, rings, diff_units="2th [deg]")
    assert sum(path.stat().st_size for path in folder.glob("*.npz")) <= 2.6 * largest
    names = {name for path in folder.glob("*.npz") for name in np.load(path).files}
    assert "2th_delta" in names
    assert "q_delta" not in names  # χ and the solid angle were read, q was not


def test_what_is_larger_than_all_that_is_allowed_is_not_written(folder, poni, rings, monkeypatch):
    monkeypatch.setattr(geometry_cache, "MOST_BYTES", 1000)
    reduce(poni, rings)
    assert not folder.exists()


def test_a_disk_that_is_full_leaves_nothing_behind(folder, poni, rings, monkeypatch):
    def full(file, **_):
        file.write(b"a part")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk_cache.np, "savez", full)
    assert np.isfinite(reduce(poni, rings)[0].intensity).any()
    assert list(folder.iterdir()) == []


def test_parts_of_processes_that_were_killed_go_after_an_hour(folder, poni, rings):
    import os

    folder.mkdir(parents=True)
    old, new = folder / "old.part", folder / "new.part"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (1e9, 1e9))
    reduce(poni, rings)
    assert not old.exists()
    assert new.exists()
