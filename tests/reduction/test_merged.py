"""Two detectors merged into one curve, against pyFAI's MultiGeometry."""

from __future__ import annotations

import logging

import numpy as np
import pyFAI
import pytest
from ponis import write_poni
from pyFAI.multi_geometry import MultiGeometry

from bluesky_diffractogram.config import ConfigError, configuration, load_config
from bluesky_diffractogram.reduction.bin_covariance import covariance_of_table, shared_noise, varying_noise
from bluesky_diffractogram.reduction.frame import Frame, FrameError, add_frames
from bluesky_diffractogram.reduction.merged import join_tables
from bluesky_diffractogram.reduction.noise import VaryingNoise, curve_noise, known_part
from bluesky_diffractogram.reduction.opened_detectors import open_detectors
from bluesky_diffractogram.reduction.opening import open_geometry
from bluesky_diffractogram.reduction.reducer import Reducer

FIRST, SECOND = (120, 130), (90, 100)
NEAR = {"pixel": (4e-4, 4e-4), "distance": 0.13, "rot": (0.2, 0.02, 0.0)}
FAR = {"pixel": (4e-4, 4e-4), "distance": 0.13, "rot": (0.9, 0.02, 0.0)}


@pytest.fixture
def ponis(tmp_path):
    """The first detector in the beam; a second one beside it, that overlaps in 2θ or does not."""
    first = write_poni(tmp_path / "first.poni", shape=FIRST, pixel=(6e-4, 5e-4))
    return {
        "first": str(first),
        "near": str(write_poni(tmp_path / "near.poni", shape=SECOND, **NEAR)),
        "far": str(write_poni(tmp_path / "far.poni", shape=SECOND, **FAR)),
    }


@pytest.fixture
def counts():
    rng = np.random.default_rng(3)
    return rng.poisson(50, FIRST).astype(np.uint16), rng.poisson(30, SECOND).astype(np.int32)


def settings_of(ponis, which, second, **settings):
    merge = [{"image_key": "det2", "calibration": ponis[which], **second}]
    return {
        "calibration": ponis["first"], "image_key": "det1", "diff_units": "2th_deg", "npt": 200, "peaks": False,
        "merge": merge, **settings,
    }  # fmt: skip


def reducer_of(ponis, which="near", second=(), **settings):
    config = load_config(settings_of(ponis, which, dict(second), **settings))
    geometry = open_geometry(config)
    return Reducer(config, geometry, FIRST, others=open_detectors(config, geometry))


def alone(poni, shape, **settings):
    config = load_config({"calibration": poni, "diff_units": "2th_deg", "npt": 200, "peaks": False, **settings})
    return Reducer(config, open_geometry(config), shape)


def multi_geometry(ponis, which, counts, wanted, unit="2th_deg", azimuth=(-180, 180), **options):
    integrators = [pyFAI.load(ponis["first"]), pyFAI.load(ponis[which])]
    multi = MultiGeometry(
        integrators, unit=unit, radial_range=wanted.pyfai_limits, azimuth_range=azimuth, threadpoolsize=0
    )
    found = multi.integrate1d(list(counts), npt=wanted.npt, **options)
    first = integrators[0]
    angle = first.detector.pixel1 * first.detector.pixel2 / first.dist**2
    return found, angle if options.get("correctSolidAngle", True) else 1.0


def assert_as_pyfai(mine, theirs, angle):
    there = mine.count > 0
    assert there.sum() > 20
    np.testing.assert_allclose(mine.radial, theirs.radial, rtol=1e-12)
    np.testing.assert_array_equal(there, np.asarray(theirs.count) > 0)
    np.testing.assert_allclose(mine.intensity[there], angle * theirs.intensity[there], rtol=1e-6)
    assert np.isnan(mine.intensity[~there]).all()
    np.testing.assert_allclose(mine.signal, theirs.sum_signal, rtol=1e-6)
    np.testing.assert_allclose(mine.normalization, theirs.sum_normalization / angle, rtol=1e-6)
    if mine.sigma is not None:
        np.testing.assert_allclose(mine.sigma[there], angle * theirs.sigma[there], rtol=1e-6)


