"""What dask tells of itself stays away from whoever replays, and comes back afterwards."""

from __future__ import annotations

import importlib
import json
import logging
import os
import subprocess
import sys

import pytest
from documents.stream_runs import StreamRun, images, uri_of, write_hdf5

from bluesky_diffractogram import replay
from bluesky_diffractogram.replay.dask_log import DaskLog
from bluesky_diffractogram.replay.workers import ENVIRONMENT


def test_the_last_of_several_clusters_puts_the_level_back(monkeypatch):
    logger = logging.getLogger("distributed")
    monkeypatch.setattr(logger, "level", logging.INFO)
    log = DaskLog()
    log.silence()
    log.silence()
    log.restore()
    assert logger.level == logging.CRITICAL
    assert not logging.getLogger("distributed.worker").isEnabledFor(logging.WARNING)
    log.restore()
    assert logger.level == logging.INFO


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.xdist_group("workers")
def test_a_script_that_logs_hears_nothing_of_dasks_processes(cfg, tmp_path):
    path, documents, script = (tmp_path / name for name in ("frames.h5", "raw.jsonl", "script.py"))
    write_hdf5(path, images(4))
    run = StreamRun(uri_of(path)).step_scan(4)
    documents.write_text("".join(json.dumps(pair) + "\n" for pair in run))
    script.write_text(
        "import logging\n"
        "from bluesky_diffractogram import replay\n"
        "logging.basicConfig(level=logging.INFO)\n"
        "if __name__ == '__main__':\n"
        f"    print(sum(name == 'event' for name, _ in replay({str(documents)!r}, {cfg!r}, workers=1)))\n"
        "    logging.getLogger('distributed').info('again')\n"
    )
    # dask leaves what it sets for its workers in the environment of whoever starts them, as tests of this group do.
    environment = {name: value for name, value in os.environ.items() if name not in ENVIRONMENT}
    command = [sys.executable, script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, env=environment)
    assert done.stdout == "4\n"
    assert [line for line in done.stderr.splitlines() if "distributed" in line] == ["INFO:distributed:again"]


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.xdist_group("workers")
def test_the_environment_is_left_as_it_was(cfg, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    write_hdf5(tmp_path / "frames.h5", images(4))
    run = list(StreamRun(uri_of(tmp_path / "frames.h5")).step_scan(4))
    list(replay(run, cfg))  # what libraries set when they are imported is theirs
    importlib.import_module("distributed")
    before = dict(os.environ)
    assert sum(name == "event" for name, _ in replay(run, cfg, workers=1)) == 4
    assert dict(os.environ) == before
