"""Geometries told by readings of the baseline: devices that are read before a run and after it, and not with frames."""

from __future__ import annotations

import bluesky.plans as bp
import numpy as np
import pytest
from bluesky import RunEngine
from bluesky.preprocessors import SupplementalData
from event_model import compose_run
from ophyd.sim import SynAxis, SynSignal

from bluesky_diffractogram import ReductionCallback
from bluesky_diffractogram.documents.baseline import Baseline

from .conftest import SHAPE, Collected, image, send
from .stream_runs import DATASET, HDF5, settle, uri_of, write_hdf5
from .test_callback import assert_valid, frames_add_up
from .test_moving import data_of, derived_of, reference


class BaselineRun:
    """Documents of a run whose stream ``baseline`` has the scalar ``z`` in mm, and is read at times.

    Parameters
    ----------
    readings
        Scalars of the stream of images.
    uri
        Of the file in which the images lie, told of by a StreamDatum each.
    """

    def __init__(self, readings=(), uri=None):
        self.run, self._time = compose_run(metadata={"plan_name": "count"}, time=999.0), 1000.0
        self.uid = self.run.start_doc["uid"]
        key = {"source": "t", "dtype": "array", "shape": list(SHAPE), "object_name": "det"}
        number = {"source": "t", "dtype": "number", "shape": [], "object_name": "z", "units": "mm"}
        self._uri = uri
        self.images = self.run.compose_descriptor(
            name="primary", hints={}, time=1000.5,
            data_keys={
                "image": key if uri is None else {**key, "external": "STREAM:"}, **dict.fromkeys(readings, number),
            },
            object_keys={"det": ["image"], **{name: [name] for name in readings}},
        )  # fmt: skip
        configuration = {"mono": {
            "data": {"e": 30.0}, "timestamps": {"e": 0.0},
            "data_keys": {"e": {"source": "t", "dtype": "number", "shape": [], "units": "keV"}},
        }}  # fmt: skip
        self.baseline = self.run.compose_descriptor(
            name="baseline", hints={}, time=1000.0, data_keys={"z": number}, object_keys={"z": ["z"]},
            configuration=configuration,
        )  # fmt: skip

    def begin(self):
        begin = [("start", self.run.start_doc)]
        begin += [("descriptor", each.descriptor_doc) for each in (self.baseline, self.images)]
        resource = {
            "uid": f"{self.uid} file", "run_start": self.uid, "data_key": "image", "mimetype": HDF5,
            "uri": str(self._uri), "parameters": {"dataset": DATASET, "chunk_shape": (1, *SHAPE)},
        }  # fmt: skip
        return begin if self._uri is None else [*begin, ("stream_resource", resource)]

    def _event(self, bundle, data):
        self._time += 1.0
        return "event", bundle.compose_event(
            data=data, timestamps=dict.fromkeys(data, self._time), time=self._time, validate=False
        )

    def read(self, z):
        return self._event(self.baseline, {"z": z})

    def frame(self, n, **readings):
        return self._event(self.images, {"image": image(n), **readings})

    def in_file(self, n):
        """The StreamDatum of an image, and its event."""
        datum = {
            "uid": f"{self.uid} {n}", "stream_resource": f"{self.uid} file",
            "descriptor": self.images.descriptor_doc["uid"], "indices": {"start": n, "stop": n + 1},
            "seq_nums": {"start": n + 1, "stop": n + 2},
        }  # fmt: skip
        return [("stream_datum", datum), self._event(self.images, {})]

    def stop(self):
        return "stop", self.run.compose_stop()


@pytest.fixture
def moving(cfg):
    return {**cfg, "geometry": {"distance": "z"}}


def distances(collected):
    return [data["geometry_distance"] for data in data_of(collected)]


def test_a_scan_with_supplemental_data(cfg, collected):
    """The detector's distance is read once before the run, and once after it; the energy is told in eV."""
    det_z, mono = SynAxis(name="det_z"), SynAxis(name="mono")
    det_z.set(140.0)
    mono.set(30500.0)
    detector = SynSignal(func=lambda: image(2), name="det", labels={"detectors"})
    engine = RunEngine({})
    engine.waiting_hook = None
    supplemental = SupplementalData(baseline=[det_z, mono])
    engine.preprocessors.append(supplemental)
    told = {"distance": {"key": "det_z", "unit": "mm"}, "energy": {"key": "mono", "unit": "eV"}}
    with ReductionCallback({**cfg, "geometry": told}) as diff:
        diff.subscribe(collected)
        engine.subscribe(diff)
        engine(bp.scan([detector], SynAxis(name="motor"), 0, 1, 2))
        assert diff.wait(60)
    assert_valid(collected)
    events = data_of(collected)
    assert [(data["geometry_distance"], data["geometry_energy"]) for data in events] == [(0.14, 30.5)] * 2
    expected = reference(cfg, events[0], image(2), dist=0.14, wavelength=12.398419843320026e-10 / 30.5)
    np.testing.assert_allclose(events[0]["diff_1"][1], expected, rtol=1e-6)


def test_the_latest_before_the_frame_counts(cfg, moving):
    run = BaselineRun()
    documents = [
        *run.begin(),
        run.read(120.0),
        run.frame(0),
        run.read(130.0),
        run.frame(1),
        run.read(150.0),
        run.stop(),
    ]
    collected = derived_of(moving, documents)
    assert distances(collected) == [0.12, 0.13]
    expected = reference(cfg, data_of(collected)[1], image(1), dist=0.13)
    np.testing.assert_allclose(data_of(collected)[1]["diff_1"][1], expected, rtol=1e-6)


