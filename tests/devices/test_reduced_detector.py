"""A detector whose events hold its image and the peaks in it."""

from __future__ import annotations

import json
import math
import threading

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import matplotlib
import numpy as np
import pytest
from bluesky import RunEngine, protocols
from bluesky.callbacks import LivePlot
from bluesky.callbacks.best_effort import BestEffortCallback
from bluesky.callbacks.fitting import PeakStats
from bluesky.utils import FailedStatus
from ophyd import Component, Device, DeviceStatus, Signal

from bluesky_diffractogram import ConfigError, ReducedDetector, replay

matplotlib.use("Agg")


@pytest.fixture
def reduced(steered):
    return ReducedDetector(steered.detector, image=steered.detector.image, config=steered.beamline.configuration)


@pytest.fixture
def scanned(steered, reduced):
    """Five points of a scan, with all documents."""
    steered.run(bp.scan([reduced], steered.furnace, 300, 500, 5))
    return steered


@pytest.mark.parametrize("protocol", ["Readable", "Configurable", "Triggerable", "Stageable", "HasHints"])
def test_it_supports_what_bluesky_asks_of_a_detector(reduced, protocol):
    assert isinstance(reduced, getattr(protocols, protocol))


def test_image_and_peaks_are_in_one_event_and_belong_together(scanned, steered):
    """The numbers are those of the derived run of the very same image, peak by peak."""
    events = scanned.events("primary")
    assert len(events) == 5
    derived = [doc["data"] for name, doc in replay(scanned.raw, steered.beamline.configuration) if name == "event"]
    names = ("peak_1_position", "peak_1_height", "peak_2_fwhm", "mean_1", "total_2", "peak_2_area", "peaks_1_error")
    for event, expected in zip(events, derived, strict=True):
        for name in names:
            assert event["data"][f"detector_reduced_{name}"] == expected[name], name
        assert event["data"]["detector_reduced_valid"] == 1
        assert event["data"]["detector_image"].shape == (209, 197)
    assert len({event["data"]["detector_reduced_mean_1"] for event in events}) == 5


def test_peaks_are_where_the_sample_has_them(scanned, steered):
    for temperature, position in zip(
        scanned.values("primary", "furnace"), scanned.values("primary", "detector_reduced_peak_1_position"), strict=True
    ):
        assert np.abs(steered.beamline.two_theta(temperature) - position).min() < 0.02


def test_the_reduction_is_off_the_run_engines_thread(steered, reduced):
    where = []
    take = reduced.take
    reduced.take = lambda snapshot: (where.append(threading.current_thread().name), take(snapshot))
    steered.run(bp.count([reduced], 2))
    assert where == ["detector_reduced-reduction"] * 2


def test_live_plot_peak_stats_and_best_effort_work_on_peaks(steered, reduced, undrawn):
    key = "detector_reduced_peak_1_position"
    plot, stats, best = LivePlot(key, "furnace"), PeakStats("furnace", key), BestEffortCallback()
    for callback in (plot, stats, best):
        steered.engine.subscribe(callback)
    steered.run(bp.scan([reduced], steered.furnace, 300, 900, 5))
    positions = steered.values("primary", key)
    assert list(plot.x_data) == pytest.approx([300, 450, 600, 750, 900])
    assert list(plot.y_data) == positions
    assert stats["min"] == (900, min(positions))
    assert best.peaks["min"][key] == (900, min(positions))
    assert positions == sorted(positions, reverse=True)  # heated lines move to smaller angles


def test_a_callbacks_configuration_is_followed(steered):
    reduced = ReducedDetector(steered.detector, image=steered.detector.image, config=steered.diff, name="r")
    steered.diff.configure({"diff_units": "q [1/A]"})
    steered.run(bp.count([reduced]))
    expected = steered.derived_by_seq_num()[1]
    (event,) = steered.events("primary")
    assert event["data"]["r_unit"] == "q_A^-1"
    assert event["data"]["r_peak_1_position"] == expected["peak_1_position"]
    assert reduced.describe()["r_peak_1_position"]["units"] == "1/Å"
    reduced.configure({"configuration": {"npt": 77}})
    assert steered.diff.config.npt == 77


def test_its_configuration_is_recorded_and_set(steered, reduced):
    recorded = json.loads(reduced.read_configuration()["detector_reduced_configuration"]["value"])
    assert recorded["diff_ranges"] == [[10, 20, 0, 10], [-5, 5, 5, 15]]
    assert set(reduced.describe_configuration()) == set(reduced.read_configuration())
    assert "detector_acquire_time" in reduced.read_configuration()
    reduced.configuration.set('{"npt": 33}')
    assert reduced.config.npt == 33
    old, new = reduced.configure({"acquire_time": 2.0, "configuration": {"npt": 44}})
    assert (old["detector_acquire_time"]["value"], new["detector_acquire_time"]["value"]) == (1.0, 2.0)
    assert reduced.config.npt == 44
    with pytest.raises(ConfigError, match="npt"):
        reduced.configure({"acquire_time": 3.0, "configuration": {"npt": 0}})
    assert steered.detector.acquire_time.get() == 2.0
    for attempt in (reduced.configuration.set, reduced.configuration.check_value):
        with pytest.raises(ConfigError, match="npt"):
            attempt({"npt": 0})


class Memory(Device):
    """A detector of any image, one frame or several."""

    image = Component(Signal, value=np.zeros((4, 4)), kind="omitted")
    monitor = Component(Signal, value=2.0)
    fails = False

    def trigger(self):
        status = DeviceStatus(self)
        if self.fails:
            status.set_exception(RuntimeError("no beam"))
        else:
            status.set_finished()
        return status


