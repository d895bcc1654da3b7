"""Scatter and clipped means, which take all pixels of a bin at once: against pyFAI, and against numpy bin by bin."""

from __future__ import annotations

import math

import numpy as np
import pyFAI
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ponis import write_poni

from bluesky_diffractogram.config import load_config
from bluesky_diffractogram.config.keys import TRANSFORMATIONS
from bluesky_diffractogram.reduction import by_bin
from bluesky_diffractogram.reduction.bin_kernel import between_percentiles, clipped_mean, scatter_about_mean
from bluesky_diffractogram.reduction.frame import Frame
from bluesky_diffractogram.reduction.opening import open_geometry
from bluesky_diffractogram.reduction.reducer import Reducer
from bluesky_diffractogram.reduction.transformation import transform

NPT, ARC, LIMITS = 200, (10, 80), (4, 16)


def reduced(image, poni, exposures=1, monitor=None, **settings):
    settings = {"diff_units": "2th_deg", "npt": NPT, "diff_ranges": [[*ARC, *LIMITS]], "peaks": False, **settings}
    config = load_config({"calibration": str(poni), **settings})
    reducer = Reducer(config, open_geometry(config), image.shape)
    return reducer.reduce(Frame(image, 0.0, monitor=monitor, exposures=exposures)).diffractograms[0]


def of_pyfai(image, poni, split, arc=ARC, **settings):
    return pyFAI.load(str(poni)).integrate1d(
        image, NPT, unit="2th_deg", azimuth_range=arc, radial_range=LIMITS, method=(split, "csr", "cython"),
        error_model="azimuthal", **settings,
    )  # fmt: skip


def assert_as_pyfai(ours, theirs, rtol=1e-6):
    empty = np.asarray(theirs.count) == 0
    assert empty.mean() < 0.1
    np.testing.assert_array_equal(np.isnan(ours.intensity), empty)
    np.testing.assert_allclose(ours.intensity[~empty], theirs.intensity[~empty], rtol=rtol)
    np.testing.assert_allclose(ours.sigma[~empty], theirs.sem[~empty], rtol=rtol, atol=rtol * np.max(theirs.sem))
    assert np.isnan(ours.sigma[empty]).all()


@pytest.mark.parametrize("split", ["no", "bbox", "full"])
def test_azimuthal_sigma_is_pyfais_with_all_corrections_and_invalid_pixels(poni, rings, split):
    rng = np.random.default_rng(2)
    dark, flat = rng.uniform(0, 30, rings.shape), rng.uniform(0.5, 1.5, rings.shape)
    image = rings.astype(np.int32)
    image[rng.random(image.shape) < 0.05] = -2
    ours = reduced(
        image, poni, method=split, error_model="azimuthal", dark=dark, flat=flat, polarization_factor=0.95,
        dummy=-2, delta_dummy=0.5, monitor=4.0,
    )  # fmt: skip
    theirs = of_pyfai(
        image, poni, split, dark=dark, flat=flat, polarization_factor=0.95, dummy=-2, delta_dummy=0.5,
        normalization_factor=4.0,
    )  # fmt: skip
    assert_as_pyfai(ours, theirs)


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_azimuthal_sigma_does_not_depend_on_how_frames_are_stored(poni, rings, name):
    """Split pixels have other weights in each bin, so that their order matters."""
    back = {"rot-90": "rot-270", "rot-270": "rot-90"}.get(name, name)
    stored = np.ascontiguousarray(transform(rings, back))
    ours = reduced(stored, poni, error_model="azimuthal", transformation=name)
    np.testing.assert_array_equal(ours.sigma, reduced(rings, poni, error_model="azimuthal").sigma)


@pytest.mark.parametrize("statistic", ["mean", "sigma-clip", "median"])
def test_arcs_across_180_are_those_of_the_turned_detector(tmp_path, rings, statistic):
    here, turned = write_poni(tmp_path / "here.poni"), write_poni(tmp_path / "turned.poni", rot=(0, 0, np.pi / 2))
    error_model = "poisson" if statistic == "median" else "azimuthal"
    config = {"method": "no", "statistic": statistic, "error_model": error_model}
    ours = reduced(rings, here, diff_ranges=[[150, 210, *LIMITS]], **config)
    theirs = reduced(rings, turned, diff_ranges=[[60, 120, *LIMITS]], **config)
    np.testing.assert_array_equal(ours.count, theirs.count)
    np.testing.assert_allclose(ours.intensity, theirs.intensity, rtol=1e-6)
    np.testing.assert_allclose(ours.sigma, theirs.sigma, rtol=1e-3)
    assert (ours.sigma > 0).mean() > 0.9


def test_split_pixels_of_an_arc_across_180_come_in_the_order_of_the_frame(tmp_path, rings):
    """So that pyFAI, with the discontinuity turned away, has the same sigma."""
    poni = write_poni(tmp_path / "there.poni")
    ours = reduced(rings, poni, error_model="azimuthal", diff_ranges=[[150, 210, *LIMITS]])
    ai = pyFAI.load(str(poni))
    ai.setChiDiscAtZero()
    theirs = ai.integrate1d(
        rings, NPT, unit="2th_deg", azimuth_range=(150, 210), radial_range=LIMITS, error_model="azimuthal",
        method=("bbox", "csr", "cython"),
    )  # fmt: skip
    assert_as_pyfai(ours, theirs, rtol=2e-6)


def test_the_number_of_threads_changes_nothing(poni, rings, monkeypatch):
    found = []
    for threads in (1, 3, 4):
        monkeypatch.setattr(by_bin, "cores", lambda threads=threads: threads)
        found.append(reduced(rings, poni, error_model="azimuthal"))
    for other in found[1:]:
        np.testing.assert_array_equal(found[0].sigma, other.sigma)
        np.testing.assert_array_equal(found[0].intensity, other.intensity)


