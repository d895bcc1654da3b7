"""The callback with a real RunEngine and with composed runs."""

from __future__ import annotations

import copy
import json
import logging
import threading
import time

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import bluesky.preprocessors as bpp
import numpy as np
import pytest
from bluesky import RunEngine
from event_model import DocumentNames, schema_validators
from ophyd.sim import SynAxis, SynSignal

from bluesky_diffractogram import ConfigError, ReductionCallback
from bluesky_diffractogram.documents.images import frames_in

from .conftest import SHAPE, Collected, image, raw_run, send


def frames_add_up(stop, missing=0):
    frames = stop["frames"]
    assert frames.get("missing", 0) == missing
    parts = ("reduced", "skipped", "dropped", "replaced", "not_requested")
    assert frames["received"] == sum(frames[part] for part in parts)
    assert frames["skipped"] == sum(frames["reasons"].values())
    return frames


def assert_valid(documents):
    for name, doc in documents:
        schema_validators[DocumentNames[name]].validate(doc)
    keys = {doc["uid"]: set(doc["data_keys"]) for doc in documents.of("descriptor")}
    for event in documents.of("event"):
        assert set(event["data"]) == set(event["timestamps"]) == keys[event["descriptor"]]
    for descriptor in documents.of("descriptor"):
        for event in documents.of("event"):
            if event["descriptor"] == descriptor["uid"]:
                for name, key in descriptor["data_keys"].items():
                    assert list(np.shape(event["data"][name])) == key["shape"], name


@pytest.fixture
def scan():
    """A RunEngine, a motor, and a detector whose image follows it."""
    motor = SynAxis(name="motor")
    det = SynSignal(func=lambda: image(round(motor.readback.get())), name="det", labels={"detectors"})
    engine = RunEngine({})
    engine.waiting_hook = None
    return engine, motor, det


# -- a scan ------------------------------------------------------------------------------------------------


def test_a_scan_gives_a_valid_derived_run(cfg, scan, collected):
    engine, motor, det = scan
    raw = Collected()
    diff = ReductionCallback(cfg)
    diff.subscribe(collected)
    engine.subscribe(raw)
    engine.subscribe(diff)
    (uid,) = engine(bp.scan([det], motor, 0, 5, 6), sample="CeO2")
    assert diff.wait(20)
    assert collected.names == ["start", "descriptor", *["event"] * 6, "stop"]
    assert_valid(collected)
    (start,), (stop,) = collected.of("start"), collected.of("stop")
    assert start["raw_uid"] == start["original_run_uid"] == uid
    assert start["raw_scan_id"] == raw.of("start")[0]["scan_id"]
    assert start["scan_id"] == -start["raw_scan_id"]  # so that no catalogue takes it for the scan
    assert start["purpose"] == "diffractogram"
    assert (start["plan_name"], start["plan_type"], start["sample"]) == ("scan", "generator", "CeO2")
    assert start["hints"]["dimensions"] == [[["motor"], "diffractogram"]]
    assert json.loads(start["configuration"]) == diff.configuration()
    assert start["calibration"]["text"] == open(cfg["calibration"]).read()  # noqa: SIM115
    assert set(start["versions"]) == {"bluesky-diffractogram", "pyFAI", "numpy"}
    assert stop["exit_status"] == "success"
    assert stop["num_events"] == {"diffractogram": 6}
    assert frames_add_up(stop)["reduced"] == 6
    for mine, theirs in zip(collected.of("event"), raw.of("event"), strict=True):
        assert mine["data"]["motor"] == theirs["data"]["motor"]
        assert mine["data"]["raw_event"] == theirs["uid"]
        assert mine["data"]["raw_seq_num"] == theirs["seq_num"]
        assert mine["time"] == mine["data"]["timestamp"] == theirs["timestamps"]["det"]
    diff.close()


def test_counts_are_told_where_they_are_asked_for(cfg, collected):
    diff = ReductionCallback({**cfg, "count": True}, background=False)
    diff.subscribe(collected)
    spoilt = image(0)
    spoilt[60, 70:90] = 65535  # saturated
    send(diff, raw_run([image(0), spoilt]))
    assert_valid(collected)
    (descriptor,), (whole, less) = collected.of("descriptor"), collected.of("event")
    covered = descriptor["configuration"]["diffractogram"]["data"]["coverage_1"]
    assert descriptor["data_keys"]["count_1"]["dtype_numpy"] == whole["data"]["count_1"].dtype.str == "<i8"
    np.testing.assert_array_equal(whole["data"]["count_1"], covered)
    missing = covered - less["data"]["count_1"]
    assert missing.min() == 0
    assert missing.sum() > 20  # each of the pixels was in one bin or more


def test_a_cake_is_in_every_event_with_its_axes_in_the_descriptor(cfg, collected):
    diff = ReductionCallback({**cfg, "cake": {"npt_rad": 30, "npt_azim": 20}}, background=False)
    diff.subscribe(collected)
    send(diff, raw_run([image(0), image(1)]))
    assert_valid(collected)
    (descriptor,), events = collected.of("descriptor"), collected.of("event")
    configured = descriptor["configuration"]["diffractogram"]["data"]
    assert descriptor["data_keys"]["cake"]["shape"] == [20, 30]
    assert (len(configured["cake_azimuthal"]), len(configured["cake_radial"])) == (20, 30)
    for event in events:
        assert event["data"]["cake"].shape == (20, 30)
        assert event["data"]["cake"].dtype.str == descriptor["data_keys"]["cake"]["dtype_numpy"]
    assert not np.array_equal(events[0]["data"]["cake"], events[1]["data"]["cake"], equal_nan=True)


