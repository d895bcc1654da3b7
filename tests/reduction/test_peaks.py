"""The default peak finder against simulated lines whose truth is known."""

from __future__ import annotations

import warnings
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from peak_curves import area, binned_line, counted, line, plain, split

from bluesky_diffractogram.reduction.peaks import find_peaks

N = 1000


@pytest.fixture
def rng():
    return np.random.default_rng(20240601)


def cramer_rao(expected: np.ndarray, shifted: np.ndarray, shift: float, pixels: float) -> float:
    """The least standard deviation of a position under counting noise."""
    slope = (shifted - expected) / shift
    return 1.0 / np.sqrt(np.sum(pixels * slope**2 / expected))


# --- what is found


@pytest.mark.parametrize(
    "background",
    [
        lambda x: 50.0 + 0.0 * x,
        lambda x: 20.0 + 2000.0 * np.exp(-x / 150.0),
        lambda x: 10.0 + x,
        lambda x: 1000.0 * (1.0 - np.exp(-x / 150.0)) + 5.0,
    ],
    ids=["flat", "decay", "ramp", "saturating"],
)
def test_noise_alone_gives_at_most_one_false_peak_in_a_hundred_curves(rng, background):
    expected = background(np.arange(N))
    assert sum(len(find_peaks(counted(expected, 50, rng))) for _ in range(300)) <= 3


@pytest.mark.parametrize("width", [1.0, 3.0, 13.0])
def test_noise_that_neighbouring_bins_share_gives_no_more_false_peaks(rng, width):
    curves = (split(lambda x: 50.0 + 0.0 * x, N, 30, width, rng) for _ in range(100))
    assert sum(len(find_peaks(curve)) for curve in curves) <= 1


def test_few_counts_in_an_empty_background_are_no_peaks(rng):
    curves = [counted(np.full(N, 0.001), 100, rng) for _ in range(50)]
    curves += [split(lambda x: 0.001 + 0.0 * x, N, 100, 3.0, rng) for _ in range(50)]
    assert sum(len(find_peaks(curve)) for curve in curves) <= 1


def test_a_lower_threshold_does_give_false_peaks(rng):
    # the tests above would pass with a finder that finds nothing
    assert sum(len(find_peaks(counted(np.full(N, 50.0), 50, rng), min_snr=3.0)) for _ in range(30)) > 10


@pytest.mark.parametrize("fwhm", [2.0, 3.0, 8.0, 30.0, 80.0])
@pytest.mark.parametrize("lorentz", [0.0, 0.5])
def test_a_line_is_found_alone_whatever_its_width(rng, fwhm, lorentz):
    background, pixels = 100.0, 100.0  # noise of a bin is 1
    wrong = 0
    for _ in range(40):
        centre = 500.0 + rng.uniform(-0.5, 0.5)
        peaks = find_peaks(counted(background + 12.0 * binned_line(N, centre, fwhm, lorentz), pixels, rng))
        wrong += len(peaks) != 1 or abs(peaks.position[0] - centre) > max(1.0, fwhm / 4.0)
    assert wrong <= 1


def test_a_wide_line_is_found_that_hardly_rises_above_the_noise_of_a_bin(rng):
    expected = 100.0 + 3.0 * binned_line(N, 500.2, 40.0)
    found = [find_peaks(counted(expected, 100.0, rng)) for _ in range(30)]
    assert sum(len(peaks) == 1 and abs(peaks.position[0] - 500.2) < 10.0 for peaks in found) >= 28


def test_a_strong_line_has_no_ripples_on_it(rng):
    for fwhm in (5.0, 10.0, 60.0):
        expected = 10.0 + 90_000.0 * binned_line(N, 500.3, fwhm, 0.2)
        counts = [len(find_peaks(counted(expected, 100.0, rng))) for _ in range(30)]
        assert sum(n != 1 for n in counts) <= 1, fwhm


