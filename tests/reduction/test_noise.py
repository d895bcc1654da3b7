"""The noise of a curve against its scatter over many repetitions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from peak_curves import binned_line, counted, line, plain, split

from bluesky_diffractogram.reduction.noise import curve_noise, splitting_width, visible_part

N = 1000


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.mark.parametrize("width", [0.3, 1.0, 2.0, 3.0, 8.0, 14.0])
def test_noise_of_a_flat_curve_is_its_scatter_however_wide_pixels_are_split(rng, width):
    curves = [split(lambda x: 50.0 + 0.0 * x, N, 30, width, rng) for _ in range(20)]
    scatter = np.std([curve.intensity for curve in curves], axis=0, ddof=1).mean()
    estimate = np.mean([curve_noise(curve).quiet.mean() for curve in curves])
    assert estimate == pytest.approx(scatter, rel=0.12)
    assert splitting_width(curves[0]) == pytest.approx(width + 1.0, rel=0.02)


@pytest.mark.parametrize(("lag", "width"), [(1, 1.0), (1, 3.0), (2, 3.0), (4, 15.0), (15, 15.0)])
def test_visible_part_is_what_second_differences_of_split_pixels_show(rng, lag, width):
    # pixels of one width, at random places, with equal noise
    bins, repeats = 400, 300
    centre = rng.uniform(-width, bins + width, 20 * bins)
    edges = np.arange(bins + 1)
    low, high = centre - width / 2.0, centre + width / 2.0
    covered = np.minimum(high[:, None], edges[1:]) - np.maximum(low[:, None], edges[:-1])
    curves = rng.normal(size=(repeats, len(centre))) @ np.maximum(covered, 0.0)
    inner = curves[:, 50:-50]
    differences = inner[:, lag:-lag] - (inner[:, : -2 * lag] + inner[:, 2 * lag :]) / 2.0
    assert visible_part(lag, width) == pytest.approx(differences.std() / inner.std() / np.sqrt(1.5), rel=0.03)


def test_noise_is_told_by_the_curve_where_pixel_counts_do_not(rng):
    curve = split(lambda x: 50.0 + 0.0 * x, N, 30, 5.0, rng)
    uncounted = type(curve)(
        curve.radial,
        curve.intensity,
        np.ceil(curve.normalization).astype(int),
        curve.signal,
        curve.normalization,
    )
    assert curve_noise(uncounted).quiet.mean() == pytest.approx(curve.intensity.std(), rel=0.3)
    assert curve_noise(uncounted).correlation >= 4.0


def lines_of_many_heights(x):
    return 20.0 + sum(h * line(x - c, 6.0) for h, c in zip(HEIGHTS, CENTRES, strict=True))


CENTRES = np.arange(30.0, N, 40.0)
HEIGHTS = np.resize([200.0, 30.0, 900.0, 70.0], len(CENTRES))


def test_lines_hardly_pass_for_noise(rng):
    noise = curve_noise(split(lines_of_many_heights, N, 60, 2.8, rng))
    scatter = split(lambda x: 20.0 + 0.0 * x, N, 60, 2.8, rng).intensity.std()
    assert 0.8 < noise.quiet.mean() / scatter < 3.5


def test_where_lines_are_known_to_be_they_do_not_pass_for_noise_at_all(rng):
    lines = (np.abs(np.arange(N)[:, None] - CENTRES) < 14.0).any(axis=1)
    noise = curve_noise(split(lines_of_many_heights, N, 60, 2.8, rng), lines)
    scatter = split(lambda x: 20.0 + 0.0 * x, N, 60, 2.8, rng).intensity.std()
    assert noise.quiet.mean() == pytest.approx(scatter, rel=0.2)


def test_noise_follows_the_background(rng):
    expected = 20.0 + 5000.0 * np.exp(-np.arange(N) / 120.0)
    noise = curve_noise(counted(expected, 50.0, rng)).quiet
    true = np.sqrt(expected / 50.0)
    assert np.median(np.abs(noise / true - 1.0)) < 0.25
    assert noise[60] > 4.0 * noise[900]


def test_noise_grows_with_the_square_root_of_the_level_above_the_background(rng):
    noise = curve_noise(counted(np.full(N, 100.0), 100.0, rng))
    bins = np.array([500, 500, 500])
    sigma = noise.sigma(bins, np.array([10.0, 100.0, 10_000.0]))
    assert sigma[0] == pytest.approx(1.0, rel=0.15)
    assert sigma[1] == pytest.approx(1.0, rel=0.15)
    assert sigma[2] == pytest.approx(10.0, rel=0.15)


def test_where_the_background_is_empty_noise_is_that_of_one_count(rng):
    curve = counted(30.0 * binned_line(N, 500.0, 5.0), 4.0, rng)  # one count is 0.25
    sigma = curve_noise(curve).sigma(np.array([500]), np.array([25.0]))
    assert sigma[0] == pytest.approx(np.sqrt(25.0 * 0.25), rel=0.01)


def test_gaps_are_left_out(rng):
    curve = counted(np.full(N, 100.0), 100.0, rng)
    curve.intensity[::9] = np.nan
    curve.intensity[1::50] = np.inf
    assert curve_noise(curve).quiet.mean() == pytest.approx(1.0, rel=0.15)


def test_nothing_to_tell_noise_from_is_zero():
    for intensity in ([], np.zeros(1), np.zeros(10), np.full(60, 7.0), np.full(50, np.nan)):
        noise = curve_noise(plain(intensity))
        assert noise.quiet.shape == (len(intensity),)
        assert not noise.quiet.any()


@pytest.mark.parametrize("method", ["no", "bbox", "full"])
def test_noise_of_frames_is_right_where_the_table_tells_what_bins_share_and_pixels_are_few(tmp_path, method):
    from ponis import write_poni

    from bluesky_diffractogram.config import load_config
    from bluesky_diffractogram.reduction.bin_covariance import covariance_of_table, shared_noise
    from bluesky_diffractogram.reduction.frame import Frame
    from bluesky_diffractogram.reduction.opening import open_geometry
    from bluesky_diffractogram.reduction.reducer import Reducer

    poni = write_poni(tmp_path / "corner.poni", shape=(200, 210), pixel=(4e-4, 4e-4), distance=0.2, centre=(10, 10))
    ranges = [[5, 85, None, None]]  # to where a corner of the detector is all that is left
    config = load_config({"calibration": str(poni), "diff_ranges": ranges, "npt": 300, "method": method})
    geometry = open_geometry(config)
    reducer = Reducer(config, geometry, geometry.shape)
    table = reducer.prepared.table
    per_level, shared = covariance_of_table(table, 0).per_level, shared_noise(table, 0)
    rng = np.random.default_rng(11)
    found, ratios = 0, []
    for _ in range(25):
        reduction = reducer.reduce(Frame(rng.poisson(30.0 * geometry.solid_angle()).astype(np.int32), 0.0))
        (curve,) = reduction.diffractograms
        filled = curve.normalization > 0.5
        true = np.sqrt(30.0 * per_level[filled] / curve.normalization[filled])
        ratios.append(curve_noise(curve, None, shared).quiet[filled] / true)
        found += len(reduction.peaks[0])
    ratio = np.mean(ratios, axis=0)
    assert np.median(ratio) == pytest.approx(1.0, abs=0.08)
    assert 0.6 < np.quantile(ratio, 0.05) < np.quantile(ratio, 0.95) < 1.6
    assert found <= 1


@pytest.mark.parametrize("most_rows", [1500, 64_000, 400_000])
def test_what_bins_share_is_told_from_each_row_once_in_stretches_from_all_over_the_table(tmp_path, most_rows):
    from ponis import write_poni

    from bluesky_diffractogram.config import load_config
    from bluesky_diffractogram.reduction.bin_covariance import covariance_of_table, shared_noise
    from bluesky_diffractogram.reduction.opening import open_geometry
    from bluesky_diffractogram.reduction.reducer import Reducer

    poni = write_poni(tmp_path / "flat.poni", shape=(300, 310), pixel=(3e-4, 3e-4))
    config = load_config({"calibration": str(poni), "npt": 300, "method": "bbox", "peaks": None})
    geometry = open_geometry(config)
    table = Reducer(config, geometry, geometry.shape).prepared.table
    assert 64_000 < len(table.pixel) < 400_000
    stretches = max(1, min(64, most_rows // 1000))
    length = most_rows // stretches
    starts = np.linspace(0, max(len(table.pixel) - length, 0), stretches).astype(int)
    rows = sorted({row for start in starts for row in range(start, min(start + length, len(table.pixel)))})
    part = replace(
        table, pixel=table.pixel[rows], first_bin=table.first_bin[rows], first_part=table.first_part[rows],
        second_part=table.second_part[rows], weight=np.ones_like(table.weight),
    )  # fmt: skip
    assert shared_noise(table, 0, most_rows) == shared_noise(part, 0, 1_000_000)
    if most_rows == 400_000:
        own, neighbour = covariance_of_table(replace(table, weight=part.weight), 0).correlation.mean(axis=0)[:2]
        assert shared_noise(table, 0)[:2] == pytest.approx((own, neighbour), abs=0.02)
