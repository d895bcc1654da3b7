"""Fits against lmfit, and their uncertainties against the scatter of simulated curves and frames."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from peak_curves import area, binned_line, counted, line, plain, split

from bluesky_diffractogram.config import load_config
from bluesky_diffractogram.reduction import peak_fit
from bluesky_diffractogram.reduction.bin_covariance import BinCovariance, covariance_of_table
from bluesky_diffractogram.reduction.diffractogram import FittedPeaks, Peaks
from bluesky_diffractogram.reduction.fit_windows import windows
from bluesky_diffractogram.reduction.frame import Frame
from bluesky_diffractogram.reduction.opening import open_geometry
from bluesky_diffractogram.reduction.peak_fit import fit_peaks
from bluesky_diffractogram.reduction.peaks import find_peaks
from bluesky_diffractogram.reduction.reducer import Reducer

# Fits are compiled once, in one of the processes.
pytestmark = pytest.mark.xdist_group("fits")

N = 1000
COUNTING = BinCovariance(np.ones(N), None, np.ones((N, 1)))
CENTRES = np.array([60.3, 150.2, 240.7, 330.1, 420.5, 510.9, 600.2, 690.6, 780.3, 797.1])
HEIGHTS = np.array([300.0, 200.0, 100.0, 80.0, 50.0, 500.0, 80.0, 40.0, 200.0, 120.0])
FIGURES = ("position", "net_height", "fwhm", "area")
ERRORS = ("position_error", "height_error", "fwhm_error", "area_error")


def ten_lines(lorentz: float = 0.4, fwhm: float = 8.0) -> np.ndarray:
    lines = sum(h * binned_line(N, c, fwhm, lorentz) for c, h in zip(CENTRES, HEIGHTS, strict=True))
    return 100.0 + 0.02 * np.arange(N) + lines


def by_position(peaks: Peaks, names: tuple[str, ...]) -> np.ndarray:
    """``(figures, n)`` from left to right."""
    return np.array([getattr(peaks, name)[np.argsort(peaks.position)] for name in names])


@pytest.fixture
def rng():
    return np.random.default_rng(20261123)


# --- what is fitted


@pytest.mark.parametrize("lorentz", [0.0, 0.3, 1.0])
def test_a_line_on_a_slope_comes_out_as_it_is(lorentz):
    x = np.linspace(1.0, 11.0, N)
    step = x[1] - x[0]
    curve = plain(50.0 + 0.03 * np.arange(N) + 20.0 * line(np.arange(N) - 431.37, 9.0, lorentz), radial=x)
    fitted = fit_peaks(curve, find_peaks(curve, max_peaks=1), COUNTING)
    assert isinstance(fitted, FittedPeaks)
    expected = [1.0 + 431.37 * step, 20.0, 9.0 * step, 20.0 * area(9.0, lorentz) * step]
    np.testing.assert_allclose(by_position(fitted, FIGURES)[:, 0], expected, rtol=1e-4)
    assert fitted.height[0] == pytest.approx(50.0 + 0.03 * 431.37 + 20.0, rel=1e-4)


def test_neighbours_are_fitted_jointly_and_so_not_pushed_apart():
    curve = plain(20.0 + 500.0 * line(np.arange(N) - 400.2, 8.0, 0.3) + 300.0 * line(np.arange(N) - 409.0, 8.0, 0.3))
    found = find_peaks(curve)
    fitted = fit_peaks(curve, found, COUNTING)
    truth = np.array([[400.2, 409.0], [500.0, 300.0], [8.0, 8.0]])
    np.testing.assert_allclose(by_position(fitted, FIGURES[:3]), truth, rtol=1e-3)
    assert np.abs(by_position(found, FIGURES[:1]) - truth[:1]).max() > 0.1  # as the finder alone sees them


def test_the_numbers_are_those_of_lmfit(rng):
    lmfit = pytest.importorskip("lmfit")
    sigma = np.sqrt(ten_lines() / 50.0)
    curve = replace_sigma(counted(ten_lines(), 50.0, rng), sigma)
    found = find_peaks(curve)
    fitted = fit_peaks(curve, found)
    order = np.argsort(found.position)
    first, stop, group = windows(found.position[order], found.fwhm[order], N, peak_fit.MOST_JOINT)
    for which in ([0], [8, 9]):
        model = lmfit.models.LinearModel()
        parameters = model.make_params(slope=0.0, intercept=100.0)
        for k in which:
            one = lmfit.models.PseudoVoigtModel(prefix=f"p{k}_")
            model = model + one
            parameters += one.make_params(amplitude=HEIGHTS[k] * 10.0, center=CENTRES[k], sigma=4.0, fraction=0.3)
        g = list(group).index(which[0])
        x = np.arange(first[g], stop[g])
        result = model.fit(curve.intensity[x], parameters, x=x, weights=1.0 / sigma[x], scale_covar=False)
        for k in which:
            ours = by_position(fitted, FIGURES)[:, k]
            errors = by_position(fitted, ERRORS)[:, k]
            theirs = [result.params[f"p{k}_{name}"] for name in ("center", "height", "fwhm", "amplitude")]
            np.testing.assert_array_less(np.abs([each.value for each in theirs] - ours), 0.01 * errors)
            stderr = [theirs[0].stderr, None, 2.0 * result.params[f"p{k}_sigma"].stderr, theirs[3].stderr]
            for k_error, expected in zip(errors, stderr, strict=True):
                if expected is not None:
                    assert k_error == pytest.approx(expected, rel=0.03)


def replace_sigma(curve, sigma):
    return replace(curve, sigma=sigma)


# --- how sure it is


def pulls_of(curves, truth, covariance, **settings) -> np.ndarray:
    """``(curves, figures, n)`` deviations from the truth in standard uncertainties, where all lines were found."""
    pulls = []
    for curve in curves:
        fitted = fit_peaks(curve, find_peaks(curve), covariance, **settings)
        if len(fitted) == truth.shape[1]:
            pulls.append((by_position(fitted, FIGURES) - truth) / by_position(fitted, ERRORS))
    return np.array(pulls)


def check(pulls: np.ndarray, least: int, deviation: float = 0.1) -> None:
    """Standard normal, of each figure, over all lines and curves."""
    assert len(pulls) >= least
    assert np.isfinite(pulls).mean() > 0.99
    for figure, of_figure in zip(FIGURES, np.moveaxis(pulls, 1, 0), strict=True):
        assert abs(np.nanmean(of_figure)) < 0.2, figure
        assert 1.0 - deviation < np.nanstd(of_figure) < 1.0 + deviation, figure


def test_pulls_are_standard_normal_where_bins_are_independent(rng):
    expected = ten_lines()
    truth = by_position(fit_peaks(plain(expected), find_peaks(plain(expected)), COUNTING, poisson=True), FIGURES)
    np.testing.assert_allclose(truth[0], CENTRES, atol=2e-3)
    pulls = pulls_of((counted(expected, 50.0, rng) for _ in range(100)), truth, COUNTING, poisson=True)
    check(pulls[:, :, HEIGHTS >= 80.0], 90)


def test_without_counting_statistics_the_noise_of_the_curve_is_taken(rng):
    expected = ten_lines()
    truth = by_position(fit_peaks(plain(expected), find_peaks(plain(expected)), COUNTING), FIGURES)
    gain = 3.0  # of a detector that does not count photons

    def curve():
        counts = counted(expected / gain, 50.0, rng)
        return replace(counts, intensity=gain * counts.intensity, signal=gain * counts.signal)

    check(pulls_of((curve() for _ in range(100)), truth, COUNTING)[:, :, HEIGHTS >= 80.0], 60, 0.15)


def test_without_a_table_split_pixels_are_allowed_for(rng):
    def expected(x):
        return 100.0 + sum(h * line(x - c, 8.0, 0.4) for c, h in zip(CENTRES, HEIGHTS, strict=True))

    curves = [split(expected, N, 20, 3.0, rng) for _ in range(50)]
    mean = plain(np.mean([curve.intensity for curve in curves], axis=0))
    truth = by_position(fit_peaks(mean, find_peaks(mean, max_peaks=10), COUNTING, poisson=True), FIGURES)
    check(pulls_of(curves, truth, None)[:, :, HEIGHTS >= 100.0], 25, 0.35)


@pytest.fixture(scope="module")
def rings_poni(tmp_path_factory):
    from ponis import write_poni

    return write_poni(tmp_path_factory.mktemp("rings") / "rings.poni", rot=(0.02, -0.03, 0.1))


@pytest.mark.parametrize("error_model", ["poisson", "azimuthal"])
@pytest.mark.parametrize("method", ["no", "bbox", "full"])
def test_pulls_are_standard_normal_however_pixels_are_split(rings_poni, rng, method, error_model):
    config = load_config(
        {
            "calibration": str(rings_poni), "diff_ranges": [[5, 85, 5, 16]], "diff_units": "2th [deg]", "npt": 500,
            "method": method, "error_model": error_model, "peaks": False,
        }
    )  # fmt: skip
    poisson = error_model == "poisson"
    geometry = open_geometry(config)
    reducer = Reducer(config, geometry, geometry.shape)
    angle = np.rad2deg(geometry.pixels("center", "2th_deg"))
    lines = sum(h * line(angle - c, 0.5, 0.3) for c, h in ((7.0, 60.0), (9.5, 150.0), (12.0, 90.0), (12.9, 60.0)))
    image = (40.0 + lines) * geometry.solid_angle()
    # The truth is what no noise gives.
    (curve,) = reducer.reduce(Frame(1e4 * image, 0.0)).diffractograms
    table = reducer.prepared.table
    found = fit_peaks(curve, find_peaks(curve, max_peaks=4), covariance_of_table(table, 0), poisson=True)
    truth = by_position(found, FIGURES)
    truth[[1, 3]] *= 1e-4
    assert truth.shape == (4, 4)
    covariance = covariance_of_table(table, 0)
    frames = (Frame(rng.poisson(image).astype(np.int32), 0.0) for _ in range(80))
    curves = [reducer.reduce(frame).diffractograms[0] for frame in frames]
    # With scatter it is the curve that tells its noise, of which lines' tails make it think too highly here.
    check(pulls_of(curves, truth, covariance, poisson=poisson), 55, 0.15 if poisson else 0.3)
    if method != "no" and poisson:  # what the covariance is for
        ignored = replace_correlation(covariance)
        assert np.nanstd(pulls_of(curves, truth, ignored, poisson=True)[:, 0]) > 1.2


def replace_correlation(covariance: BinCovariance) -> BinCovariance:
    return replace(covariance, correlation=covariance.correlation[:, :1])


# --- what cannot be fitted


def test_what_has_no_minimum_keeps_the_finders_figures():
    curve = plain(100.0 + 50.0 * line(np.arange(N) - 500.0, 8.0))
    found = find_peaks(curve)
    nowhere = replace(found, position=np.array([700.0]))
    fitted = fit_peaks(curve, nowhere, COUNTING)
    assert fitted.position[0] == 700.0
    assert fitted.net_height[0] == found.net_height[0]
    assert fitted.position_error[0] == found.position_error[0]
    assert np.isnan(fitted.height_error).all()


def test_no_peaks_are_none():
    fitted = fit_peaks(plain(np.full(N, 5.0)), Peaks.none(), COUNTING)
    assert len(fitted) == 0
    assert fitted.area_error.shape == (0,)


def test_gaps_beside_a_line_do_no_harm(rng):
    curve = counted(100.0 + 200.0 * binned_line(N, 500.3, 10.0, 0.3), 50.0, rng)
    found = find_peaks(curve)
    whole = fit_peaks(curve, found, COUNTING, poisson=True)
    curve.intensity[[480, 507, 520]] = np.nan
    holed = fit_peaks(curve, found, COUNTING, poisson=True)
    assert abs(holed.position[0] - whole.position[0]) < whole.position_error[0]
    assert holed.position_error[0] > whole.position_error[0]


def test_ten_lines_take_less_than_a_millisecond(rng):
    curve = counted(ten_lines(), 50.0, rng)
    found = find_peaks(curve)
    assert len(found) == 10
    fit_peaks(curve, found, COUNTING, poisson=True)
    times = []
    for _ in range(20):
        begin = time.thread_time()
        fit_peaks(curve, found, COUNTING, poisson=True)
        times.append(time.thread_time() - begin)
    assert min(times) < 1e-3
