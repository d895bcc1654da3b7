"""The one-pass integration against pyFAI's integrate1d."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyFAI
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ponis import write_poni

from bluesky_diffractogram.config import load_config
from bluesky_diffractogram.reduction.corrections import make_corrections, read_images
from bluesky_diffractogram.reduction.integrator import PyFAIIntegrator
from bluesky_diffractogram.reduction.kernel_rules import KernelRules
from bluesky_diffractogram.reduction.limits import integration_ranges
from bluesky_diffractogram.reduction.onepass import OnePassIntegrator
from bluesky_diffractogram.reduction.opening import open_geometry
from bluesky_diffractogram.reduction.preparation import prepare
from bluesky_diffractogram.reduction.transformation import transform
from bluesky_diffractogram.reduction.validity import Validity

UNITS = ["q_nm^-1", "q_A^-1", "2th_deg", "2th_rad", "r_mm", "r_pixel", "d_A"]
SPLITS = ["no", "bbox", "full"]
MANY = [[10, 60, 4, 16], [None, None, None, None], [170, 200, 4, 12], [-5, 5, 5, 15], [20, 10, 3, 14]]
EMPTY = Validity(mask_invalid=False)


def both(poni, shape=(240, 260), **settings):
    config = load_config({"calibration": str(poni), "diff_units": "2th_deg", "peaks": False, **settings})
    geometry = open_geometry(config).for_shape(shape)
    corrections = make_corrections(config, geometry, read_images(config))
    ranges = integration_ranges(config, geometry, corrections.mask)
    reference = PyFAIIntegrator(config, ranges, geometry, corrections)
    prepared = prepare(config, ranges, geometry, corrections)
    return reference, OnePassIntegrator(prepared, variance=config.error_model is not None, threads=1)


def assert_equal(ours, reference, rtol=1e-6):
    for mine, theirs in zip(ours, reference, strict=True):
        np.testing.assert_array_equal(mine.count, theirs.count)
        np.testing.assert_array_equal(np.isnan(mine.intensity), np.isnan(theirs.intensity))
        np.testing.assert_allclose(mine.radial, theirs.radial, rtol=1e-12)
        np.testing.assert_allclose(mine.intensity, theirs.intensity, rtol=rtol)
        np.testing.assert_allclose(mine.signal, theirs.signal, rtol=rtol, atol=1e-9)
        np.testing.assert_allclose(mine.normalization, theirs.normalization, rtol=rtol, atol=1e-12)
        if theirs.sigma is not None:
            np.testing.assert_allclose(mine.sigma, theirs.sigma, rtol=10 * rtol)


def compare(integrators, image, validity=EMPTY, **frame):
    reference, onepass = integrators
    expected = reference.integrate(image, validity, **frame)
    assert_equal(onepass.integrate(image, validity, **frame), expected)
    return expected


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("split", SPLITS)
def test_every_unit_and_splitting(poni, rings, unit, split):
    # For d, pyFAI's corners lie on both sides of ±180° at once, and its two parts of an arc count them twice.
    ranges = MANY if (unit, split) != ("d_A", "full") else [MANY[0], MANY[1], MANY[3]]
    polarization = 0.95 if unit[0] == "q" else None
    settings = {"diff_units": unit, "method": split, "polarization_factor": polarization}
    compare(both(poni, **settings, diff_ranges=ranges, npt=200), rings)


@pytest.mark.parametrize("split", SPLITS)
def test_directly_against_integrate1d(poni, rings, split):
    """Not by way of our own reference: a fresh pyFAI integrator, called as its documentation says."""
    _, onepass = both(poni, method=split, npt=300, diff_ranges=[[10, 60, 4, 16]])
    (ours,) = onepass.integrate(rings, EMPTY)
    theirs = pyFAI.load(str(poni)).integrate1d(
        rings, 300, unit="2th_deg", azimuth_range=(10, 60), radial_range=(4, 16), method=(split, "csr", "cython")
    )
    np.testing.assert_allclose(ours.radial, theirs.radial, rtol=1e-12)
    np.testing.assert_allclose(ours.intensity, theirs.intensity, rtol=1e-6)


@pytest.mark.parametrize(
    "dtype", ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8", ">u2", ">i4", ">f4", "?"]
)
def test_every_dtype(poni, rings, dtype):
    image = (rings > 60 if dtype == "?" else np.minimum(rings, 100)).astype(dtype)
    compare(both(poni, diff_ranges=MANY, npt=200), image)


@pytest.mark.parametrize("dtype", ["u2", "u4", "i2", "i4", "f4", "f8"])
def test_dynamic_bad_pixels_and_whole_bins_dead(poni, rings, dtype):
    image = rings.astype(dtype)
    bad = np.random.default_rng(1).random(image.shape) < 0.1
    bad[100:140] = True
    image[bad] = {"u": np.iinfo(dtype).max if dtype[0] == "u" else 0, "i": -1, "f": np.nan}[dtype[0]]
    expected = compare(both(poni, diff_ranges=MANY, npt=400), image, Validity())
    assert any((each.count == 0).any() for each in expected)


def test_all_dead(poni):
    dead = np.full((240, 260), 65535, np.uint16)
    for each in both(poni, diff_ranges=MANY)[1].integrate(dead, Validity()):
        assert np.isnan(each.intensity).all()
        assert not each.count.any()
        assert not each.signal.any()


def test_a_bin_with_one_pixel_left_reads_that_pixel(flat_poni):
    image = np.full((240, 260), 65535, np.uint16)
    image[120, 200] = 37
    _, onepass = both(flat_poni, correct_solid_angle=False, npt=50)
    (ours,) = onepass.integrate(image, Validity())
    np.testing.assert_allclose(ours.intensity[ours.count > 0], 37.0, rtol=1e-9)
    assert ours.count.max() == 1


def test_static_masks_dark_flat_monitor_and_exposures(poni, rings):
    rng = np.random.default_rng(3)
    flat = rng.uniform(0.5, 1.5, rings.shape)
    flat[5] = 0
    integrators = both(
        poni, dark=rng.uniform(0, 5, rings.shape), flat=flat, mask=rng.random(rings.shape) < 0.1,
        polarization_factor=0.9, error_model="poisson", diff_ranges=MANY, npt=150,
    )  # fmt: skip
    image = rings.astype("i4")
    image[::7, ::5] = -2
    compare(integrators, image, Validity(), monitor=3.5)
    summed = np.where(image < 0, np.nan, 4.0 * image)
    compare(integrators, summed, EMPTY, exposures=4)


@pytest.mark.parametrize("name", ["flip-up-down", "transpose", "rot-90", "rot-270", "rot-180+transpose"])
def test_transformations_cost_no_copy_and_change_no_number(poni, rings, name):
    stored = np.ascontiguousarray(transform(rings, {"rot-90": "rot-270", "rot-270": "rot-90"}.get(name, name)))
    flat = np.random.default_rng(0).uniform(0.5, 2, stored.shape)
    reference, onepass = both(poni, transformation=name, flat=flat, diff_ranges=MANY, npt=200)
    compare((reference, onepass), stored)


def test_oversampled_ranges_spread_a_pixel_over_many_bins(poni, rings):
    reference, onepass = both(poni, diff_ranges=[[None, None, None, None], [10, 20, 4, 9]], npt=[5000, 3000])
    rows_of_a_pixel = np.bincount(onepass.table.pixel)
    assert rows_of_a_pixel.max() >= 4
    compare((reference, onepass), rings)


def test_seventy_two_ranges(poni, rings):
    ranges = [[-180 + 5 * k, -175 + 5 * k, 3, 16] for k in range(72)]
    compare(both(poni, diff_ranges=ranges, npt=[50 + k for k in range(72)]), rings)


def test_more_bins_than_16_bits_count(poni, rings):
    reference, onepass = both(poni, diff_ranges=[[10, 60, 4, 16]] * 3, npt=30000)
    assert onepass.table.first_bin.dtype == np.uint32
    compare((reference, onepass), rings)


@pytest.mark.parametrize("arc", [(170, 190), (175, -100), (90, 269.5)])
def test_a_pixel_at_180_counts_once(tmp_path, arc):
    """Corners of pixels lie on either side there; the arc turned away from it must count the same pixels."""
    there = write_poni(tmp_path / "a.poni", centre=(120.3, 130.2))
    turned = write_poni(tmp_path / "b.poni", centre=(120.3, 130.2), rot=(0, 0, np.deg2rad(100)))
    ones = np.ones((240, 260), "u2")
    (ours,) = both(there, method="full", diff_ranges=[[*arc, 2, 16]], npt=100)[1].integrate(ones, EMPTY)
    start, end = arc[0] % 360 - 100, arc[1] % 360 - 100
    (other,) = both(turned, method="full", diff_ranges=[[start, end, 2, 16]], npt=100)[1].integrate(ones, EMPTY)
    np.testing.assert_array_equal(ours.count, other.count)
    np.testing.assert_allclose(ours.signal, other.signal, rtol=1e-5)


def test_a_range_without_pixels(poni, rings):
    _, onepass = both(poni, diff_ranges=[[0, 20, 40, 50], [0, 20, 4, 16]], npt=100)
    empty, full = onepass.integrate(rings, EMPTY)
    assert onepass.pixels[0] == 0
    assert np.isnan(empty.intensity).all()
    assert np.isfinite(full.intensity).any()
    nothing = both(poni, diff_ranges=[[0, 20, 40, 50]], npt=100)[1].integrate(rings, EMPTY)
    assert np.isnan(nothing[0].intensity).all()


def test_the_number_of_threads_changes_no_bit(poni, rings):
    image = rings.astype("i4")
    image[::9] = -1
    _, onepass = both(poni, diff_ranges=[*MANY, *[[None] * 4] * 4], npt=40)
    assert len(onepass.table.blocks) > 2
    serial = onepass.integrate(image, Validity())
    for threads in (2, 3, 4):
        onepass.one_pass._threads = threads
        for one, other in zip(serial, onepass.integrate(image, Validity()), strict=True):
            np.testing.assert_array_equal(one.intensity, other.intensity)
            np.testing.assert_array_equal(one.signal, other.signal)


def test_frames_in_parallel_give_the_bits_of_frames_in_turn(poni, rings):
    rng = np.random.default_rng(5)
    frames = [rng.poisson(rings).astype("u2") for _ in range(24)]
    for n, frame in enumerate(frames):
        frame[n::17] = 65535
    _, onepass = both(poni, diff_ranges=MANY, npt=100)
    onepass.one_pass._threads = 2
    in_turn = [onepass.integrate(frame, Validity()) for frame in frames]
    with ThreadPoolExecutor(8) as pool:
        in_parallel = list(pool.map(lambda frame: onepass.integrate(frame, Validity()), frames))
    for one, other in zip(in_turn, in_parallel, strict=True):
        for mine, theirs in zip(one, other, strict=True):
            np.testing.assert_array_equal(mine.intensity, theirs.intensity)


def test_the_table_costs_fourteen_bytes_a_row_and_four_a_pixel(poni):
    _, onepass = both(poni, diff_ranges=MANY, npt=200)
    table = onepass.table
    streams = (table.pixel, table.first_bin, table.first_part, table.second_part)
    assert sum(stream.nbytes for stream in streams) == 14 * len(table.pixel)
    assert table.weight.nbytes == 4 * len(np.unique(table.pixel))


def test_real_frame_over_many_sectors(lightform, real_frame):
    calibration = lightform / "DLS_CeO2_1200mm_pyFAI.poni"
    ranges = [[-175 + 40 * k, -165 + 40 * k, 2, 8] for k in range(9)]
    compare(
        both(calibration, real_frame.shape, diff_ranges=ranges, npt=2000, polarization_factor=0.99),
        real_frame,
        Validity(),
    )


finite = st.floats(-100, 70000, allow_nan=False)
intervals = st.tuples(finite, st.floats(0, 100)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@settings(max_examples=200, deadline=None)
@given(
    dtype=st.sampled_from(["u1", "u2", "u4", "i2", "i4", "f4", "f8"]),
    limits=st.none() | st.tuples(finite, st.floats(0, 70000)).map(lambda pair: (pair[0], pair[0] + pair[1])),
    excluded=st.lists(intervals, max_size=2),
    dummy=st.none() | st.just((-2.0, 1.5)),
    mask_invalid=st.booleans(),
    values=st.lists(st.integers(-100, 70000), min_size=1, max_size=20),
)
def test_the_interval_in_which_all_is_valid_holds_nothing_that_is_not(
    dtype, limits, excluded, dummy, mask_invalid, values
):
    """The kernel tests values in this interval no further; what `Validity` says of them must be the same."""
    validity = Validity(limits, tuple(excluded), dummy, mask_invalid)
    rules = KernelRules(np.dtype(dtype), validity)
    info = np.finfo(dtype) if dtype[0] == "f" else np.iinfo(dtype)
    near = [
        float(value) + delta
        for value in (*rules.intervals.ravel(), *rules.marks, rules.low, rules.high)
        for delta in (-1, 0, 1)
    ]
    tried = [value for value in (*values, *near) if np.isfinite(value) and info.min <= value <= info.max]
    image = np.array([tried]).astype(dtype)
    bad = validity.invalid(image)
    inside = (image >= rules.low) & (image <= rules.high)
    assert bad is None or not (bad & inside).any()
