"""ophyd-async's detectors, driven by a RunEngine: their files are read while they are written, in this very process."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import bluesky.preprocessors as bpp
import h5py
import numpy as np
import pytest
import tifffile
from bluesky import RunEngine
from bluesky.utils import RunEngineInterrupted
from PIL import Image
from ponis import write_poni

from bluesky_diffractogram import ReductionCallback
from bluesky_diffractogram.config import load_config
from bluesky_diffractogram.reduction.frame import Frame
from bluesky_diffractogram.reduction.opening import open_geometry
from bluesky_diffractogram.reduction.reducer import Reducer

from .conftest import SHAPE, Collected, image
from .test_callback import assert_valid, frames_add_up

pytest.importorskip("ophyd_async.sim", reason="ophyd-async[sim] is not installed")

from ophyd_async.core import (
    StaticFilenameProvider,
    StaticPathProvider,
    TriggerInfo,
    UUIDFilenameProvider,
    init_devices,
)
from ophyd_async.sim import SimMotor

from .async_detector import DATASET, FRAME_S, NumberedDetector, blob_detector, fly, staged, step

KINDS = ("blob", "swmr", "plain", "tiff")


@pytest.fixture
def config(tmp_path):
    """The calibration does not tell the detector's shape: one for all detectors."""
    poni = write_poni(tmp_path / "any.poni", shape=None, pixel=(4e-4, 4e-4), centre=(61.5, 68.0), rot=(0.02, -0.01, 0))
    return {
        "calibration": str(poni),
        "diff_ranges": [[10, 80, 3, 14], [-170, 60, 2, 12]],
        "diff_units": "q [1/A]",
        "npt": [120, 90],
    }


class Session:
    """A RunEngine with the callback subscribed, and what came of it."""

    def __init__(self, config, folder, **options):
        self.config, self.folder = config, folder
        self.derived, self.raw = Collected(), Collected()
        self.engine = RunEngine({})
        self.diff = ReductionCallback(config, **options)
        self.diff.subscribe(self.derived)
        self.engine.subscribe(self.diff)
        self.engine.subscribe(self.raw)
        self.seen = []  # raw documents, with how many frames were reduced when they came
        self.engine.subscribe(lambda name, doc: self.seen.append((name, self.reduced)))

    @property
    def reduced(self):
        return self.derived.names.count("event")

    def detector(self, kind, name="det", file=None):
        names = UUIDFilenameProvider() if file is None else StaticFilenameProvider(file)
        paths = StaticPathProvider(names, self.folder)
        with init_devices():
            detector = blob_detector(paths, name) if kind == "blob" else NumberedDetector(paths, kind, name)
        return detector  # noqa: RET504  (init_devices looks for names)

    def motor(self):
        with init_devices():
            motor = SimMotor(name="motor")
        self.engine(bps.abs_set(motor.velocity, 0, wait=True))  # it jumps
        return motor

    def run(self, plan):
        """Run a plan, wait for its reduction, and give its derived events and what its stop says of frames."""
        del self.raw[:], self.derived[:], self.seen[:]
        self.engine(plan)
        assert self.raw.of("stop")[0]["exit_status"] == "success"
        return self.done()

    def done(self):
        assert self.diff.wait(20)
        assert_valid(self.derived)
        assert not self.diff.errors
        assert not self.diff.ignored
        return self.derived.of("event"), frames_add_up(self.derived.of("stop")[-1])

    def images(self, run_uid=None, data_key="det"):
        """All images in the files of the last run, read without anything of ours."""
        found = []
        for resource in self.raw.of("stream_resource"):
            if resource["data_key"] != data_key or (run_uid and resource["run_start"] != run_uid):
                continue
            path = resource["uri"].removeprefix("file://localhost")
            if resource["mimetype"] == "application/x-hdf5":
                with h5py.File(path) as file:
                    found.extend(file[resource["parameters"]["dataset"]][:])
            else:
                start = resource["parameters"]["template"].partition("{")[0]
                found.extend(tifffile.imread(each) for each in sorted(self.folder.glob(f"{start}*")))
        return found

    def assert_reduced_from(self, events, images):
        """Every event holds the diffractograms of its image, which are as unlike as the images."""
        config = load_config(self.config)
        shape = images[0].shape
        reducer = Reducer(config, open_geometry(config).for_shape(shape), shape)
        assert len(events) == len(images)
        assert len({taken.tobytes() for taken in images}) == len(images)
        for event, taken in zip(events, images, strict=True):
            for i, expected in enumerate(reducer.reduce(Frame(taken, 0.0)).diffractograms, start=1):
                assert np.isfinite(expected.intensity).sum() > 50
                np.testing.assert_array_equal(event["data"][f"diff_{i}"], [expected.radial, expected.intensity])


