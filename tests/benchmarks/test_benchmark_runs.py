"""The benchmark itself works; what it measures is for people to read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def benchmark(tmp_path):
    """A function that runs a benchmark with options; gives what it printed and what it wrote."""

    def run(script, *options):
        out = tmp_path / "figures.json"
        command = [sys.executable, str(Path(__file__).with_name(script)), *options, "--json", str(out)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=280)
        assert done.returncode == 0, done.stderr
        return done.stdout, json.loads(out.read_text())

    return run


@pytest.mark.long
def test_the_quick_benchmark_gives_a_table_and_json(benchmark):
    printed, figures = benchmark("integration.py", "--quick")
    assert "lavue's way / ours" in printed
    (case,) = figures["cases"]
    assert case["ratios"]["pyFAI's best / ours"] > 0


@pytest.mark.long
def test_the_quick_benchmark_of_cakes_gives_a_table_and_json(benchmark):
    printed, figures = benchmark("cake.py", "--quick")
    assert "until the first cake" in printed
    (case,) = figures["cases"]
    assert case["ratios"]["pyFAI's best / ours, 1 thread"] > 0


@pytest.mark.long
def test_the_benchmark_of_replays_gives_json(benchmark):
    options = ["--detector", "Pilatus 1M", "--frames", "30", "--rounds", "1", "--workers", "1"]
    _, report = benchmark("replay.py", *options)
    assert set(report["frames_per_second"]) == {"serial", "1 worker"}
    assert report["processor_ms_a_frame"]["1 worker"]["workers"] > 0


def test_the_benchmark_of_the_scans_delay_gives_json(benchmark):
    _, figures = benchmark("delay.py", "--quick")
    cases = figures["without a window"]
    assert [case["image in"] for case in cases] == ["event", "file"]
    assert all(0 < case["p50 ms"] <= case["p99 ms"] for case in cases)


@pytest.mark.long
def test_the_benchmark_of_the_service_gives_json(benchmark):
    benchmark("service.py", "--quick")
    _, figures = benchmark("service.py", "--soak", "300")  # added to those that are there
    (case,) = figures["throughput"]
    assert case["service"] > 0
    assert all(spent > 0 for spent in case["ms a frame"].values())
    assert figures["soak"]["tally"]["reduced"] == 300


@pytest.mark.long
def test_the_quick_benchmark_of_the_window_gives_a_table_and_json(benchmark):
    printed, figures = benchmark("window.py", "--quick")
    assert "processor time" in printed
    (case,) = figures["cases"]
    (pair,) = case["pairs"]
    assert pair["without"]["draw"] == 0 < pair["with"]["draw"]
    assert case["wall"]["median"] == pair["with"]["wall_s"] / pair["without"]["wall_s"]
    assert case["cpu"]["median"] > 0


@pytest.mark.long
def test_the_quick_benchmark_of_peaks_gives_a_table_and_json(benchmark):
    printed, figures = benchmark("peaks.py", "--quick")
    assert "false in 100 curves" in printed
    assert figures["lines of calibrants"]["default"]["recall_snr_10"] > 0.5
    assert figures["no lines"]["default"]["false_per_100_curves"] < 10


@pytest.mark.long
def test_the_quick_benchmark_of_fits_gives_a_table_and_json(benchmark):
    printed, figures = benchmark("peak_fits.py", "--quick")
    assert "covariance of the table" in printed
    assert figures["ratios"]["lmfit / ours"] > 10


@pytest.mark.long
def test_the_quick_benchmark_of_corrections_gives_pyfais_numbers_and_json(benchmark):
    printed, figures = benchmark("corrections.py", "--quick")
    assert "pyFAI's best / ours" in printed
    (settings,) = figures["detectors"].values()
    assert {"plain", "dark", "Poisson sigma", "median", "an event with fits"} < {each["setting"] for each in settings}
    for each in settings:
        assert each["ratios"]["pyFAI's best / ours"] > 0
        assert all(value < 1e-6 for value in each["differences"].values()), each


@pytest.mark.long
@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (
            "darks.py",
            ["the same for all", "of the run, in force", "of the run, 0.1 % unknown", "another for every frame"],
        ),
        ("merged.py", ["two detectors", "two, Poisson sigma", "two, a dark for each", "two, as an event"]),
        ("moving.py", ["a new distance", "distances again", "an event, its reading jitters"]),
    ],
)
def test_the_quick_benchmark_of_what_changes_in_a_run_gives_pyfais_numbers_and_json(benchmark, script, expected):
    printed, figures = benchmark(script, "--quick")
    assert "pyFAI's best / ours" in printed
    (settings,) = figures["detectors"].values()
    assert [each["setting"] for each in settings] == expected
    for each in settings:
        assert each["ratios"]["pyFAI's best / ours"] > 0
        assert all(0.0 < value < 1e-6 for value in each["differences"].values()), each