def test_an_image_that_cannot_be_reduced_is_nan_and_does_not_end_the_scan(steered, caplog):
    memory = Memory(name="memory")
    reduced = ReducedDetector(memory, image=memory.image, config=steered.beamline.configuration)
    steered.run(bp.count([reduced], 2))
    assert steered.values("primary", "memory_reduced_valid") == [0, 0]
    assert all(math.isnan(value) for value in steered.values("primary", "memory_reduced_mean_1"))
    assert caplog.text.count("cannot be reduced") == 1
    assert "(4, 4)" in caplog.text


def test_the_detectors_failure_is_the_plans(steered):
    memory = Memory(name="memory")
    memory.fails = True
    reduced = ReducedDetector(memory, image=memory.image, config=steered.beamline.configuration)
    with pytest.raises(FailedStatus):
        RunEngine({})(bp.count([reduced]))


def test_stacks_monitors_and_sums_are_reduced_as_by_the_callback(steered):
    memory = Memory(name="memory")
    frames = np.stack([steered.detector.frames.frame(n, 300.0) for n in (1, 2)])
    memory.image.put(frames)

    def mean(**settings):
        config = {**steered.beamline.configuration, **settings}
        reduced = ReducedDetector(memory, image=memory.image, config=config)
        reduced.trigger().wait(20)
        return reduced.read()["memory_reduced_mean_1"]["value"]

    last, averaged = mean(), mean(frames_per_event="mean")
    memory.image.put(frames[0])
    first = mean()
    assert averaged == pytest.approx((first + last) / 2, rel=1e-6)
    assert first != last
    assert mean(normalization="memory_monitor") == pytest.approx(first / 2)


def test_it_stages_its_detector(steered, reduced):
    staged = reduced.stage()
    assert steered.detector in staged
    assert reduced in staged
    assert set(reduced.unstage()) == set(staged)


@pytest.mark.parametrize("wrong", ["detector", "image", "async", "config"])
def test_what_cannot_be_wrapped_is_refused(steered, wrong):
    class Async:
        name = "async"

        def trigger(self): ...
        async def read(self): ...
        async def describe(self): ...

    detector = {"detector": 3, "async": Async()}.get(wrong, steered.detector)
    image = None if wrong == "image" else steered.detector.image
    config = {"calibration": "/nowhere"} if wrong == "config" else steered.beamline.configuration
    allowed = {
        "detector": "allowed: an ophyd detector",
        "image": "holds the image",
        "async": "ophyd-async",
        "config": "nowhere",
    }
    with pytest.raises(ValueError, match=allowed[wrong]):
        ReducedDetector(detector, image=image, config=config)


def test_its_results_are_lavues(steered, reduced):
    reduced.trigger().wait(10)
    steered.take(1)
    found = json.loads(reduced.results.get())
    assert found["nrdiffs"] == 2
    assert len(found["diff_1"][0]) > 100


class WritesToo(Memory):
    """It writes its images to a file besides, as areaDetector's plugins do, and is told of pauses."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.told = []

    def collect_asset_docs(self):
        resource = {
            "spec": "NOWHERE", "root": "/", "resource_path": "x", "resource_kwargs": {}, "path_semantics": "posix",
            "uid": f"resource-{len(self.told)}",
        }  # fmt: skip
        yield "resource", resource

    def pause(self):
        self.told.append("pause")

    def resume(self):
        self.told.append("resume")


def test_the_files_that_its_detector_writes_besides_are_told_of(steered):
    memory = WritesToo(name="memory")
    steered.run(bp.count([ReducedDetector(memory, image=memory.image, config=steered.beamline.configuration)]))
    assert [doc["spec"] for doc in steered.of("resource")] == ["NOWHERE"]


def test_its_detector_hears_of_pauses(steered):
    memory = WritesToo(name="memory")
    reduced = ReducedDetector(memory, image=memory.image, config=steered.beamline.configuration)
    plan = bp.count([reduced], 2, per_shot=lambda detectors: pausing(detectors))

    def pausing(detectors):
        yield from bps.checkpoint()
        yield from bps.trigger_and_read(detectors)
        if not memory.told:
            yield from bps.pause()

    with pytest.raises(Exception, match="paused"):
        steered.engine(plan)
    steered.engine.resume()
    assert memory.told == ["pause", "resume"]


def test_bluesky_adapts_its_steps_to_peaks(steered, reduced):
    """Its own adaptive scans, which read their target in the point itself."""
    target = "detector_reduced_peak_1_position"
    steered.run(bp.adaptive_scan([reduced], target, steered.furnace, 300, 900, 20, 300, 0.01, backstep=False))
    steps = np.diff(steered.values("primary", "furnace"))
    assert steps.min() < steps.max() < 301


def test_a_late_result_of_an_interrupted_point_is_not_read(steered, reduced, monkeypatch):
    really, begun, go = reduced._reduced, threading.Event(), threading.Event()

    def slow():
        found = really()
        if not begun.is_set():
            begun.set()
            go.wait(10)
        return found

    monkeypatch.setattr(reduced, "_reduced", slow)
    interrupted = reduced.trigger()
    assert begun.wait(10)
    steered.furnace.set(900)
    reduced.trigger().wait(10)
    key = f"{reduced.name}_peak_1_position"
    hot = reduced.read()[key]["value"]
    go.set()
    interrupted.wait(10)
    assert reduced.read()[key]["value"] == hot


@pytest.mark.parametrize("ranges", [0, -1, True, 1.5, "2"])
def test_nonsense_for_the_number_of_its_ranges_is_refused(steered, ranges):
    with pytest.raises(ValueError, match=r"ranges = .*allowed: an integer of at least 1"):
        ReducedDetector(steered.detector, image=steered.detector.image, config=steered.diff, ranges=ranges)
