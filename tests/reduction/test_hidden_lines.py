"""Lines that hide beside others are found, and what is none is not taken for one."""

from __future__ import annotations

import numpy as np
import pytest
from peak_curves import binned_line, counted, plain, split

from bluesky_diffractogram.reduction.fit_windows import windows
from bluesky_diffractogram.reduction.hidden_kernel import find_hidden
from bluesky_diffractogram.reduction.hidden_lines import with_hidden_lines
from bluesky_diffractogram.reduction.hidden_model import BACKGROUND, fitted
from bluesky_diffractogram.reduction.hidden_score import best_place, left_over
from bluesky_diffractogram.reduction.least_squares import factor, hold, normal_equations
from bluesky_diffractogram.reduction.noise import curve_noise
from bluesky_diffractogram.reduction.peak_scale import Curve
from bluesky_diffractogram.reduction.peak_shape import Shapes
from bluesky_diffractogram.reduction.peaks import find_peaks

N, FWHM, LORENTZ = 600, 8.0, 0.3
COUNTS = 200.0


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def lines(*places, background=50.0):
    """Lines as they are expected, each a position, height and width."""
    return background + sum(h * binned_line(N, p, w, LORENTZ) for p, h, w in places)


def shapes_of(*places):
    """What a finder might have measured of them."""
    p, h, w = np.array(places, dtype=float).T
    return Shapes(p, h + 50.0, h, p - w / 2, p + w / 2, 1.2 * h * w)


def searched(expected, known, rng=None, min_snr=5.0):
    """What is known after the search, in a curve with counting noise."""
    diffractogram = counted(expected, COUNTS, rng) if rng is not None else plain(expected)
    return with_hidden_lines(known, Curve(diffractogram.intensity), curve_noise(diffractogram), min_snr)


@pytest.mark.parametrize(("apart", "part"), [(1.0, 0.5), (1.1, 0.25), (1.3, 0.1), (1.6, 0.08)])
def test_a_line_on_the_flank_of_a_higher_one_is_found_and_measured(apart, part, rng):
    places = [(200.0, 400.0, FWHM), (300.3, 300.0, FWHM), (300.3 + apart * FWHM, 300.0 * part, FWHM)]
    positions, heights = [], []
    for _ in range(10):
        found = searched(lines(*places), shapes_of(*places[:2]), rng)
        assert len(found.position) == 3
        np.testing.assert_allclose(found.fwhm[1:], FWHM, rtol=0.1)
        order = np.argsort(found.position)  # which of two near ones is the new one is nobody's business
        positions.append(found.position[order])
        heights.append(found.net_height[order])
    np.testing.assert_allclose(np.mean(positions, axis=0), [each[0] for each in places], atol=0.25)
    np.testing.assert_allclose(np.mean(heights, axis=0)[1:], [each[1] for each in places[1:]], rtol=0.1)


def test_the_default_finder_finds_it_too_where_pixels_are_split(rng):
    heights, places = (300.0, 60.0), (300.0, 300.0 + 1.1 * 9.0)

    def expected(x):
        u = [2.0 * (x - p) / 9.0 for p in places]
        return 40.0 + sum(h * (0.7 * 0.5 ** (v**2) + 0.3 / (1.0 + v**2)) for h, v in zip(heights, u, strict=True))

    for _ in range(5):
        found = find_peaks(split(expected, N, 40, 2.8, rng))
        np.testing.assert_allclose(np.sort(found.position), places, atol=0.5)


def test_lines_that_are_known_bring_none(rng):
    """Of many heights, with widths that differ by a tenth, on a background that bends."""
    x = np.arange(N)
    for _ in range(40):
        places = [(p, 10.0 ** rng.uniform(1, 3), FWHM * rng.uniform(0.9, 1.1)) for p in (80, 115, 160, 300, 420, 452)]
        expected = lines(*places, background=40.0 + 100.0 * np.exp(-x / 120.0))
        known = shapes_of(*places)
        assert len(searched(expected, known, rng).position) == len(places)


def test_what_it_adds_to_curves_without_hidden_lines_is_hardly_ever_one(rng):
    found = 0
    for _ in range(100):
        places = [(p, 10.0 ** rng.uniform(0.5, 3), FWHM) for p in (100.0, 200.0, 220.0, 400.0)]
        found += len(searched(lines(*places), shapes_of(*places), rng).position) - len(places)
    assert found <= 1


def test_where_none_is_found_nothing_is_changed(rng):
    known = shapes_of((200.0, 400.0, FWHM), (300.0, 50.0, FWHM))
    assert searched(lines((200.0, 400.0, FWHM), (300.0, 50.0, FWHM)), known, rng) is known


def test_order_and_unmeasured_lines_stay_as_they_were(rng):
    places = [(300.0 + 1.2 * FWHM, 90.0, FWHM), (450.0, 40.0, FWHM), (300.0, 300.0, FWHM)]
    known = shapes_of(places[2], (500.0, np.nan, FWHM), places[1])
    found = searched(lines(*places), known, rng)
    np.testing.assert_allclose(found.position, [300.0, 500.0, 450.0, 300.0 + 1.2 * FWHM], atol=0.5)
    assert np.isnan(found.net_height[1])
    assert found.net_height[2] == known.net_height[2]  # its group has no new one


def test_lines_of_another_shape_bring_none(rng):
    """A rectangle is no line, nor are two."""
    expected = lines((300.0, 0.0, FWHM)) + 200.0 * (np.abs(np.arange(N) - 300.0) < 10.0)
    assert len(searched(expected, shapes_of((300.0, 200.0, 20.0)), rng).position) == 1