def test_a_reading_of_the_frames_own_stream_comes_before(moving):
    """Also where an event lacks it: its stream has the data key, and what the baseline says is of another time."""
    run = BaselineRun(readings=["z"])
    collected = derived_of(moving, [*run.begin(), run.read(120.0), run.frame(0, z=140.0), run.frame(1), run.stop()])
    assert distances(collected) == [0.14]
    frames = frames_add_up(collected.of("stop")[0])
    assert frames["reasons"] == {"geometry": 1}
    assert "one of its data keys" in frames["messages"]["geometry"]


def test_what_is_configured_in_the_baseline(cfg):
    run = BaselineRun()
    told = {**cfg, "geometry": {"energy": "e"}}
    collected = derived_of(told, [*run.begin(), run.read(1.0), run.frame(0), run.stop()])
    assert [data["geometry_energy"] for data in data_of(collected)] == [30.0]


def test_without_a_baseline_frames_are_skipped_in_words(moving):
    run = BaselineRun()
    collected = derived_of(moving, [*run.begin(), run.frame(0), run.read(120.0), run.frame(1), run.stop()])
    assert distances(collected) == [0.12]
    assert "nor has the baseline before it" in collected.of("stop")[0]["frames"]["messages"]["geometry"]


def test_each_run_has_its_own(moving):
    one, other = BaselineRun(), BaselineRun()
    documents = [*one.begin(), *other.begin(), one.read(120.0), other.read(130.0), one.frame(0), other.frame(0)]
    collected = derived_of(moving, [*documents, one.stop(), other.stop()])
    assert distances(collected) == [0.12, 0.13]


@pytest.mark.parametrize("order", ["as emitted", "streams apart", "datums late"])
def test_frames_in_files_in_whatever_order_a_store_has(moving, tmp_path, order):
    write_hdf5(tmp_path / "frames.h5", [image(n) for n in range(3)])
    settle()
    run = BaselineRun(uri=uri_of(tmp_path / "frames.h5"))
    begin, first, last = run.begin(), run.read(120.0), None
    points = [run.in_file(n) for n in range(3)]
    last = run.read(150.0)
    flat = [doc for point in points for doc in point]
    middle = {
        "as emitted": [first, *flat, last],
        "streams apart": [first, last, *flat],
        "datums late": [first, *(doc for _, doc in points), last, *(doc for doc, _ in points)],
    }[order]
    collected = derived_of(moving, [*begin, *middle, run.stop()])
    assert distances(collected) == [0.12] * 3


def test_a_fly_scan(moving, tmp_path):
    """Without any event: its frames have the time at which they were announced."""
    write_hdf5(tmp_path / "frames.h5", [image(n) for n in range(3)])
    settle()
    run, collected = BaselineRun(uri=uri_of(tmp_path / "frames.h5")), Collected()
    documents = [*run.begin(), run.read(120.0), *(run.in_file(n)[0] for n in range(3)), run.stop()]
    run.images.descriptor_doc["time"] = 1001.5
    for clock in (False, True):
        with ReductionCallback(moving, background=clock) as diff:
            diff.subscribe(collected)
            send(diff, documents)
            assert diff.wait(60)
    assert distances(collected) == [0.12] * 6


def test_baselines_are_few_and_odd_ones_harmless():
    baseline, descriptor = Baseline(), {"data_keys": {"z": {"units": 7}}, "configuration": None}
    assert baseline.before({"time": 1.0}) == {}
    for time in (3.0, 1.0, None, "late", 2.0):
        baseline.event(descriptor, {"time": time, "data": {"z": time, "image": np.zeros(3)}})
    assert [baseline.before({"time": time})["z"] for time in (0.0, 1.0, 2.5, 9.0)] == [
        (1.0, None), (1.0, None), (2.0, None), (3.0, None)
    ]  # fmt: skip
    assert "image" not in baseline.before({"time": 1.0})
    assert baseline.before({"time": None}) == {}


@pytest.mark.parametrize("time", [10**400, float("nan"), "late", None, 1j])
def test_a_time_that_is_none_loses_no_frame(cfg, time):
    """Of a frame, and of the baseline: what has none is passed over."""
    run = BaselineRun()
    _, no_time = run.read(100.0)
    _, frame = run.frame(0)
    documents = [
        *run.begin(),
        ("event", {**no_time, "time": time}),
        run.read(150.0),
        ("event", {**frame, "time": time}),
    ]
    derived = derived_of(
        {**cfg, "geometry": {"distance": "z"}}, [*documents, run.frame(1), ("stop", run.run.compose_stop())]
    )
    frames = frames_add_up(derived.of("stop")[0])
    assert (frames["received"], frames["reduced"]) == (2, 1)
    assert data_of(derived)[0]["geometry_distance"] == 0.15


def test_readings_are_those_before_whatever_the_order_in_which_they_come():
    rng = np.random.default_rng(5)
    times = rng.permutation(40)[:30] + 0.5
    for order in (np.argsort(times), rng.permutation(30)):
        baseline = Baseline()
        for k in order:
            baseline.event({"data_keys": {}}, {"time": times[k], "data": {f"m{k % 4}": k}})
        for now in range(41):
            earlier = np.argsort(times)[np.sort(times) <= max(now, times.min())]
            expected = {f"m{k % 4}": (k, None) for k in earlier}
            assert baseline.before({"time": float(now)}) == expected
