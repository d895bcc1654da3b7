"""Every integrated value against pyFAI's integrate1d."""

from __future__ import annotations

import copy

import numpy as np
import pyFAI
import pytest
from ponis import write_poni

from bluesky_diffractogram.config import ConfigError, load_config
from bluesky_diffractogram.reduction.frame import Frame
from bluesky_diffractogram.reduction.opening import open_geometry
from bluesky_diffractogram.reduction.reducer import Reducer

UNITS = ["q_nm^-1", "q_A^-1", "2th_deg", "2th_rad", "r_mm", "d_A"]
CSR = ("bbox", "csr", "cython")


def reducer_for(shape, **config):
    config.setdefault("peaks", False)
    config = load_config(config)
    return Reducer(config, open_geometry(config), shape)


def diffractograms(image, **config):
    return reducer_for(image.shape, **config).reduce(Frame(image, 0.0)).diffractograms


def reference(poni, image, npt, unit, azimuth_range=None, radial_range=None, method=CSR, **kwargs):
    """A fresh pyFAI integrator, called as its documentation says."""
    return pyFAI.load(str(poni)).integrate1d(
        image, npt, unit=unit, azimuth_range=azimuth_range, radial_range=radial_range, method=method, **kwargs
    )


def assert_same(ours, theirs, rtol=1e-6):
    """Equal within float32 rounding, and empty in the same bins."""
    empty = np.asarray(theirs.count) == 0
    np.testing.assert_allclose(ours.radial, theirs.radial, rtol=1e-12)
    np.testing.assert_array_equal(np.isnan(ours.intensity), empty)
    np.testing.assert_array_equal(ours.count == 0, empty)
    np.testing.assert_allclose(ours.intensity[~empty], theirs.intensity[~empty], rtol=rtol)
    assert not empty.all()


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("azimuth", [(None, None), (10, 20), (-150, -60), (90, 180), (-180, -90)])
def test_open_radial_limits_give_pyfais_own_axis(poni, rings, unit, azimuth):
    (ours,) = diffractograms(rings, calibration=poni, diff_units=unit, npt=300, diff_ranges=[[*azimuth, None, None]])
    theirs = reference(poni, rings, 300, unit, None if azimuth[0] is None else azimuth)
    assert_same(ours, theirs)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("azimuth", [(None, None), (-30, 45)])
def test_given_limits_in_every_unit(poni, rings, unit, azimuth):
    limits = {"q_nm^-1": (15, 40), "q_A^-1": (1.5, 4), "2th_deg": (5, 16), "2th_rad": (0.1, 0.3), "r_mm": (8, 30),
              "d_A": (1.5, 6)}[unit]  # fmt: skip
    (ours,) = diffractograms(
        rings,
        calibration=poni,
        diff_units=unit,
        range_unit="same",
        npt=250,
        diff_ranges=[[*azimuth, *limits]],
    )
    assert_same(ours, reference(poni, rings, 250, unit, None if azimuth[0] is None else azimuth, limits))


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("side", [0, 1])
def test_one_sided_limits_end_where_the_open_axis_does(poni, rings, unit, side):
    open_axis = reference(poni, rings, 250, unit).radial
    step = open_axis[1] - open_axis[0]
    limits = [open_axis[0] - step / 2, open_axis[-1] + step / 2]
    given = float(open_axis[100])
    limits[side] = given
    wanted = [None, None, None, None]
    wanted[2 + side] = given
    (ours,) = diffractograms(rings, calibration=poni, diff_units=unit, range_unit="same", npt=150, diff_ranges=[wanted])
    theirs = reference(poni, rings, 150, unit, None, tuple(limits))
    np.testing.assert_allclose(ours.radial, theirs.radial, rtol=1e-6)
    np.testing.assert_allclose(ours.intensity, theirs.intensity, rtol=2e-3)
    assert np.median(abs(ours.intensity / theirs.intensity - 1)) < 1e-5


@pytest.mark.parametrize("arc", [(170, 190), (170, -170), (-190, -170), (100, 250), (135, 225.5)])
@pytest.mark.parametrize("split", ["no", "bbox", "full"])
def test_arcs_across_180_equal_the_same_arcs_with_rot3_turned(tmp_path, rings, arc, split):
    """Raising rot3 lowers χ: the arc comes to lie where pyFAI handles it rightly."""
    turn = 120.0
    there = write_poni(tmp_path / "there.poni", rot=(0.03, -0.05, 0.4))
    turned = write_poni(tmp_path / "turned.poni", rot=(0.03, -0.05, 0.4 + np.deg2rad(turn)))
    (ours,) = diffractograms(
        rings, calibration=there, diff_units="2th_deg", method=split, npt=200, diff_ranges=[[*arc, 4, 16]]
    )
    start, end = arc[0] % 360, arc[1] % 360
    theirs = reference(turned, rings, 200, "2th_deg", (start - turn, end - turn), (4, 16), (split, "csr", "cython"))
    assert_same(ours, theirs, rtol=2e-6)


