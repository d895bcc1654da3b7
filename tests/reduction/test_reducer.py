"""From frame to reduction: shapes, transformations, masks, monitors, several frames of one event."""

from __future__ import annotations

import numpy as np
import pytest
from ponis import write_poni

from bluesky_diffractogram.config import ConfigError, load_config
from bluesky_diffractogram.reduction.calibration import load_geometry
from bluesky_diffractogram.reduction.corrections import read_images
from bluesky_diffractogram.reduction.frame import Frame, FrameError, add_frames
from bluesky_diffractogram.reduction.opening import known_shape, open_geometry
from bluesky_diffractogram.reduction.reducer import Reducer
from bluesky_diffractogram.reduction.transformation import transform, transformed_shape

TRANSFORMATIONS = ["none", "flip-up-down", "flip-left-right", "transpose", "rot-90", "rot-180", "rot-270",
                   "rot-180+transpose"]  # fmt: skip


def make(poni, shape=(240, 260), **config):
    config = load_config({"calibration": str(poni), "peaks": False, "diff_units": "2th_deg", **config})
    return Reducer(config, open_geometry(config), shape)


def curve(reducer, image, **frame):
    return reducer.reduce(Frame(image, 0.0, **frame)).diffractograms[0]


# -- transformations ---------------------------------------------------------------------------------------


def test_each_transformation_of_a_small_image():
    image = np.array([[1, 2, 3], [4, 5, 6]])
    expected = {
        "none": [[1, 2, 3], [4, 5, 6]],
        "flip-up-down": [[4, 5, 6], [1, 2, 3]],
        "flip-left-right": [[3, 2, 1], [6, 5, 4]],
        "transpose": [[1, 4], [2, 5], [3, 6]],
        "rot-90": [[4, 1], [5, 2], [6, 3]],
        "rot-180": [[6, 5, 4], [3, 2, 1]],
        "rot-270": [[3, 6], [2, 5], [1, 4]],
        "rot-180+transpose": [[6, 3], [5, 2], [4, 1]],
    }
    assert set(expected) == set(TRANSFORMATIONS)
    for name, result in expected.items():
        assert transform(image, name).tolist() == result
        assert transformed_shape(image.shape, name) == np.shape(result)


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_frame_mask_dark_and_flat_are_transformed_together(poni, rings, name):
    """Storing everything in another orientation and naming the way back changes no number."""
    inverse = {"rot-90": "rot-270", "rot-270": "rot-90"}.get(name, name)
    rng = np.random.default_rng(5)
    arrays = {"mask": rng.random(rings.shape) < 0.1, "dark": rng.uniform(0, 4, rings.shape),
              "flat": rng.uniform(0.7, 1.3, rings.shape)}  # fmt: skip
    plain = curve(make(poni, **arrays, diff_ranges=[[10, 60, 4, 16]]), rings)
    stored = {key: np.ascontiguousarray(transform(array, inverse)) for key, array in arrays.items()}
    image = np.ascontiguousarray(transform(rings, inverse))
    turned = make(poni, image.shape, transformation=name, **stored, diff_ranges=[[10, 60, 4, 16]])
    # Pixels are added in the order in which they are stored.
    np.testing.assert_allclose(curve(turned, image).intensity, plain.intensity, rtol=1e-12)


def test_a_mask_drawn_on_the_transformed_image(poni, rings):
    mask = np.random.default_rng(5).random(rings.shape) < 0.1
    plain = curve(make(poni, mask=mask), rings)
    image = np.ascontiguousarray(transform(rings, "rot-270"))
    turned = make(poni, image.shape, transformation="rot-90", mask=mask, mask_transformed=True)
    np.testing.assert_allclose(curve(turned, image).intensity, plain.intensity, rtol=1e-12)


# -- shapes ------------------------------------------------------------------------------------------------


