"""The y axis of heat-maps: round values where they are reached."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from bluesky_diffractogram.views.rowaxis import RowFormatter, RowLocator, RowScale, monotonic


@given(st.lists(st.floats(0.01, 100), min_size=2, max_size=20), st.sampled_from([1, -1]))
def test_positions_and_values_are_inverse(steps, sign):
    values = sign * np.cumsum(steps)
    scale = RowScale(5 + np.arange(len(values)), values)
    np.testing.assert_allclose(scale.position(values), np.arange(len(values))[::sign][::sign] + 5, atol=1e-9)
    assert [scale.value(5 + row) for row in range(len(values))] == pytest.approx(list(values))


def test_several_frames_at_one_value_are_labelled_in_their_middle():
    scale = RowScale(np.arange(1, 7), np.array([300.0, 300, 300, 310, 310, 320]))
    np.testing.assert_allclose(scale.position(np.array([300.0, 310.0, 320.0])), [2.0, 4.5, 6.0])


def test_values_that_no_row_reaches_have_no_position():
    scale = RowScale(np.arange(3), np.array([10.0, 20.0, 30.0]))
    np.testing.assert_allclose(scale.position(np.array([5.0, 15.0, 35.0])), [0.5])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2, 3], True),
        ([3, 2, 2, 1], True),
        ([1], True),
        ([1, 3, 2], False),
        ([1, np.nan, 3], False),
        ([1, np.inf], False),
        ([], False),
    ],
)
def test_monotonic(values, expected):
    assert monotonic(np.array(values, float)) is expected


def labelled(values, first=1, view=None):
    """Positions and texts of the major ticks."""
    rows = first + np.arange(len(values))
    ax = Figure(figsize=(5, 4)).add_subplot()
    scale = RowScale(rows, np.array(values, float))
    ax.yaxis.set_major_locator(RowLocator(scale))
    ax.yaxis.set_major_formatter(RowFormatter(scale))
    ax.set_ylim(*(view or (rows[0] - 0.5, rows[-1] + 0.5)))
    ax.figure.canvas.draw()
    return list(ax.get_yticks()), [label.get_text() for label in ax.get_yticklabels()]


def test_ticks_stand_at_round_values_where_the_rows_reach_them():
    positions, texts = labelled([300 + 3.3 * row for row in range(60)], first=11)
    assert texts == ["300", "325", "350", "375", "400", "425", "450", "475"]
    np.testing.assert_allclose(positions, [11 + (float(text) - 300) / 3.3 for text in texts])


def test_falling_values_are_labelled_downwards():
    positions, texts = labelled([100 - row for row in range(11)])
    assert texts == ["100", "98", "96", "94", "92", "90"]
    np.testing.assert_allclose(positions, [1, 3, 5, 7, 9, 11])


def test_steps_of_a_half_are_written_with_one_decimal():
    _, texts = labelled(np.linspace(0, 2.5, 6))
    assert texts == ["0.0", "0.5", "1.0", "1.5", "2.0", "2.5"]


def test_minus_is_a_minus_and_zero_has_none():
    _, texts = labelled([-2, -1, 0, 1])
    assert texts[0] == "\N{MINUS SIGN}2.0"
    assert "0.0" in texts


def test_one_row_has_its_value_as_its_tick():
    assert labelled([293.17]) == ([1.0], ["293.17"])


def test_a_pause_does_not_crowd_the_ticks():
    times = [float(row) for row in range(20)] + [500.0 + row for row in range(20)]
    positions, texts = labelled(times)
    assert len(positions) >= 2
    assert np.diff(positions).min() > 1.5
    assert len(set(texts)) == len(texts)


def test_zooming_gives_finer_values():
    positions, texts = labelled([10.0 * row for row in range(101)], view=(50, 52))
    assert all(50 <= position <= 52 for position in positions)
    assert len(texts) >= 4
    assert float(texts[0]) == pytest.approx(10 * (positions[0] - 1))
