"""Medians and clipped means: against pyFAI's own, and against numpy on the pixels of each bin."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyFAI
import pytest
from ponis import write_poni

from bluesky_diffractogram.config import ConfigError, load_config
from bluesky_diffractogram.reduction.frame import Frame
from bluesky_diffractogram.reduction.opening import open_geometry
from bluesky_diffractogram.reduction.reducer import Reducer

ARC, LIMITS, NPT = (10, 80), (4, 16), 60


@pytest.fixture
def spiky(rings):
    """The rings with one pixel in two hundred far too bright, as gamma rays and single crystals make them."""
    image = rings.astype(np.uint32)
    image[np.random.default_rng(3).random(image.shape) < 0.005] = 60_000
    return image


def reduced(image, poni, statistic, **config):
    config = load_config({
        "calibration": str(poni), "diff_units": "2th_deg", "npt": NPT, "diff_ranges": [[*ARC, *LIMITS]],
        "peaks": False, "statistic": statistic, **config,
    })  # fmt: skip
    (found,) = Reducer(config, open_geometry(config), image.shape).reduce(Frame(image, 0.0)).diffractograms
    return found


def of_pyfai(call, image, poni, split, **kwargs):
    # Its compiled median is wrong where pixels are invalid.
    implementation = "python" if call == "medfilt1d_ng" else "cython"
    return getattr(pyFAI.load(str(poni)), call)(
        image,
        NPT,
        unit="2th_deg",
        azimuth_range=ARC,
        radial_range=LIMITS,
        method=(split, "csr", implementation),
        **kwargs,
    )


def assert_same(ours, theirs):
    empty = np.asarray(theirs.count) == 0
    assert empty.sum() < NPT / 4
    np.testing.assert_array_equal(np.isnan(ours.intensity), empty)
    np.testing.assert_allclose(ours.radial, theirs.radial, rtol=1e-12)
    np.testing.assert_allclose(ours.intensity[~empty], np.asarray(theirs.intensity)[~empty], rtol=1e-6)
    if ours.sigma is not None:
        np.testing.assert_allclose(ours.sigma[~empty], np.asarray(theirs.sem)[~empty], rtol=1e-5)


@pytest.mark.parametrize("split", ["no", "bbox", "full"])
@pytest.mark.parametrize("percentile", [50, 20, (30, 70)])
def test_medians_are_pyfais(poni, spiky, split, percentile):
    given = percentile if isinstance(percentile, int) else list(percentile)
    ours = reduced(spiky, poni, {"method": "median", "percentile": given}, method=split)
    assert_same(ours, of_pyfai("medfilt1d_ng", spiky, poni, split, percentile=percentile))


def test_a_median_has_pyfais_sigma(poni, spiky):
    ours = reduced(spiky, poni, "median", method="no", error_model="poisson")
    assert_same(ours, of_pyfai("medfilt1d_ng", spiky, poni, "no", error_model="poisson"))


@pytest.mark.parametrize(
    ("error_model", "theirs"), [(None, "azimuthal"), ("azimuthal", "azimuthal"), ("poisson", "hybrid")]
)
@pytest.mark.parametrize("thres", [5.0, 2.5])
def test_clipped_means_are_pyfais(poni, spiky, error_model, theirs, thres):
    clip = {"method": "sigma-clip", "thres": thres, "max_iter": 3}
    ours = reduced(spiky, poni, clip, method="no", error_model=error_model)
    assert (ours.sigma is None) is (error_model is None)
    assert_same(ours, of_pyfai("sigma_clip_ng", spiky, poni, "no", error_model=theirs, thres=thres, max_iter=3))


def pixels_of_bins(poni, shape):
    """Which pixels, of those on the arc, have their centre in each bin."""
    ai = pyFAI.load(str(poni))
    two_theta, chi = ai.center_array(shape, unit="2th_deg"), np.rad2deg(ai.center_array(shape, unit="chi_rad"))
    edges = np.linspace(*LIMITS, NPT + 1)
    return [(two_theta >= low) & (two_theta < high) & (chi >= ARC[0]) & (chi <= ARC[1])
            for low, high in pairwise(edges)]  # fmt: skip


def test_a_median_is_that_of_the_pixels_in_each_bin(poni, spiky):
    ours = reduced(spiky, poni, "median", method="no", correct_solid_angle=False)
    for value, inside in zip(ours.intensity, pixels_of_bins(poni, spiky.shape), strict=True):
        if inside.sum() < 20:  # a pixel on a bin's edge, which rounding may put on either side, would tell
            continue
        low, high = np.percentile(spiky[inside], [50 - 100 / inside.sum(), 50 + 100 / inside.sum()])
        assert low - 1e-6 <= value <= high + 1e-6


def test_a_median_is_that_of_the_valid_pixels(poni, rings):
    """Pixels that are invalid in the frame, which pyFAI's compiled median sorts wrongly, are as if masked."""
    rng = np.random.default_rng(11)
    image = (rings + rng.random(rings.shape)).astype(np.float32)
    invalid = rng.random(image.shape) < 0.1
    ours = reduced(np.where(invalid, np.nan, image), poni, "median", method="no")
    masked = reduced(image, poni, "median", method="no", mask=invalid)
    np.testing.assert_array_equal(ours.intensity, masked.intensity)