def test_another_shape_is_refused_with_both_shapes_named(poni):
    with pytest.raises(FrameError, match=r"shape \(250, 250\).*\(240, 260\)"):
        make(poni, (250, 250))
    reducer = make(poni)
    with pytest.raises(FrameError, match=r"shape \(260, 240\), expected \(240, 260\)") as caught:
        reducer.reduce(Frame(np.zeros((260, 240)), 0.0))
    assert caught.value.kind == "shape"


def test_an_exact_binning_is_taken_as_such(poni, rings):
    """2 × 2 binned counts over four times the area: the same curve, four times as high, less finely sampled."""
    ny, nx = rings.shape
    binned = rings.reshape(ny // 2, 2, nx // 2, 2).sum(axis=(1, 3), dtype=np.uint32)
    config = {"diff_ranges": [[None, None, 4, 16]], "npt": 60}
    fine, coarse = curve(make(poni, **config), rings), curve(make(poni, binned.shape, **config), binned)
    ratio = coarse.intensity / fine.intensity
    assert np.median(ratio) == pytest.approx(4.0, rel=0.01)


def test_a_mask_of_the_unbinned_detector_masks_the_binned_frame(poni, rings):
    mask = np.zeros(rings.shape, bool)
    mask[101, :] = True
    reducer = make(poni, (120, 130), mask=mask)
    assert np.flatnonzero(reducer.mask.all(axis=1)).tolist() == [50]


def test_the_shape_comes_from_the_first_that_knows_it(tmp_path):
    shapeless = write_poni(tmp_path / "shapeless.poni", shape=None)

    def shape(**config):
        config = load_config({"calibration": str(shapeless), **config})
        return known_shape(config, open_geometry(config), read_images(config))

    assert shape() is None
    assert shape(detector_shape=[240, 260]) == (240, 260)
    assert shape(mask=np.zeros((24, 26))) == (24, 26)
    assert shape(mask=np.zeros((24, 26)), transformation="rot-90", mask_transformed=True) == (26, 24)


def test_a_calibration_without_shape_takes_any_frame_of_two_dimensions(tmp_path, rings):
    reducer = make(write_poni(tmp_path / "shapeless.poni", shape=None))
    assert np.isfinite(curve(reducer, rings).intensity).any()


@pytest.mark.parametrize("key", ["mask", "dark", "flat"])
def test_arrays_of_another_shape_are_refused_when_the_configuration_is_given(poni, key):
    config = load_config({"calibration": str(poni), key: np.ones((10, 11))})
    with pytest.raises(ConfigError, match=rf"{key} = 'array': it has shape \(10, 11\); allowed: .*\(240, 260\)"):
        open_geometry(config)


def test_masks_of_any_dtype_mask_where_they_are_not_zero(poni, rings):
    where = np.random.default_rng(2).random(rings.shape) < 0.3
    expected = curve(make(poni, mask=where), rings).intensity
    for value, dtype in ((256, "i4"), (65536, "i4"), (0.5, "f4"), (np.nan, "f8"), (-1, "i2")):
        mask = np.where(where, value, 0).astype(dtype)
        np.testing.assert_array_equal(curve(make(poni, mask=mask), rings).intensity, expected)


# -- frames ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        (np.zeros((240, 260), complex), "dtype"),
        (np.full((240, 260), None), "dtype"),
        (np.zeros((240, 260), "S3"), "dtype"),
        (np.zeros(240), "shape"),
        (np.zeros((0, 260)), "shape"),
        (np.zeros((1, 240, 260)), "shape"),
    ],
)
def test_what_is_no_image_is_refused(poni, image, kind):
    with pytest.raises(FrameError) as caught:
        make(poni).reduce(Frame(image, 0.0))
    assert caught.value.kind == kind


@pytest.mark.parametrize("monitor", [0.0, -1.0, np.nan, np.inf])
def test_a_monitor_that_cannot_divide_is_refused(poni, rings, monitor):
    with pytest.raises(FrameError, match="normalization") as caught:
        make(poni).reduce(Frame(rings, 0.0, monitor=monitor))
    assert caught.value.kind == "normalization"


