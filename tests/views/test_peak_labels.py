"""Positions at the peaks: those that have room, none over another."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from derived_run_example import DerivedRun, RangeExample
from matplotlib.figure import Figure

from bluesky_diffractogram.views import LiveDiffractogram


def labelled(*ranges, figsize=(8, 4.5), **kwargs):
    curves = LiveDiffractogram(ax=Figure(figsize=figsize, dpi=100).add_subplot(), **kwargs)
    DerivedRun(ranges, 1, drift=0.0).feed(curves)
    curves.draw()
    return curves, curves._labels.texts()


def test_every_peak_with_room_says_where_it_is():
    curves, texts = labelled(RangeExample(radial=(0, 10), npt=200, centres=(0.25, 0.6)))
    assert sorted(text.get_text() for text in texts) == ["2.500", "6.000"]  # bins of 0.05
    for text in texts:
        tip = curves.ax.transData.transform(text.xy)
        assert text.get_window_extent().y0 > tip[1] + 5
        assert abs(np.mean(text.get_window_extent().intervalx) - tip[0]) < 1
        assert text.get_color() == curves.lines[1].get_color()
        assert curves.ax.get_window_extent().contains(*text.get_window_extent().max)


def test_texts_of_a_crowd_do_not_overlap_and_the_highest_stay():
    centres = tuple(np.linspace(0.1, 0.9, 20))
    curves, texts = labelled(RangeExample(radial=(0, 10), npt=20000, centres=centres))
    assert 3 <= len(texts) < 18
    boxes = [text.get_window_extent() for text in texts]
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
    assert max(curves.lines[1].get_ydata()) - max(text.xy[1] for text in texts) < 1


def test_the_same_peak_of_two_ranges_is_written_once():
    same = RangeExample(radial=(0, 10), centres=(0.5,))
    curves, texts = labelled(same, same)
    assert len(texts) == 1
    assert texts[0].get_color() == curves.lines[1].get_color()


def test_texts_are_used_again():
    curves = LiveDiffractogram()
    for centres in ((0.2, 0.5, 0.8), (0.5,), (0.3, 0.6)):
        DerivedRun([RangeExample(centres=centres)], 1, drift=0.0).feed(curves)
        curves.draw()
        assert len(curves._labels.texts()) == len(centres)
    assert len(curves._labels._texts) == 3


def test_without_peaks_there_are_none():
    assert labelled(RangeExample(), peaks=False)[1] == []
    assert labelled(RangeExample(centres=()))[1] == []


@pytest.mark.parametrize("apart", [0.004, 0.01, 0.02, 0.03])
def test_at_a_doublet_no_text_lies_on_text_marker_or_line(apart):
    """Both markers stay, and the higher peak is named; the lower one where it has room at its own side."""
    pair = RangeExample(radial=(0, 10), npt=2000, centres=(0.5, 0.5 + apart))
    curves, texts = labelled(pair, figsize=(5, 3))
    assert len(curves.markers[1].get_xdata()) == 2
    assert texts[0].xy[0] == pytest.approx(5.0)
    line = curves.ax.transData.transform(curves.lines[1].get_xydata())
    tips = curves.ax.transData.transform(curves.markers[1].get_xydata())
    boxes = [text.get_window_extent() for text in texts]
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
    for box in boxes:
        assert not any(box.contains(*point) for point in line)
        assert not any(box.x0 < x + 3 and x - 3 < box.x1 and box.y0 < y + 7 and y < box.y1 for x, y in tips)
    assert len(texts) == (2 if apart >= 0.03 else 1)


@pytest.mark.parametrize("scale", ["linear", "sqrt", "log"])
@pytest.mark.parametrize("high", [1.7, 3.0, 6.0])
def test_the_highest_peak_has_room_for_its_position(scale, high):
    _, texts = labelled(RangeExample(centres=(0.5,)), scale=scale, figsize=(6, high))
    assert len(texts) == 1


def test_positions_are_written_over_an_axis_that_falls():
    """d falls where 2θ rises."""
    run = DerivedRun([RangeExample(radial=(6, 2), centres=(0.25, 0.6))], 1, drift=0.0, unit="d_A")
    curves = LiveDiffractogram()
    run.feed(curves)
    curves.draw()
    assert sorted(text.get_text() for text in curves._labels.texts()) == ["3.600", "5.000"]


@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize("seed", range(3))
def test_with_many_peaks_of_four_ranges_no_text_lies_on_text_marker_or_any_curve(scale, seed):
    rng = np.random.default_rng(seed)
    ranges = [RangeExample((20 * n, 20 * n + 10), (0, 10), 400, tuple(rng.uniform(0.04, 0.93, 12))) for n in range(4)]
    curves, texts = labelled(*ranges, figsize=(10, 7), scale=scale)
    assert 8 <= len(texts) <= 16
    boxes = [text.get_window_extent() for text in texts]
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
    for number, line in curves.lines.items():
        points = curves.ax.transData.transform(line.get_xydata())
        fine = np.linspace(points[0, 0], points[-1, 0], 40_000)
        path = np.column_stack([fine, np.interp(fine, *points.T)])
        tips = curves.ax.transData.transform(curves.markers[number].get_xydata())
        for text, box in zip(texts, boxes, strict=True):
            inside = (path > np.array(box.min) + 0.5) & (path < np.array(box.max) - 0.5)
            assert not inside.all(axis=1).any(), (number, text.get_text())
            assert not ((tips > box.min) & (tips < box.max)).all(axis=1).any()
