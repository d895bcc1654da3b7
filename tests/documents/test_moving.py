"""A geometry that moves, frame by frame: told by readings, recorded, and no table built without need."""

from __future__ import annotations

import logging
import math
import threading
from pathlib import Path

import bluesky.plans as bp
import numpy as np
import pyFAI
import pytest
from bluesky import RunEngine
from event_model import compose_run
from ophyd.sim import SynAxis, SynSignal

from bluesky_diffractogram import ReductionCallback
from bluesky_diffractogram.config import ConfigError
from bluesky_diffractogram.documents import moved_reducers
from bluesky_diffractogram.reduction.reducer import Reducer

from .conftest import Collected, image, send

HC = 12.398419843320026e-10


@pytest.fixture
def built(monkeypatch):
    """The distances for which reducers were built."""
    distances, make = [], Reducer.__init__

    def spy(self, *args, **kwargs):
        make(self, *args, **kwargs)
        distances.append(self.geometry.distance)

    monkeypatch.setattr(Reducer, "__init__", spy)
    return distances


def moving_run(readings, *, units=None, configured=None, images=None):
    """A composed run whose events have an image and `readings`, lists by data key."""
    number = len(next(iter(readings.values()))) if readings else len(images)
    units, images = units or {}, images or [image(n) for n in range(number)]
    run = compose_run(metadata={"plan_name": "scan"})
    keys = {"image": {"source": "t", "dtype": "array", "shape": [120, 130], "object_name": "det"}}
    for name in readings:
        keys[name] = {"source": "t", "dtype": "number", "shape": [], "object_name": name}
        if name in units:
            keys[name]["units"] = units[name]
    configured = configured or {}
    described = {name: {"source": "t", "dtype": "number", "shape": [], "units": units[name]} for name in configured}
    configuration = {"det": {"data": configured, "timestamps": dict.fromkeys(configured, 0.0), "data_keys": described}}
    bundle = run.compose_descriptor(
        name="primary", data_keys=keys, hints={}, configuration=configuration,
        object_keys={"det": ["image"], **{name: [name] for name in readings}},
    )  # fmt: skip
    yield "start", run.start_doc
    yield "descriptor", bundle.descriptor_doc
    for n in range(number):
        data = {"image": images[n], **{name: values[n] for name, values in readings.items() if values[n] is not None}}
        yield (
            "event",
            bundle.compose_event(data=data, timestamps=dict.fromkeys(data, 0.0), time=1000.0 + n, validate=False),
        )
    yield "stop", run.compose_stop()


def derived_of(cfg, documents):
    collected = Collected()
    with ReductionCallback(cfg, background=False, strict=True) as diff:
        diff.subscribe(collected)
        send(diff, documents)
    return collected


def data_of(collected):
    return [doc["data"] for doc in collected.of("event")]


def reference(cfg, data, frame, i=1, **moved):
    """The intensities by pyFAI, with an integrator that is where the detector was."""
    ai = pyFAI.load(cfg["calibration"])
    for name, value in moved.items():
        setattr(ai, name, value)
    azimuth = cfg["diff_ranges"][i - 1][:2]
    found = ai.integrate1d(
        frame, cfg["npt"], unit="q_A^-1", azimuth_range=azimuth, radial_range=tuple(data[f"radial_range_{i}"]),
        method=("bbox", "csr", "cython"),
    )  # fmt: skip
    np.testing.assert_allclose(data[f"diff_{i}"][0], found.radial, rtol=1e-12)
    return np.where(found.count > 0, found.intensity, np.nan)