def test_a_frame_after_a_refused_one_is_reduced(poni, rings):
    reducer = make(poni)
    with pytest.raises(FrameError):
        reducer.reduce(Frame(rings[:-1], 0.0))
    assert np.isfinite(curve(reducer, rings).intensity).any()


def test_an_all_masked_frame_has_no_counts_and_no_peaks(poni):
    reducer = make(poni, peaks=True)
    reduction = reducer.reduce(Frame(np.full((240, 260), 65535, np.uint16), 0.0))
    assert np.isnan(reduction.diffractograms[0].intensity).all()
    assert not reduction.diffractograms[0].count.any()
    assert len(reduction.peaks[0]) == 0


def test_a_first_frame_with_many_invalid_pixels_is_reported_once(poni, rings, caplog):
    image = rings.astype(np.int32)
    image[:100] = -1
    reducer = make(poni)
    reducer.reduce(Frame(image, 0.0))
    reducer.reduce(Frame(image, 1.0))
    assert [record.message[:40] for record in caplog.records] == ["42 % of the first frame's pixels are inv"]


def test_boolean_frames_count_ones(poni):
    assert np.nanmax(curve(make(poni, correct_solid_angle=False), np.ones((240, 260), bool)).intensity) == 1.0


# -- several frames of one event -----------------------------------------------------------------------------


def test_a_sum_is_the_sum_and_a_mean_the_mean_with_the_uncertainty_of_all_counts(poni, rings):
    rng = np.random.default_rng(11)
    frames = [Frame(rng.poisson(rings).astype(np.uint16), 0.0, monitor=2.0) for _ in range(4)]
    reducer = make(poni, error_model="poisson", dark=np.full(rings.shape, 3.0), diff_ranges=[[10, 60, 4, 16]])
    each = [reducer.reduce(frame).diffractograms[0] for frame in frames]
    total, mean = (
        reducer.reduce(add_frames(frames, how, reducer.validity.invalid)).diffractograms[0] for how in ("sum", "mean")
    )
    np.testing.assert_allclose(total.intensity, np.sum([d.intensity for d in each], axis=0), rtol=1e-5)
    np.testing.assert_allclose(mean.intensity, np.mean([d.intensity for d in each], axis=0), rtol=1e-5)
    np.testing.assert_allclose(mean.sigma, total.sigma / 4, rtol=1e-6)
    np.testing.assert_allclose(mean.sigma, np.sqrt(np.sum([d.sigma**2 for d in each], axis=0)) / 4, rtol=0.02)


def test_sums_do_not_overflow_and_leave_out_pixels_that_are_invalid_in_any_frame(poni):
    high = np.full((240, 260), 60000, np.uint16)
    dead = high.copy()
    dead[120:, :] = 65535
    reducer = make(poni, correct_solid_angle=False)
    total = curve_of_sum = reducer.reduce(
        add_frames([Frame(high, 0.0), Frame(dead, 0.0)], "sum", reducer.validity.invalid)
    ).diffractograms[0]
    assert np.nanmax(curve_of_sum.intensity) == pytest.approx(120000)
    half = curve(reducer, dead).count
    np.testing.assert_array_equal(total.count, half)


# -- against the calibration -------------------------------------------------------------------------------------


def test_q_without_a_wavelength_is_refused_and_one_may_be_given(tmp_path, rings):
    poni = write_poni(tmp_path / "no_wavelength.poni", wavelength=None)
    with pytest.raises(ConfigError, match=r"diff_units = 'q \[1/nm\]': .* has no wavelength"):
        make(poni, diff_units="q [1/nm]")
    with pytest.raises(ConfigError, match="range_unit"):
        make(poni, diff_units="2th_deg", range_unit="q_A^-1")
    reducer = make(poni, diff_units="q [1/nm]", energy=31.0)
    assert reducer.geometry.wavelength == pytest.approx(12.398419843320026 / 31.0 * 1e-10)


