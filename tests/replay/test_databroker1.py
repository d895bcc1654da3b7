"""Runs in databroker 1, which many beamlines have; it does not share an environment with databroker 2."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

DATABROKER = "databroker==1.2.5"
ROOT = Path(__file__).parents[2]
CHECK = Path(__file__).with_name("databroker1_run.py")

REPLAYED = {
    "header", "latest header", "interface 2", "scan id", "uid in interface 2", "query", "query of interface 2",
    "catalogue", "catalogue of interface 2", "list of uids",
    "derived run, header", "derived run, interface 2", "derived run of a replay",
    "NPY files, header", "NPY files, interface 2", "NPY files, derived run",
}  # fmt: skip


def run(*command, **kwargs):
    return subprocess.run([str(each) for each in command], capture_output=True, text=True, check=False, **kwargs)


@pytest.fixture(scope="module")
def python(request, tmp_path_factory):
    """The interpreter of an environment with databroker 1 and this package, installed together as a user would.

    It is kept for later sessions, until the dependencies change; the package in it is always the one that is tested.
    """
    copy = tmp_path_factory.mktemp("package")
    described = (ROOT / "pyproject.toml").read_bytes()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    shutil.copytree(ROOT / "bluesky_diffractogram", copy / "bluesky_diffractogram")
    which = hashlib.sha256(described + f"{DATABROKER} {sys.version}".encode()).hexdigest()[:12]
    folder = request.config.cache.mkdir("databroker1") / which
    interpreter = folder / "bin" / "python"
    install = (interpreter, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    if (folder / "complete").exists():
        told = run(*install, "--no-index", "--no-deps", "--no-build-isolation", "--force-reinstall", copy)
        assert told.returncode == 0, told.stderr
        return interpreter
    shutil.rmtree(folder.parent)  # what was kept for other dependencies takes a gigabyte
    venv.create(folder, with_pip=True)
    told = run(*install, "--no-deps", "--retries", 1, DATABROKER)
    if "(from versions: none)" in told.stderr:
        pytest.skip("PyPI cannot be reached, and databroker 1 is not installed here yet")
    for packages in ((DATABROKER, copy), ("setuptools>=77", "wheel")):  # these for when it is kept
        told = run(*install, *packages)
        assert told.returncode == 0, told.stderr
    told = run(interpreter, "-m", "pip", "check")
    assert told.returncode == 0, told.stdout
    (folder / "complete").touch()
    return interpreter


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.timeout(900)  # a gigabyte may have to come through the network
def test_scans_in_databroker_1_are_replayed_bit_for_bit(python, tmp_path):
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    environment |= {"INTAKE_PATH": str(tmp_path / "catalogues"), "MPLBACKEND": "agg"}
    (tmp_path / "work").mkdir()
    told = run(python, "-W", "ignore", CHECK, tmp_path / "work", tmp_path / "catalogues", cwd=tmp_path, env=environment)
    assert told.returncode == 0, told.stderr[-4000:]
    done = json.loads(told.stdout.splitlines()[-1])
    assert done["databroker"] == "1.2.5"
    assert int(done["numpy"].split(".")[0]) >= 2
    assert set(done["replayed"]) == REPLAYED
    assert done["read"] == ["header", "interface 2"]
    assert done["command line"] == "my_beamline"