def test_distance_and_energy_that_a_run_engine_scans(cfg, built):
    """Real motors in mm and eV; the scan goes there and back, and on the way back no table is built."""
    det_z, mono = SynAxis(name="det_z"), SynAxis(name="mono")
    detector = SynSignal(func=lambda: image(1), name="det", labels={"detectors"})
    cfg = {
        **cfg,
        "geometry": {
            "distance": {"key": "det_z", "unit": "mm", "offset": -80.0},
            "energy": {"key": "mono", "unit": "eV"},
        },
    }
    engine, derived = RunEngine({}), Collected()
    engine.waiting_hook = None
    with ReductionCallback(cfg) as diff:
        diff.subscribe(derived)
        engine.subscribe(diff)
        engine(bp.list_scan([detector], det_z, [200, 230, 230, 200], mono, [31e3, 31e3, 30e3, 31e3]))
        assert diff.wait(30)
    (stop,), events = derived.of("stop"), data_of(derived)
    assert stop["frames"]["reduced"] == stop["frames"]["received"] == 4
    assert [each["geometry_distance"] for each in events] == [0.12, 0.15, 0.15, 0.12]
    assert [each["geometry_energy"] for each in events] == [31.0, 31.0, 30.0, 31.0]
    for data in events:
        for i in (1, 2):
            moved = {"dist": data["geometry_distance"], "wavelength": HC / data["geometry_energy"]}
            expected = reference(cfg, data, image(1), i, **moved)
            np.testing.assert_allclose(data[f"diff_{i}"][1], expected, rtol=1e-6)
    np.testing.assert_array_equal(events[0]["diff_1"], events[3]["diff_1"])
    assert not np.array_equal(events[0]["diff_1"][1], events[1]["diff_1"][1], equal_nan=True)
    assert len({doc["name"] for doc in derived.of("descriptor")}) == 1
    keys = derived.of("descriptor")[0]["data_keys"]
    assert (keys["geometry_distance"]["units"], keys["geometry_energy"]["units"]) == ("m", "keV")
    # the calibration's own, whose limits and axis hold for all, and one for each of the three geometries
    assert len(built) == 4


def test_a_reading_that_jitters_builds_no_table(cfg, built):
    cfg = {**cfg, "geometry": {"distance": {"key": "z", "unit": "mm", "offset": 0.4567}}}
    nominal = [150.0, 150.0004, 149.9996, 150.0, 170.0003, 169.9997]
    events = data_of(derived_of(cfg, moving_run({"z": nominal}, images=[image(0)] * 6)))
    assert [each["geometry_distance"] for each in events] == [0.1504567] * 4 + [0.1704567] * 2
    assert len(built) == 3
    for n in (1, 2, 3):
        np.testing.assert_array_equal(events[0]["diff_1"], events[n]["diff_1"])


def test_where_the_calibration_is_its_own_table_is_used(cfg, built):
    events = data_of(derived_of({**cfg, "geometry": {"distance": "z"}}, moving_run({"z": [0.1, 0.1000003]})))
    still = data_of(derived_of(cfg, moving_run({"z": [0.1, 0.1000003]})))
    assert len(built) == 2  # one for each callback
    for moved, unmoved in zip(events, still, strict=True):
        np.testing.assert_array_equal(moved["diff_1"], unmoved["diff_1"])


def test_what_is_told_does_not_depend_on_what_was_told_before(cfg):
    cfg = {**cfg, "geometry": {"distance": {"key": "z", "unit": "mm"}, "rot1": {"key": "tilt", "unit": "deg"}}}
    z, tilt = [120.0, 150.0006, 149.9998], [1.0, 2.0, 3.0]
    frames = [image(n) for n in range(3)]
    forth = data_of(derived_of(cfg, moving_run({"z": z, "tilt": tilt}, images=frames)))
    back = data_of(derived_of(cfg, moving_run({"z": z[::-1], "tilt": tilt[::-1]}, images=frames[::-1])))
    for one, other in zip(forth, back[::-1], strict=True):
        for key in ("diff_1", "diff_2", "geometry_distance", "geometry_rot1", "peaks_1"):
            np.testing.assert_array_equal(one[key], other[key])


@pytest.mark.parametrize(
    ("units", "unit", "reading", "distance"),
    [
        ("mm", None, 150.0, 0.15),
        ("MM", None, 150.0, 0.15),
        ("microns", None, 150e3, 0.15),
        (None, None, 0.15, 0.15),
        ("", None, 0.15, 0.15),
        (None, "cm", 15.0, 0.15),
        ("counts", "mm", 150.0, 0.15),  # what somebody configures comes before what a record says
    ],
)
def test_units_are_those_of_the_data_key(cfg, units, unit, reading, distance):
    cfg = {**cfg, "geometry": {"distance": {"key": "z", **({"unit": unit} if unit else {})}}}
    (data,) = data_of(derived_of(cfg, moving_run({"z": [reading]}, units={} if units is None else {"z": units})))
    assert data["geometry_distance"] == distance


