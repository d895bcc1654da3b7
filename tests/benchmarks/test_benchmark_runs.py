"""The benchmark itself works; what it measures is for people to read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.long
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


@pytest.mark.long
def test_the_benchmark_of_replays_gives_json(tmp_path):
    out = tmp_path / "figures.json"
    script = Path(__file__).with_name("replay.py")
    options = ["--detector", "Pilatus 1M", "--frames", "30", "--rounds", "1", "--workers", "1", "--json", str(out)]
    done = subprocess.run([sys.executable, str(script), *options], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    report = json.loads(out.read_text())
    assert set(report["frames_per_second"]) == {"serial", "1 worker"}
    assert report["processor_ms_a_frame"]["1 worker"]["workers"] > 0


def test_the_benchmark_of_the_scans_delay_gives_json(tmp_path):
    out = tmp_path / "figures.json"
    script = Path(__file__).with_name("delay.py")
    done = subprocess.run(
        [sys.executable, str(script), "--quick", "--json", str(out)], capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr
    cases = json.loads(out.read_text())["without a window"]
    assert [case["image in"] for case in cases] == ["event", "file"]
    assert all(0 < case["p50 ms"] <= case["p99 ms"] for case in cases)


@pytest.mark.long
def test_the_benchmark_of_the_service_gives_json(tmp_path):
    out = tmp_path / "figures.json"
    script = Path(__file__).with_name("service.py")
    for options in (["--quick"], ["--soak", "300"]):
        command = [sys.executable, str(script), *options, "--json", str(out)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=280)
        assert done.returncode == 0, done.stderr
    figures = json.loads(out.read_text())
    assert figures["throughput"][0]["service"] > 0
    assert figures["soak"]["tally"]["reduced"] == 300


@pytest.mark.long
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
