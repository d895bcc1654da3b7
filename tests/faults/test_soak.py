"""Nothing grows with the number of frames. The long soaks: ``pytest -m long tests/faults/test_soak.py``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from soak import soak


def soaked(frames, size="small", points=50, timeout=120):
    """In a process of its own: others' memory is not to be measured."""
    options = ["--frames", str(frames), "--size", size, "--points", str(points)]
    command = [sys.executable, str(Path(__file__).with_name("soak.py")), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def nothing_grows(figures):
    assert all(each <= 0 for key, each in figures["growth"].items() if key not in ("threads", "open files")), figures
    assert figures["growth"]["open files"] <= 3, figures  # of a run that is open or not as it is looked
    assert figures["growth"]["threads"] <= 3, figures
    assert figures["at the end"]["runs"] == 0
    assert all(each > 0 for each in figures["known ceiling, MB"].values()), figures


def test_a_short_soak():
    """Too short for a slope of memory; the rest shows."""
    nothing_grows(soak(90, points=3, looks_at=5))


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("frames", "size"), [(100_000, "small"), (5_000, "4 Mpx")])
def test_a_long_soak(frames, size):
    figures = soaked(frames, size, points=50 if size == "small" else 10, timeout=3500)
    nothing_grows(figures)
    assert figures["MB per 1000 frames"] < 1.0, figures
    # What the allocator keeps of what was freed is no more than that again.
    assert figures["grown MB"] < 2 * sum(figures["known ceiling, MB"].values()) + 50, figures
