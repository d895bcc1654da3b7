"""A dark that comes with the frames, against pyFAI's own, and against the same dark in the configuration."""

from __future__ import annotations

import gc

import numpy as np
import pyFAI
import pytest

from bluesky_diffractogram.config import load_config
from bluesky_diffractogram.reduction import preparation
from bluesky_diffractogram.reduction.dark import Dark, mean_dark
from bluesky_diffractogram.reduction.frame import Frame, FrameError
from bluesky_diffractogram.reduction.opening import open_geometry
from bluesky_diffractogram.reduction.reducer import Reducer
from bluesky_diffractogram.reduction.transformation import transform
from bluesky_diffractogram.reduction.validity import Validity

SPLITS = ["no", "bbox", "full"]
RANGES = [[10, 60, 4, 16], [170, 200, 4, 12], [None, None, None, None]]
OF_RUN = {"stream": "dark"}


def make(poni, shape=(240, 260), **settings):
    settings = {"diff_units": "2th_deg", "peaks": False, "npt": 200, "diff_ranges": RANGES, **settings}
    config = load_config({"calibration": str(poni), **settings})
    return Reducer(config, open_geometry(config), shape)


def dark_of(image, number=1):
    return Dark(np.asarray(image, np.float32), number, "")


def reduced(reducer, image, dark=None, **frame):
    return reducer.reduce(Frame(image, 0.0, dark=dark, **frame))


def assert_same(ours, theirs, rtol=0.0):
    """Equal reductions; without a tolerance bit for bit."""
    pairs = list(zip(ours.diffractograms, theirs.diffractograms, strict=True))
    if ours.cake is not None:
        np.testing.assert_allclose(ours.cake.intensity, theirs.cake.intensity, rtol=rtol)
    for mine, other in pairs:
        np.testing.assert_array_equal(mine.count, other.count)
        for name in ("radial", "intensity", "signal", "normalization", "sigma"):
            one, two = getattr(mine, name), getattr(other, name)
            if one is not None or two is not None:
                np.testing.assert_allclose(one, two, rtol=rtol, atol=rtol, err_msg=name)


@pytest.fixture
def dark(rings):
    return np.random.default_rng(3).uniform(0, 30, rings.shape).astype(np.float32)


@pytest.fixture
def patchy(dark):
    """With pixels of which no dark is known: single ones, and whole rings' worth of rows."""
    unknown = np.random.default_rng(4).random(dark.shape) < 0.05
    unknown[100:110] = True
    return np.where(unknown, np.float32(np.nan), dark)


@pytest.mark.parametrize("error_model", [None, "poisson"])
@pytest.mark.parametrize("split", SPLITS)
def test_directly_against_integrate1d(poni, rings, patchy, split, error_model):
    reducer = make(poni, method=split, dark=OF_RUN, error_model=error_model, diff_ranges=[[10, 60, 4, 16]])
    ours = reduced(reducer, rings, dark_of(patchy)).diffractograms[0]
    theirs = pyFAI.load(str(poni)).integrate1d(
        rings, 200, unit="2th_deg", azimuth_range=(10, 60), radial_range=(4, 16), method=(split, "csr", "cython"),
        dark=np.nan_to_num(patchy), mask=np.isnan(patchy), error_model=error_model,
    )  # fmt: skip
    filled = ours.count > 0
    assert filled.mean() > 0.9
    np.testing.assert_allclose(ours.intensity[filled], theirs.intensity[filled], rtol=1e-6, atol=1e-4)
    if error_model is not None:
        np.testing.assert_allclose(ours.sigma[filled], theirs.sigma[filled], rtol=1e-5)


@pytest.mark.parametrize(
    ("split", "name"), [("no", "none"), ("full", "none"), ("bbox", "rot-90"), ("bbox", "transpose")]
)
def test_it_is_the_dark_of_the_configuration_bit_for_bit(poni, rings, dark, split, name):
    image = np.ascontiguousarray(transform(rings, {"rot-90": "rot-270"}.get(name, name)))
    dark = np.ascontiguousarray(transform(dark, {"rot-90": "rot-270"}.get(name, name)))
    settings = {"method": split, "transformation": name, "error_model": "poisson", "cake": {"npt_rad": 40}}
    constant = make(poni, image.shape, dark=dark, **settings)
    reducer = make(poni, image.shape, dark=OF_RUN, **settings)
    assert_same(reduced(reducer, image, dark_of(dark)), reduced(constant, image))
    assert_same(reduced(reducer, image, dark_of(dark), monitor=2.0), reduced(constant, image, monitor=2.0))


OTHER_WAYS = [
    {}, {"method": ["bbox", "lut", "cython"]}, {"method": ["no", "csc", "cython"]}, {"statistic": "median"},
    {"statistic": "sigma-clip", "method": "no", "diff_ranges": RANGES[:1]}, {"error_model": "azimuthal",
                                                                            "diff_ranges": RANGES[:1]},
]  # fmt: skip


@pytest.mark.parametrize("settings", OTHER_WAYS, ids=str)
def test_pixels_without_a_dark_do_not_count_in_any_way_of_integrating(poni, rings, patchy, settings):
    """Also not where they are hot, or marked bad in the frame as well; a static background is subtracted besides."""
    image = rings.astype(np.int32)
    image[::9, ::4] = -1
    image[np.isnan(patchy)] *= 1000
    background = np.random.default_rng(6).uniform(0, 10, rings.shape)
    # Limits without which the axis of a constant dark's mask would be another.
    cake = {"npt_rad": 40, "npt_azim": 90, "range": [-90, 90, 4, 16]}
    settings = {"error_model": "poisson", "cake": cake, "diff_ranges": RANGES[:2], **settings}
    settings |= {
        "background": background,
        "background_scale": 0.5,
        "mask": np.random.default_rng(1).random(rings.shape) < 0.1,
    }
    constant = make(poni, dark=patchy, **settings)
    reducer = make(poni, dark=OF_RUN, **settings)
    assert_same(reduced(reducer, image, dark_of(patchy)), reduced(constant, image), rtol=2e-6)
    summed = np.where(image < 0, np.nan, 4.0 * image)
    assert_same(
        reduced(reducer, summed, dark_of(patchy), exposures=4), reduced(constant, summed, exposures=4), rtol=2e-6
    )


