"""Which of the peaks is the one that was seen before."""

from __future__ import annotations

import numpy as np
import pytest

from bluesky_diffractogram.reduction.diffractogram import Peaks
from bluesky_diffractogram.reduction.follow import PeakFollower, follow

STEP = 0.01


def listed(*peaks: tuple[float, float], fwhm: float | list[float] = 0.08) -> Peaks:
    """Peaks of (position, net height), strongest first."""
    position, height = np.array(peaks, dtype=float).reshape(-1, 2).T
    n = len(position)
    return Peaks(position, height, height, np.broadcast_to(fwhm, n) * 1.0, height, np.full(n, STEP))


def test_without_a_reference_the_strongest_is_taken():
    assert follow(None, listed((3.0, 90.0), (1.0, 80.0)), STEP) == (0, 3.0)


def test_without_a_reference_and_without_peaks_there_is_still_none():
    assert follow(None, Peaks.none(), STEP) == (None, None)


def test_a_peak_is_followed_when_another_becomes_the_strongest():
    reference = follow(None, listed((3.0, 90.0), (1.0, 80.0)), STEP)[1]
    assert follow(reference, listed((1.0, 85.0), (3.002, 70.0)), STEP) == (1, 3.002)


def test_a_drift_of_many_widths_is_followed_step_by_step():
    reference = None
    for frame in range(60):
        at = 3.0 - 0.02 * frame  # 1.2 altogether, 15 widths
        neighbours = [(1.0, 50.0 + frame), (at, 90.0 - frame)]  # the other is the stronger one at the end
        neighbours.sort(key=lambda peak: -peak[1])
        index, reference = follow(reference, listed(*neighbours), STEP)
        assert reference == at
        assert index == neighbours.index((at, 90.0 - frame))


def test_the_nearest_is_taken_of_two_that_are_near():
    assert follow(3.0, listed((2.95, 90.0), (3.02, 10.0)), STEP) == (1, 3.02)


def test_a_lost_peak_is_none_and_found_again_where_it_was():
    index, reference = follow(3.0, listed((3.4, 90.0), (1.0, 80.0)), STEP)
    assert (index, reference) == (None, 3.0)
    assert follow(reference, Peaks.none(), STEP) == (None, 3.0)
    assert follow(reference, listed((3.4, 90.0), (3.01, 20.0)), STEP) == (1, 3.01)


@pytest.mark.parametrize(
    ("fwhm", "distance", "near"),
    [
        (0.08, 0.079, True),  # one width
        (0.08, 0.081, False),
        (0.02, 0.049, True),  # five bins, when the width is less
        (0.02, 0.051, False),
        (np.nan, 0.049, True),
        (np.nan, 0.051, False),
        (2.0, 0.249, True),  # twenty-five bins, when it is more
        (2.0, 0.251, False),
    ],
)
def test_the_window_is_one_width_between_five_and_twenty_five_bins(fwhm, distance, near):
    for side in (-1.0, 1.0):
        index, _ = follow(3.0, listed((3.0 + side * distance, 5.0), fwhm=fwhm), STEP)
        assert (index == 0) is near


def test_a_halo_is_not_taken_for_a_line_that_is_gone():
    assert follow(3.0, listed((3.5, 500.0), fwhm=2.0), STEP) == (None, 3.0)


def test_the_window_can_be_chosen():
    wide = PeakFollower(widths=5.0, most_bins=100.0)
    assert wide.follow(3.0, listed((3.3, 5.0)), STEP) == (0, 3.3)


def test_the_list_is_not_changed():
    peaks = listed((3.0, 90.0), (1.0, 80.0), fwhm=[np.nan, 0.1])
    follow(3.0, peaks, STEP)
    assert np.isnan(peaks.fwhm[0])