def test_a_reading_in_the_descriptors_configuration(cfg):
    cfg = {**cfg, "geometry": {"distance": "det_distance", "rot2": "tilt"}}
    told = {"det_distance": 130.0, "tilt": 2.0}
    documents = moving_run({}, configured=told, units={"det_distance": "mm", "tilt": "deg"}, images=[image(3)])
    (data,) = data_of(derived_of(cfg, documents))
    assert data["geometry_distance"] == 0.13
    assert data["geometry_rot2"] == pytest.approx(math.radians(2.0), rel=1e-11)
    expected = reference(cfg, data, image(3), dist=0.13, rot2=data["geometry_rot2"])
    np.testing.assert_allclose(data["diff_1"][1], expected, rtol=1e-6)


BAD = [None, math.nan, -5.0, 0.0, "far", [1.0, 2.0], 1e12]


def test_frames_whose_geometry_is_not_known_are_skipped_with_a_reason(cfg, caplog):
    cfg = {**cfg, "geometry": {"distance": {"key": "z", "unit": "mm"}}}
    with caplog.at_level(logging.DEBUG):
        collected = derived_of(cfg, moving_run({"z": [100.0, *BAD, 120.0]}))
    (stop,), frames = collected.of("stop"), [100.0, 120.0]
    assert [each["geometry_distance"] * 1e3 for each in data_of(collected)] == pytest.approx(frames)
    assert [each["raw_seq_num"] for each in data_of(collected)] == [1, len(BAD) + 2]
    counted = stop["frames"]
    assert (counted["received"], counted["reduced"], counted["reasons"]) == (len(BAD) + 2, 2, {"geometry": len(BAD)})
    said = [record.getMessage() for record in caplog.records if "frame skipped (geometry)" in record.getMessage()]
    uid = collected.of("start")[0]["raw_uid"]
    assert [f"run {uid}, seq_num {n}:" in text for n, text in enumerate(said, 2)] == [True] * len(BAD)
    for text, word in zip(said, ["has 'z'", "nan", "-0.005 m", "0 m", "'far'", "no scalar", "1e+09 m"], strict=True):
        assert word in text


def test_a_unit_that_is_not_known_is_said_in_words(cfg):
    collected = derived_of({**cfg, "geometry": {"distance": "z"}}, moving_run({"z": [1.0]}, units={"z": "furlong"}))
    (stop,) = collected.of("stop")
    assert stop["frames"]["reasons"] == {"geometry": 1}
    assert "furlong" in stop["frames"]["messages"]["geometry"]


def test_a_poni_that_readings_bring_as_text_or_path(cfg, tmp_path):
    """All of the geometry is taken from it; the detector stays the calibration's."""
    text = Path(cfg["calibration"]).read_text()
    for was, now in (("Distance: 0.1", "Distance: 0.13"), ("Rot1: 0.02", "Rot1: 0.05"), ("4e-11", "4.2e-11")):
        text = text.replace(was, now)
    path = tmp_path / "moved.poni"
    path.write_text(text)
    cfg = {**cfg, "geometry": {"poni": "poni"}}
    events = data_of(derived_of(cfg, moving_run({"poni": [text, str(path), path.as_uri()]}, images=[image(2)] * 3)))
    assert len(events) == 3
    expected = reference(cfg, events[0], image(2), dist=0.13, rot1=0.05, wavelength=4.2e-11)
    for data in events:
        told = {key: value for key, value in data.items() if key.startswith("geometry_")}
        assert told == {
            "geometry_distance": 0.13, "geometry_poni1": 0.036, "geometry_poni2": 0.0325, "geometry_rot1": 0.05,
            "geometry_rot2": -0.03, "geometry_rot3": 0.0, "geometry_wavelength": 4.2e-11,
        }  # fmt: skip
        np.testing.assert_allclose(data["diff_1"][1], expected, rtol=1e-6)