@pytest.mark.parametrize("which", ["near", "far"])
@pytest.mark.parametrize("split", ["no", "bbox", "full"])
def test_numbers_are_those_of_multi_geometry(ponis, counts, which, split):
    reducer = reducer_of(ponis, which, method=split, error_model="poisson", polarization_factor=0.95)
    (mine,) = reducer.reduce(Frame(counts[0], 0.0, others=counts[1:])).diffractograms
    method = (split, "csr", "cython")
    theirs, angle = multi_geometry(
        ponis, which, counts, reducer.ranges[0], method=method, error_model="poisson", polarization_factor=0.95
    )
    assert_as_pyfai(mine, theirs, angle)


@pytest.mark.parametrize(
    ("unit", "arc", "solid_angle"),
    [("q_nm^-1", (-40, 30), True), ("2th_rad", (-40, 30), False), ("d_A", (-180, 180), True)],
)
def test_units_sectors_masks_and_flats_are_those_of_multi_geometry(ponis, counts, unit, arc, solid_angle):
    rng = np.random.default_rng(5)
    masks = [rng.random(shape) < 0.1 for shape in (FIRST, SECOND)]
    flats = [rng.uniform(0.8, 1.2, shape).astype(np.float32) for shape in (FIRST, SECOND)]
    reducer = reducer_of(
        ponis, second={"mask": masks[1], "flat": flats[1]}, mask=masks[0], flat=flats[0], diff_units=unit,
        diff_ranges=[[*arc, 3, 20]], correct_solid_angle=solid_angle, error_model="poisson",
    )  # fmt: skip
    (mine,) = reducer.reduce(Frame(counts[0], 0.0, others=counts[1:])).diffractograms
    options = {"method": ("bbox", "csr", "cython"), "error_model": "poisson", "correctSolidAngle": solid_angle}
    theirs, angle = multi_geometry(
        ponis, "near", counts, reducer.ranges[0], unit, arc, lst_mask=masks, lst_flat=flats, **options
    )
    assert_as_pyfai(mine, theirs, angle)


def test_where_they_do_not_overlap_each_bin_is_as_of_one_detector_alone(ponis, counts):
    reducer = reducer_of(ponis, "far", error_model="poisson")
    low, high = reducer.ranges[0].radial_range
    (mine,) = reducer.reduce(Frame(counts[0], 0.0, others=counts[1:])).diffractograms
    ranges = {"diff_ranges": [[None, None, low, high]], "error_model": "poisson"}
    (first,) = alone(ponis["first"], FIRST, **ranges).reduce(Frame(counts[0], 0.0)).diffractograms
    (second,) = alone(ponis["far"], SECOND, **ranges).reduce(Frame(counts[1], 0.0)).diffractograms
    assert not ((first.count > 0) & (second.count > 0)).any()
    gap = (first.count == 0) & (second.count == 0)
    assert gap.any()
    assert np.isnan(mine.intensity[gap]).all()
    np.testing.assert_array_equal(mine.count, first.count + second.count)
    on_first = first.count > 0
    np.testing.assert_array_equal(mine.intensity[on_first], first.intensity[on_first])
    np.testing.assert_allclose(mine.sigma[on_first], first.sigma[on_first], rtol=1e-12)
    factor = (4e-4**2 / 0.13**2) / (6e-4 * 5e-4 / 0.1**2)
    on_second = second.count > 0
    np.testing.assert_allclose(mine.intensity[on_second], second.intensity[on_second] / factor, rtol=1e-12)
    np.testing.assert_allclose(mine.sigma[on_second], second.sigma[on_second] / factor, rtol=1e-12)