def test_a_wrapped_arc_counts_every_pixel_once(flat_poni):
    """Without splitting, an arc and the rest of the ring share out the ring's pixels."""
    ones = np.ones((240, 260), np.uint16)
    arcs = diffractograms(
        ones, calibration=flat_poni, method="no", diff_units="2th_deg", npt=50,
        diff_ranges=[[150, 210, 3, 15], [-150, 150, 3, 15], [None, None, 3, 15]],
    )  # fmt: skip
    wrapped, rest, ring = (each.count for each in arcs)
    # χ = ±150° itself belongs to both; no pixel centre of this detector lies there within a bin's worth of pixels.
    assert abs(wrapped.sum() + rest.sum() - ring.sum()) <= 4
    assert wrapped.sum() == pytest.approx(ring.sum() / 6, rel=0.02)


@pytest.mark.parametrize("span", [(0, 360), (-90, 270), (0, 400), (-180, 180.001), (None, None)])
def test_every_way_to_write_the_full_ring(poni, rings, span):
    (ours,) = diffractograms(rings, calibration=poni, diff_units="2th_deg", npt=200, diff_ranges=[[*span, 4, 16]])
    assert_same(ours, reference(poni, rings, 200, "2th_deg", None, (4, 16)))


@pytest.mark.parametrize("wide", [(10, 370 - 1), (20, 10), (-170, 185)])
def test_arcs_wider_than_half_a_turn_that_cross_180(poni, rings, wide):
    """The ring without a thin arc: its sums are those of the ring less those of the arc, without splitting."""
    start, end = wide
    rest = (end - 360, start) if end > start else (end, start)
    config = {"calibration": poni, "diff_units": "2th_deg", "method": "no", "npt": 100}
    ours, thin, ring = diffractograms(
        rings, **config, diff_ranges=[[start, end, 4, 16], [*rest, 4, 16], [None, None, 4, 16]]
    )
    np.testing.assert_allclose(ours.signal + thin.signal, ring.signal, rtol=1e-3)
    assert abs(ours.count + thin.count - ring.count).sum() <= 6  # pixels centred on the two common limits


@pytest.mark.parametrize("method", [("no", "histogram", "cython"), ("bbox", "csc", "cython"), ("full", "lut", "cython"),
                                    ("bbox", "csr", "python"), ("full", "csr", "cython")])  # fmt: skip
def test_any_other_method_of_pyfai_gives_its_own_numbers(poni, rings, method):
    (ours,) = diffractograms(
        rings,
        calibration=poni,
        diff_units="2th_deg",
        method=list(method),
        npt=200,
        diff_ranges=[[10, 60, 4, 16]],
    )
    theirs = reference(poni, rings, 200, "2th_deg", (10, 60), (4, 16), method)
    assert_same(ours, theirs)


def test_a_flat_image_is_a_flat_curve_without_corrections(poni):
    flat = np.full((240, 260), 100, np.uint16)
    for each in diffractograms(
        flat, calibration=poni, correct_solid_angle=False, diff_ranges=[None, [170, 190, 4, 16]]
    ):
        np.testing.assert_allclose(each.intensity[each.count > 0], 100.0, rtol=1e-6)


def test_a_flat_image_times_solid_angle_and_polarization_is_a_flat_curve(poni):
    """Intensity is divided by Ω·P, computed here from the angles alone."""
    ai = pyFAI.load(str(poni))
    shape = (240, 260)
    two_theta, chi = ai.center_array(shape, unit="2th_rad"), ai.center_array(shape, unit="chi_rad")
    factor = 0.9
    polarization = 0.5 * (1 + np.cos(two_theta) ** 2 - factor * np.cos(2 * chi) * np.sin(two_theta) ** 2)
    normal = ai.rotation_matrix()[:, 2]
    ray = np.stack([np.sin(two_theta) * np.sin(chi), np.sin(two_theta) * np.cos(chi), np.cos(two_theta)])
    solid_angle = np.einsum("i,ijk->jk", normal, ray) ** 3
    image = (100 * solid_angle * polarization).astype(np.float32)
    (ours,) = diffractograms(image, calibration=poni, polarization_factor=factor)
    np.testing.assert_allclose(ours.intensity[ours.count > 0], 100.0, rtol=2e-6)