@pytest.mark.parametrize("show", [True, False])
def test_a_poni_file_is_that_which_was_there_when_its_event_came(cfg, tmp_path, show):
    """Though it is overwritten for the next one while frames wait; and `next` takes the one of its frame, too."""
    path, text = tmp_path / "moved.poni", Path(cfg["calibration"]).read_text()
    distances, held = [0.12, 0.13, 0.14], threading.Event()
    cfg = {**cfg, "geometry": {"poni": "poni"}, "show_diff": show}
    collected, shown = Collected(), []
    with ReductionCallback(cfg, strict=True) as diff:
        diff.subscribe(collected)
        diff.on_results(lambda results: shown.append(results["imagename"]))
        diff.subscribe(lambda name, doc: name == "start" and held.wait(30))
        documents = iter(moving_run({"poni": [str(path)] * 3}, images=[image(2)] * 3))
        for name, doc in documents:
            if name == "event":
                path.write_text(text.replace("Distance: 0.1", f"Distance: {distances.pop(0)}"))
            diff(name, doc)
            if name == "event" and not show:
                path.unlink()
                diff.next()
        path.write_text("overwritten")
        held.set()
        assert diff.wait(30)
    events = data_of(collected)
    assert [data["geometry_distance"] for data in events] == [0.12, 0.13, 0.14]
    expected = reference(cfg, events[1], image(2), dist=0.13)
    np.testing.assert_allclose(events[1]["diff_1"][1], expected, rtol=1e-6)
    assert len(shown) == 3


def test_a_poni_file_that_is_not_there_when_its_event_comes_is_no_geometry(cfg, tmp_path):
    path, collected, held = tmp_path / "late.poni", Collected(), threading.Event()
    with ReductionCallback({**cfg, "geometry": {"poni": "poni"}}, strict=True) as diff:
        diff.subscribe(collected)
        diff.subscribe(lambda name, doc: name == "start" and held.wait(30))
        send(diff, moving_run({"poni": [str(path)]}, images=[image(2)]))
        path.write_text(Path(cfg["calibration"]).read_text())
        held.set()
        assert diff.wait(30)
    frames = collected.of("stop")[0]["frames"]
    assert frames["reasons"] == {"geometry": 1}
    assert "late.poni" in frames["messages"]["geometry"]


def test_a_poni_that_cannot_be_used_is_no_geometry(cfg, tmp_path):
    text = Path(cfg["calibration"]).read_text()
    outside = tmp_path / "outside.poni"
    outside.write_text(text)
    bad = ["", "no poni", str(tmp_path / "none.poni"), text.replace("0.0006", "0.0007"), "Distance: 0.1\n",
           text.replace("Distance: 0.1", "Distance: -1"), str(outside)]  # fmt: skip
    (tmp_path / "root").mkdir()
    collected = Collected()
    options = {"background": False, "roots": [str(tmp_path / "root")]}
    with ReductionCallback({**cfg, "geometry": {"poni": "poni"}}, **options) as diff:
        diff.subscribe(collected)
        send(diff, moving_run({"poni": [*bad, text]}))
    (stop,) = collected.of("stop")
    assert stop["frames"]["reasons"] == {"geometry": len(bad)}
    assert stop["frames"]["reduced"] == 1


def test_recent_tables_are_kept_and_no_more(cfg, built, monkeypatch):
    monkeypatch.setattr(moved_reducers, "MOST_REDUCERS", 3)
    cfg = {**cfg, "geometry": {"distance": "z"}}
    collected = Collected()
    with ReductionCallback(cfg, background=False, strict=True) as diff:
        diff.subscribe(collected)
        reducers = diff._pipeline._reducers
        send(diff, moving_run({"z": [0.11, 0.12, 0.13, 0.11, 0.12, 0.13]}))
        assert len(built) == 4
        send(diff, moving_run({"z": [0.14, 0.13, 0.11]}))  # 0.11 was the one used longest ago
        assert built[4:] == [0.14, 0.11]
        assert len(reducers.moved) == 3
        monkeypatch.setattr(moved_reducers, "MOST_BYTES", 1)
        send(diff, moving_run({"z": [0.15]}))
        assert len(reducers.moved) == 1
        assert reducers.moved.nbytes > 0
    assert len(data_of(collected)) == 10