@pytest.fixture
def session(config, tmp_path):
    made = []

    def make(**options):
        folder = tmp_path / f"files {len(made)}"
        folder.mkdir()
        made.append(Session({**config, **options.pop("config", {})}, folder, **options))
        return made[-1]

    yield make
    for each in made:
        if each.engine.state == "paused":
            each.engine.halt()
        each.diff.close(1.0)


def camera_of(detector):
    """What has a ``pace``."""
    return getattr(detector, "camera", None) or detector.pattern_generator


def origins(events):
    return [(event["data"]["raw_seq_num"], event["data"]["frame_index"]) for event in events]


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_scan_with_a_motor(session, kind):
    session = session()
    events, frames = session.run(bp.scan([session.detector(kind)], session.motor(), 10, 40, 4))
    session.assert_reduced_from(events, session.images())
    assert (frames["received"], frames["reduced"]) == (4, 4)
    assert origins(events) == [(n, 0) for n in (1, 2, 3, 4)]
    raw = session.raw.of("event")
    assert [event["data"]["raw_event"] for event in events] == [event["uid"] for event in raw]
    assert [event["time"] for event in events] == [event["time"] for event in raw]
    assert [event["data"]["motor"] for event in events] == [10.0, 20.0, 30.0, 40.0]
    assert [e["timestamps"]["motor"] for e in events] == [e["timestamps"]["motor"] for e in raw]


@pytest.mark.parametrize("kind", KINDS)
def test_several_frames_per_event(session, kind):
    session = session()
    events, frames = session.run(step(session.detector(kind), 2, frames=3))
    session.assert_reduced_from(events, session.images())
    assert (frames["received"], frames["reduced"]) == (6, 6)
    assert origins(events) == [(n, i) for n in (1, 2) for i in range(3)]


