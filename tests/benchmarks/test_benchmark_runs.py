"""The benchmark itself works; what it measures is for people to read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


def test_the_quick_benchmark_gives_a_table_and_json(tmp_path):
    out = tmp_path / "figures.json"
    script = Path(__file__).with_name("integration.py")
    done = subprocess.run(
        [sys.executable, str(script), "--quick", "--json", str(out)], capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr
    assert "lavue's way / ours" in done.stdout
    (case,) = json.loads(out.read_text())["cases"]
    assert case["ratios"]["pyFAI's best / ours"] > 0


@pytest.mark.slow
def test_the_quick_benchmark_of_the_window_gives_a_table_and_json(tmp_path):
    out = tmp_path / "figures.json"
    script = Path(__file__).with_name("window.py")
    done = subprocess.run(
        [sys.executable, str(script), "--quick", "--json", str(out)], capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr
    assert "memory per scan" in done.stdout
    without, drawn = json.loads(out.read_text())["cases"]
    assert (without["window"], drawn["window"]) == ("none", "agg")
    assert without["drawings"]["draw"] == 0
    assert drawn["scan_s"] > 0