def test_open_limits_are_those_of_all_detectors(ponis):
    (first,), (second,) = alone(ponis["first"], FIRST).ranges, alone(ponis["far"], SECOND).ranges
    (both,) = reducer_of(ponis, "far").ranges
    assert both.pyfai_limits == (first.pyfai_limits[0], second.pyfai_limits[1])
    assert first.pyfai_limits[1] < second.pyfai_limits[0]
    # tables are kept on disk: that of the first alone is not taken for its part of these
    assert alone(ponis["first"], FIRST).ranges == (first,)
    assert reducer_of(ponis, "far").ranges == (both,)


def test_equal_scattering_gives_equal_intensity(ponis):
    images = []
    for which in ("first", "near"):
        own = pyFAI.load(ponis[which])
        images.append(1e6 * own.solidAngleArray() * own.detector.pixel1 * own.detector.pixel2 / own.dist**2)
    merged = reducer_of(ponis, mask_invalid=False, second={"mask_invalid": False})
    (both,) = merged.reduce(Frame(images[0], 0.0, others=images[1:])).diffractograms
    (first,) = alone(ponis["first"], FIRST, mask_invalid=False).reduce(Frame(images[0], 0.0)).diffractograms
    np.testing.assert_allclose(both.intensity[both.count > 0], first.intensity[first.count > 0].mean(), rtol=1e-5)


def test_scale_multiplies_the_intensity_of_its_detector(ponis, counts):
    plain, scaled = (reducer_of(ponis, "far", {"scale": scale}) for scale in (1.0, 2.5))
    frame = Frame(counts[0], 0.0, others=counts[1:])
    (one,), (other,) = plain.reduce(frame).diffractograms, scaled.reduce(frame).diffractograms
    on_second = (one.count > 0) & (one.radial > 40)
    assert on_second.sum() > 20
    np.testing.assert_allclose(other.intensity[on_second], 2.5 * one.intensity[on_second], rtol=1e-12)
    np.testing.assert_array_equal(other.signal, one.signal)


def test_the_dark_of_each_is_subtracted_as_often_as_there_are_exposures(ponis, counts):
    darks = np.full(FIRST, 5.0), np.full(SECOND, 7.0)
    reducer = reducer_of(ponis, second={"dark": darks[1]}, dark=darks[0])
    summed = [add_frames([Frame(each, 0.0)] * 3, "sum", lambda image: None) for each in (counts[0] + 5, counts[1] + 7)]
    frame = Frame(summed[0].image, 0.0, exposures=3, others=(summed[1].image,))
    without = reducer_of(ponis).reduce(Frame(counts[0], 0.0, others=counts[1:]))
    for mine, plain in zip(reducer.reduce(frame).diffractograms, without.diffractograms, strict=True):
        np.testing.assert_allclose(mine.intensity, 3 * plain.intensity, rtol=1e-9)


def test_pixels_that_a_detector_marks_are_left_out_by_its_own_rules(ponis, counts):
    first, second = counts[0].copy(), counts[1].copy()
    first[40:60], second[20:30] = 65535, -1
    reducer = reducer_of(ponis)
    (mine,) = reducer.reduce(Frame(first, 0.0, others=(second,))).diffractograms
    masks = [first == 65535, second == -1]
    masked = reducer_of(ponis, second={"mask": masks[1]}, mask=masks[0])
    (expected,) = masked.reduce(Frame(counts[0], 0.0, others=counts[1:])).diffractograms
    low_high = [each.ranges[0].pyfai_limits for each in (reducer, masked)]
    assert low_high[0] == low_high[1]
    np.testing.assert_array_equal(mine.count, expected.count)
    np.testing.assert_allclose(mine.intensity, expected.intensity, rtol=1e-6)


def test_the_monitor_divides_the_merged_curve(ponis, counts):
    reducer = reducer_of(ponis, error_model="poisson")
    (one,) = reducer.reduce(Frame(counts[0], 0.0, others=counts[1:])).diffractograms
    (half,) = reducer.reduce(Frame(counts[0], 0.0, monitor=2.0, others=counts[1:])).diffractograms
    np.testing.assert_allclose(half.intensity, one.intensity / 2, rtol=1e-12)
    np.testing.assert_allclose(half.sigma, one.sigma / 2, rtol=1e-12)