@pytest.mark.parametrize("statistic", ["mean", "median", "sigma-clip"])
def test_frames_added_up_have_the_dark_as_often(poni, rings, statistic):
    dark = np.random.default_rng(4).uniform(0, 30, rings.shape)
    settings = {"dark": dark, "method": "no", "statistic": statistic,
                "error_model": "poisson" if statistic == "median" else "azimuthal"}  # fmt: skip
    one = reduced(rings, poni, **settings)
    four = reduced(4.0 * rings, poni, exposures=4, **settings)
    np.testing.assert_allclose(four.intensity, 4.0 * one.intensity, rtol=1e-5)
    np.testing.assert_array_equal(four.count, one.count)


# One bin, straight from the loops: every pixel whole unless said otherwise.


def of_loop(loop, image, *more, part=None, weight=None, dark=(), exposures=1):
    """Signal, normalization, variance and count of a bin that holds all of `image`."""
    image, n = np.asarray(image), len(image)
    given = [np.ones(n) if each is None else np.asarray(each) for each in (part, weight)]
    sums = np.zeros((4, 1))
    loop(
        image, image.dtype.type(-1e9), image.dtype.type(1e9), np.array([[-np.inf, np.inf]]), np.empty(0), exposures,
        np.array([0, n]), np.arange(n, dtype=np.uint32), given[0].astype(np.float32), given[1].astype(np.float32),
        np.asarray(dark, np.float32), 0, 1, sums, *more,
    )  # fmt: skip
    return sums[:, 0]


counts = st.lists(st.integers(0, 10_000).map(float), min_size=1, max_size=60)


@settings(deadline=None)
@given(counts, st.floats(0.5, 2.0))
def test_scatter_of_pixels_that_weigh_alike_is_that_about_their_mean(image, weight):
    weight = np.float32(weight)
    signal, normalization, variance, n = of_loop(scatter_about_mean, image, weight=[weight] * len(image))
    assert n == len(image)
    assert signal == pytest.approx(sum(image))
    assert normalization == pytest.approx(n * weight)
    about = np.sum((np.array(image) / weight - signal / normalization) ** 2) * float(weight) ** 2
    assert variance == pytest.approx(about, rel=1e-9, abs=1e-6)


def clipped_by_hand(image, thres, max_iter, poisson):
    """The pixels that are left, and the variance of their sum."""
    left = np.array(image)
    by_scatter = not poisson or max_iter > 0
    for iteration in range(max_iter):
        away = abs(left - left.mean())
        limit = max(thres, math.sqrt(2 * math.log(max(3, len(left)) / math.sqrt(2 * math.pi)))) * left.std()
        # What rounding decides is no case to compare.
        if (abs(away - limit) < 1e-9 * (1 + limit)).any() and limit > 0:
            return None
        stay = ~(away > limit)
        left = left[stay]
        by_scatter = not poisson or not (stay.all() or iteration + 1 == max_iter)
        if stay.all():
            break
    variance = np.sum((left - left.mean()) ** 2) if by_scatter else np.sum(np.maximum(left, 1.0))
    return left, variance


@settings(deadline=None, max_examples=300)
@given(counts, st.floats(1.0, 5.0), st.integers(0, 6), st.booleans())
def test_clipping_leaves_what_is_left_by_hand(image, thres, max_iter, poisson):
    by_hand = clipped_by_hand(image, thres, max_iter, poisson)
    if by_hand is None:
        return
    signal, normalization, variance, n = of_loop(clipped_mean, image, thres, max_iter, poisson)
    left, expected = by_hand
    assert (n, normalization) == (len(left), len(left))
    assert signal == pytest.approx(left.sum())
    assert variance == pytest.approx(expected, rel=1e-9, abs=1e-6)


@settings(deadline=None)
@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=80), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_between_quantiles_are_the_pixels_that_sorting_puts_there(image, one, other):
    low, high = sorted((one, other))
    signal, normalization, _, n = of_loop(between_percentiles, np.array(image, np.float32), low, high)
    ordered, total = np.sort(np.array(image, np.float32)), len(image)
    picked = [k for k in range(total) if k + 1 >= low * total and k <= high * total]
    assert n == total
    assert normalization == len(picked)
    assert signal == pytest.approx(ordered[picked].astype(float).sum(), rel=1e-9, abs=1e-6)


@pytest.mark.parametrize("loop", [scatter_about_mean, clipped_mean, between_percentiles])
def test_a_bin_without_valid_pixels_is_nothing(loop):
    more = {clipped_mean: (5.0, 5, True), between_percentiles: (0.5, 0.5)}.get(loop, ())
    assert of_loop(loop, [np.nan, np.inf], *more).tolist() == [0, 0, 0, 0]
    assert of_loop(loop, np.array([], np.float64), *more).tolist() == [0, 0, 0, 0]
    signal, normalization, _, n = of_loop(loop, [np.nan, 7.0], *more, dark=[1.0, 2.0], exposures=2)
    assert (signal, normalization, n) == (3.0, 1.0, 1)


def test_how_many_are_left_is_counted_as_it_is(poni, rings):
    """Where pyFAI, which takes three for Chauvenet's criterion, says three of one or two."""
    image = np.full(rings.shape, 5, np.uint16)
    ours = reduced(image, poni, method="no", statistic="sigma-clip", npt=3000)
    plain = reduced(image, poni, method="no", npt=3000)
    assert (plain.count == 1).any()
    np.testing.assert_array_equal(ours.count, plain.count)
