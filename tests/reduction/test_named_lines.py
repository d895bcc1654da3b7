"""Names of peaks through drift, weakening, crossings and losses."""

from __future__ import annotations

import numpy as np
import pytest

from bluesky_diffractogram.reduction.diffractogram import Peaks
from bluesky_diffractogram.reduction.tracked_lines import TrackedLine
from bluesky_diffractogram.reduction.tracking import Measured, PeakTracker

STEP = 0.01


def frame(*lines: tuple[float, float], fwhm: float = 0.06) -> Peaks:
    """Peaks of these positions and heights, strongest first."""
    ordered = sorted(lines, key=lambda each: -each[1])
    position, height = (np.array([each[k] for each in ordered]) for k in range(2))
    width = np.full(len(ordered), fwhm)
    return Peaks(position, height + 10.0, height, width, height * width, np.full(len(ordered), STEP))


def positions(tracker: PeakTracker, peaks: Peaks) -> list[float]:
    return [np.nan if k is None else float(peaks.position[k]) for k in tracker.follow(peaks)]


def window(name: str, near: float, within: float) -> TrackedLine:
    return TrackedLine(name, near - within, near + within)


def test_each_is_found_in_its_window_and_nothing_outside():
    tracker = PeakTracker([window("111", 3.1, 0.1), window("200", 3.6, 0.1), window("220", 5.1, 0.05)], STEP)
    seen = positions(tracker, frame((3.55, 20.0), (3.14, 5.0), (4.0, 100.0), (3.07, 50.0)))
    np.testing.assert_equal(seen, [3.07, 3.55, np.nan])


def test_a_drift_is_followed_far_beyond_the_window():
    tracker = PeakTracker([window("111", 3.1, 0.05)], STEP)
    for k in range(60):
        at = 3.1 + 0.03 * k
        # the neighbour keeps its distance, which is less than the way that both go
        assert positions(tracker, frame((at, 30.0), (at + 0.2, 90.0))) == [pytest.approx(at)]


def test_a_peak_may_become_weak_and_its_neighbour_strong():
    tracker = PeakTracker([window("alpha", 3.1, 0.05)], STEP)
    for k in range(30):
        peaks = frame((3.1, 100.0 * 0.8**k), (3.19, 1.0 * 1.25**k))
        assert positions(tracker, peaks) == [3.1]


def test_a_lost_peak_is_lost_and_found_again_where_its_drift_took_it():
    tracker = PeakTracker([window("111", 3.1, 0.05)], STEP)
    for k in range(10):
        positions(tracker, frame((3.1 + 0.02 * k, 30.0)))
    for _ in range(4):
        np.testing.assert_equal(positions(tracker, frame((4.5, 500.0))), [np.nan])
    assert positions(tracker, frame((3.1 + 0.02 * 14, 28.0), (4.5, 500.0))) == [pytest.approx(3.38)]


def test_a_peak_lost_for_long_is_looked_for_where_it_was_first_expected():
    tracker = PeakTracker([window("111", 3.1, 0.05)], STEP)
    positions(tracker, frame((3.1, 30.0)))
    for k in range(1, 30):
        positions(tracker, frame((3.1 + 0.02 * k, 30.0)))
    for _ in range(20):
        positions(tracker, Peaks.none())
    assert positions(tracker, frame((3.12, 28.0))) == [3.12]


@pytest.mark.parametrize("heights", [(100.0, 100.0), (100.0, 30.0)])
def test_two_that_cross_keep_their_names(heights):
    tracker = PeakTracker([window("a", 3.0, 0.05), window("b", 3.5, 0.05)], STEP)
    rng = np.random.default_rng(1)
    for k in range(51):
        a, b = 3.0 + 0.01 * k, 3.5 - 0.01 * k
        noise = 0.001 * rng.normal(size=2)
        apart = abs(a - b) > 0.06
        lines = [(a + noise[0], heights[0]), (b + noise[1], heights[1])]
        if not apart:  # the finder sees one, between them
            at = np.average([a, b], weights=heights)
            lines = [(at, sum(heights))]
        seen = positions(tracker, frame(*lines))
        if apart:
            np.testing.assert_allclose(seen, [a, b], atol=0.005)
        else:
            assert sum(np.isfinite(seen)) == 1


def test_that_which_is_weaker_by_far_keeps_its_name_beside_a_line_it_crosses():
    tracker = PeakTracker([window("still", 3.3, 0.05), window("moves", 3.0, 0.05)], STEP)
    for k in range(61):
        moves = 3.0 + 0.01 * k
        lines = [(3.3, 300.0)] if abs(moves - 3.3) < 0.06 else [(3.3, 300.0), (moves, 20.0)]
        still, other = positions(tracker, frame(*lines))
        assert still == 3.3
        if len(lines) == 2:
            assert other == pytest.approx(moves)
        else:
            assert np.isnan(other)