def test_fits_weigh_its_counts_as_those_of_the_configuration(poni, rings, dark):
    settings = {"peaks": {"fit": "pseudo-voigt"}, "diff_ranges": [[0, 360, 4, 16]], "error_model": "poisson"}
    constant, reducer = make(poni, dark=20 * dark, **settings), make(poni, dark=OF_RUN, **settings)
    ours, theirs = reduced(reducer, rings, dark_of(20 * dark)).peaks[0], reduced(constant, rings).peaks[0]
    without = reduced(make(poni, **settings), rings).peaks[0]
    assert len(ours) > 0
    np.testing.assert_array_equal(ours.position_error, theirs.position_error)
    assert ours.position_error[0] > 1.05 * without.position_error[0]


def test_all_unknown_is_no_intensity(poni, rings):
    found = reduced(make(poni, dark=OF_RUN), rings, dark_of(np.full(rings.shape, np.nan)))
    for each in found.diffractograms:
        assert np.isnan(each.intensity).all()
        assert not each.count.any()


def test_nothing_is_split_again_and_each_dark_is_prepared_once(poni, rings, dark, monkeypatch):
    reducer = make(poni, dark=OF_RUN)
    monkeypatch.setattr(preparation, "split_range", None)
    first, second = dark_of(dark, 1), dark_of(dark + 5, 2)
    one, two = reduced(reducer, rings, first), reduced(reducer, rings, second)
    prepared = [reducer._steps_with[each] for each in (first, second)]
    assert_same(reduced(reducer, rings, first), one)  # as interleaved runs have it
    assert_same(reduced(reducer, rings, second), two)
    assert [reducer._steps_with[each] for each in (first, second)] == prepared
    # The rows are those of the table, shared by both.
    assert np.shares_memory(prepared[0].integrator.table.pixel, reducer.prepared.table.pixel)
    difference = one.diffractograms[0].signal - two.diffractograms[0].signal
    assert difference.sum() == pytest.approx(5 * _parts(reducer), rel=1e-6)
    del first, one, prepared
    gc.collect()
    assert len(reducer._steps_with) == 1


def _parts(reducer):
    """How much of pixels goes into the bins of range 1, in all."""
    table = reducer.prepared.table
    begin, end = table.bins[:2]
    of_range = (table.first_bin >= begin) & (table.first_bin < end)
    return float(table.first_part[of_range].sum(dtype=float) + table.second_part[of_range].sum(dtype=float))


def test_a_frame_without_one_is_refused_unless_that_is_allowed(poni, rings):
    with pytest.raises(FrameError, match="an event of the stream 'dark'") as caught:
        reduced(make(poni, dark=OF_RUN), rings)
    assert caught.value.kind == "no dark"
    allowed = make(poni, dark={**OF_RUN, "optional": True})
    assert_same(reduced(allowed, rings), reduced(make(poni), rings))


def test_a_dark_of_another_shape_is_refused(poni, rings):
    with pytest.raises(FrameError, match=r"dark 3 has shape \(2, 2\), expected that of the frame, \(240, 260\)"):
        reduced(make(poni, dark=OF_RUN), rings, dark_of(np.zeros((2, 2)), 3))


def test_a_dark_of_which_much_is_unknown_is_reported_once(poni, rings, dark, caplog):
    reducer = make(poni, dark=OF_RUN)
    reduced(reducer, rings, dark_of(np.where(np.arange(260) < 20, np.nan, dark), 1))
    assert "of the dark" not in caplog.text
    for number in (2, 3):
        reduced(reducer, rings, dark_of(np.where(np.arange(260) < 78, np.nan, dark), number))
    assert caplog.text.count("30 % of the pixels of the dark 2 are invalid") == 1
    assert "the dark 3" not in caplog.text


# -- the mean ------------------------------------------------------------------------------------------------


def test_the_mean_of_several_images():
    images = [np.array([[1, 2], [65535, 7]], np.uint16), np.array([[3, 2], [1, 8]], np.uint16)]
    found = mean_dark(images, Validity())
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [[2.0, 2.0], [np.nan, 7.5]])
    np.testing.assert_array_equal(mean_dark(images[1:], Validity()), images[1])


def test_sums_of_many_images_lose_nothing():
    images = [np.full((2, 2), 2**31 + n, np.uint32) for n in (0, 128, 256)]
    np.testing.assert_array_equal(mean_dark(images, Validity()), np.float32(2**31 + 128))


def test_a_dark_may_be_lower_than_a_valid_frame_and_not_higher():
    found = mean_dark([np.array([[0, 5, 900]])], Validity(limits=(3, 100)))
    np.testing.assert_array_equal(found, [[0.0, 5.0, np.nan]])


@pytest.mark.parametrize(
    ("images", "kind"),
    [([np.zeros((2, 2)), np.zeros((2, 3))], "shape"), ([np.zeros((2, 2), complex)], "dtype"), ([np.zeros(4)], "shape")],
)
def test_what_is_no_image(images, kind):
    with pytest.raises(FrameError) as caught:
        mean_dark(images, Validity())
    assert caught.value.kind == kind
