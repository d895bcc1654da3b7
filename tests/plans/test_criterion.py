"""When a peak appears, vanishes, or crosses a position."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bluesky_diffractogram.plans.criterion import PeakCriterion

NOTHING = ()


def decisions(criterion, points):
    """What it says at each point, given as the positions of the peaks; the first is the one that is followed."""
    return [
        criterion.met(np.array(positions, dtype=float), float(positions[0]) if positions else math.nan)
        for positions in points
    ]


@pytest.mark.parametrize(
    ("criterion", "points", "expected"),
    [
        (PeakCriterion("appears"), [NOTHING, [3.0]], [False, True]),
        (PeakCriterion("appears", 5.0, 0.1), [[3.0], [3.0, 5.2], [3.0, 5.05]], [False, False, True]),
        (PeakCriterion("appears", 5.0, 0.1, confirm=2), [[5.0], NOTHING, [5.0], [5.0]], [False, False, False, True]),
        (PeakCriterion("vanishes"), [NOTHING, [3.0], NOTHING], [False, False, True]),
        (PeakCriterion("vanishes", 5.0, 0.1), [[3.0], [3.0, 5.0], [3.0]], [False, False, True]),
        (
            PeakCriterion("vanishes", 5.0, 0.1, confirm=2),
            [[5.0], NOTHING, [5.0], NOTHING, NOTHING],
            [False] * 4 + [True],
        ),
        (PeakCriterion("crosses", position=4.0), [[3.0, 9.0], [3.9, 9.0], NOTHING, [4.1, 9.0]], [False] * 3 + [True]),
        (PeakCriterion("crosses", position=4.0), [[5.0], [4.2], [4.0]], [False, False, True]),
        (PeakCriterion("crosses", position=4.0), [NOTHING, [5.0], [3.0]], [False, False, True]),
        # one that moves is followed further than the tolerance, and not mistaken for another
        (
            PeakCriterion("crosses", 5.0, 0.4, position=6.0),
            [[9.0, 5.0], [9.0, 5.3], [9.0, 5.6], [5.9, 9.0], [6.1]],
            [False, False, False, False, True],
        ),
        (PeakCriterion("crosses", 5.0, 0.4, position=6.0), [[5.0], [6.5]], [False, False]),
    ],
)
def test_decisions(criterion, points, expected):
    assert decisions(criterion, points) == expected


def test_it_tells_where_the_peak_was_last():
    criterion = PeakCriterion("vanishes", 5.0, 0.2)
    decisions(criterion, [[4.0, 5.1]])
    assert criterion.last == 5.1
    decisions(criterion, [[4.0]])
    assert math.isnan(criterion.last)