def test_the_descriptor_tells_axes_limits_units_and_hints(cfg, collected):
    diff = ReductionCallback(cfg, background=False)
    diff.subscribe(collected)
    send(diff, raw_run([image(0)]))
    (descriptor,), (event,) = collected.of("descriptor"), collected.of("event")
    configured = descriptor["configuration"]["diffractogram"]["data"]
    for i in (1, 2):
        np.testing.assert_array_equal(configured[f"radial_{i}"], event["data"][f"diff_{i}"][0])
        np.testing.assert_array_equal(configured[f"radial_range_{i}"], event["data"][f"radial_range_{i}"])
        assert configured[f"npt_{i}"] == 150
    assert (configured["unit"], configured["unit_label"]) == ("q_A^-1", "q [1/A]")
    assert descriptor["hints"] == {"diffractogram": {"fields": ["peak_1_position", "peak_2_position"]}}
    assert descriptor["data_keys"]["peak_1_position"]["units"] == "1/Å"
    assert descriptor["data_keys"]["diff_1"]["dtype_numpy"] == "<f8"
    assert event["data"]["azimuth_range_1"].tolist() == [10.0, 60.0]


def test_raw_documents_are_not_changed(cfg):
    documents = list(raw_run([image(n) for n in range(3)]))
    before = copy.deepcopy(documents)
    diff = ReductionCallback(cfg)
    send(diff, documents)
    diff.wait(20)
    diff.close()
    for (_, now), (_, then) in zip(documents, before, strict=True):
        np.testing.assert_equal(now, then)


def without_uids_and_times(documents):
    def strip(value, key=""):
        if key in ("uid", "time", "descriptor", "run_start", "raw_event", "timestamps", "timestamp", "raw_uid",
                   "original_run_uid", "imagename"):  # fmt: skip
            return None
        if isinstance(value, dict):
            return {k: strip(v, k) for k, v in value.items()}
        return value

    return [(name, strip(doc)) for name, doc in documents]


def test_live_and_in_thread_give_the_same_documents(cfg):
    both = []
    documents = list(raw_run([image(n) for n in range(5)], carried={"motor": [0.0, 1, 2, 3, 4]}))
    for background in (True, False):
        collected = Collected()
        diff = ReductionCallback({**cfg, "carry": ["motor"]}, background=background)
        diff.subscribe(collected)
        send(diff, documents)
        assert diff.wait(20)
        diff.close()
        both.append(without_uids_and_times(collected))
    np.testing.assert_equal(both[0], both[1])


def test_runs_one_after_the_other_and_interleaved_do_not_mix(cfg):
    alone = []
    runs = [list(raw_run([image(10 * r + n) for n in range(3)], metadata={"scan_id": r})) for r in range(3)]
    for run in runs:
        collected = Collected()
        diff = ReductionCallback(cfg, background=False)
        diff.subscribe(collected)
        send(diff, run)
        alone.append(collected)
    together = Collected()
    diff = ReductionCallback(cfg, background=False)
    diff.subscribe(together)
    for step in zip(*runs, strict=True):
        send(diff, step)
    starts = {doc["uid"]: doc["raw_uid"] for doc in together.of("start")}
    descriptors = {doc["uid"]: starts[doc["run_start"]] for doc in together.of("descriptor")}
    for run, expected in zip(runs, alone, strict=True):
        uid = run[0][1]["uid"]
        mine = [doc["data"]["diff_1"] for doc in together.of("event") if descriptors[doc["descriptor"]] == uid]
        np.testing.assert_array_equal(mine, [doc["data"]["diff_1"] for doc in expected.of("event")])
    assert len(diff.buffers[0]) == 9


def test_scans_without_images_give_no_derived_run(cfg, collected):
    engine, motor = RunEngine({}), SynAxis(name="motor")
    diff = ReductionCallback(cfg)
    diff.subscribe(collected)
    engine.subscribe(diff)
    engine(bp.scan([motor], motor, 0, 1, 3))
    assert diff.wait(10)
    assert collected == []
    diff.close()


def test_derived_runs_are_passed_over_also_its_own(cfg, collected):
    diff = ReductionCallback(cfg, background=False)
    diff.subscribe(collected)
    diff.subscribe(diff)
    send(diff, raw_run([image(0)]))
    assert collected.names == ["start", "descriptor", "event", "stop"]
    assert not diff.ignored


def test_an_aborted_scan_ends_its_derived_run_as_aborted(cfg, scan, collected):
    engine, _, det = scan

    def plan():
        @bpp.run_decorator()
        def inner():
            yield from bps.trigger_and_read([det])
            raise RuntimeError("the beam is gone")

        yield from inner()

    diff = ReductionCallback(cfg)
    diff.subscribe(collected)
    engine.subscribe(diff)
    with pytest.raises(RuntimeError, match="the beam is gone"):
        engine(plan())
    assert diff.wait(20)
    (stop,) = collected.of("stop")
    assert stop["exit_status"] == "fail"
    assert "the beam is gone" in stop["reason"]
    assert frames_add_up(stop)["reduced"] == 1
    diff.close()


def test_baseline_and_other_streams_are_not_reduced(cfg, scan, collected):
    engine, motor, det = scan
    diff = ReductionCallback(cfg)
    diff.subscribe(collected)
    engine.subscribe(diff)
    engine(bpp.baseline_wrapper(bp.count([det], 2), [det, motor]))
    assert diff.wait(20)
    assert frames_add_up(collected.of("stop")[0])["received"] == 2
    diff.close()


def test_bluesky_own_callbacks_take_the_derived_run(cfg, scan, monkeypatch):
    import matplotlib

    matplotlib.use("Agg")
    monkeypatch.setenv("BLUESKY_DEBUG_CALLBACKS", "1")  # else bluesky hides what they raise
    from bluesky.callbacks import LivePlot
    from bluesky.callbacks.best_effort import BestEffortCallback

    engine, motor, det = scan
    diff = ReductionCallback({**cfg, "diff_number": 1})
    plot, best = LivePlot("peak_1_position", "motor"), BestEffortCallback()
    raised = []

    def loud(callback):
        def call(name, doc):
            try:
                callback(name, doc)
            except Exception as error:
                raised.append(error)

        return call

    diff.subscribe(loud(plot))
    diff.subscribe(loud(best))
    engine.subscribe(diff)
    engine(bp.scan([det], motor, 0, 20, 6))
    assert diff.wait(20)
    assert raised == []
    assert plot.x_data == [0.0, 4.0, 8.0, 12.0, 16.0, 20.0]
    assert np.isfinite(plot.y_data).all()
    assert plot.y_data[-1] > plot.y_data[0]  # the ring drifts outwards
    assert best.peaks["com"]["peak_1_position"] is not None
    diff.close()