@pytest.mark.parametrize(
    ("n", "fwhm", "width", "pixels"), [(1000, 6.0, 2.8, 60), (3000, 24.0, 8.0, 20), (1000, 3.0, 1.0, 60)]
)
def test_the_lines_of_a_cubic_powder_are_found_and_nothing_else(rng, n, fwhm, width, pixels):
    # LaB6, every reflection of a primitive lattice between q of 1 and 8 per ångström
    squares = sorted({h * h + k * k + l * l for h in range(9) for k in range(h + 1) for l in range(k + 1)})
    q = 2.0 * np.pi / 4.157 * np.sqrt(squares)
    bins = (q[(q > 1.2) & (q < 7.95)] - 1.0) / 7.0 * n
    assert len(bins) == 24
    found = false = 0
    for _ in range(8):
        heights = 100.0 * rng.lognormal(0.0, 0.7, len(bins))

        def expected(x, heights=heights):
            lines = sum(h * line(x - b, fwhm, 0.3) for h, b in zip(heights, bins, strict=True))
            return 20.0 + 80.0 * np.exp(-(((x / n - 0.4) / 0.15) ** 2)) + lines

        peaks = find_peaks(split(expected, n, pixels, width, rng), max_peaks=100)
        distance = np.abs(peaks.position[:, None] - bins)
        found += int((distance.min(axis=0) < fwhm / 3.0).sum())
        false += int((distance.min(axis=1) > fwhm).sum())
    assert found >= 0.98 * 8 * len(bins)
    assert false <= 2


@pytest.mark.parametrize("fwhm", [80.0, 150.0])
def test_noise_on_a_wide_line_does_not_make_two_of_it(rng, fwhm):
    double = 0
    for height in (3.0, 4.0, 8.0):
        expected = 100.0 + height * binned_line(N, 500.2, fwhm, 0.3)
        for _ in range(150):
            peaks = find_peaks(counted(expected, 100.0, rng))
            double += int((np.abs(peaks.position - 500.2) < fwhm).sum() > 1)
    assert double <= 1


def test_weak_lines_are_found_where_strong_ones_take_most_of_the_curve(rng):
    centres = np.arange(30.0, N, 25.0)
    heights = np.resize([200.0, 6.0], len(centres))

    def expected(x):
        return 20.0 + sum(h * line(x - c, 6.0) for h, c in zip(heights, centres, strict=True))

    peaks = find_peaks(split(expected, N, 60, 2.8, rng), max_peaks=100)
    assert len(peaks) == len(centres)
    np.testing.assert_allclose(np.sort(peaks.position), centres, atol=1.5)


def test_a_halo_is_one_wide_peak(rng):
    x = np.arange(N)
    expected = 20.0 + 100.0 * np.exp(-(((x - 300) / 80) ** 2)) + 150.0 * np.exp(-(((x - 640) / 90) ** 2))
    for _ in range(20):
        peaks = find_peaks(counted(expected, 50.0, rng))
        np.testing.assert_allclose(np.sort(peaks.position), [300, 640], atol=10)
        assert (peaks.fwhm > 100).all()


def test_a_line_on_a_halo_is_measured_as_itself(rng):
    x = np.arange(N)
    expected = 20.0 + 300.0 * np.exp(-(((x - 450) / 150) ** 2)) + 60.0 * binned_line(N, 470.3, 6.0)
    for _ in range(10):
        peaks = find_peaks(counted(expected, 100.0, rng))
        index = np.abs(peaks.position - 470.3).argmin()
        assert peaks.position[index] == pytest.approx(470.3, abs=0.4)
        assert peaks.net_height[index] == pytest.approx(60.0, rel=0.15)
        assert peaks.fwhm[index] == pytest.approx(6.0, rel=0.2)


def test_both_lines_of_a_close_pair_are_found(rng):
    expected = 20.0 + 500.0 * binned_line(N, 400.2, 8.0) + 300.0 * binned_line(N, 413.0, 8.0)
    peaks = find_peaks(counted(expected, 100.0, rng))
    np.testing.assert_allclose(np.sort(peaks.position), [400.2, 413.0], atol=0.8)


def test_a_weak_line_beside_a_strong_one_is_not_measured_on_the_flank_of_that(rng):
    # seen at a scale at which the strong line's flank is in its windows
    def expected(x):
        return 8.0 + 28.0 * line(x - 400.3, 16.0, 0.3) + 1.5 * line(x - 446.3, 16.0, 0.3)

    found = 0
    for _ in range(60):
        peaks = find_peaks(split(expected, N, 60, 4.5, rng))
        distance = np.abs(peaks.position[:, None] - [400.3, 446.3])
        found += int(distance[:, 1].min() < 8.0)
        assert len(peaks) <= 2
        assert (distance[:, 0] < 8.0).sum() == 1
    assert found >= 38