def test_a_median_of_an_arc_across_180_is_that_of_the_turned_detector(tmp_path, spiky):
    here, turned = write_poni(tmp_path / "here.poni"), write_poni(tmp_path / "turned.poni", rot=(0, 0, np.pi / 2))
    config = {"method": "no", "error_model": "poisson"}
    ours = reduced(spiky, here, "median", diff_ranges=[[150, 210, *LIMITS]], **config)
    theirs = reduced(spiky, turned, "median", diff_ranges=[[60, 120, *LIMITS]], **config)
    np.testing.assert_allclose(ours.intensity, theirs.intensity, rtol=1e-6)
    np.testing.assert_array_equal(ours.count, theirs.count)


@pytest.mark.parametrize("statistic", ["median", "sigma-clip"])
def test_spikes_do_not_count(poni, rings, spiky, statistic):
    clean = reduced(rings, poni, statistic, method="no")
    robust = reduced(spiky, poni, statistic, method="no")
    mean = reduced(spiky, poni, "mean", method="no")
    touched = (mean.intensity > 1.5 * clean.intensity) & (clean.count > 0)
    assert touched.sum() > 20
    np.testing.assert_allclose(robust.intensity[touched], clean.intensity[touched], rtol=0.15)


def test_the_monitor_dark_and_masked_pixels_are_taken_into_account(poni, spiky):
    config = load_config({
        "calibration": str(poni), "diff_units": "2th_deg", "npt": NPT, "diff_ranges": [[*ARC, *LIMITS]], "peaks": False,
        "statistic": "median", "method": "no", "dark": np.full(spiky.shape, 7.0), "valid_range": [0, 50_000],
    })  # fmt: skip
    reducer = Reducer(config, open_geometry(config), spiky.shape)
    (ours,) = reducer.reduce(Frame(spiky, 0.0, monitor=4.0)).diffractograms
    theirs = of_pyfai(
        "medfilt1d_ng", spiky.astype(np.float32), poni, "no", mask=(spiky > 50_000).astype(np.int8),
        dark=np.full(spiky.shape, 7.0, dtype=np.float32), normalization_factor=4.0,
    )  # fmt: skip
    assert_same(ours, theirs)


CLIP = {"statistic": "sigma-clip", "method": "no"}


@pytest.mark.parametrize(("changes", "said"), [
    ({"statistic": "mode"}, r"statistic = 'mode': allowed: 'mean', 'median', 'sigma-clip', or a mapping"),
    ({"statistic": {"method": "mode"}}, r"statistic\.method = 'mode'"),
    ({"statistic": {"method": "median", "percentile": 101}}, r"^statistic\.percentile = 101: allowed: a number from 0"),
    ({"statistic": {"method": "median", "percentile": [70, 30]}}, r"statistic\.percentile = \[70, 30\]"),
    ({"statistic": {"threshold": 3}}, r"statistic\.threshold = 3: unknown key; allowed: statistic\.thres, the"),
    ({"statistic": "sigma-clip"}, r"method = 'bbox': pyFAI leaves out whole pixels.*allowed: 'no', with sigma-clip"),
    ({"statistic": "median", "method": ["bbox", "csc", "cython"]}, r"method = .*allowed: 'no', 'bbox' or 'full'"),
    ({"statistic": "median", "error_model": "azimuthal"}, r"error_model = 'azimuthal': allowed: 'poisson' or null"),
    (
        {**CLIP, "method": ["no", "csr", "cython"], "diff_ranges": [[170, 190, None, None]]},
        r"'sigma-clip'.*range 1 \(170° to 190°\)",
    ),
])  # fmt: skip
def test_what_cannot_be_is_refused(poni, changes, said):
    with pytest.raises(ConfigError, match=said):
        load_config({"calibration": str(poni), **changes})
