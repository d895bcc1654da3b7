"""Tables of which part is known from before, against tables built from nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ponis import write_poni

from bluesky_diffractogram.config import load_config
from bluesky_diffractogram.reduction import splitting
from bluesky_diffractogram.reduction.disk_cache import FOLDER_VARIABLE
from bluesky_diffractogram.reduction.frame import Frame
from bluesky_diffractogram.reduction.geometry import Geometry
from bluesky_diffractogram.reduction.opening import open_geometry
from bluesky_diffractogram.reduction.reducer import Reducer
from bluesky_diffractogram.reduction.table import PixelTable

SHAPE = (240, 260)
A, B, C, D, EMPTY = [10, 60, 4, 16], [170, 200, None, None], [-5, 5, 5, None], None, [0, 20, 40, 50]
POOL = [(A, 200), (B, 150), (C, 200), (D, 90), (EMPTY, 60), (A, 201), ([10, 61, 4, 16], 200)]


@pytest.fixture(autouse=True)
def _nothing_on_disk(monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, "")


def build(poni, wanted, earlier=(), shape=SHAPE, **config):
    ranges, npt = zip(*wanted, strict=True)
    config = {"diff_units": "q [1/A]", "peaks": False, **config}
    config = load_config({"calibration": str(poni), "diff_ranges": list(ranges), "npt": list(npt), **config})
    return Reducer(config, open_geometry(config), shape, earlier=earlier)


def assert_same_bits(one: Reducer, other: Reducer):
    mine, theirs = one.prepared, other.prepared
    assert mine.ranges == theirs.ranges
    assert mine.pixels == theirs.pixels
    assert mine.detector_limits == theirs.detector_limits
    assert mine.common == theirs.common
    for axis, expected in zip(mine.axes, theirs.axes, strict=True):
        np.testing.assert_array_equal(axis, expected)
    for name in PixelTable.__dataclass_fields__:
        array, expected = getattr(mine.table, name), getattr(theirs.table, name)
        if expected is None:
            assert array is None
        else:
            assert array.dtype == expected.dtype, name
            np.testing.assert_array_equal(array, expected, err_msg=name)


@pytest.fixture
def coarse_poni(tmp_path):
    return write_poni(tmp_path / "coarse.poni", shape=(60, 65), pixel=(1.2e-3, 1e-3), rot=(0.03, -0.05, 0.4))


@pytest.fixture
def splittings(monkeypatch):
    """The bins of every splitting that is run, one entry for each stretch of an arc."""
    run = []
    split = splitting.split_pixels

    def counted(integrator, shape, npt, *rest):
        run.append(npt)
        return split(integrator, shape, npt, *rest)

    monkeypatch.setattr(splitting, "split_pixels", counted)
    return run


@pytest.fixture
def no_arrays(monkeypatch):
    """Call it, and whatever computes an array for every pixel fails from then on."""

    def never(*_, **__):
        raise AssertionError("no array of the geometry is needed")

    def forbid():
        for name in ("pixels", "compute_arrays", "solid_angle", "polarization"):
            monkeypatch.setattr(Geometry, name, never)

    return forbid


@pytest.mark.parametrize("split", ["no", "bbox", "full"])
@pytest.mark.parametrize(
    "changed",
    [
        [(A, 200), (B, 150), (C, 200), (D, 90)],
        [(D, 90), (C, 200), (B, 150), (A, 200)],
        [(B, 150)],
        [(C, 200), (EMPTY, 60), (A, 200)],
        [(B, 150), (A, 200), (A, 200)],
        [(EMPTY, 60)],
    ],
    ids=["same", "reversed", "one", "one new", "twice", "nothing in common"],
)
def test_what_is_known_gives_the_bits_of_what_is_built_from_nothing(poni, changed, split):
    config = {
        "method": split, "polarization_factor": 0.9, "mask": np.eye(*SHAPE),
        "flat": np.random.default_rng(1).uniform(0.5, 2, SHAPE), "dark": np.random.default_rng(2).uniform(0, 2, SHAPE),
    }  # fmt: skip
    before = build(poni, [(A, 200), (B, 150), (C, 200), (D, 90)], **config)
    assert_same_bits(build(poni, changed, [before], **config), build(poni, changed, **config))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    first=st.lists(st.sampled_from(POOL), min_size=1, max_size=4),
    second=st.lists(st.sampled_from(POOL), min_size=1, max_size=4),
    wanted=st.lists(st.sampled_from(POOL), min_size=1, max_size=5),
    transformation=st.sampled_from(["none", "rot-90", "flip-left-right"]),
)
def test_any_ranges_after_any_others_give_the_same_bits(coarse_poni, first, second, wanted, transformation):
    shape = (65, 60) if transformation == "rot-90" else (60, 65)
    poni, config = coarse_poni, {"transformation": transformation, "shape": shape}
    before = [build(poni, each, **config) for each in (first, second)]
    assert_same_bits(build(poni, wanted, before, **config), build(poni, wanted, **config))


def test_wider_bin_numbers_and_narrower_ones_again(coarse_poni):
    poni, few, many = coarse_poni, [(A, 200), (B, 150)], [([0, 30, 4, 9], 65535), (B, 150), (A, 200)]
    small, large = (build(poni, wanted, shape=(60, 65)) for wanted in (few, many))
    assert (small.prepared.table.first_bin.dtype, large.prepared.table.first_bin.dtype) == (np.uint16, np.uint32)
    assert_same_bits(build(poni, many, [small], (60, 65)), large)
    assert_same_bits(build(poni, few, [large], (60, 65)), small)


def test_only_a_changed_range_is_split(poni, splittings):
    before = build(poni, [(A, 200), (B, 150), (C, 100)])
    assert sorted(splittings) == [100, 150, 150, 200]
    splittings.clear()
    build(poni, [(C, 100), (A, 210), (B, 150)], [before])
    assert splittings == [210]


def test_where_no_range_is_new_nothing_is_split_and_no_array_computed(poni, rings, splittings, no_arrays):
    settings = {"polarization_factor": 0.9, "flat": np.full(SHAPE, 2.0)}
    before = build(poni, [(A, 200), (B, 150), (EMPTY, 60), (C, 100)], **settings)
    fresh = build(poni, [(C, 100), (EMPTY, 60), (B, 150)], **settings)
    splittings.clear()
    no_arrays()
    after = build(poni, [(C, 100), (EMPTY, 60), (B, 150)], [before], **settings)
    assert not splittings
    assert_same_bits(after, fresh)
    for one, other in zip(
        after.reduce(Frame(rings, 0.0)).diffractograms, fresh.reduce(Frame(rings, 0.0)).diffractograms, strict=True
    ):
        np.testing.assert_array_equal(one.intensity, other.intensity)


def test_ranges_are_taken_from_several_tables(poni, splittings, no_arrays):
    wanted = [(B, 150), (A, 200)]
    fresh, before = build(poni, wanted), [build(poni, [each]) for each in wanted]
    splittings.clear()
    no_arrays()
    assert_same_bits(build(poni, wanted, before), fresh)
    assert not splittings


@pytest.mark.parametrize(
    "change",
    [
        {"method": "no"},
        {"diff_units": "q [1/nm]"},
        {"correct_solid_angle": False},
        {"polarization_factor": 0.5},
        {"mask": np.eye(*SHAPE)},
        {"flat": np.full(SHAPE, 2.0)},
        {"dark": np.full(SHAPE, 2.0)},
        {"transformation": "rot-180"},
        {"wavelength": 5e-11},
    ],
    ids=lambda change: next(iter(change)),
)
def test_nothing_is_taken_over_where_anything_else_differs(poni, change):
    wanted = [(A, 200), (B, 150)]
    assert_same_bits(build(poni, wanted, [build(poni, wanted)], **change), build(poni, wanted, **change))


def test_nothing_is_taken_over_from_pyfai_itself_or_an_unknown_geometry(poni, monkeypatch, splittings):
    wanted = [(A, 200), (B, 150)]
    pyfai = build(poni, wanted, method=["bbox", "csr", "cython"])
    assert pyfai.prepared is None
    build(poni, wanted, [pyfai])
    monkeypatch.setattr(Geometry, "fingerprint", lambda _: None)
    unknown = build(poni, wanted)
    build(poni, wanted, [unknown])
    assert sorted(splittings) == [150] * 6 + [200] * 3  # ranges are split side by side


def test_large_arrays_are_gone_when_a_reducer_is_built(poni):
    before = build(poni, [(A, 200), (B, 150)])
    after = build(poni, [(A, 200), (B, 151)], [before])
    for each in (before, after):
        assert not each.geometry._ai._cached_array
