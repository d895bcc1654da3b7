"""The example profiles run as they are."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

PROFILES = Path(__file__).parents[1] / "profile_examples"


def test_profile_sim_is_a_working_beamline(capsys):
    (startup,) = (PROFILES / "profile_sim" / "startup").glob("*.py")
    session = runpy.run_path(str(startup))
    printed = capsys.readouterr().out
    assert "heating_scan(detector, furnace" in printed
    session["RE"](session["heating_scan"](session["detector"], session["furnace"], 300, 400, 3))
    diff = session["diff"]
    assert diff.wait(60)
    assert len(diff.buffers[0]) == 3
    assert diff.results["nrdiffs"] == 2
    diff.close()


def test_profile_sim_starts_in_ipython(tmp_path):
    pytest.importorskip("IPython")
    done = subprocess.run(
        [sys.executable, "-m", "IPython", "--profile-dir", str(PROFILES / "profile_sim"), "--no-banner",
         "-c", "RE(count([detector], 2)); diff.wait(60); print('rows', len(diff.buffers[0]))"],
        capture_output=True, text=True, timeout=120, env={**__import__("os").environ, "IPYTHONDIR": str(tmp_path)},
    )  # fmt: skip
    assert "rows 2" in done.stdout, done.stdout + done.stderr