def test_a_wavelength_that_differs_from_the_calibrations_is_used_and_reported(poni, caplog):
    reducer = make(poni, wavelength=5e-11)
    assert reducer.geometry.wavelength == 5e-11
    assert "5e-11 m is used instead of the calibration's 4e-11 m" in caplog.text


def test_a_method_that_pyfai_does_not_have_is_refused(poni):
    with pytest.raises(ConfigError, match="method"):
        make(poni, method=["pseudo", "csr", "cython"])


def test_binning_holds_for_a_calibration_without_shape(tmp_path, rings):
    """Pixels twice as large: the same ring, at the same angle."""
    shapeless = write_poni(tmp_path / "shapeless.poni", shape=None, centre=(120, 130))
    binned = rings.reshape(120, 2, 130, 2).sum(axis=(1, 3), dtype=np.uint32)
    fine = curve(make(shapeless, npt=100), rings)
    coarse = curve(make(shapeless, binned.shape, npt=100, binning=2), binned)
    peaks = [each.radial[np.nanargmax(each.intensity)] for each in (fine, coarse)]
    assert peaks[0] == pytest.approx(peaks[1], rel=0.02)


def test_a_binning_that_does_not_fit_is_refused_by_its_name(poni):
    config = load_config({"calibration": str(poni), "binning": 7})
    with pytest.raises(ConfigError, match="binning = "):
        open_geometry(config)


def test_binning_a_plain_detector_keeps_its_mask(poni):
    from bluesky_diffractogram.reduction.calibration import load_geometry

    geometry = load_geometry(poni)
    mask = np.zeros((240, 260), bool)
    mask[10:14] = True
    binned = geometry.with_mask(mask).for_shape((120, 130))
    assert np.flatnonzero(binned.detector_mask().all(axis=1)).tolist() == [5, 6]


PARALLAX = """poni_version: 3
Detector: Pilatus100k
Detector_config: {"orientation": 3, "sensor": {"material": "Si", "thickness": 1e-3}}
Distance: 0.1
Poni1: 0.05
Poni2: 0.04
Rot1: 0.1
Rot2: -0.05
Rot3: 0.3
Wavelength: 0.5e-10
Parallax: True
"""


def test_the_correction_of_parallax_is_not_lost_in_copies(tmp_path):
    """pyFAI's own copies lose it."""
    import pyFAI

    path, plain = tmp_path / "parallax.poni", tmp_path / "plain.poni"
    path.write_text(PARALLAX)
    plain.write_text(PARALLAX.replace("True", "False"))
    image = np.random.default_rng(4).poisson(100, (195, 487)).astype(np.int32)
    ours, without = (
        curve(make(each, image.shape, diff_ranges=[[-160, -100, 10, 25]]), image) for each in (path, plain)
    )
    theirs = pyFAI.load(str(path)).integrate1d(
        image, 1000, unit="2th_deg", azimuth_range=(-160, -100), radial_range=(10, 25), method=("bbox", "csr", "cython")
    )
    np.testing.assert_allclose(ours.radial, theirs.radial, rtol=1e-12)
    np.testing.assert_allclose(ours.intensity[ours.count > 0], theirs.intensity[ours.count > 0], rtol=1e-6)
    assert (ours.count > 0).sum() > 500
    assert (without.count != ours.count).sum() > 100


def test_the_shape_that_is_known_of_binned_frames_is_that_of_the_opened_calibration(poni):
    config = load_config({"calibration": str(poni), "binning": 2})
    geometry = open_geometry(config)
    assert geometry.shape == known_shape(config, geometry, {}) == (120, 130)
    assert known_shape(config, load_geometry(config.calibration), {}) == (120, 130)