def test_automatic_ones_are_the_strongest_of_the_first_frame_and_keep_that_name():
    tracker = PeakTracker([TrackedLine("p1"), TrackedLine("p2"), TrackedLine("p3")], STEP)
    assert positions(tracker, frame((3.0, 10.0), (4.0, 90.0), (5.0, 40.0), (6.0, 5.0))) == [4.0, 5.0, 3.0]
    assert positions(tracker, frame((3.0, 100.0), (4.0, 9.0), (5.0, 40.0), (6.0, 500.0))) == [4.0, 5.0, 3.0]


def test_an_automatic_name_that_is_free_goes_to_a_peak_that_comes_later():
    tracker = PeakTracker([TrackedLine("p1"), TrackedLine("p2")], STEP)
    np.testing.assert_equal(positions(tracker, frame((4.0, 90.0))), [4.0, np.nan])
    assert positions(tracker, frame((4.0, 90.0), (5.0, 200.0))) == [4.0, 5.0]
    np.testing.assert_equal(positions(tracker, frame((5.0, 200.0))), [np.nan, 5.0])


def test_automatic_ones_leave_its_peak_to_every_name():
    """Be there fewer peaks than names and places, and the unnamed ones the strongest."""
    names = [window(str(near), near, 0.05) for near in (3.0, 4.0, 5.0, 6.0)]
    for places in range(1, 6):
        tracker = PeakTracker([*names, *(TrackedLine(f"p{k}") for k in range(1, places + 1))], STEP)
        four = [(3.0, 10.0), (4.0, 90.0), (5.0, 40.0), (6.0, 5.0)]
        for _ in range(3):
            np.testing.assert_equal(positions(tracker, frame(*four)), [3.0, 4.0, 5.0, 6.0, *[np.nan] * places])
        seen = positions(tracker, frame(*four, (4.5, 500.0)))  # the new phase that one is waiting for
        np.testing.assert_equal(seen, [3.0, 4.0, 5.0, 6.0, 4.5, *[np.nan] * (places - 1)])


def test_automatic_ones_fill_from_the_first_on():
    tracker = PeakTracker([TrackedLine(f"p{k}") for k in range(1, 6)], STEP)
    seen = positions(tracker, frame((3.0, 10.0), (4.0, 90.0), (5.0, 40.0)))
    np.testing.assert_equal(seen, [4.0, 5.0, 3.0, np.nan, np.nan])


def test_a_name_takes_a_peak_that_comes_into_its_window_without_one():
    lines = [window("111", 3.1, 0.05), TrackedLine("p1")]
    tracker = PeakTracker(lines, STEP)
    for k in range(20):  # from far away, where it has no name
        at = 3.0 + 0.004 * k
        seen = positions(tracker, frame((at, 30.0)))
        np.testing.assert_equal(seen, [at, np.nan] if at >= 3.05 else [np.nan, at])
    assert positions(tracker, frame((3.076, 30.0), (4.0, 50.0))) == [3.076, 4.0]  # and the place is free again


def test_a_name_that_was_lost_for_long_gets_its_peak_back():
    tracker = PeakTracker([window("111", 3.1, 0.05), TrackedLine("p1")], STEP)
    positions(tracker, frame((3.1, 30.0)))
    for _ in range(3):  # it jumps out of reach, as when a motor slips
        np.testing.assert_equal(positions(tracker, frame((3.5, 30.0))), [np.nan, 3.5])
    for k in range(40):
        seen = positions(tracker, frame((3.5 - 0.01 * k, 30.0)))
    np.testing.assert_allclose(seen, [3.11, np.nan])


def test_one_peak_is_never_two():
    tracker = PeakTracker([window("a", 3.0, 0.1), window("b", 3.05, 0.1)], STEP)
    assert sum(np.isfinite(positions(tracker, frame((3.02, 10.0))))) == 1


def test_what_it_is_told_makes_it_know_what_it_would_have_seen():
    lines = [window("a", 3.0, 0.05), window("b", 3.5, 0.05), window("c", 3.42, 0.03), TrackedLine("p1")]
    one, other = PeakTracker(lines, STEP), PeakTracker(lines, STEP)
    for k in range(25):
        peaks = frame((3.0 + 0.01 * k, 10.0), *([(3.5 - 0.01 * k, 20.0)] if k % 3 else []))
        which = one.follow(peaks)
        told = [None if j is None else Measured(*(float(a[j]) for a in (peaks.position, peaks.net_height, peaks.fwhm)))
                for j in which]  # fmt: skip
        other.resume(told)
        assert one._tracks == other._tracks


def test_nothing_raises_without_peaks_or_lines():
    assert PeakTracker([], STEP).follow(frame((3.0, 1.0))) == ()
    assert PeakTracker([window("a", 3.0, 0.1)], STEP).follow(Peaks.none()) == (None,)


def test_hundred_frames_of_ten_lines_are_quick():
    import time

    tracker = PeakTracker([window(str(k), 3.0 + 0.2 * k, 0.05) for k in range(10)], STEP)
    peaks = frame(*((3.0 + 0.2 * k, 10.0 + k) for k in range(10)))
    begin = time.thread_time()
    for _ in range(100):
        tracker.follow(peaks)
    assert time.thread_time() - begin < 0.2