def test_dynamic_bad_pixels_are_left_out_as_by_a_mask(poni, rings):
    image = rings.astype(np.int32)
    bad = np.random.default_rng(1).random(image.shape) < 0.05
    bad[100:140] = True  # whole bins die
    image[bad] = -1
    config = {"calibration": poni, "diff_units": "2th_deg", "npt": 400}
    ranges = [[80, 90, 4, 16], [None, None, None, None]]
    arc, ring = diffractograms(image, **config, diff_ranges=ranges)
    mask = bad.astype(np.int8)
    open_limits = reference(poni, rings, 400, "2th_deg")  # the axis is that of the static mask, not of this frame's
    step = open_limits.radial[1] - open_limits.radial[0]
    assert_same(arc, reference(poni, rings, 400, "2th_deg", (80, 90), (4, 16), mask=mask))
    np.testing.assert_allclose(ring.radial, open_limits.radial, rtol=1e-12)
    limits = (open_limits.radial[0] - step / 2, open_limits.radial[-1] + step / 2)
    masked = reference(poni, rings, 400, "2th_deg", None, limits, mask=mask)
    filled = masked.count > 0
    assert not filled.all()
    np.testing.assert_array_equal(np.isfinite(ring.intensity), filled)
    np.testing.assert_allclose(ring.intensity[filled], masked.intensity[filled], rtol=3e-3)


def test_counts_are_the_pixels_that_reach_each_bin(flat_poni, rings):
    """Without splitting every pixel reaches one bin: a histogram of their angles."""
    (ours,) = diffractograms(
        rings,
        calibration=flat_poni,
        method="no",
        diff_units="2th_deg",
        npt=60,
        diff_ranges=[[-60, 60, 3, 15]],
    )
    ai = pyFAI.load(str(flat_poni))
    two_theta = ai.center_array((240, 260), unit="2th_deg")
    chi = np.rad2deg(ai.center_array((240, 260), unit="chi_rad"))
    inside = abs(chi) <= 60
    histogram, _ = np.histogram(two_theta[inside], 60, (3, 15))
    total, _ = np.histogram(two_theta[inside], 60, (3, 15), weights=rings[inside].astype(float))
    within = slice(1, -1)  # pyFAI's edge bins take pixels from outside the radial range as well
    np.testing.assert_array_equal(ours.count[within], histogram[within])
    np.testing.assert_allclose(ours.signal[within], total[within])


def test_dark_flat_and_monitor(poni, rings):
    rng = np.random.default_rng(3)
    dark, flat = rng.uniform(0, 5, rings.shape), rng.uniform(0.5, 1.5, rings.shape)
    flat[5, :] = 0.0
    dark[7, 3] = np.nan
    reducer = reducer_for(
        rings.shape,
        calibration=poni,
        diff_units="2th_deg",
        npt=200,
        dark=dark,
        flat=flat,
        diff_ranges=[[10, 80, 4, 16]],
    )
    (ours,) = reducer.reduce(Frame(rings, 0.0, monitor=4.0)).diffractograms
    mask = (flat <= 0) | np.isnan(dark)
    theirs = reference(
        poni, rings, 200, "2th_deg", (10, 80), (4, 16), dark=np.nan_to_num(dark), flat=np.where(mask, 1, flat),
        mask=mask.astype(np.int8), normalization_factor=4.0,
    )  # fmt: skip
    assert_same(ours, theirs)


@pytest.mark.parametrize("model", ["poisson", "azimuthal"])
def test_sigma_is_pyfais(poni, rings, model):
    (ours,) = diffractograms(
        rings,
        calibration=poni,
        diff_units="2th_deg",
        npt=200,
        error_model=model,
        diff_ranges=[[10, 80, 4, 16]],
    )
    theirs = reference(poni, rings, 200, "2th_deg", (10, 80), (4, 16), error_model=model)
    assert_same(ours, theirs)
    np.testing.assert_allclose(ours.sigma, theirs.sem, rtol=1e-5)


def test_sigma_of_a_wrapped_arc_is_that_of_all_its_counts(tmp_path, rings):
    there = write_poni(tmp_path / "there.poni")
    turned = write_poni(tmp_path / "turned.poni", rot=(0, 0, np.pi / 2))
    (ours,) = diffractograms(
        rings,
        calibration=there,
        diff_units="2th_deg",
        npt=200,
        error_model="poisson",
        diff_ranges=[[150, 210, 4, 16]],
    )
    theirs = reference(turned, rings, 200, "2th_deg", (60, 120), (4, 16), error_model="poisson")
    np.testing.assert_allclose(ours.sigma, theirs.sem, rtol=1e-5)


