"""Documents as JSON lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bluesky_diffractogram.service.jsonlines import JsonLines


def _no_constants(name: str) -> Any:
    raise AssertionError(f"{name} is no JSON")


def test_every_document_is_one_line_of_strict_json(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    lines = JsonLines(path)
    image = np.array([[1.0, np.nan], [np.inf, 4.0]])
    lines("start", {"uid": "a", "text": "χ\n"})
    lines(
        "event",
        {
            "data": {
                "image": image,
                "counts": np.array([1, 2], dtype=np.uint16),
                "scalar": np.float32(0.5),
                "bad": float("nan"),
                "n": np.int64(3),
                "nested": [float("-inf"), (1.0, None, True)],
            }
        },
    )
    lines("stop", {"num_events": {"primary": 1}})
    lines.close()
    read = [json.loads(line, parse_constant=_no_constants) for line in path.read_text("utf-8").splitlines()]
    assert [each["name"] for each in read] == ["start", "event", "stop"]
    assert read[0]["doc"] == {"uid": "a", "text": "χ\n"}
    assert read[1]["doc"]["data"] == {
        "image": [[1.0, None], [None, 4.0]],
        "counts": [1, 2],
        "scalar": 0.5,
        "bad": None,
        "n": 3,
        "nested": [None, [1.0, None, True]],
    }
    assert np.isnan(image[0, 1])  # documents are not written to


def test_numbers_come_back_exactly(tmp_path: Path) -> None:
    lines = JsonLines(tmp_path / "x.jsonl")
    values = np.random.default_rng(0).normal(size=100) * 1e-7
    lines("event", {"data": {"v": values}})
    lines.close()
    read = json.loads((tmp_path / "x.jsonl").read_text())
    np.testing.assert_array_equal(read["doc"]["data"]["v"], values)


def test_what_is_no_json_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        JsonLines(tmp_path / "x.jsonl")("event", {"data": {"v": object()}})
