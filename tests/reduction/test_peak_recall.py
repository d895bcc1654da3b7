"""How many of the lines of calibrants the default finder finds, and how many that are not there."""

from __future__ import annotations

import numpy as np
import pytest
from powder_curves import FINDERS, calibrant_curve, compare

NAMES = ("AgBh", "CeO2", "Cr2O3", "LaB6", "Ni", "quartz", "Si", "TiO2", "vanadinite", "ZnO", "Cr2O3", "LaB6")


@pytest.fixture(scope="module")
def scores():
    rng = np.random.default_rng(5)
    kinds = ((5.0, 2.8), (9.0, 1.5)) * 6
    curves = [
        (name, calibrant_curve(name, rng, fwhm=fwhm, width=width))
        for name, (fwhm, width) in zip(NAMES, kinds, strict=False)
    ]
    return compare(curves, {name: finder for name, finder in FINDERS.items() if name != "default, fitted"})


@pytest.mark.parametrize(("isolation", "snr"), [(3.0, 15.0), (2.0, 30.0)])
def test_every_clear_line_of_calibrants_is_found(scores, isolation, snr):
    assert scores["default"].recall(isolation, snr) == 1.0


def test_nearly_every_line_more_than_a_width_from_the_next_is_found(scores):
    assert scores["default"].recall(1.0, 30.0) >= 0.98
    assert scores["default"].recall(2.0, 10.0) >= 0.93


def test_lines_of_calibrants_bring_hardly_a_false_peak(scores):
    assert scores["default"].false == 0
    assert scores["plain find_peaks"].false > 10  # so that a miscount would be seen


def test_the_other_finders_find_less(scores):
    for other in ("lavue", "plain find_peaks"):
        assert scores[other].recall(1.0, 15.0) < scores["default"].recall(1.0, 15.0)


def test_positions_are_as_good_as_counting_allows(scores):
    score = scores["default"]
    assert len(score.misses) > 50
    assert abs(np.mean(score.pulls)) < 0.3
    assert np.median(np.abs(score.misses)) < 0.08
    assert np.std(score.pulls) < 1.5
