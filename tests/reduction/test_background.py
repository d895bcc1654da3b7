"""Background images, background curves and absorption, against pyFAI and numpy."""

from __future__ import annotations

import numpy as np
import pyFAI
import pytest

from bluesky_diffractogram.config import ConfigError, load_config, update_config
from bluesky_diffractogram.reduction.background import read_curve
from bluesky_diffractogram.reduction.frame import Frame, add_frames
from bluesky_diffractogram.reduction.opening import open_geometry
from bluesky_diffractogram.reduction.reducer import Reducer

RANGES = [[10, 80, 4, 16], [170, 200, 5, 12]]


def reducer_for(poni, shape, **config):
    config = load_config({
        "calibration": str(poni), "diff_units": "2th_deg", "npt": 150, "diff_ranges": RANGES, "peaks": False, **config,
    })  # fmt: skip
    return Reducer(config, open_geometry(config), shape)


def of_pyfai(poni, image, **kwargs):
    """The first range, by pyFAI itself."""
    return pyFAI.load(str(poni)).integrate1d(
        image, 150, unit="2th_deg", azimuth_range=(10, 80), radial_range=(4, 16), method=("bbox", "csr", "cython"),
        **kwargs,
    )  # fmt: skip


@pytest.fixture
def images(rings):
    rng = np.random.default_rng(8)
    return {name: rng.uniform(low, high, rings.shape) for name, (low, high) in
            {"dark": (0, 5), "background": (10, 30), "absorption": (0.4, 1.0), "flat": (0.5, 1.5)}.items()}  # fmt: skip


@pytest.mark.parametrize("method", ["bbox", ["bbox", "csr", "cython"]], ids=["one pass", "pyFAI"])
@pytest.mark.parametrize("error_model", [None, "poisson"])
def test_background_and_absorption_are_pyfais_dark_and_absorption(poni, rings, images, method, error_model):
    reducer = reducer_for(
        poni, rings.shape, **images, background_scale=0.4, method=method, error_model=error_model
    )  # fmt: skip
    ours = reducer.reduce(Frame(rings, 0.0, monitor=3.0)).diffractograms[0]
    theirs = of_pyfai(
        poni, rings, dark=images["dark"] + 0.4 * images["background"], flat=images["flat"],
        absorption=images["absorption"], normalization_factor=3.0, error_model=error_model,
    )  # fmt: skip
    np.testing.assert_allclose(ours.intensity, theirs.intensity, rtol=2e-6, atol=1e-6)
    if error_model:
        np.testing.assert_allclose(ours.sigma, theirs.sem, rtol=1e-5)


def test_each_of_them_alone(poni, rings, images):
    for key, passed in (("background", "dark"), ("absorption", "absorption")):
        ours = reducer_for(poni, rings.shape, **{key: images[key]}).reduce(Frame(rings, 0.0)).diffractograms[0]
        theirs = of_pyfai(poni, rings, **{passed: images[key]})
        np.testing.assert_allclose(ours.intensity, theirs.intensity, rtol=2e-6, atol=1e-6)


def test_pixels_of_which_either_is_not_known_are_masked(poni, rings, images):
    images["background"][100, 40:80] = np.nan
    images["absorption"][60:70, 100] = 0.0
    mask = ~np.isfinite(images["background"]) | (images["absorption"] <= 0)
    ours = reducer_for(poni, rings.shape, **images).reduce(Frame(rings, 0.0)).diffractograms
    same = {key: np.where(mask, 1.0, image) for key, image in images.items()}
    masked = reducer_for(poni, rings.shape, **same, mask=mask).reduce(Frame(rings, 0.0)).diffractograms
    for one, other in zip(ours, masked, strict=True):
        np.testing.assert_array_equal(one.intensity, other.intensity)


@pytest.mark.parametrize("unit", ["2th_deg", "q_nm^-1", "d_A"])
def test_a_curve_is_subtracted_in_whatever_unit_it_is(poni, rings, unit):
    """The curve is 3 + 2θ/2; as q or d of the same angles it takes away the same, but for the interpolation."""
    two_theta = np.linspace(1.0, 25.0, 2000)
    q = 4 * np.pi / 0.4 * np.sin(np.deg2rad(two_theta) / 2) * 10  # λ = 0.4 Å
    radial = {"2th_deg": two_theta, "q_nm^-1": q, "d_A": 20 * np.pi / q}[unit]
    curve = np.column_stack([radial, 3 + two_theta / 2])
    plain = reducer_for(poni, rings.shape).reduce(Frame(rings, 0.0)).diffractograms
    ours = reducer_for(
        poni, rings.shape, background_curve=curve, background_unit=unit, background_scale=1.5
    ).reduce(Frame(rings, 0.0)).diffractograms  # fmt: skip
    for one, other in zip(ours, plain, strict=True):
        np.testing.assert_allclose(one.intensity, other.intensity - 1.5 * (3 + one.radial / 2), atol=1e-4)
        np.testing.assert_array_equal(one.signal, other.signal)