def test_a_grid_scan_stays_a_grid_for_bluesky(cfg, scan, monkeypatch):
    import matplotlib

    matplotlib.use("Agg")
    monkeypatch.setenv("BLUESKY_DEBUG_CALLBACKS", "1")
    from bluesky.callbacks.best_effort import BestEffortCallback

    engine, motor, det = scan
    other = SynAxis(name="other")
    best, raised = BestEffortCallback(), []

    def loud(name, doc):
        try:
            best(name, doc)
        except Exception as error:
            raised.append(error)

    diff = ReductionCallback({**cfg, "diff_number": 1})
    diff.subscribe(loud)
    engine.subscribe(diff)
    engine(bp.grid_scan([det], motor, 0, 4, 3, other, 0, 1, 2))
    assert diff.wait(20)
    assert raised == []
    diff.close()


# -- what is kept --------------------------------------------------------------------------------------------


def test_buffers_hold_the_curves_of_the_events(cfg, collected):
    diff = ReductionCallback({**cfg, "buffer_size": 4}, background=False)
    diff.subscribe(collected)
    send(diff, raw_run([image(n) for n in range(6)]))
    expected = [doc["data"]["diff_2"][1] for doc in collected.of("event")][-4:]
    np.testing.assert_array_equal(diff.buffers[1].rows, expected)
    np.testing.assert_array_equal(diff.buffers[1].timestamps, [1002.0, 1003.0, 1004.0, 1005.0])


def test_buffers_survive_from_run_to_run_unless_told_otherwise(cfg):
    for reset, rows in ((False, 4), (True, 2)):
        diff = ReductionCallback({**cfg, "reset_on_start": reset}, background=False)
        send(diff, raw_run([image(0), image(1)]))
        send(diff, raw_run([image(2), image(3)]))
        assert len(diff.buffers[0]) == rows


def test_results_are_lavues_dictionary(cfg, collected):
    diff = ReductionCallback(cfg, background=False)
    diff.subscribe(collected)
    assert diff.results is None
    heard = []
    diff.on_results(heard.append)
    send(diff, raw_run([image(0), image(1)]))
    results = diff.results
    assert json.loads(json.dumps(results, allow_nan=False)) == results == heard[-1]
    assert len(heard) == 2
    event = collected.of("event")[-1]
    filled = np.isfinite(event["data"]["diff_1"][1])
    np.testing.assert_array_equal(results["diff_1"], event["data"]["diff_1"][:, filled])
    assert results["tool"] == "diffractogram"
    assert (results["nrdiffs"], results["unit"], results["calibration"]) == (2, "q_A^-1", cfg["calibration"])
    assert results["azimuth_range_1"] == [10.0, 60.0]
    assert results["radial_range_1"] == event["data"]["radial_range_1"].tolist()
    n = event["data"]["n_peaks_1"]
    assert n >= 1
    np.testing.assert_array_equal(results["peaks_1"], event["data"]["peaks_1"][:, :n])
    assert results["peaks_1_error"] == event["data"]["peaks_1_error"]


def test_results_of_unset_ranges_are_null(cfg):
    diff = ReductionCallback({"calibration": cfg["calibration"]}, background=False)
    send(diff, raw_run([image(0)]))
    assert diff.results["radial_range_1"] is None
    assert diff.results["azimuth_range_1"] is None


# -- commands ------------------------------------------------------------------------------------------------


def test_a_configuration_in_mid_run_goes_on_in_a_new_stream(cfg, collected):
    diff = ReductionCallback(cfg, background=False)
    diff.subscribe(collected)
    documents = list(raw_run([image(n) for n in range(5)]))
    send(diff, documents[:4])
    diff.configure({"diff_units": "2th [deg]"})
    send(diff, documents[4:6])
    diff.configure({"buffer_size": 7})  # changes no number and no key
    send(diff, documents[6:])
    assert_valid(collected)
    first, second = collected.of("descriptor")
    assert (first["name"], second["name"]) == ("diffractogram", "diffractogram_2")
    assert second["data_keys"]["diff_1"]["units"].startswith("deg")
    assert [doc["data"]["unit"] for doc in collected.of("event")] == ["q_A^-1"] * 2 + ["2th_deg"] * 3
    assert [doc["seq_num"] for doc in collected.of("event")] == [1, 2, 1, 2, 3]
    (stop,) = collected.of("stop")
    assert stop["num_events"] == {"diffractogram": 2, "diffractogram_2": 3}
    assert len(diff.buffers[0]) == 1  # emptied with the unit, and again with the size


def test_frames_in_the_queue_keep_the_configuration_under_which_they_came(cfg, collected):
    diff = ReductionCallback({**cfg, "queue_size": 100})
    diff.subscribe(collected)
    documents = list(raw_run([image(n) for n in range(12)]))
    send(diff, documents[:8])
    diff.configure({"diff_units": "r [mm]"})
    send(diff, documents[8:])
    assert diff.wait(20)
    assert [doc["data"]["unit"] for doc in collected.of("event")] == ["q_A^-1"] * 6 + ["r_mm"] * 6
    assert len(diff.buffers[0]) == 6
    diff.close()


