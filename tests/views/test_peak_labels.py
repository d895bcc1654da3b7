"""Positions at the peaks: those that have room, none over another."""

from __future__ import annotations

import itertools

import numpy as np
from derived_run_example import DerivedRun, RangeExample

from bluesky_diffractogram.views import LiveDiffractogram


def labelled(*ranges, **kwargs):
    curves = LiveDiffractogram(**kwargs)
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