def test_of_a_sum_the_curve_is_subtracted_as_often_as_there_are_frames(poni, rings):
    curve = [[0.0, 10.0], [30.0, 10.0]]
    for how, times in (("sum", 3), ("mean", 1)):
        frame = add_frames([Frame(rings, 0.0)] * 3, how, lambda image: None)
        config = {"frames_per_event": how}
        plain = reducer_for(poni, rings.shape, **config).reduce(frame).diffractograms[0]
        config |= {"background_curve": curve, "background_unit": "2th_deg"}
        ours = reducer_for(poni, rings.shape, **config).reduce(frame).diffractograms[0]
        np.testing.assert_allclose(ours.intensity, plain.intensity - times * 10.0, rtol=1e-12)


def test_beyond_its_ends_nothing_is_known_which_is_said(poni, rings, caplog):
    ours = reducer_for(
        poni, rings.shape, background_curve=[[5, 1], [10, 1]], background_unit="2th_deg"
    ).reduce(Frame(rings, 0.0)).diffractograms[0]  # fmt: skip
    outside = (ours.radial < 5) | (ours.radial > 10)
    np.testing.assert_array_equal(np.isnan(ours.intensity), outside)
    assert f"does not reach {outside.sum()} of the 150 bins of range 1" in caplog.text


CURVE = np.array([[1.0, 10.0], [2.0, 11.5], [3.5, 9.0]])


@pytest.mark.parametrize("text", [
    "1 10\n2 11.5\n3.5 9\n",
    "# 2th_deg I\n# more\n1.0, 10.0\n2.0, 11.5\n3.5, 9.0\n",
    "frame.tif\n2-Theta Angle (Degrees)\nIntensity\n       3\n 3.5 9\n 1.0 10\n 2.0 11.5\n",
    "\n1 10 0.3\n2 11.5 0.3\n3.5 9 0.2\n",
], ids=["plain", "xy", "chi", "three columns"])  # fmt: skip
def test_files_of_columns_are_read(tmp_path, text):
    path = tmp_path / "background.dat"
    path.write_text(text)
    np.testing.assert_array_equal(read_curve(str(path)), CURVE)


@pytest.mark.parametrize(("changes", "said"), [
    ({"background_curve": CURVE}, r"background_unit = None: the curve is to stay right.*allowed: the unit of"),
    ({"background_curve": CURVE, "background_unit": "furlong"}, r"background_unit = 'furlong': allowed: the unit of"),
    ({"background_scale": float("nan")}, "background_scale = "),
])  # fmt: skip
def test_what_cannot_be_is_refused_when_it_is_given(poni, changes, said):
    with pytest.raises(ConfigError, match=said):
        load_config({"calibration": str(poni), **changes})


@pytest.mark.parametrize(("curve", "said"), [
    ([[1.0, 2.0]], r"numbers of shape \(1, 2\) were found"),
    ([[1.0], [2.0]], r"numbers of shape \(2, 1\) were found"),
    ([[1, 2], [1, 3]], "a radial value is there twice"),
    ([[1, 2], [2, np.inf]], "not all of its numbers are finite"),
    ("no numbers here\n", r"numbers of shape \(0, 0\) were found"),
])  # fmt: skip
def test_what_is_no_curve_is_refused_when_it_is_opened(poni, tmp_path, curve, said):
    if isinstance(curve, str):
        path = tmp_path / "curve.xy"
        path.write_text(curve)
        curve = str(path)
    config = load_config({"calibration": str(poni), "background_curve": curve, "background_unit": "2th_deg"})
    with pytest.raises(ConfigError, match=f"background_curve = .*{said}"):
        open_geometry(config)


def test_an_image_that_does_not_fit_is_refused(poni):
    for key in ("background", "absorption"):
        config = load_config({"calibration": str(poni), key: np.ones((10, 10)), "detector_shape": [240, 260]})
        with pytest.raises(ConfigError, match=rf"{key} = 'array': it has shape \(10, 10\)"):
            open_geometry(config)


def test_the_scale_is_of_the_numbers(poni, rings, images):
    config = load_config({"calibration": str(poni), "background": images["background"]})
    assert update_config(config, {"background_scale": 2}).background_scale == 2.0