def test_a_bad_configuration_is_refused_whole(cfg):
    diff = ReductionCallback(cfg, background=False)
    before = diff.configuration()
    for bad in (
        {"diff_unit": "q [1/A]"},
        {"npt": 300, "calibration": "/nowhere.poni"},
        {"npt": 300, "mask": np.zeros((3, 3))},
        '{"npt": 300, "diff_ranges": [[1, 2, 3]]}',
    ):
        with pytest.raises(ConfigError):
            diff.configure(bad)
    assert diff.configuration() == before
    with pytest.raises(ConfigError, match="calibration"):
        ReductionCallback({"diff_number": 1})


def test_the_example_of_lavues_documentation_works_as_it_is(cfg, tmp_path, collected):
    example = {
        "calibration": cfg["calibration"], "diff_number": 2, "diff_ranges": [[10, 20, 0, 10], [-5, 5, 5, 15]],
        "diff_units": "r [mm]", "buffering": True, "buffer_size": 512,
    }  # fmt: skip
    path = tmp_path / "lavue.json"
    path.write_text(json.dumps(example))
    curves = []
    for source in (example, json.dumps(example), path, str(path)):
        diff = ReductionCallback(source, background=False)
        assert diff.configuration()["diff_ranges"] == example["diff_ranges"]
        send(diff, raw_run([image(0)]))
        curves.append(diff.results["diff_1"])
    assert all(curve == curves[0] for curve in curves)
    assert diff.results["unit"] == "r_mm"


def test_configuration_goes_back_into_configure(cfg):
    diff = ReductionCallback({**cfg, "dark": np.ones(SHAPE), "colors": [[255, 0, 0], "C2"]}, background=False)
    other = ReductionCallback({"calibration": cfg["calibration"]}, background=False)
    other.configure(diff.configuration())
    assert other.config == diff.config


def test_show_off_counts_frames_and_next_reduces_the_current_one(cfg, collected):
    diff = ReductionCallback(cfg, background=False)
    diff.subscribe(collected)
    diff.show(False)
    documents = list(raw_run([image(n) for n in range(4)]))
    send(diff, documents[:4])
    assert collected.of("event") == []
    diff.next()
    send(diff, documents[4:])
    (event,), (stop,) = collected.of("event"), collected.of("stop")
    assert event["data"]["raw_seq_num"] == 2
    assert frames_add_up(stop) == {
        "received": 4, "reduced": 1, "skipped": 0, "dropped": 0, "replaced": 0, "not_requested": 3, "reasons": {},
    }  # fmt: skip
    diff.next()  # after the stop: into results and buffers only
    assert len(collected.of("event")) == 1
    assert diff.results["timestamp"] == 1003.0
    assert len(diff.buffers[0]) == 2


def test_next_again_changes_nothing_but_the_results(cfg, collected):
    diff = ReductionCallback(cfg, background=False)
    diff.subscribe(collected)
    diff.next()  # before the first frame: nothing
    documents = list(raw_run([image(n) for n in range(2)]))
    send(diff, documents[:3])
    diff.next()
    send(diff, documents[3:])
    assert len(collected.of("event")) == 2
    assert frames_add_up(collected.of("stop")[0])["reduced"] == 2
    assert len(diff.buffers[0]) == 2


def test_lavues_commands_in_a_configuration(cfg):
    diff = ReductionCallback(cfg, background=False)
    send(diff, raw_run([image(0), image(1)]))
    diff.configure({"reset": True})
    assert len(diff.buffers[0]) == 0
    diff.configure({"stop_diff": True})
    assert diff.configuration()["show_diff"] is False
    diff.configure({"next": True})
    assert len(diff.buffers[0]) == 1


def test_collect_off_leaves_the_buffers_alone(cfg, collected):
    diff = ReductionCallback(cfg, background=False)
    diff.subscribe(collected)
    diff.collect(False)
    send(diff, raw_run([image(0), image(1)]))
    assert len(diff.buffers[0]) == 0
    assert len(collected.of("event")) == 2
    diff.collect(True)
    send(diff, raw_run([image(2)]))
    assert len(diff.buffers[0]) == 1


# -- what the frames bring -------------------------------------------------------------------------------------


def test_carried_readings(cfg, collected):
    values = {"temperature": [300.0, 310.0], "monitor": [1.0, 2.0]}
    metadata = {"hints": {"dimensions": [(["temperature"], "primary"), (["slit"], "primary")]}}
    diff = ReductionCallback(cfg, background=False)
    diff.subscribe(collected)
    send(diff, raw_run([image(0), image(1)], carried=values, metadata=metadata))
    assert [doc["data"]["temperature"] for doc in collected.of("event")] == [300.0, 310.0]
    assert "monitor" not in collected.of("event")[0]["data"]
    assert collected.of("start")[0]["hints"] == {"dimensions": [[["temperature"], "diffractogram"]]}
    assert diff.buffers[0].carried("temperature").tolist() == [300.0, 310.0]
    chosen = ReductionCallback({**cfg, "carry": ["monitor"]}, background=False)
    again = Collected()
    chosen.subscribe(again)
    send(chosen, raw_run([image(0), image(1)], carried=values, metadata=metadata))
    assert [doc["data"].get("monitor") for doc in again.of("event")] == [1.0, 2.0]
    assert_valid(again)


def test_a_limit_that_leaves_no_pixel_is_refused_with_the_first_frame_where_that_tells_the_shape(
    cfg, small_poni, collected, caplog
):
    small_poni.write_text(small_poni.read_text().replace("[120, 130]", "null"))
    diff = ReductionCallback({**cfg, "diff_ranges": [[10, 60, 4, 16], [10, 60, 60, None]]}, background=False)
    diff.subscribe(collected)
    send(diff, raw_run([image(0)] * 2))
    message = collected.of("stop")[0]["frames"]["messages"]["configuration: diff_ranges[1]"]
    assert message.startswith("diff_ranges[1] = 60.0: 60 leaves no pixel; allowed: a limit that the detector reaches: ")
    assert "the detector covers 0 to 2" in message
    assert collected.of("event") == []
    diff.configure({"diff_ranges": [[10, 60, 4, 16]]})
    send(diff, raw_run([image(0)]))
    assert len(collected.of("event")) == 1