def test_pyfais_own_methods_merge_too(ponis, counts):
    ranges = {"diff_ranges": [[160, 200, 4, 30], [None, None, None, None]], "error_model": "poisson"}
    frame = Frame(counts[0], 0.0, others=counts[1:])
    mine = reducer_of(ponis, **ranges).reduce(frame).diffractograms
    theirs = reducer_of(ponis, method=["bbox", "csr", "cython"], **ranges).reduce(frame).diffractograms
    for one, other in zip(mine, theirs, strict=True):
        np.testing.assert_array_equal(one.count, other.count)
        np.testing.assert_allclose(one.intensity, other.intensity, rtol=1e-6)
        np.testing.assert_allclose(one.sigma, other.sigma, rtol=1e-6)


def test_coverage_and_pixels_add_up(ponis):
    reducer = reducer_of(ponis)
    limits = {"diff_ranges": [[None, None, *reducer.ranges[0].radial_range]]}
    first, second = alone(ponis["first"], FIRST, **limits), alone(ponis["near"], SECOND, **limits)
    np.testing.assert_array_equal(reducer.coverage[0], first.coverage[0] + second.coverage[0])
    assert reducer.integrator.pixels[0] == FIRST[0] * FIRST[1] + SECOND[0] * SECOND[1]


@pytest.mark.parametrize(
    ("others", "told"),
    [
        ((), "expected those under 'det2'"),
        ((np.zeros(FIRST, np.uint16),), r"'det2': the frame has shape \(120, 130\), expected \(90, 100\)"),
        ((np.zeros(SECOND, complex),), "'det2': the frame has dtype complex128"),
    ],
)
def test_frames_that_are_not_the_further_detectors_are_refused_by_name(ponis, counts, others, told):
    with pytest.raises(FrameError, match=told):
        reducer_of(ponis).reduce(Frame(counts[0], 0.0, others=others))


def test_the_stored_shape_of_a_transformed_detector_is_expected(ponis, counts):
    turned = reducer_of(ponis, second={"transformation": "rot-90"})
    frame = Frame(counts[0], 0.0, others=(np.rot90(counts[1]),))  # which turning clockwise undoes
    expected = reducer_of(ponis).reduce(Frame(counts[0], 0.0, others=counts[1:]))
    found, expected = (each.diffractograms[0].intensity for each in (turned.reduce(frame), expected))
    np.testing.assert_allclose(found, expected, rtol=1e-12)  # its pixels are added up in another order


def test_binned_frames_of_a_further_detector(ponis, counts):
    binned = counts[1].reshape(45, 2, 50, 2).sum(axis=(1, 3))
    (limits,) = reducer_of(ponis).ranges
    ranges = {"diff_ranges": [[None, None, 4, 12]], "correct_solid_angle": True}
    (mine,) = (
        reducer_of(ponis, second={"binning": 2}, **ranges)
        .reduce(Frame(counts[0], 0.0, others=(binned,)))
        .diffractograms
    )
    (full,) = reducer_of(ponis, **ranges).reduce(Frame(counts[0], 0.0, others=counts[1:])).diffractograms
    # four times the counts in pixels of four times the solid angle
    assert np.nanmean(mine.intensity) == pytest.approx(np.nanmean(full.intensity), rel=0.02)
    assert limits.npt == 200


