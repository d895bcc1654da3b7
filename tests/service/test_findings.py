"""Found peaks beside the simulated truth."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from bluesky_diffractogram.service.findings import Findings
from bluesky_diffractogram.service.tally_line import tally_line

DESCRIPTOR: dict[str, Any] = {
    "configuration": {"diffractogram": {"data": {"unit_label": "2th [deg]"}}},
    "data_keys": {"diff_1": {}, "diff_2": {}, "peak_1_position": {}},
}


def _truth(number: int, temperature: float) -> np.ndarray:
    return np.array([5.0, 6.0, np.nan, 7.0]) * number - 0.001 * temperature


def _event(seq_num: int, temperature: float, first: float, second: float) -> dict[str, Any]:
    return {
        "seq_num": seq_num,
        "data": {"furnace": temperature, "peak_1_position": first, "peak_2_position": second},
    }


@pytest.fixture
def findings() -> Findings:
    findings = Findings(_truth, "furnace")
    findings("descriptor", DESCRIPTOR)
    findings("event", _event(1, 0.0, math.nan, 12.01))
    findings("event", _event(2, 100.0, 5.91, 11.9))
    # at 700 K the first line is nearer to 5.305 − but the line of the first frame is followed
    findings("event", _event(3, 700.0, 5.305, 11.31))
    findings("stop", {"frames": {"received": 4, "reduced": 3, "skipped": 1, "reasons": {"shape": 1}}})
    return findings


def test_the_line_nearest_to_the_first_peak_is_the_truth_from_then_on(findings: Findings) -> None:
    assert [row.true[2] for row in findings.rows] == pytest.approx([12.0, 11.9, 11.3])
    assert math.isnan(findings.rows[0].true[1])
    assert [row.true[1] for row in findings.rows[1:]] == pytest.approx([5.9, 5.3])


def test_the_largest_difference_is_over_all_frames(findings: Findings) -> None:
    assert findings.largest_difference(1) == pytest.approx(0.01)
    assert findings.largest_difference(2) == pytest.approx(0.01)


def test_the_table_shows_some_frames_and_the_last(findings: Findings) -> None:
    console = Console(width=100, record=True, markup=False, file=io.StringIO())
    console.print(findings.table(every=2))
    text = console.export_text()
    assert "2th [deg]" in text
    assert "11.9000" in text
    assert "5.3050" in text
    assert "nan" in text  # nothing found in frame 1


def test_counts_are_told_in_words(findings: Findings) -> None:
    assert tally_line(findings.frames) == "4 received, 3 reduced, 1 skipped (shape: 1)"
    assert tally_line({}) == "0 received, 0 reduced"
    assert tally_line({"received": 2, "not_requested": 2}) == "2 received, 0 reduced, 2 not requested"
    darks = {"received": 3, "reasons": {"file": 1}}
    assert tally_line({"received": 1, "reduced": 1, "darks": darks}) == (
        "1 received, 1 reduced, 3 darks (not usable: file: 1)"
    )