def test_normalization_divides_and_a_bad_one_skips_the_frame(cfg, collected):
    monitor = [2.0, 0.0, float("nan"), 4.0]
    images = [image(0)] * 4
    diff = ReductionCallback({**cfg, "normalization": "i0"}, background=False)
    diff.subscribe(collected)
    send(diff, raw_run(images, carried={"i0": monitor}))
    first, last = (doc["data"]["diff_1"][1] for doc in collected.of("event"))
    np.testing.assert_allclose(first, 2 * last)
    assert frames_add_up(collected.of("stop")[0])["reasons"] == {"normalization": 2}


def test_an_unknown_normalization_is_said_once_with_the_data_keys_there_are(cfg, collected, caplog):
    diff = ReductionCallback({**cfg, "normalization": "i00"}, background=False)
    diff.subscribe(collected)
    send(diff, raw_run([image(0)] * 3, carried={"i0": [1.0] * 3, "motor": [0.0] * 3}))
    message = "normalization = 'i00' is no data key of the stream 'primary'; beside the image that has i0, motor"
    frames = frames_add_up(collected.of("stop")[0])
    assert frames["messages"] == {"normalization": message}
    assert frames["reasons"] == {"normalization": 3}
    assert [record.levelname for record in caplog.records if message in record.getMessage()].count("WARNING") == 1