def test_the_top_of_a_halo_is_no_narrow_line_where_lines_are_about(rng):
    x = np.arange(N)
    lines = sum(60.0 * binned_line(N, c, 5.0, 0.3) for c in (50.0, 190.0, 240.0, 300.0, 420.0))
    for place in (112.0, 118.0, 125.0):
        expected = 300.0 + 200.0 * np.exp(-x / 300.0) + 80.0 * np.exp(-(((x - place) / 70.0) ** 2)) + lines
        for _ in range(30):
            peaks = find_peaks(counted(expected, 100.0, rng))
            halo = (peaks.position > 70.0) & (peaks.position < 170.0)
            assert halo.sum() <= 1
            assert (peaks.fwhm[halo] > 7.5).all()


def test_a_monotonic_or_bulging_slope_is_no_peak(rng):
    x = np.arange(N)
    for slope in (x * 1.0, -x * 1.0 + 2000, np.sqrt(x + 1.0) * 30, 1000.0 * np.tanh(x / 200.0) + 10.0):
        assert len(find_peaks(plain(slope))) == 0
        assert sum(len(find_peaks(counted(slope, 30.0, rng))) for _ in range(20)) <= 1


# --- what is measured


@pytest.mark.parametrize("fwhm", [3.0, 5.0, 10.0, 30.0, 80.0])
@pytest.mark.parametrize("lorentz", [0.0, 0.5])
@pytest.mark.parametrize("height", [20.0, 1000.0])
def test_positions_are_unbiased_and_as_sharp_as_the_cramer_rao_bound(rng, fwhm, lorentz, height):
    pixels, background = 100.0, 100.0
    misses = []
    for _ in range(100):
        centre = 500.0 + rng.uniform(-0.5, 0.5)
        expected = background + height * binned_line(N, centre, fwhm, lorentz)
        peaks = find_peaks(counted(expected, pixels, rng), max_peaks=1)
        misses.append(peaks.position[0] - centre)
    shifted = background + height * binned_line(N, centre + 0.01, fwhm, lorentz)
    bound = cramer_rao(expected, shifted, 0.01, pixels)
    assert np.std(misses) < 1.25 * bound + 0.002
    assert abs(np.mean(misses)) < 3.0 * bound / np.sqrt(len(misses)) + 0.001


@pytest.mark.parametrize("fwhm", [3.0, 4.5, 10.0, 33.0, 90.0])
def test_figures_of_a_gaussian_line_are_those_of_its_formula(fwhm):
    radial = np.linspace(1.0, 11.0, N)
    step = radial[1] - radial[0]
    curve = plain(7.0 + 2.0 * binned_line(N, 431.37, fwhm), radial=radial)
    peaks = find_peaks(curve)
    assert len(peaks) == 1
    assert peaks.position[0] == pytest.approx(1.0 + 431.37 * step, abs=0.002 * step)
    assert peaks.net_height[0] == pytest.approx(2.0, rel=0.03)
    assert peaks.height[0] == pytest.approx(9.0, rel=0.03)
    assert peaks.fwhm[0] == pytest.approx(fwhm * step, rel=0.045)
    assert peaks.area[0] == pytest.approx(2.0 * area(fwhm) * step, rel=0.01)
    assert peaks.position_error[0] == pytest.approx(step)


@pytest.mark.parametrize("fwhm", [5.0, 20.0])
def test_figures_of_a_half_lorentzian_line_lack_its_far_tails_only(fwhm):
    peaks = find_peaks(plain(100.0 + 50.0 * binned_line(N, 500.2, fwhm, 0.5)))
    assert 0.95 < peaks.net_height[0] / 50.0 < 1.0
    assert 1.0 < peaks.fwhm[0] / fwhm < 1.05
    assert 0.85 < peaks.area[0] / (50.0 * area(fwhm, 0.5)) < 1.0


def test_a_sloping_background_is_taken_off(rng):
    on_flat = find_peaks(plain(100.0 + 50.0 * binned_line(N, 500.2, 12.0)))
    on_slope = find_peaks(plain(100.0 + 0.5 * np.arange(N) + 50.0 * binned_line(N, 500.2, 12.0)))
    for name in ("position", "net_height", "fwhm", "area"):
        np.testing.assert_allclose(getattr(on_slope, name), getattr(on_flat, name), rtol=0.015, err_msg=name)
    assert on_slope.height[0] - on_flat.height[0] == pytest.approx(250.1, abs=0.1)


