"""ophyd's areaDetector classes, driven by a RunEngine against an IOC on loopback that writes real files.

The IOC needs caproto, ophyd needs pyepics to reach it; both are in the ``dev`` extra.
"""

from __future__ import annotations

import time
from pathlib import Path

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import h5py
import numpy as np
import pytest
import tifffile
from bluesky import RunEngine
from ophyd.sim import motor
from ponis import write_poni

from bluesky_diffractogram import DiffractogramCallback
from bluesky_diffractogram.config import load_config
from bluesky_diffractogram.reduction.frame import Frame
from bluesky_diffractogram.reduction.opening import open_geometry
from bluesky_diffractogram.reduction.reducer import Reducer

from .test_callback import assert_valid, frames_add_up

# One IOC for one process: all of these must run in the same one.
pytestmark = pytest.mark.xdist_group("area_detector")

SHAPE = (200, 220)
PER_POINT = 3


@pytest.fixture(scope="module")
def ioc(tmp_path_factory):
    from ioc.served import area_detector_ioc

    with area_detector_ioc(tmp_path_factory.mktemp("ioc") / "log.txt") as prefix:
        yield prefix


@pytest.fixture(scope="module")
def connected(ioc, tmp_path_factory):
    """Detectors by kind of file plugin, made once: finding all their channels takes a second each."""
    from ioc import detectors

    made = {}

    def get(plugin):
        if plugin not in made:
            made[plugin] = detectors.detector(ioc, tmp_path_factory.getbasetemp(), getattr(detectors, plugin))
        return made[plugin]

    yield get
    for detector in made.values():
        detector.destroy()


@pytest.fixture
def make_detector(connected, tmp_path):
    """Gives a detector that writes its files below ``tmp_path``."""
    used = []

    def make(plugin="Hdf5", num_images=1, flush=0):
        detector = connected(plugin)
        used.append(detector)
        detector.files.write_path_template = str(tmp_path / "%Y")
        detector.cam.num_images.set(num_images).wait(10)
        if plugin != "Tiff":
            detector.files.num_frames_flush.set(flush).wait(10)
        return detector

    yield make
    for detector in used:
        detector.fault.set("none").wait(10)


@pytest.fixture
def config(tmp_path):
    """Two ranges in q; the calibration does not tell the detector's shape, as real ones often do not."""
    poni = write_poni(
        tmp_path / "det.poni", shape=None, pixel=(4e-4, 4e-4), centre=(101.5, 108.0), rot=(0.02, -0.01, 0)
    )
    return {
        "calibration": str(poni),
        "diff_ranges": [[10, 80, 3, 18], [-170, 60, 2, 15]],
        "diff_units": "q [1/A]",
        "npt": [200, 150],
    }


class Session:
    """A RunEngine with the callback subscribed, and what came of it."""

    def __init__(self, config, collected, **options):
        self.config, self.derived = config, collected
        self.engine = RunEngine({})
        self.diff = DiffractogramCallback(config, plot=False, **options)
        self.diff.subscribe(collected)
        self.engine.subscribe(self.diff)
        self.raw: list[tuple[str, dict]] = []
        self.engine.subscribe(lambda name, doc: self.raw.append((name, doc)))

    def run(self, plan):
        """Run a plan, wait for its reduction, and give its derived events and what its stop says of frames."""
        del self.raw[:], self.derived[:]
        self.engine(plan)
        assert self.raw_of("stop")[0]["exit_status"] == "success"
        assert self.diff.wait(20)
        assert_valid(self.derived)
        return self.derived.of("event"), frames_add_up(self.derived.of("stop")[0])

    def raw_of(self, kind):
        return [doc for name, doc in self.raw if name == kind]

    @property
    def file(self):
        """What the Resource of the last run names."""
        (resource,) = self.raw_of("resource")
        return Path(resource["root"], resource["resource_path"])

    def images(self):
        """``(n, 200, 220)`` what lies in the HDF5 file of the last run, read without anything of ours."""
        with h5py.File(self.file) as file:
            return file["entry/data/data"][:]

    def assert_reduced_from(self, events, images):
        """Every event holds the diffractograms of its image, which are as unlike as the images."""
        config = load_config(self.config)
        reducer = Reducer(config, open_geometry(config).for_shape(SHAPE), SHAPE)
        assert len(events) == len(images)
        assert len({image.tobytes() for image in images}) == len(images)
        for event, image in zip(events, images, strict=True):
            assert image.dtype == np.uint16
            for i, expected in enumerate(reducer.reduce(Frame(image, 0.0)).diffractograms, start=1):
                assert np.isfinite(expected.intensity).sum() > 50
                np.testing.assert_array_equal(event["data"][f"diff_{i}"], [expected.radial, expected.intensity])


@pytest.fixture
def session(config, collected):
    made = []

    def make(**options):
        made.append(Session(config, collected, **options))
        return made[-1]

    yield make
    for each in made:
        each.diff.close(1.0)


def test_frames_of_a_file_that_closes_at_unstage_are_reduced_after_the_run(session, make_detector):
    session, detector = session(), make_detector()
    at_stop = []

    def look(name, doc):
        try:
            session.images()
        except OSError as error:
            at_stop.append((str(error), len(session.derived.of("event"))))

    session.engine.subscribe(look, "stop")
    for _ in range(2):  # each run has a file of its own
        events, frames = session.run(bp.count([detector], 3))
        session.assert_reduced_from(events, session.images())
        assert (frames["received"], frames["reduced"]) == (3, 3)
        assert [(e["data"]["raw_seq_num"], e["data"]["frame_index"]) for e in events] == [(1, 0), (2, 0), (3, 0)]
        assert [Path(e["data"]["imagename"]).name for e in events] == [f"{session.file.name}:{i}" for i in range(3)]
    assert len(at_stop) == 2, "the file is locked by its writer until the detector is unstaged"
    assert all("lock" in message and n == 0 for message, n in at_stop)


