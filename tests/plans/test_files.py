"""Scans that are to be steered by images in files: readable while they are written, or not."""

from __future__ import annotations

import time
from pathlib import Path

import bluesky.plans as bp
import pytest
from bluesky import RunEngine
from ponis import write_poni

pytest.importorskip("ophyd_async.sim", reason="ophyd-async[sim] is not installed")

from documents.async_detector import NumberedDetector
from ophyd_async.core import StaticPathProvider, UUIDFilenameProvider, init_devices
from ophyd_async.sim import SimMotor

from bluesky_diffractogram import DiffractogramDevice, ReductionCallback, reduced_one_shot, scan_until_peak


def hidden_while_written(camera):
    """Have the camera's file at its place only when it is closed."""
    opened, closed = camera.open, camera.close

    def open_(path_info):
        described = opened(path_info)
        camera.path = Path(camera.file.filename)
        camera.path.rename(camera.path.with_suffix(".part"))
        return described

    def close():
        was_open = camera.file is not None
        closed()
        if was_open:
            camera.path.with_suffix(".part").rename(camera.path)

    camera.open, camera.close = open_, close


class Files:
    """A RunEngine with a detector that writes files of one kind."""

    def __init__(self, folder, kind, timeout):
        self.engine = RunEngine({})
        with init_devices():
            paths = StaticPathProvider(UUIDFilenameProvider(), folder)
            detector = NumberedDetector(paths, "plain" if kind == "hidden" else kind, "det")
            motor = SimMotor("motor", instant=True)
        self.detector, self.motor = detector, motor
        if kind == "hidden":
            hidden_while_written(detector.camera)
        poni = write_poni(folder / "any.poni", shape=None, pixel=(4e-4, 4e-4), centre=(61.5, 68.0))
        self.diff = ReductionCallback({"calibration": str(poni), "diff_ranges": [[10, 80, 3, 14]], "npt": 120})
        self.device = DiffractogramDevice("diffractogram", callback=self.diff, timeout=timeout)
        self.engine.subscribe(self.diff)
        self.documents = []
        self.engine.subscribe(lambda name, doc: self.documents.append((name, doc)))

    def readback(self, key):
        events = [doc["data"] for name, doc in self.documents if name == "event"]
        return [data[f"diffractogram_{key}"] for data in events if "diffractogram_valid" in data]


@pytest.fixture
def files(tmp_path):
    made = []

    def make(kind, timeout):
        made.append(Files(tmp_path, kind, timeout))
        return made[-1]

    yield make
    for each in made:
        each.diff.close(5.0)


@pytest.mark.parametrize("kind", ["swmr", "tiff"])
def test_files_that_can_be_read_at_once_steer(files, kind):
    session = files(kind, 20.0)
    session.engine(bp.count([session.detector, session.device], 4, per_shot=reduced_one_shot))
    assert session.readback("valid") == [1] * 4
    assert session.readback("raw_seq_num") == [1, 2, 3, 4]
    assert len(set(session.readback("mean_1"))) == 4
    session.engine(scan_until_peak([session.detector], session.motor, 0, 5, 1, session.device))
    assert [doc for name, doc in session.documents if name == "stop"][-1]["reason"].startswith("the peak appeared")


def test_files_that_can_be_read_only_after_the_run_cost_one_wait_and_give_no_results(files):
    session = files("hidden", 0.7)
    started = time.monotonic()
    session.engine(bp.count([session.detector, session.device], 6, per_shot=reduced_one_shot))
    assert 0.7 < time.monotonic() - started < 3.5
    assert session.readback("valid") == [0] * 6
    assert session.diff.wait(20)
    assert len(session.diff.buffers[0]) == 6
    session.device.trigger().wait(5)
    assert session.device.raw_seq_num.get() == 6


def test_a_plan_that_would_be_steered_by_them_ends_with_the_reason(files):
    session = files("hidden", 0.5)
    with pytest.raises(RuntimeError, match=r"cannot be read while it goes on.*SWMR"):
        session.engine(scan_until_peak([session.detector], session.motor, 0, 5, 1, session.device))
    (stop,) = [doc for name, doc in session.documents if name == "stop"]
    assert stop["exit_status"] == "fail"
    assert "SWMR" in stop["reason"]