def test_the_noise_of_merged_bins_is_told_from_the_tables_of_all(ponis):
    reducer = reducer_of(ponis, diff_ranges=[[None, None, 4, 14]])
    one, other = (each.table for each in reducer.all_prepared)
    factor = reducer.integrator.others[0].factor
    joined = reducer.integrator.table()
    assert len(joined.pixel) == len(one.pixel) + len(other.pixel)
    covariance = covariance_of_table(joined, 0)
    npt = 200
    own = np.zeros(npt)
    for table, times in ((one, 1.0), (other, factor)):
        of_pixel = np.cumsum(np.diff(table.pixel, prepend=table.pixel[:1]) != 0)
        weight = times * table.weight[of_pixel].astype(float)
        whole = np.zeros((len(table.weight), npt + 1))
        np.add.at(whole, (of_pixel, table.first_bin), table.first_part)
        np.add.at(whole, (of_pixel, table.first_bin + 1), table.second_part)
        own += np.einsum("pi,pi,p->i", whole, whole, times * table.weight.astype(float))[:npt]
        assert len(weight) == len(table.pixel)
    normalization = one.normalization[:npt] + factor * other.normalization[:npt]
    np.testing.assert_allclose(covariance.per_level, own / normalization, rtol=1e-5)


@pytest.mark.parametrize("distance", [0.3, 0.04])
def test_the_noise_of_a_merged_curve_is_the_scatter_of_its_frames(ponis, tmp_path, distance):
    """Whatever its pixels weigh and however many bins they are split over beside those of the first."""
    shape = (300, 300)
    ponis["a"] = str(write_poni(tmp_path / "a.poni", shape=shape, pixel=(3e-4, 3e-4)))
    ponis["b"] = str(write_poni(tmp_path / "b.poni", shape=shape, pixel=(3e-4, 3e-4), distance=distance))
    config = load_config({**settings_of({**ponis, "first": ponis["a"]}, "b", {}), "npt": 800, "peaks": True})
    config = load_config({**configuration(config), "diff_ranges": [[None, None, 2, 22]]})
    geometry = open_geometry(config)
    reducer = Reducer(config, geometry, shape, others=open_detectors(config, geometry))
    noise, factor = varying_noise(reducer.integrator.table(), 0), reducer.integrator.others[0].factor
    rng = np.random.default_rng(1)
    curves, quiet, false = [], [], 0
    for _ in range(30):
        first, second = (rng.poisson(50 * each, shape).astype(np.uint32) for each in (1.0, factor))
        reduction = reducer.reduce(Frame(first, 0.0, others=(second,)))
        curves.append(reduction.diffractograms[0].intensity)
        quiet.append(curve_noise(reduction.diffractograms[0], None, noise).quiet)
        false += len(reduction.peaks[0])
    scatter = np.std(curves, axis=0, ddof=1)
    for part in np.split(np.median(quiet, axis=0) / scatter, 4):
        assert 0.85 < np.median(part) < 1.2
    assert false <= 1


def test_noise_that_is_everywhere_the_same_is_known_as_such():
    shared = 1.0, 0.8, 0.5, 0.2
    varying = VaryingNoise(4.0, np.ones(50), np.tile(shared, (50, 1)))
    assert varying.mean() == pytest.approx(shared)
    for lag in (1, 2, 3):
        np.testing.assert_allclose(varying.part(lag)[2 * lag : -2 * lag], known_part(lag, shared))


def test_a_detector_merged_with_itself_has_its_own_noise(ponis):
    table = alone(ponis["first"], FIRST, diff_ranges=[[None, None, 4, 14]], dark=np.ones(FIRST)).prepared.table
    twice = join_tables([table, table], [1.0, 1.0])
    one, two = covariance_of_table(table, 0), covariance_of_table(twice, 0)
    np.testing.assert_allclose(two.per_level, one.per_level, rtol=1e-6)
    np.testing.assert_allclose(two.of_dark, one.of_dark, rtol=1e-6)
    np.testing.assert_allclose(two.correlation, one.correlation, atol=1e-6)
    assert shared_noise(twice, 0) == pytest.approx(shared_noise(table, 0), abs=2e-3)