def test_the_files_hold_the_frames_that_the_detector_took(session, make_detector):
    from ioc.area_detector_ioc import frame

    session, detector = session(), make_detector()
    first = detector.cam.array_counter.get()
    session.run(bp.count([detector], 3))
    np.testing.assert_array_equal(session.images(), [frame(first + i) for i in range(3)])


def test_a_scan_carries_its_motor(session, make_detector):
    session, detector = session(), make_detector()
    events, frames = session.run(bp.scan([detector], motor, -1, 1, 4))
    session.assert_reduced_from(events, session.images())
    np.testing.assert_allclose([e["data"]["motor"] for e in events], np.linspace(-1, 1, 4))
    assert frames["reduced"] == 4
    times = [e["timestamps"]["det_image"] for e in session.raw_of("event")]
    assert [e["data"]["timestamp"] for e in events] == times


@pytest.mark.parametrize(("plugin", "flush"), [("Hdf5", 0), ("Hdf5Unlocked", 2), ("Hdf5Swmr", 2), ("Tiff", 0)])
def test_several_frames_per_point(session, make_detector, plugin, flush):
    """With a flush after every second frame, a reader sees two frames of the first point when its event comes."""
    session, detector = session(), make_detector(plugin, num_images=PER_POINT, flush=flush)
    events, frames = session.run(bp.count([detector], 2))
    if plugin == "Tiff":
        files = sorted(session.file.glob("*.tiff"))
        images = [tifffile.imread(file) for file in files]
        names = [file.name for file in files]
    else:
        images = session.images()
        names = [f"{session.file.name}:{i}" for i in range(2 * PER_POINT)]
    session.assert_reduced_from(events, images)
    assert (frames["received"], frames["reduced"]) == (6, 6)
    assert [(e["data"]["raw_seq_num"], e["data"]["frame_index"]) for e in events] == [
        (seq_num, index) for seq_num in (1, 2) for index in range(PER_POINT)
    ]
    assert [Path(e["data"]["imagename"]).name for e in events] == names


@pytest.mark.parametrize("plugin", ["Hdf5Swmr", "Hdf5Unlocked"])
def test_a_file_is_read_while_it_is_written(session, make_detector, plugin):
    session, detector = session(), make_detector(plugin, flush=1)
    session.run(bp.count([detector], 1))  # the tables are built
    points = 12
    seen = []
    token = session.engine.subscribe(lambda name, doc: seen.append(len(session.derived.of("event"))), "event")
    events, frames = session.run(bp.count([detector], points))
    session.engine.unsubscribe(token)
    session.assert_reduced_from(events, session.images())
    assert frames["reduced"] == points
    assert seen[-1] >= points - 4, f"frames reduced when each raw event came: {seen}"


def shot_whose_event_comes_first(detectors):
    """A point that is over once all of its frames are written, some of them after its event."""
    counter = detectors[0].files.array_counter
    before = counter.get()
    yield from bps.trigger_and_read(detectors)
    while counter.get() < before + PER_POINT:
        yield from bps.sleep(0.02)


@pytest.mark.parametrize("plugin", ["Hdf5Swmr", "Tiff"])
def test_a_frame_that_is_written_late_is_waited_for(session, make_detector, plugin):
    """The last frame of a point comes 0.3 s after the detector said that it has done."""
    session, detector = session(), make_detector(plugin, num_images=PER_POINT)
    detector.fault.set("slow").wait(10)
    events, frames = session.run(bp.count([detector], 2, per_shot=shot_whose_event_comes_first))
    images = session.images() if plugin != "Tiff" else [tifffile.imread(f) for f in sorted(session.file.iterdir())]
    session.assert_reduced_from(events, images)
    assert frames["reduced"] == 6


def test_a_point_that_lacks_a_frame_gives_those_it_has(session, make_detector):
    """The file was closed before its last frame was written."""
    session, detector = session(file_timeout=0.5), make_detector(num_images=PER_POINT)
    detector.fault.set("slow").wait(10)
    events, frames = session.run(bp.count([detector], 1))
    images = session.images()
    assert len(images) == PER_POINT - 1
    session.assert_reduced_from(events, images)
    assert (frames["received"], frames["reduced"], frames["reasons"]) == (3, 2, {"file": 1})


def test_frames_that_are_never_written_are_skipped_with_the_reason(session, make_detector, caplog):
    session, detector = session(file_timeout=0.5), make_detector()
    detector.fault.set("no files").wait(10)
    started = time.monotonic()
    session.engine(bp.count([detector], 3))
    took = time.monotonic() - started
    assert session.raw_of("stop")[0]["exit_status"] == "success"
    assert session.diff.wait(20)
    assert 0.5 < time.monotonic() - started < took + 3.0
    frames = frames_add_up(session.derived.of("stop")[0])
    assert (frames["received"], frames["reasons"]) == (3, {"file": 3})
    assert session.derived.of("event") == []
    assert f"{session.file.name}" in caplog.text
    assert "not readable 0.5 s after the run's end" in caplog.text
    detector.fault.set("none").wait(10)
    events, frames = session.run(bp.count([detector], 2))
    session.assert_reduced_from(events, session.images())
    assert frames["reduced"] == 2