def test_what_moves_is_not_kept_on_disk(cfg, tmp_path, monkeypatch):
    from bluesky_diffractogram.reduction.disk_cache import FOLDER_VARIABLE, wait_until_written

    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "kept"))
    derived_of(cfg, moving_run({"z": [0.1]}))
    wait_until_written()
    before = {path.name for path in (tmp_path / "kept").rglob("*.npz")}
    derived_of({**cfg, "geometry": {"distance": "z"}}, moving_run({"z": [0.1, 0.12, 0.14, 0.16]}))
    wait_until_written()
    assert before == {path.name for path in (tmp_path / "kept").rglob("*.npz")} != set()


def test_frames_are_shown_where_their_detector_was(cfg):
    shown = []
    with ReductionCallback({**cfg, "geometry": {"distance": "z"}}, background=False, strict=True) as diff:
        diff.on_frame(shown.append)
        send(diff, moving_run({"z": [0.1, 0.2, 0.2, 0.1]}))
        diff.configure({"colors": ["red", "blue"]})
    assert [each.detector.projection.geometry.distance for each in shown] == [0.1, 0.2, 0.2, 0.1, 0.1]
    assert shown[1].detector is shown[2].detector
    sizes = [np.ptp(each.detector.outlines[0].rings[0], axis=0) for each in shown[:2]]
    assert sizes[1] == pytest.approx(2.0 * sizes[0], rel=0.1)


def test_a_change_of_the_readings_opens_another_stream(cfg):
    collected = Collected()
    with ReductionCallback(cfg, background=False, strict=True) as diff:
        diff.subscribe(collected)
        for name, doc in moving_run({"z": [0.12, 0.12]}):
            diff(name, doc)
            if name == "event" and doc["seq_num"] == 1:
                diff.configure({"geometry": {"distance": "z"}})
    first, second = collected.of("descriptor")
    assert "geometry_distance" not in first["data_keys"]
    assert "geometry_distance" in second["data_keys"]
    assert [len(buffer) for buffer in diff.buffers] == [1, 1]


def test_frames_that_are_added_up_have_the_geometry_of_their_event(cfg):
    stack = np.stack([image(0), image(1)])
    cfg = {**cfg, "geometry": {"distance": "z"}}
    (one,) = data_of(derived_of({**cfg, "frames_per_event": "sum"}, moving_run({"z": [0.12]}, images=[stack])))
    assert one["geometry_distance"] == 0.12
    each = data_of(derived_of(cfg, moving_run({"z": [0.12]}, images=[stack])))
    assert [data["geometry_distance"] for data in each] == [0.12, 0.12]
    np.testing.assert_allclose(one["diff_1"][1], each[0]["diff_1"][1] + each[1]["diff_1"][1], rtol=1e-6)


def test_next_reduces_where_the_detector_is(cfg):
    """Into results and buffers, as the run is over."""
    with ReductionCallback({**cfg, "geometry": {"distance": "z"}, "show_diff": False}, background=False) as diff:
        send(diff, moving_run({"z": [0.12]}))
        diff.next()
        expected = data_of(derived_of({**cfg, "geometry": {"distance": "z"}}, moving_run({"z": [0.12]})))
        intensity = np.array(diff.results["diff_1"][1])
    filled = np.isfinite(expected[0]["diff_1"][1])
    np.testing.assert_array_equal(intensity, expected[0]["diff_1"][1][filled])


def test_a_calibration_without_wavelength_cannot_give_limits_in_q(cfg, tmp_path):
    text = Path(cfg["calibration"]).read_text().replace("Wavelength: 4e-11", "")
    (tmp_path / "without.poni").write_text(text)
    with pytest.raises(ConfigError, match="a calibration that has one"):
        ReductionCallback({**cfg, "calibration": str(tmp_path / "without.poni"), "geometry": {"energy": "e"}})