@pytest.mark.parametrize("frames_per_event", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_a_fly_scan_is_reduced_while_it_goes_on(session, kind, frames_per_event):
    """The last frame is not taken before the first has been reduced."""
    session, number = session(), 8 * frames_per_event
    detector = session.detector(kind)

    async def wait_for_the_first(n):
        await asyncio.sleep(FRAME_S)
        deadline = time.monotonic() + 8
        while n == number - 1 and not session.reduced and time.monotonic() < deadline:
            await asyncio.sleep(FRAME_S)

    camera_of(detector).pace = wait_for_the_first
    before = time.time()
    events, frames = session.run(fly(detector, events=8, frames=frames_per_event))
    assert "event" not in session.raw.names
    assert dict(session.seen)["stop"] > 0, "nothing was reduced when the raw run stopped"
    session.assert_reduced_from(events, session.images())
    assert (frames["received"], frames["reduced"]) == (number, number)
    assert origins(events) == [(n, i) for n in range(1, 9) for i in range(frames_per_event)]
    assert all(before <= event["time"] <= time.time() for event in events)


def test_fifty_frames_in_quick_succession(session):
    session = session()
    detector = session.detector("swmr")
    camera_of(detector).pace = lambda number: asyncio.sleep(0)
    events, frames = session.run(bp.count([detector], 50))
    session.assert_reduced_from(events, session.images())
    assert frames["reduced"] == 50


@pytest.mark.parametrize("kind", KINDS)
def test_scans_that_write_the_same_file_anew(session, kind):
    session = session()
    detector = session.detector(kind, file="same")
    for _ in range(2):
        events, frames = session.run(bp.count([detector], 2))
        session.assert_reduced_from(events, session.images()[:2])
        assert (frames["received"], frames["reduced"]) == (2, 2)


@pytest.mark.parametrize("kind", ["blob", "plain"])
def test_a_slow_reduction_does_not_keep_the_next_scan_from_writing_the_same_file_anew(session, kind):
    """The first scan is over when its first frame is read, and the second begins before its second is reduced."""
    session = session(file_timeout=1)  # what was overwritten will not come
    detector = session.detector(kind, file="same")
    began, read, ended, go_on = (threading.Event() for _ in range(4))

    def hold_up(name, doc):
        if name == "start" and not began.is_set():
            began.set()
            ended.wait(20)
        elif name == "event" and not read.is_set():
            read.set()
            go_on.wait(20)

    session.diff.subscribe(hold_up)
    session.engine(step(detector, 1, frames=3))
    ended.set()
    assert read.wait(20)
    del session.raw[:]
    session.engine(bp.count([detector], 2))
    go_on.set()
    session.done()
    (second,) = [
        doc["uid"] for doc in session.derived.of("start") if doc["raw_uid"] == session.raw.of("start")[0]["uid"]
    ]
    descriptors = [doc["uid"] for doc in session.derived.of("descriptor") if doc["run_start"] == second]
    events = [doc for doc in session.derived.of("event") if doc["descriptor"] in descriptors]
    session.assert_reduced_from(events, session.images())
    assert sorted(frames_add_up(stop)["received"] for stop in session.derived.of("stop")) == [2, 3]


@pytest.mark.parametrize("kind", ["blob", "tiff"])
def test_a_rewind_takes_a_point_again(session, kind):
    """The detector goes on in its file meanwhile."""
    session = session()
    detector, motor = session.detector(kind), session.motor()
    pauses = iter((False, True, False, False, False))

    def pause_after_the_second(detectors, motor, step):
        yield from bps.one_1d_step(detectors, motor, step)
        if next(pauses):
            yield from bps.pause()

    with pytest.raises(RunEngineInterrupted):
        session.engine(bp.scan([detector], motor, 1, 4, 4, per_step=pause_after_the_second))
    session.engine.resume()
    events, frames = session.done()
    session.assert_reduced_from(events, session.images())
    assert origins(events) == [(n, 0) for n in (1, 2, 2, 3, 4)]
    assert [event["data"]["motor"] for event in events] == [1.0, 2.0, 2.0, 3.0, 4.0]
    assert (frames["received"], frames["reduced"], frames["replaced"]) == (5, 4, 1)


@pytest.mark.parametrize("how", ["abort", "halt"])
@pytest.mark.parametrize("kind", ["blob", "plain"])
def test_a_fly_scan_that_is_broken_off(session, kind, how):
    """What was told of is reduced, and the next scan as well."""
    session = session()
    detector = session.detector(kind)
    threading.Timer(0.3, session.engine.request_pause).start()
    with pytest.raises(RunEngineInterrupted):
        session.engine(fly(detector, events=50))
    getattr(session.engine, how)()
    events, frames = session.done()
    told = sum(d["indices"]["stop"] - d["indices"]["start"] for d in told_of(session))
    assert 5 < told < 50
    session.assert_reduced_from(events, session.images()[:told])
    assert (frames["received"], frames["reduced"]) == (told, told)
    assert session.derived.of("stop")[0]["exit_status"] == session.raw.of("stop")[0]["exit_status"]
    events, _ = session.run(bp.count([detector], 2))
    session.assert_reduced_from(events, session.images())


def told_of(session, data_key="det"):
    resources = {doc["uid"] for doc in session.raw.of("stream_resource") if doc["data_key"] == data_key}
    return [doc for doc in session.raw.of("stream_datum") if doc["stream_resource"] in resources]


@pytest.mark.parametrize("plan", ["step", "fly"])
def test_two_detectors_through_two_callbacks(session, plan):
    session = session(config={"image_key": "det"})
    other, collected = ReductionCallback({**session.config, "image_key": "other"}), Collected()
    other.subscribe(collected)
    session.engine.subscribe(other)
    detectors = [session.detector("swmr"), session.detector("blob", "other")]
    events, frames = session.run(bp.count(detectors, 4) if plan == "step" else fly(*detectors, events=4))
    session.assert_reduced_from(events, session.images())
    with other:
        assert other.wait(20)
        assert not other.errors
    session.assert_reduced_from(collected.of("event"), session.images(data_key="other"))
    assert frames_add_up(collected.of("stop")[0])["reduced"] == frames["reduced"] == 4


def test_a_detector_that_flies_twice_in_a_run_goes_on_in_its_file(session):
    session = session()
    detector = session.detector("swmr")

    @staged(detector)
    def twice():
        yield from bps.prepare(detector, TriggerInfo(number_of_events=3), wait=True)
        yield from bps.declare_stream(detector, name="primary", collect=True)
        for _ in range(2):
            yield from bps.prepare(detector, TriggerInfo(number_of_events=3), wait=True)
            yield from bps.kickoff(detector, wait=True)
            yield from bps.collect_while_completing([detector], [detector], flush_period=1, stream_name="primary")

    events, _ = session.run(twice())
    session.assert_reduced_from(events, session.images())
    assert origins(events) == [(n, 0) for n in range(1, 7)]


def test_images_of_another_stream_in_the_same_file_are_passed_over(session):
    session = session()
    detector = session.detector("swmr")

    @staged(detector)
    def dark_first():
        for _ in range(2):
            yield from bps.trigger_and_read([detector], name="dark")
        for _ in range(2):
            yield from bps.trigger_and_read([detector])

    events, frames = session.run(dark_first())
    session.assert_reduced_from(events, session.images()[2:])
    assert (frames["received"], frames["reduced"]) == (2, 2)


def test_images_of_another_stream_in_the_same_file_are_darks(session, config):
    session = session(config={"dark": {"stream": "dark"}})
    detector = session.detector("swmr")

    @staged(detector)
    def dark_first():
        for _ in range(2):
            yield from bps.trigger_and_read([detector], name="dark")
            yield from bps.trigger_and_read([detector])

    events, frames = session.run(dark_first())
    first, one, second, two = session.images()
    assert [doc["data"]["dark_seq_num"] for doc in events] == [1, 2]
    assert (frames["received"], frames["darks"]["received"]) == (2, 2)
    for event, frame, dark in zip(events, (one, two), (first, second), strict=True):
        settings = load_config({**config, "dark": dark})
        expected = Reducer(settings, open_geometry(settings), SHAPE).reduce(Frame(frame, 0.0)).diffractograms[0]
        np.testing.assert_array_equal(event["data"]["diff_1"][1], expected.intensity)


def test_a_detector_that_is_staged_once_for_two_runs(session):
    """bluesky itself fails in the second, whose file it was told of in the first; what comes after is reduced."""
    session = session()
    detector = session.detector("swmr")

    @bpp.stage_decorator([detector])
    def two_runs():
        for _ in range(2):
            yield from bpp.run_wrapper(bps.trigger_and_read([detector]))

    with pytest.raises(KeyError):
        session.engine(two_runs())
    events, _ = session.done()
    session.assert_reduced_from(events, session.images()[:1])
    assert [doc["exit_status"] for doc in session.derived.of("stop")] == ["success", "fail"]
    assert [frames_add_up(doc)["received"] for doc in session.derived.of("stop")] == [1, 0]
    events, _ = session.run(bp.count([detector], 2))
    session.assert_reduced_from(events, session.images())


@pytest.mark.parametrize("kind", ["hdf", "tiff", "jpeg"])
def test_areadetectors_file_plugins(session, kind):
    """Their signals are soft ones, and what the plugin would write is written when the detector is told to acquire."""
    pytest.importorskip("aioca", reason="ophyd-async[ca] is not installed")
    from ophyd_async.core import callback_on_mock_put, set_mock_value
    from ophyd_async.epics import adcore, adsimdetector

    session, frames_per_event = session(), 2
    paths = StaticPathProvider(StaticFilenameProvider("img"), session.folder)
    with init_devices(mock=True):
        detector = adsimdetector.SimDetector("P:", getattr(adcore.ADWriterFactory, kind)(paths), name="det")
    driver, plugin = detector.driver, getattr(detector, kind)
    set_mock_value(plugin.file_path_exists, True)
    set_mock_value(driver.array_size_x, SHAPE[1])
    set_mock_value(driver.array_size_y, SHAPE[0])
    set_mock_value(driver.data_type, adcore.ADBaseDataType.UINT8)
    images = [image(n, np.uint8) for n in range(6)]
    taken = iter(range(6))

    def acquire(value, *_, **__):
        for n in itertools.islice(taken, frames_per_event) if value else ():
            if kind == "hdf":
                with h5py.File(session.folder / "img.h5", "a") as file:
                    data = file.require_dataset(DATASET, (6, *SHAPE), "u1", chunks=(1, *SHAPE))
                    data[n] = images[n]
            else:
                path = session.folder / f"img_{n:06d}.{'jpg' if kind == 'jpeg' else kind}"
                Image.fromarray(images[n]).save(path)
                images[n] = np.asarray(Image.open(path))  # JPEG loses some
            set_mock_value(plugin.num_captured, n + 1)

    callback_on_mock_put(driver.acquire, acquire)
    events, frames = session.run(step(detector, 3, frames=frames_per_event))
    session.assert_reduced_from(events, images)
    assert origins(events) == [(n, i) for n in (1, 2, 3) for i in (0, 1)]
    assert frames["reduced"] == 6