@pytest.mark.parametrize("as_list", [False, True])
def test_several_frames_in_an_event(cfg, as_list):
    stack = np.stack([image(n) for n in range(3)])
    value = stack.tolist() if as_list else stack
    results = {}
    for how in ("each", "mean", "sum"):
        collected = Collected()
        diff = ReductionCallback({**cfg, "frames_per_event": how}, background=False)
        diff.subscribe(collected)
        send(diff, raw_run([value, value]))
        assert_valid(collected)
        results[how] = collected
    each = results["each"].of("event")
    assert [doc["data"]["frame_index"] for doc in each] == [0, 1, 2, 0, 1, 2]
    assert [doc["data"]["raw_seq_num"] for doc in each] == [1, 1, 1, 2, 2, 2]
    assert [doc["seq_num"] for doc in each] == [1, 2, 3, 4, 5, 6]
    curves = np.array([doc["data"]["diff_1"][1] for doc in each[:3]])
    mean = results["mean"].of("event")[0]["data"]["diff_1"][1]
    np.testing.assert_allclose(mean, curves.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(results["sum"].of("event")[0]["data"]["diff_1"][1], 3 * mean, rtol=1e-6)
    assert frames_add_up(results["each"].of("stop")[0])["received"] == 6
    assert frames_add_up(results["sum"].of("stop")[0])["received"] == 2


def test_event_pages_and_bulk_events(cfg, collected):
    from event_model import pack_event_page

    documents = list(raw_run([image(n) for n in range(3)]))
    events = [doc for name, doc in documents if name == "event"]
    for form in ("event_page", "bulk_events"):
        packed = pack_event_page(*events) if form == "event_page" else {events[0]["descriptor"]: events}
        diff = ReductionCallback(cfg, background=False)
        diff.subscribe(collected)
        send(diff, [*documents[:2], (form, packed), documents[-1]])
    assert [doc["data"]["raw_seq_num"] for doc in collected.of("event")] == [1, 2, 3] * 2


def test_a_rewind_replaces_the_earlier_frames(cfg, collected):
    """As a pause and resume does it: seq_num goes 1, 2, 3, 2, 3, 4."""
    seq_nums = [1, 2, 3, 2, 3, 4]
    diff = ReductionCallback(cfg, background=False)
    diff.subscribe(collected)
    send(diff, raw_run([image(n) for n in range(6)], seq_nums=seq_nums))
    assert [doc["seq_num"] for doc in collected.of("event")] == seq_nums
    (stop,) = collected.of("stop")
    assert stop["num_events"] == {"diffractogram": 4}
    frames = frames_add_up(stop)
    assert (frames["received"], frames["reduced"], frames["replaced"]) == (6, 4, 2)
    last = {doc["seq_num"]: doc["data"]["diff_1"][1] for doc in collected.of("event")}
    np.testing.assert_array_equal(diff.buffers[0].rows, [last[n] for n in (1, 2, 3, 4)])


def test_the_strongest_peak_at_first_stays_the_peak_that_is_followed(cfg, collected):
    """The inner ring is stronger at first and weaker later: the position does not jump to the outer one."""

    def two_rings(inner, outer):
        y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
        radius = np.hypot((y - SHAPE[0] / 2) * 0.6, (x - SHAPE[1] / 2) * 0.5)
        rings = inner * np.exp(-(((radius - 13) / 0.6) ** 2)) + outer * np.exp(-(((radius - 22) / 0.6) ** 2))
        return (50 + rings).astype("u2")

    diff = ReductionCallback(cfg, background=False)
    diff.subscribe(collected)
    send(diff, raw_run([two_rings(1000, 200), two_rings(600, 600), two_rings(300, 900)]))
    positions = [doc["data"]["peak_1_position"] for doc in collected.of("event")]
    strongest = [doc["data"]["peaks_1"][0, 0] for doc in collected.of("event")]
    assert np.ptp(positions) < 0.02
    assert np.ptp(strongest) > 0.5


# -- faults ----------------------------------------------------------------------------------------------------


def test_bad_frames_are_skipped_with_their_reason_and_the_next_good_one_is_reduced(cfg, collected, caplog):
    images = [image(0), np.zeros((7, 9), "u2"), image(1).astype(complex), np.zeros(5), image(2)]
    diff = ReductionCallback(cfg)
    diff.subscribe(collected)
    documents = list(raw_run(images))
    with caplog.at_level(logging.WARNING):
        send(diff, documents)
        assert diff.wait(20)
    assert [doc["data"]["raw_seq_num"] for doc in collected.of("event")] == [1, 5]
    frames = frames_add_up(collected.of("stop")[0])
    assert frames["reasons"] == {"shape": 2, "dtype": 1}
    uid = documents[0][1]["uid"]
    assert f"run {uid}, seq_num 2: frame skipped (shape): the frame has shape (7, 9)" in caplog.text
    assert "(120, 130)" in caplog.text
    diff.close()


def test_an_empty_range_is_nan_without_peaks_and_the_scan_goes_on(cfg, collected):
    diff = ReductionCallback({**cfg, "diff_ranges": [[10, 60, 4, 16], [10, 60, 60, 70]]}, background=False)
    diff.subscribe(collected)
    send(diff, raw_run([image(0), image(1)]))
    assert_valid(collected)
    for event in collected.of("event"):
        assert np.isnan(event["data"]["diff_2"][1]).all()
        assert event["data"]["n_peaks_2"] == 0
        assert np.isnan(event["data"]["peak_2_position"])
        assert np.isfinite(event["data"]["radial_range_2"]).all()
        assert event["data"]["total_2"] == 0.0


def test_a_subscriber_that_raises_reaches_nobody(cfg, collected, caplog):
    def broken(name, doc):
        raise ValueError(f"cannot take a {name}")

    diff = ReductionCallback(cfg)
    diff.subscribe(broken)
    diff.subscribe(collected)
    send(diff, raw_run([image(n) for n in range(3)]))
    assert diff.wait(20)
    assert collected.names == ["start", "descriptor", *["event"] * 3, "stop"]
    assert len([record for record in caplog.records if "broken" in record.message]) == 1
    diff.close()


def test_subscriptions_end(cfg, collected):
    diff = ReductionCallback(cfg, background=False)
    token = diff.subscribe(collected)
    send(diff, raw_run([image(0)]))
    diff.unsubscribe(token)
    send(diff, raw_run([image(0)]))
    assert len(collected.of("start")) == 1
    with pytest.raises(KeyError):
        diff.unsubscribe(token)


def test_a_slow_sink_in_its_own_thread_holds_up_nobody(cfg, collected):
    release = threading.Event()
    slow = Collected()

    def sink(name, doc):
        release.wait(20)
        slow(name, doc)

    diff = ReductionCallback(cfg)
    diff.subscribe(sink, own_thread=True)
    diff.subscribe(collected)
    send(diff, raw_run([image(n) for n in range(3)]))
    deadline = time.monotonic() + 20
    while len(collected) < 6 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(collected) == 6
    assert slow == []
    release.set()
    assert diff.wait(20)
    assert slow.names == collected.names
    diff.close()


def test_waiting_in_the_reductions_own_thread_raises_instead_of_hanging(cfg):
    raised = []
    diff = ReductionCallback(cfg)

    def impatient(name, doc):
        try:
            diff.wait()
        except RuntimeError as error:
            raised.append(error)

    diff.subscribe(impatient)
    send(diff, raw_run([image(0)]))
    assert diff.wait(20)
    assert len(raised) == 4
    diff.close()


def test_a_fault_of_ours_is_counted_and_the_scan_succeeds(cfg, scan, collected, monkeypatch):
    from bluesky_diffractogram.reduction.reducer import Reducer

    calls = []

    def broken(self, frame):
        calls.append(frame)
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr(Reducer, "reduce", broken)
    engine, _, det = scan
    diff = ReductionCallback(cfg)
    diff.subscribe(collected)
    engine.subscribe(diff)
    engine(bp.count([det], 3))
    assert diff.wait(20)
    assert len(calls) == 3
    assert diff.errors == {"ZeroDivisionError": 3}
    (stop,) = collected.of("stop")
    assert frames_add_up(stop)["reasons"] == {"error: ZeroDivisionError": 3}
    diff.close()
    strict = ReductionCallback(cfg, background=False, strict=True)
    with pytest.raises(ZeroDivisionError, match="a fault of ours"):
        send(strict, raw_run([image(0)]))


def test_subscribed_late_counts_what_it_cannot_place(cfg, collected):
    late, good = list(raw_run([image(0), image(1)])), list(raw_run([image(2)]))
    diff = ReductionCallback(cfg, background=False)
    diff.subscribe(collected)
    send(diff, late[1:4])
    send(diff, good[:2])
    send(diff, late[4:])
    send(diff, good[2:])
    assert diff.ignored == {"descriptor": 1, "event": 2, "stop": 1}
    assert collected.names == ["start", "descriptor", "event", "stop"]


@pytest.mark.parametrize("garbage", [("event", {}), ("start", {}), ("descriptor", {"uid": 1}), ("nonsense", {}),
                                     ("event", None), ("datum", {}), ("stop", {"run_start": 5})])  # fmt: skip
def test_documents_that_are_none_do_not_raise_and_the_next_run_is_reduced(cfg, collected, garbage):
    diff = ReductionCallback(cfg, background=False)
    diff.subscribe(collected)
    diff(*garbage)
    send(diff, raw_run([image(0)]))
    assert collected.names == ["start", "descriptor", "event", "stop"]


def test_runs_without_a_stop_are_closed_when_there_are_too_many(cfg, collected):
    from bluesky_diffractogram.documents.intake import MOST_OPEN_RUNS

    diff = ReductionCallback(cfg, background=False)
    diff.subscribe(collected)
    for n in range(MOST_OPEN_RUNS + 3):
        send(diff, list(raw_run([image(0)], metadata={"scan_id": n}))[:-1])
    stops = collected.of("stop")
    assert len(stops) == 3
    assert {doc["exit_status"] for doc in stops} == {"abort"}
    assert {doc["reason"] for doc in stops} == {"too many open runs"}
    diff.close(reason="profile ends")
    assert len(collected.of("stop")) == MOST_OPEN_RUNS + 3


def test_a_calibration_written_anew_under_its_name_is_read_anew(cfg, collected):
    diff = ReductionCallback(cfg, background=False)
    diff.subscribe(collected)
    send(diff, raw_run([image(0)]))
    with open(cfg["calibration"]) as file:
        text = file.read()
    with open(cfg["calibration"], "w") as file:
        file.write(text.replace("Distance: 0.1\n", "Distance: 0.2\n"))
    diff.configure({"calibration": cfg["calibration"]})
    send(diff, raw_run([image(0)]))
    first, second = collected.of("start")
    assert first["calibration"]["sha256"] != second["calibration"]["sha256"]
    assert len(diff.buffers[0]) == 1


# -- who may call what from where ------------------------------------------------------------------------------


def never_negative(stop):
    frames = frames_add_up(stop)
    assert all(value >= 0 for name, value in frames.items() if name not in ("reasons", "messages"))
    return frames


def test_next_after_a_skipped_frame_does_not_count_it_twice(cfg, collected):
    diff = ReductionCallback(cfg, background=False)
    diff.subscribe(collected)
    documents = list(raw_run([np.zeros((3, 3)), image(1)]))
    send(diff, documents[:3])
    diff.next()
    diff.show(False)
    send(diff, documents[3:4])
    diff.next()
    diff.next()
    send(diff, documents[4:])
    frames = never_negative(collected.of("stop")[0])
    assert (frames["received"], frames["skipped"], frames["reduced"], frames["not_requested"]) == (2, 1, 1, 0)


def test_a_subscriber_may_command_the_callback(cfg, collected):
    """next(), configure(), show() and reset() from a subscriber, in the documents' thread and in the worker's."""
    for background in (False, True):
        documents = Collected()
        diff = ReductionCallback(cfg, background=background)

        def steer(name, doc, diff=diff):
            if name == "descriptor":
                diff.next()
                diff.show(True)
            if name == "event" and doc["data"]["raw_seq_num"] == 2:
                diff.configure({"npt": 80})
                diff.reset()

        diff.subscribe(steer)
        diff.subscribe(documents)
        send(diff, raw_run([image(n) for n in range(4)]))
        assert diff.wait(20)
        diff.close()
        assert never_negative(documents.of("stop")[0])["reduced"] == 4
        assert documents.of("event")[0]["data"]["diff_1"].shape == (2, 150)
        assert diff.config.npt == 80


def test_next_after_a_run_in_which_nothing_was_shown(cfg):
    diff = ReductionCallback(cfg, background=False)
    diff.show(False)
    send(diff, raw_run([image(0), image(1)]))
    assert diff.results is None
    diff.next()
    assert diff.results["timestamp"] == 1001.0


def test_reset_holds_for_frames_that_still_wait(cfg):
    diff = ReductionCallback({**cfg, "queue_size": 50})
    send(diff, raw_run([image(n) for n in range(8)]))
    diff.reset()
    assert diff.wait(20)
    assert len(diff.buffers[0]) == 0
    diff.close()


def test_close_counts_what_it_drops_and_later_documents_are_reduced(cfg, collected, monkeypatch):
    from bluesky_diffractogram.reduction.reducer import Reducer

    reduce = Reducer.reduce

    def slowly(self, frame):
        time.sleep(0.2)
        return reduce(self, frame)

    monkeypatch.setattr(Reducer, "reduce", slowly)
    diff = ReductionCallback({**cfg, "queue_size": 50})
    diff.subscribe(collected)
    diff.wait(20)
    send(diff, raw_run([image(n) for n in range(8)]))
    diff.close(timeout=0.3)
    frames = never_negative(collected.of("stop")[0])
    assert frames["received"] == 8
    assert frames["dropped"] > 0
    send(diff, raw_run([image(0)]))
    assert never_negative(collected.of("stop")[1])["reduced"] == 1


def test_closing_while_documents_come_loses_and_mixes_nothing(cfg, collected):
    diff = ReductionCallback({**cfg, "queue_size": 100})
    diff.subscribe(collected)
    documents = list(raw_run([image(n) for n in range(30)]))
    scan = threading.Thread(target=send, args=(diff, documents))
    scan.start()
    time.sleep(0.05)
    diff.close()
    scan.join()
    events = [doc["data"]["raw_seq_num"] for doc in collected.of("event")]
    assert events == sorted(events)
    assert not diff.errors


def test_a_subscriber_that_exits_ends_nothing(cfg, collected):
    def leave(name, doc):
        raise SystemExit

    for own_thread in (False, True):
        diff = ReductionCallback(cfg)
        diff.subscribe(leave, own_thread=own_thread)
        diff.subscribe(collected)
        send(diff, raw_run([image(0)]))
        assert diff.wait(20)
        diff.close()
    assert collected.names == ["start", "descriptor", "event", "stop"] * 2


def test_tokens_of_results_and_documents_are_not_mixed_up(cfg, collected):
    diff = ReductionCallback(cfg, background=False)
    diff.subscribe(collected)
    diff.unsubscribe(diff.on_results(lambda results: None))
    send(diff, raw_run([image(0)]))
    assert len(collected) == 4


def test_switching_reads_no_file_again(cfg, collected, tmp_path):
    diff = ReductionCallback(cfg, background=False)
    diff.subscribe(collected)
    documents = list(raw_run([image(0), image(1)]))
    send(diff, documents[:3])
    (tmp_path / "small.poni").unlink()
    diff.collect(False)
    diff.show(False)
    diff.show(True)
    diff.collect(True)
    send(diff, documents[3:])
    assert len(collected.of("descriptor")) == 1
    assert len(diff.buffers[0]) == 2


def test_a_mask_written_anew_under_its_name_is_used_and_its_digest_recorded(cfg, collected, tmp_path):
    path = tmp_path / "mask.npy"
    np.save(path, np.zeros(SHAPE, bool))
    diff = ReductionCallback({**cfg, "mask": str(path)}, background=False)
    diff.subscribe(collected)
    send(diff, raw_run([image(0)]))
    np.save(path, np.arange(SHAPE[0] * SHAPE[1]).reshape(SHAPE) % 2 == 0)
    send(diff, raw_run([image(0)]))  # not reconfigured: what was read stays
    diff.configure({"mask": str(path)})
    path.unlink()
    send(diff, raw_run([image(0)]))
    first, second, third = (doc["arrays"]["mask"]["sha256"] for doc in collected.of("start"))
    assert first == second != third
    one, two, three = (doc["data"]["total_1"] for doc in collected.of("event"))
    assert one == two
    assert three == pytest.approx(one / 2, rel=0.05)


def test_a_calibration_without_shape_takes_it_from_each_runs_first_frames(cfg, collected, tmp_path):
    from ponis import write_poni

    shapeless = write_poni(tmp_path / "shapeless.poni", shape=None, centre=(60, 65), pixel=(6e-4, 5e-4))
    diff = ReductionCallback({**cfg, "calibration": str(shapeless)}, background=False)
    diff.subscribe(collected)
    send(diff, raw_run([np.ones((4, 2048), "u2")]))
    send(diff, raw_run([image(0), np.ones((7, 9), "u2"), image(1)]))
    assert never_negative(collected.of("stop")[1])["reasons"] == {"shape": 1}
    assert never_negative(collected.of("stop")[1])["reduced"] == 2


def test_full_and_binned_frames_under_one_setting(cfg, collected):
    binned = image(1).reshape(60, 2, 65, 2).sum(axis=(1, 3), dtype="u4")
    diff = ReductionCallback({**cfg, "diff_ranges": []}, background=False)
    diff.subscribe(collected)
    send(diff, raw_run([image(0), binned, image(1)]))
    assert never_negative(collected.of("stop")[0])["reduced"] == 3
    assert [doc["name"] for doc in collected.of("descriptor")] == ["diffractogram", "diffractogram_2"]
    assert len(diff.buffers[0]) == 1  # each time the axis changes they are emptied
    assert not diff.errors


def test_another_image_key_in_mid_run_brings_that_images_frames(cfg, collected):
    documents = list(raw_run([image(n) for n in range(4)]))
    descriptor = documents[1][1]
    descriptor["data_keys"]["other"] = {**descriptor["data_keys"]["image"]}
    for name, doc in documents:
        if name == "event":
            doc["data"]["other"] = 2 * doc["data"]["image"]
            doc["timestamps"]["other"] = doc["time"]
    diff = ReductionCallback({**cfg, "image_key": "image"}, background=False)
    diff.subscribe(collected)
    send(diff, documents[:4])
    diff.configure({"image_key": "other"})
    send(diff, documents[4:])
    totals = [doc["data"]["total_1"] for doc in collected.of("event")]
    assert totals[2] / totals[0] == pytest.approx(2, rel=0.05)
    assert len(collected.of("descriptor")) == 2


def test_ranges_off_the_detector_give_empty_events(cfg, collected):
    diff = ReductionCallback({**cfg, "diff_ranges": [[0, 10, 70, 80]]})
    diff.subscribe(collected)
    send(diff, raw_run([image(0)]))
    assert diff.wait(20)
    assert np.isnan(collected.of("event")[0]["data"]["diff_1"][1]).all()
    diff.close()


def test_times_are_the_raw_runs(cfg, collected):
    diff = ReductionCallback({**cfg, "carry": ["motor"]}, background=False)
    diff.subscribe(collected)
    documents = list(raw_run([image(0)], carried={"motor": [1.0]}))
    documents[2][1]["timestamps"]["motor"] = 990.0
    send(diff, documents)
    assert collected.of("start")[0]["time"] == documents[0][1]["time"]
    assert collected.of("event")[0]["timestamps"]["motor"] == 990.0
    assert collected.of("event")[0]["timestamps"]["diff_1"] == 1000.0


def test_it_closes_as_a_context(cfg, collected):
    with ReductionCallback(cfg) as diff:
        diff.subscribe(collected)
        send(diff, raw_run([image(0)]))
    assert collected.names == ["start", "descriptor", "event", "stop"]


def test_the_stop_says_of_each_reason_what_was_wrong_with_the_first_frame(cfg, collected):
    diff = ReductionCallback(cfg, background=False)
    diff.subscribe(collected)
    send(diff, raw_run([image(0), np.ones((50, 60)), np.ones((9, 8)), image(1) + 1j]))
    messages = collected.of("stop")[0]["frames"]["messages"]
    assert set(messages) == {"shape", "dtype"}
    assert "(50, 60)" in messages["shape"]
    assert "complex" in messages["dtype"]


@pytest.mark.parametrize(
    ("value", "dtype_numpy", "expected"),
    [
        ([[1, 65535], [0, 2]], "<u2", "u2"),
        ([[1, 65536], [0, 2]], "<u2", "i8"),  # what does not fit is left as it is
        ([[1, 2.5], [0, 2]], "<u2", "f8"),
        ([[1.5, None], [0.0, 2.0]], "<f4", "f4"),
        ([[1.5, None], [0.0, 2.0]], None, "f8"),
        ([[1, 2], [3, 4]], "no dtype", "i8"),
        (np.array([[1, 2], [3, 4]], "i4"), "<u2", "i4"),  # an array knows better
    ],
)
def test_lists_become_the_dtype_that_the_descriptor_names(value, dtype_numpy, expected):
    (frame,) = frames_in(value, {"dtype_numpy": dtype_numpy})
    assert frame.dtype == np.dtype(expected)
    np.testing.assert_array_equal(frame, np.array(value, dtype=float))


def test_a_function_gives_the_changes_for_the_configuration_in_force_which_nobody_changes_meanwhile(cfg):
    with ReductionCallback({**cfg, "buffer_size": 1}, background=False) as diff:

        def one_more(config):
            time.sleep(0.01)  # for others to come between
            return {"buffer_size": config.buffer_size + 1}

        threads = [threading.Thread(target=diff.configure, args=(one_more,)) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert diff.config.buffer_size == 6