def test_gaps_and_ends_are_no_hindrance(rng):
    places = [(20.0, 400.0, FWHM), (20.0 + 1.2 * FWHM, 120.0, FWHM), (592.0, 300.0, FWHM)]
    expected = lines(*places)
    diffractogram = counted(expected, COUNTS, rng)
    diffractogram.intensity[[3, 44, 590]] = np.nan
    found = with_hidden_lines(
        shapes_of(places[0], places[2]), Curve(diffractogram.intensity), curve_noise(diffractogram), 5.0
    )
    assert np.isfinite(found.position).all()
    np.testing.assert_allclose(found.position[2:], [places[1][0]], atol=0.7)


def test_nothing_known_is_nothing_found(rng):
    none = Shapes(*np.empty((6, 0)))
    assert searched(lines((300.0, 100.0, FWHM)), none, rng) is none


def test_how_clear_another_line_is_agrees_with_what_its_linear_fit_gains(rng):
    """Rao's score test against the decrease of χ² by numpy's least squares, for independent bins."""
    expected = lines((100.0, 400.0, FWHM), (130.0, 200.0, FWHM), (110.0, 60.0, FWHM))[60:180]
    y = rng.poisson(expected * COUNTS) / COUNTS
    weight = COUNTS / expected
    theta = np.array([50.0, 0.0, 0.0, FWHM, LORENTZ, 400.0, 40.0, 200.0, 70.0])
    links = np.array([[5, 6, 3, 4], [7, 8, 3, 4]])
    slopes, curve, held = np.empty((9, 120)), np.empty(120), np.zeros(9, bool)
    fitted(theta, links, y, weight, slopes, curve, held, 100)
    assert not held.any()
    lower, nothing = np.empty((9, 9)), np.zeros(9)
    normal_equations(slopes, weight, y, curve, lower, nothing)
    hold(lower, nothing, held)
    assert factor(lower)
    rest = left_over(y, curve, weight)
    clear, place, height = best_place(theta, links, rest, weight, slopes, lower, held, np.ones(1), 5.0)
    assert abs(place - 50.0) <= 2.0
    u = 2.0 * (np.arange(120) - place) / theta[BACKGROUND]
    u[np.abs(u) > 2.0 * 4.0 + 0.3] = np.inf  # as far as a line is looked at
    shape = theta[BACKGROUND + 1] / (1.0 + u**2) + (1.0 - theta[BACKGROUND + 1]) * 0.5 ** (u**2)
    root = np.sqrt(weight)
    columns = np.vstack([slopes, shape]).T * root[:, None]
    left = (y - curve) * root
    solution, *_ = np.linalg.lstsq(columns, left, rcond=None)
    without, *_ = np.linalg.lstsq(columns[:, :-1], left, rcond=None)
    gain = ((left - columns[:, :-1] @ without) ** 2).sum() - ((left - columns @ solution) ** 2).sum()
    np.testing.assert_allclose(clear**2, gain, rtol=0.02)
    np.testing.assert_allclose(height, solution[-1], rtol=0.02)


def test_figures_say_which_known_line_is_which(rng):
    places = [(200.0, 300.0, FWHM), (200.0 + 1.2 * FWHM, 100.0, FWHM), (400.0, 50.0, FWHM)]
    y = rng.poisson(lines(*places) * COUNTS) / COUNTS
    known = (np.array([200.0, 400.0]), np.array([300.0, 50.0]), np.full(2, FWHM))
    found = find_hidden(y, y / COUNTS, np.ones(1), *known, *windows(known[0], known[2], N, 8), 5.0)
    assert found.shape == (5, 2)
    np.testing.assert_array_equal(found[4], [0.0, -1.0])
    np.testing.assert_allclose(found[0], [200.0, 200.0 + 1.2 * FWHM], atol=0.3)


def test_known_lines_are_changed_only_where_one_is_found(rng):
    """With widths of their own, too: a line that was found and then given one was left out, and its part with it."""
    for _ in range(60):
        places = [(p, 10.0 ** rng.uniform(1.5, 3), FWHM * rng.uniform(0.6, 1.6)) for p in rng.uniform(30, 570, 15)]
        diffractogram = counted(lines(*places), COUNTS, rng)
        noise = curve_noise(diffractogram)
        known = shapes_of(*places[:9])
        found = with_hidden_lines(known, Curve(diffractogram.intensity), noise, 5.0)
        assert found is known or len(found.position) > len(known.position)


def test_none_is_found_where_no_data_are(rng):
    """Beyond the ends, and in a gap between flanks."""
    for _ in range(150):
        end, beside = rng.uniform(2.0, 6.0), rng.uniform(6.0, 14.0)
        places = [(end, 300.0, FWHM), (end - beside, 400.0, FWHM), (300.0, 300.0, FWHM), (300 + beside, 200.0, FWHM)]
        diffractogram = counted(lines(*places), COUNTS, rng)
        gap = int(300 + beside - 3) + np.arange(rng.integers(2, 8))
        diffractogram.intensity[gap] = np.nan
        known = shapes_of(places[0], places[2])
        found = with_hidden_lines(known, Curve(diffractogram.intensity), curve_noise(diffractogram), 5.0)
        at = found.position[2:]
        assert (at > 0.0).all()
        assert np.isfinite(diffractogram.intensity[np.round(at).astype(int)]).all()
