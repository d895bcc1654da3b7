"""The unit of systemd in the examples."""

from __future__ import annotations

import configparser
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from bluesky_diffractogram.service.cli import app

UNIT = Path(__file__).parents[2] / "profile_examples" / "diffractogram.service"


@pytest.fixture
def unit():
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str
    parser.read(UNIT)
    return parser


def test_it_starts_what_there_is_and_may_write_its_cache_only(unit):
    service = unit["Service"]
    program, command, *arguments = shlex.split(service["ExecStart"])
    assert Path(program).name == "bluesky-diffractogram"
    known = {name for option in typer.main.get_command(app).commands[command].params for name in option.opts}
    assert {each for each in arguments if each.startswith("--")} <= known
    assert service["ProtectSystem"] == "strict"
    folder = f"%C/{service['CacheDirectory']}"
    assert f"NUMBA_CACHE_DIR={folder}" in service["Environment"].split()
    assert int(service["TimeoutStopSec"]) > 30 + 30
    assert unit["Unit"]["After"] == unit["Unit"]["Wants"]  # the one alone waits for nothing


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_finds_nothing_wrong_with_it(tmp_path):
    copy = tmp_path / UNIT.name
    text = UNIT.read_text().replace("/opt/analysis/bin/bluesky-diffractogram", sys.executable)
    copy.write_text(text.replace("User=analysis\n", ""))
    done = subprocess.run(["systemd-analyze", "verify", str(copy)], capture_output=True, text=True)
    assert [line for line in done.stderr.splitlines() if UNIT.name in line] == []