def test_azimuthal_errors_of_a_wrapped_arc_are_refused_with_pyfais_own_methods(poni):
    settings = {
        "method": ["bbox", "csr", "cython"],
        "error_model": "azimuthal",
        "diff_ranges": [[170, 190, None, None]],
    }
    with pytest.raises(ConfigError, match=r"error_model = 'azimuthal'.*range 1 \(170° to 190°\)"):
        reducer_for((240, 260), calibration=poni, **settings)


def test_ranges_may_differ_in_npt_and_do_not_disturb_each_other(poni, rings):
    ranges = [[10, 20, 4, 16], [-5, 5, 5, 15], [170, 200, 4, 12], [None, None, None, None]]
    npts = [100, 201, 302, 403]
    config = {"calibration": poni, "diff_units": "q_A^-1"}
    together = diffractograms(rings, **config, diff_ranges=ranges, npt=npts)
    for each, wanted, npt in zip(together, ranges, npts, strict=True):
        (alone,) = diffractograms(rings, **config, diff_ranges=[wanted], npt=npt)
        np.testing.assert_array_equal(each.intensity, alone.intensity)
        assert each.radial.shape == each.intensity.shape == each.count.shape == (npt,)


def test_the_raw_frame_is_never_written_to(poni, rings):
    for image in (rings, rings.astype(np.float64), rings.astype(np.int16)):
        before = copy.deepcopy(image)
        image.flags.writeable = False
        diffractograms(image, calibration=poni, dark=np.ones(rings.shape))
        np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i2", "i4", "f4", "f8"])
def test_every_dtype_gives_the_same_curve(poni, rings, dtype):
    image = np.minimum(rings, 200)
    (ours,) = diffractograms(image.astype(dtype), calibration=poni, diff_units="2th_deg", npt=200)
    assert_same(ours, reference(poni, image.astype(np.float32), 200, "2th_deg"))


def test_a_range_without_pixels_is_empty_and_reported_with_the_detectors_limits(poni, rings, caplog):
    empty, full = diffractograms(
        rings, calibration=poni, diff_units="2th_deg", diff_ranges=[[0, 20, 40, 50], [0, 20, 4, 16]]
    )
    assert np.isnan(empty.intensity).all()
    assert not empty.count.any()
    assert np.isfinite(full.intensity).any()
    (record,) = [r for r in caplog.records if "holds no unmasked pixel" in r.message]
    assert record.message.startswith("range 1 (azimuth 0…20°, radial 40…50 deg)")
    assert "the detector covers" in record.message
    assert not [r for r in caplog.records if "Sparse matrix is empty" in r.message]  # pyFAI's words for it


@pytest.mark.parametrize("unit", ["q_A^-1", "2th_deg", "r_mm"])
@pytest.mark.parametrize("azimuth", [None, (-45, 30)])
def test_real_frame(lightform, real_frame, unit, azimuth):
    calibration = lightform / "DLS_CeO2_1200mm_pyFAI.poni"
    wanted = [None, None, None, None] if azimuth is None else [*azimuth, None, None]
    (ours,) = diffractograms(real_frame, calibration=calibration, diff_units=unit, npt=1000, diff_ranges=[wanted])
    assert_same(ours, reference(calibration, real_frame, 1000, unit, azimuth))


def test_pyfais_own_dummies_mask_nothing_behind_our_back(tmp_path):
    """Honest values of a dark-subtracted frame between -3.5 and -0.5, which pyFAI takes for a Pilatus' dummy."""
    path = tmp_path / "pilatus.poni"
    path.write_text("poni_version: 2\nDetector: Pilatus100k\nDetector_config: {}\nDistance: 0.2\nPoni1: 0.01\n"
                    "Poni2: 0.01\nRot1: 0\nRot2: 0\nRot3: 0\nWavelength: 1e-10\n")  # fmt: skip
    frame = np.random.default_rng(0).normal(0.5, 2.0, (195, 487)).astype(np.float32)
    config = {"calibration": str(path), "correct_solid_angle": False, "npt": 50}
    fast, reference = (diffractograms(frame, **config, method=method)[0] for method in ("no", ["no", "csr", "cython"]))
    assert reference.signal.sum() / reference.count.sum() == pytest.approx(0.5, abs=0.03)
    np.testing.assert_array_equal(fast.count, reference.count)
    np.testing.assert_allclose(fast.intensity, reference.intensity, rtol=1e-5, atol=1e-6)