def test_units_of_intensity_and_radius_do_not_matter(rng):
    expected = 20.0 + 400.0 * binned_line(N, 300.2, 7.0) + 90.0 * binned_line(N, 700.4, 25.0)
    curve = counted(expected, 100.0, rng)
    here = find_peaks(curve)
    there = find_peaks(
        plain(curve.intensity * 1e-6, radial=np.linspace(0.0, 0.5, N)),
    )
    step = 0.5 / (N - 1)
    assert len(here) == len(there) == 2
    np.testing.assert_allclose(there.position, here.position * step)
    np.testing.assert_allclose(there.fwhm, here.fwhm * step)
    np.testing.assert_allclose(there.net_height, here.net_height * 1e-6)
    np.testing.assert_allclose(there.area, here.area * 1e-6 * step)


# --- what is asked for


def test_the_strongest_are_kept_and_come_first():
    centres, heights = (
        50.0 * np.arange(1, 16),
        np.array([3, 9, 1, 14, 6, 2, 15, 8, 4, 11, 5, 13, 7, 12, 10]) * 10.0,
    )
    curve = plain(5.0 + sum(h * binned_line(N, c, 6.0) for c, h in zip(centres, heights, strict=True)))
    every = find_peaks(curve)
    assert len(every) == 15
    np.testing.assert_allclose(every.position, centres[np.argsort(-heights)], atol=0.1)
    np.testing.assert_array_equal(find_peaks(curve, max_peaks=4).position, every.position[:4])


def test_the_strongest_is_the_highest_above_its_background():
    high_ground = 1000.0 / (1.0 + np.exp(-(np.arange(N) - 500.0) / 40.0))
    curve = plain(high_ground + 50.0 * binned_line(N, 850.0, 8.0) + 200.0 * binned_line(N, 150.0, 8.0))
    np.testing.assert_allclose(find_peaks(curve).position[:2], [150.0, 850.0], atol=0.1)


def test_a_hot_bin_can_be_left_out_by_its_width(rng):
    curve = counted(50.0 + 100.0 * binned_line(N, 300.0, 5.0), 100.0, rng)
    curve.intensity[600] += 100.0
    assert len(find_peaks(curve)) == 2
    np.testing.assert_allclose(find_peaks(curve, min_fwhm_bins=2.0).position, [300.0], atol=0.5)


def test_a_halo_can_be_left_out_by_its_width(rng):
    halo = 60.0 * np.exp(-(((np.arange(N) - 500.0) / 120.0) ** 2))
    curve = counted(50.0 + halo + 100.0 * binned_line(N, 300.0, 5.0), 100.0, rng)
    assert len(find_peaks(curve)) == 2
    np.testing.assert_allclose(find_peaks(curve, max_fwhm_bins=50.0).position, [300.0], atol=0.5)


def test_a_larger_sigma_raises_the_threshold_and_a_smaller_one_does_not_lower_it(rng):
    curve = counted(100.0 + 20.0 * binned_line(N, 300.0, 5.0), 100.0, rng)
    with_sigma = {field.name: getattr(curve, field.name) for field in fields(curve)}
    found = {}
    for sigma in (0.01, 1.0, 10.0):
        with_sigma["sigma"] = np.full(N, sigma)
        with_sigma["sigma"][:100] = np.nan
        found[sigma] = find_peaks(type(curve)(**with_sigma)).position.tolist()
    assert found[0.01] == found[1.0] == find_peaks(curve).position.tolist()
    assert found[10.0] == []


# --- gaps, ends, and what is no curve


def test_a_gap_splits_the_curve(rng):
    intensity = 20.0 + 100.0 * sum(binned_line(N, c, 8.0) for c in (100.0, 300.0, 500.0, 700.0))
    whole = find_peaks(plain(intensity))
    assert sorted(np.round(whole.position)) == [100, 300, 500, 700]
    for first, last, left in (
        (305, 305, [100, 500, 700]),  # in a flank
        (300, 300, [100, 500, 700]),  # at the top
        (280, 320, [100, 500, 700]),  # all of it
        (150, 250, [100, 300, 500, 700]),  # between
    ):
        for nothing in (np.nan, np.inf, -np.inf):
            holed = intensity.copy()
            holed[first : last + 1] = nothing
            peaks = find_peaks(plain(holed))
            assert sorted(np.round(peaks.position)) == left, (first, last, nothing)
            same = np.isin(np.round(whole.position), left)
            np.testing.assert_allclose(np.sort(peaks.net_height), np.sort(whole.net_height[same]), rtol=1e-3)