def test_peaks_of_a_merged_curve_are_found_and_fitted(ponis):
    images = []
    for which, level in (("first", 200.0), ("near", 60.0)):
        degrees = np.degrees(pyFAI.load(ponis[which]).center_array(unit="2th_rad"))
        expected = level * (1 + 20 * np.exp(-((degrees - 9) ** 2) / 0.08) + 20 * np.exp(-((degrees - 17) ** 2) / 0.08))
        images.append(np.random.default_rng(11).poisson(expected).astype(np.uint32))
    reducer = reducer_of(ponis, peaks={"fit": "pseudo-voigt"}, npt=400, error_model="poisson")
    (peaks,) = reducer.reduce(Frame(images[0], 0.0, others=images[1:])).peaks
    assert sorted(peaks.position[:2]) == pytest.approx([9, 17], abs=0.02)
    assert len(peaks) == 2


def test_a_range_that_no_detector_reaches_is_reported_with_the_limits_of_all(ponis, caplog):
    with caplog.at_level(logging.WARNING):
        reducer_of(ponis, "far", diff_ranges=[[None, None, 100, 120]])
    assert "holds no unmasked pixel" in caplog.text
    low, high = reducer_of(ponis, "far").ranges[0].radial_range
    assert f"covers {low:g}…{high:g}" in caplog.text


def test_many_invalid_pixels_of_a_further_detector_are_reported_by_name(ponis, counts, caplog):
    bad = counts[1].copy()
    bad[:60] = -1
    reducer_of(ponis).reduce(Frame(counts[0], 0.0, others=(bad,)))
    assert "pixels under 'det2' are invalid" in caplog.text


def test_another_wavelength_is_refused_unless_one_is_set_for_all(ponis, tmp_path):
    other = str(write_poni(tmp_path / "other.poni", shape=SECOND, wavelength=5e-11, **NEAR))
    with pytest.raises(ConfigError, match=r"merge\.0\.calibration = .*other\.poni.*wavelength is 5e-11 m.*4e-11 m"):
        reducer_of({**ponis, "other": other}, "other")
    reducer = reducer_of({**ponis, "other": other}, "other", wavelength=4e-11, diff_units="q_nm^-1")
    expected = reducer_of(ponis, diff_units="q_nm^-1")
    assert reducer.ranges == expected.ranges


def test_what_two_calibrations_differ_by_in_rounding_is_one_wavelength(ponis, tmp_path, counts):
    rounded = str(write_poni(tmp_path / "rounded.poni", shape=SECOND, wavelength=4.0001e-11, **NEAR))
    unknown = str(write_poni(tmp_path / "unknown.poni", shape=SECOND, wavelength=None, **NEAR))
    frame = Frame(counts[0], 0.0, others=counts[1:])
    (expected,) = reducer_of(ponis, diff_units="q_nm^-1").reduce(frame).diffractograms
    for other in (rounded, unknown):
        (found,) = reducer_of({**ponis, "o": other}, "o", diff_units="q_nm^-1").reduce(frame).diffractograms
        np.testing.assert_array_equal(found.intensity, expected.intensity)


def test_the_shape_of_a_further_detector_has_to_be_known(ponis, tmp_path, counts):
    shapeless = str(write_poni(tmp_path / "shapeless.poni", shape=None, centre=(45, 50), **NEAR))
    with pytest.raises(ConfigError, match=r"merge\.0\.detector_shape = None: neither .*shapeless\.poni"):
        reducer_of({**ponis, "shapeless": shapeless}, "shapeless")
    reducer = reducer_of({**ponis, "shapeless": shapeless}, "shapeless", {"detector_shape": SECOND})
    frame = Frame(counts[0], 0.0, others=counts[1:])
    expected = reducer_of(ponis).reduce(frame).diffractograms[0]
    np.testing.assert_array_equal(reducer.reduce(frame).diffractograms[0].intensity, expected.intensity)


def test_a_mask_of_another_shape_is_refused_by_the_name_of_the_detector(ponis):
    with pytest.raises(ConfigError, match=r"merge\.0\.mask = 'array': it has shape \(120, 130\)"):
        reducer_of(ponis, second={"mask": np.zeros(FIRST, bool)})