def test_a_peak_counts_only_where_both_flanks_are_seen():
    for centre, seen in ((0.0, False), (2.0, False), (12.0, True), (N - 3.0, False), (N - 13.0, True)):
        peaks = find_peaks(plain(1.0 + 100.0 * binned_line(N, centre, 8.0)))
        assert len(peaks) == seen, centre


@pytest.mark.parametrize(
    "intensity",
    [
        [],
        [5.0],
        [1.0, 2.0],
        [0.0, 1.0, 0.0],
        np.zeros(N),
        np.full(N, 7.25),
        np.full(N, np.nan),
        np.full(N, np.inf),
        np.where(np.arange(N) % 7 == 0, np.inf, np.arange(N) % 5),
        np.where(np.arange(N) % 2 == 0, np.nan, 1.0),
        np.arange(N, dtype=float),
        -100.0 * line(np.arange(N) - 500.0, 8.0),
        np.float32(100.0) * (1.0 + 1e-7 * np.sin(np.arange(N) * 12.9898) * np.cos(np.arange(N) * 78.233)),
    ],
    ids=[
        "empty", "one", "two", "three", "zero", "flat", "NaN", "inf", "sawtooth with inf", "every other", "ramp",
        "a hole", "float32 rounding",
    ],
)  # fmt: skip
def test_what_is_no_curve_has_no_peaks_and_raises_nothing(intensity):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        peaks = find_peaks(plain(intensity))
    assert len(peaks) == 0
    assert all(getattr(peaks, field.name).shape == (0,) for field in fields(peaks))


@settings(max_examples=200, deadline=None)
@given(
    arrays(
        np.float64,
        st.integers(0, 120),
        elements=st.one_of(
            st.integers(0, 5).map(float),
            st.floats(-1e30, 1e30),
            st.sampled_from([np.nan, np.inf, -np.inf, 1e300, 5e-324]),
        ),
    )
)
def test_whatever_the_curve_the_list_is_in_order_and_finite(intensity):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        peaks = find_peaks(plain(intensity), max_peaks=3, min_snr=1.0)
    assert len(peaks) <= 3
    for field in fields(peaks):
        assert getattr(peaks, field.name).shape == (len(peaks),)
        assert np.isfinite(getattr(peaks, field.name)).all(), field.name
    assert (np.diff(peaks.net_height) <= 0.0).all()
    assert (peaks.net_height > 0.0).all()
    assert (peaks.fwhm > 0.0).all()
    assert ((peaks.position > 0.0) & (peaks.position < len(intensity) - 1)).all()


def test_the_curve_is_not_written_to(rng):
    curve = counted(50.0 + 100.0 * binned_line(N, 300.0, 5.0), 100.0, rng)
    before = {field.name: np.copy(getattr(curve, field.name)) for field in fields(curve) if field.name != "sigma"}
    find_peaks(curve)
    for name, values in before.items():
        np.testing.assert_array_equal(getattr(curve, name), values)


# Read off a logarithmic plot of the whole ring, 2θ in degrees.
LINES_OF_THE_REAL_FRAME = [2.441, 3.124, 3.378, 3.438, 3.552, 4.603, 4.696, 4.862, 5.411, 5.956, 6.249, 6.382, 6.475,
                           6.764, 6.878, 7.106, 7.452, 7.691]  # fmt: skip


@pytest.mark.parametrize(("npt", "split"), [(1000, "bbox"), (3000, "bbox")])
def test_every_line_of_a_real_frame_is_found_and_nothing_else(lightform, npt, split):
    import fabio

    from bluesky_diffractogram.config import load_config
    from bluesky_diffractogram.reduction.frame import Frame
    from bluesky_diffractogram.reduction.opening import open_geometry
    from bluesky_diffractogram.reduction.reducer import Reducer

    config = load_config(
        {
            "calibration": str(lightform / "DLS_CeO2_1200mm_pyFAI.poni"),
            "diff_ranges": [[0, 360, 2, 8]],
            "diff_units": "2th [deg]",
            "npt": npt,
            "method": split,
            "polarization_factor": 0.99,
            "peaks": {"max_peaks": 100},
        }
    )
    image = fabio.open(lightform / "pixium_03150.tif").data
    peaks = Reducer(config, open_geometry(config), image.shape).reduce(Frame(image, 0.0)).peaks[0]
    np.testing.assert_allclose(np.sort(peaks.position), LINES_OF_THE_REAL_FRAME, atol=0.006)
