"""The device: configured by signals, read like a detector."""

from __future__ import annotations

import json
import math
import threading
import time

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import bluesky.preprocessors as bpp
import numpy as np
import pytest
from bluesky import RunEngine, protocols
from bluesky.simulators import check_limits, summarize_plan
from bluesky.utils import FailedStatus
from documents.conftest import image, raw_run, send
from ophyd.sim import motor
from ophyd.utils import ReadOnlyError

from bluesky_diffractogram import ConfigError, DiffractogramDevice, ReductionCallback
from bluesky_diffractogram.config import DiffractogramConfig, load_config
from bluesky_diffractogram.devices.settings import KEYS, attribute_of, flat, key_of, unflattened
from bluesky_diffractogram.devices.snapshot import Snapshot


def reading(device):
    return {name.removeprefix(f"{device.name}_"): each["value"] for name, each in device.read().items()}


@pytest.mark.parametrize(
    "protocol",
    ["Readable", "Configurable", "Triggerable", "Stageable", "Subscribable", "HasHints", "HasName", "Preparable"],
)
def test_it_supports_what_bluesky_asks_of_a_detector(steered, protocol):
    wanted = getattr(protocols, protocol)
    assert isinstance(steered.device, wanted)
    assert protocols.check_supports(steered.device, wanted) is steered.device


@pytest.mark.parametrize("protocol", ["Flyable", "Movable"])
def test_it_is_neither_flown_nor_moved(steered, protocol):
    assert not isinstance(steered.device, getattr(protocols, protocol))


def test_every_setting_is_a_signal_that_can_be_set_and_checked(steered):
    assert set(KEYS) == set(DiffractogramConfig.model_fields)
    for key in KEYS:
        signal = getattr(steered.device, attribute_of(key))
        assert signal.key == key == key_of(attribute_of(key))
        assert isinstance(signal, protocols.Movable)
        assert isinstance(signal, protocols.Checkable)
        assert signal.name == f"diffractogram_{attribute_of(key)}"
    assert attribute_of("collect") == "collecting"
    assert [key for key in KEYS if attribute_of(key) != key] == ["collect"]


def test_settings_are_flat_json(steered):
    recorded = steered.device.read_configuration()
    assert {key_of(name.removeprefix("diffractogram_")) for name in recorded} == {*KEYS, "trigger_timeout"}
    values = {name: each["value"] for name, each in recorded.items()}
    assert all(type(value) in (bool, int, float, str) for value in values.values())
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    described = steered.device.describe_configuration()
    assert set(described) == set(recorded)
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string"}
    assert all(described[name]["dtype"] == kinds[type(value)] for name, value in values.items())
    assert json.loads(values["diffractogram_diff_ranges"]) == [[10, 20, 0, 10], [-5, 5, 5, 15]]


CHANGES = [
    {"diff_units": "q [1/A]", "npt": [100, 200], "peaks": {"max_peaks": 3, "min_snr": 7.5}},
    {"diff_ranges": [[0, 30, None, 12], None], "diff_number": 3, "error_model": "poisson", "colors": [[1, 2, 3], "C1"]},
    {"valid_range": [None, 1e5], "dummy": -3.5, "carry": ["a", "b"], "peaks": False, "method": ["no", "csc", "cython"]},
    {"energy": 41.0, "normalization": "i0", "show_diff": False, "collect": False, "when_full": "latest"},
]


@pytest.mark.parametrize("changes", CHANGES)
def test_what_is_recorded_can_be_set_again(steered, changes):
    steered.diff.configure(changes)
    config = steered.diff.config
    recorded = {name: each["value"] for name, each in steered.device.read_configuration().items()}
    steered.diff.configure(load_config(steered.beamline.configuration))
    assert steered.diff.config != config
    old, new = steered.device.configure(recorded)
    assert steered.diff.config == config
    assert {name: each["value"] for name, each in new.items()} == recorded
    assert old != new


def test_an_array_is_recorded_by_its_digest_and_a_kept_one_by_its_path(steered, tmp_path):
    mask = np.zeros((209, 197), dtype=bool)
    steered.device.mask.set(mask)
    assert steered.device.mask.get().startswith("sha256:")
    assert len(steered.device.mask.get()) == len("sha256:") + 64
    steered.device.configure({"mask": mask, "assets_dir": str(tmp_path / "kept")})
    np.testing.assert_array_equal(np.load(steered.device.mask.get()), mask)


@pytest.mark.parametrize(
    ("text", "value"),
    [("", None), ("null", None), ("[1, 2]", [1, 2]), ("[a.npy", "[a.npy"), ("x", "x"), (np.int64(3), 3), (None, None)],
)
def test_flat_values_and_others_are_taken(text, value):
    assert unflattened("mask", text) == value


def test_an_empty_text_is_no_unit():
    assert unflattened("diff_units", "") == ""
    assert unflattened("calibration", "") == ""
    assert flat("mask", None, {}) == ""


def test_setting_a_signal_reconfigures_the_callback(steered):
    status = steered.device.diff_units.set("q [1/A]")
    assert status.done
    assert status.success
    assert steered.diff.config.diff_units == "q [1/A]" == steered.device.diff_units.get()
    steered.engine(bps.mv(steered.device.npt, 400, steered.device.collecting, False))
    assert (steered.diff.config.npt, steered.diff.config.collect) == (400, False)


NONSENSE = [
    ("diff_units", "furlong", r"allowed: .*q \[1/A\]"),
    ("diff_ranges", "[[1, 2]]", "four"),
    ("npt", 0, "integers? (of at least|from) 1"),
    ("calibration", "/nowhere.poni", "nowhere"),
    ("buffer_size", "many", "integer"),
    ("mask", "/nowhere.npy", "nowhere"),
    ("collecting", "perhaps", "true"),
    ("when_full", "explode", "block"),
]


@pytest.mark.parametrize(("attribute", "value", "allowed"), NONSENSE)
def test_nonsense_raises_before_there_is_a_status_and_changes_nothing(steered, attribute, value, allowed):
    config = steered.diff.config
    signal = getattr(steered.device, attribute)
    for attempt in (signal.set, signal.put, signal.check_value):
        with pytest.raises(ValueError, match=allowed) as caught:
            attempt(value)
        assert isinstance(caught.value, ConfigError)
        assert caught.value.key.startswith(key_of(attribute))
    assert steered.diff.config is config


def test_nonsense_in_a_plan_raises_before_its_run_opens_and_in_check_limits(steered):
    def plan():
        yield from bps.mv(steered.device.diff_units, "furlong")
        yield from bp.count([steered.detector])

    with pytest.raises(ValueError, match="furlong"):
        check_limits(plan())
    with pytest.raises((ValueError, FailedStatus), match="furlong"):
        steered.engine(plan())
    assert steered.raw == []


def test_configure_is_atomic(steered):
    config = steered.diff.config
    with pytest.raises(ConfigError, match="npt = -1"):
        steered.device.configure({"diff_units": "q [1/A]", "npt": -1})
    with pytest.raises(ValueError, match="trigger_timeout"):
        steered.device.configure({"diff_units": "q [1/A]", "trigger_timeout": 0})
    with pytest.raises(ConfigError, match=r"diff_unit .*diff_units"):
        steered.device.configure({"npt": 300, "diff_unit": "q [1/A]"})
    assert steered.diff.config is config
    old, new = steered.device.configure({"diffractogram_npt": 300, "collecting": False, "trigger_timeout": 3})
    assert (steered.diff.config.npt, steered.diff.config.collect) == (300, False)
    changed = {name for name in new if new[name]["value"] != old[name]["value"]}
    assert changed == {"diffractogram_npt", "diffractogram_collecting", "diffractogram_trigger_timeout"}


def test_settings_set_from_many_threads_all_hold(steered):
    attributes = ["npt", "buffer_size", "main_plot", "polarization_factor", "queue_size"]
    values = [321, 77, "buffer 2", 0.5, 5]
    threads = [
        threading.Thread(target=getattr(steered.device, a).set, args=(v,))
        for a, v in zip(attributes, values, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [getattr(steered.diff.config, a) for a in attributes] == values


def test_a_change_in_a_run_is_recorded_in_a_new_descriptor(steered):
    @bpp.stage_decorator([steered.detector, steered.device])
    @bpp.run_decorator()
    def plan():
        yield from bps.trigger_and_read([steered.detector, steered.device])
        yield from bps.configure(steered.device, {"diff_units": "q [1/A]"})
        yield from bps.trigger_and_read([steered.detector, steered.device])

    steered.run(plan())
    first, second = steered.of("descriptor")
    unit = [d["configuration"]["diffractogram"]["data"]["diffractogram_diff_units"] for d in (first, second)]
    assert unit == ["2th [deg]", "q [1/A]"]
    # bluesky does not describe anew what it reads: the unit is among the readings for that
    units = [d["data_keys"]["diffractogram_peak_1_position"]["units"] for d in (first, second)]
    assert units == ["deg", "deg"]
    steered.device.trigger().wait(5)
    assert steered.device.unit.get() == "q_A^-1"


def test_all_peaks_have_one_shape_also_where_there_is_no_result(steered):
    """So that they can be read in a scan, if somebody wants them there."""
    steered.device.peaks_1.kind = "normal"
    steered.run(bp.count([steered.detector, steered.device], 2))
    first, second = steered.values("primary", "diffractogram_peaks_1")
    key = steered.of("descriptor")[0]["data_keys"]["diffractogram_peaks_1"]
    assert first.shape == second.shape == tuple(key["shape"]) == (2, 20)
    assert np.isnan(first).all()
    assert np.isfinite(second[:, 0]).all()


def test_its_units_are_those_of_the_derived_run(steered):
    steered.run(bp.count([steered.detector]))
    steered.diff.wait(20)
    (derived,) = [doc["data_keys"] for name, doc in steered.derived if name == "descriptor"]
    described = steered.device.describe()
    compared = 0
    for name, key in described.items():
        if "units" in key and not name.startswith("diffractogram_n_peaks"):
            assert key["units"] == derived[name.removeprefix("diffractogram_")]["units"], name
            compared += 1
    assert compared == 14


def test_readings_are_the_derived_events(steered):
    steered.run(bp.count([steered.detector], 3))
    derived = steered.derived_by_seq_num()[3]
    got = reading(steered.device)
    for name in (
        "peak_1_position",
        "peak_2_height",
        "peak_1_fwhm",
        "mean_1",
        "total_2",
        "n_peaks_2",
        "raw_event",
        "unit",
    ):
        assert got[name] == derived[name], name
    assert (got["raw_seq_num"], got["valid"], got["frame_index"]) == (3, 1, 0)
    assert got["raw_uid"] == steered.of("start")[0]["uid"]
    np.testing.assert_array_equal(steered.device.peaks_2.get(), derived["peaks_2"])
    results = json.loads(steered.device.results.get())
    assert results == json.loads(json.dumps(steered.diff.results))
    assert results["nrdiffs"] == 2
    assert steered.device.peak_1_position.get() == derived["peak_1_position"]
    times = {each["timestamp"] for name, each in steered.device.read().items()}
    assert times == {derived["timestamp"]}


def test_a_reading_is_never_of_two_frames(steered):
    """While frames pour in, every reading is one of the derived events."""
    seen = []
    stop = threading.Event()

    def look():
        while not stop.is_set():
            seen.append(reading(steered.device))
            time.sleep(0.0005)

    looker = threading.Thread(target=look)
    looker.start()
    steered.run(bp.scan([steered.detector], steered.furnace, 300, 900, 15))
    events = steered.derived_by_seq_num()
    stop.set()
    looker.join()
    valid = [each for each in seen if each["valid"]]
    assert len({each["raw_seq_num"] for each in valid}) > 3
    for each in valid:
        event = events[each["raw_seq_num"]]
        assert (each["mean_1"], each["total_2"], each["peak_1_height"]) == (
            event["mean_1"], event["total_2"], event["peak_1_height"],
        )  # fmt: skip


def test_a_reading_amid_the_arrival_of_a_frame_is_of_one_frame(steered):
    steered.run(bp.scan([steered.detector], steered.furnace, 300, 900, 2))
    events = steered.derived_by_seq_num()
    old, new = (Snapshot.of(2, events[n], "run") for n in (1, 2))
    device, amid = steered.device, []
    device.take(old)
    device.total_2.subscribe(lambda **_: amid.append(reading(device)), run=False)
    device.take(new)
    (seen,) = amid
    for name in ("mean_1", "total_2", "peaks_2_error", "raw_seq_num"):
        assert seen[name] == events[2][name], name
        assert name == "peaks_2_error" or events[1][name] != events[2][name]


def test_a_late_result_of_before_is_not_read_while_staged(steered):
    steered.run(bp.count([steered.detector]))
    late = Snapshot.of(2, steered.derived_by_seq_num()[1], "run")
    steered.device.stage()
    steered.device.take(late)
    assert reading(steered.device)["valid"] == 0
    steered.device.trigger().wait(5)
    steered.device.take(late)
    assert reading(steered.device)["valid"] == 0
    steered.device.unstage()
    assert reading(steered.device)["valid"] == 1


def test_in_the_point_of_its_own_detector_it_has_the_frame_before(steered):
    steered.run(bp.count([steered.detector, steered.device], 3))
    assert steered.values("primary", "diffractogram_raw_seq_num") == [0, 1, 2]
    assert steered.values("primary", "diffractogram_valid") == [0, 1, 1]
    first, second, _ = steered.values("primary", "diffractogram_mean_1")
    assert math.isnan(first)
    assert second == steered.derived_by_seq_num()[1]["mean_1"]


def test_a_frame_of_an_earlier_scan_is_no_result_of_this_one(steered):
    steered.run(bp.count([steered.detector]))
    steered.run(bp.count([steered.device, motor], 2))
    assert steered.values("primary", "diffractogram_valid") == [0, 0]
    assert all(math.isnan(value) for value in steered.values("primary", "diffractogram_peak_1_position"))
    # between scans it is the latest
    steered.run(bp.count([steered.detector]))
    steered.engine(bps.trigger(steered.device, wait=True))
    assert reading(steered.device)["valid"] == 1


def test_prepare_makes_what_was_received_too_old(steered):
    steered.run(bp.count([steered.detector]))
    assert steered.diff.wait(20)
    steered.engine(bps.prepare(steered.device, None, wait=True))
    steered.engine(bps.trigger(steered.device, wait=True))
    assert reading(steered.device)["valid"] == 0


class SlowReader:
    """Something that a reduction waits for, until it is let go."""

    def __init__(self):
        self.go = threading.Event()

    def __call__(self, name, doc):
        if name == "event":
            self.go.wait(20)


def test_trigger_gives_up_in_time_and_later_recovers(tmp_path):
    from steered import Steered

    steered = Steered(tmp_path, timeout=0.3)
    slow = SlowReader()
    # before the device: it hears of the frame after this
    steered.device.destroy()
    steered.diff.subscribe(slow)
    device = DiffractogramDevice("late", callback=steered.diff, timeout=0.3)
    steered.engine(bp.count([steered.detector]))
    started = time.monotonic()
    device.trigger().wait(5)
    assert 0.25 < time.monotonic() - started < 2
    assert reading(device)["valid"] == 0
    assert math.isnan(reading(device)["mean_1"])
    slow.go.set()
    device.trigger().wait(5)
    assert reading(device)["valid"] == 1
    steered.diff.close(5)


@pytest.mark.parametrize("meanwhile", ["triggered", "staged"])
def test_a_trigger_of_an_interrupted_point_spoils_no_later_one(steered, monkeypatch, meanwhile):
    """It gives up when the next point, or the next scan, has its result already."""
    device, following = steered.device, steered.device._following
    waits, giving_up = threading.Event(), threading.Event()

    def wait_in_vain(not_event, timeout):
        waits.set()
        giving_up.wait(20)

    device.stage()
    with monkeypatch.context() as patch:
        patch.setattr(following, "wait_for_latest", wait_in_vain)
        interrupted = device.trigger()
        assert waits.wait(5)
    if meanwhile == "staged":
        device.unstage()
        device.stage()
    steered.take(1)
    if meanwhile == "triggered":
        device.trigger().wait(10)
    giving_up.set()
    interrupted.wait(5)
    assert device.valid.get() == 1
    assert reading(device)["valid"] == (meanwhile == "triggered")
    device.unstage()
    assert reading(device)["valid"] == 1


@pytest.mark.parametrize("why", ["skipped", "not requested", "none"])
def test_a_frame_that_is_not_reduced_is_no_result_and_is_not_waited_for(steered, why):
    steered.run(bp.count([steered.detector]))
    assert steered.diff.wait(20)
    if why == "skipped":
        send(steered.diff, raw_run([image(1)]))  # not the detector's shape
    elif why == "not requested":
        steered.diff.show(False)
        steered.run(bp.count([steered.detector]))
    else:
        steered.device.prepare()
    started = time.monotonic()
    steered.device.trigger().wait(5)
    assert time.monotonic() - started < 2
    assert reading(steered.device)["valid"] == 0


def test_next_reduces_the_current_frame(steered):
    steered.diff.show(False)
    steered.run(bp.count([steered.detector], 2))
    steered.engine(bps.trigger(steered.device.next, wait=True))
    got = reading(steered.device)
    assert (got["valid"], got["raw_seq_num"]) == (1, 2)
    assert got["raw_uid"] == steered.of("start")[0]["uid"]
    assert got["mean_1"] == pytest.approx(np.nanmean(steered.diff.reduction.diffractograms[0].intensity))
    steered.device.configure({"diff_units": "q [1/A]"})
    steered.device.next()
    assert steered.device.unit.get() == "q_A^-1"
    assert steered.device.next.get() == 2


def test_reset_empties_the_buffers(steered):
    steered.run(bp.count([steered.detector], 2))
    assert steered.diff.wait(20)
    assert len(steered.diff.buffers[0]) == 2
    steered.engine(bps.mv(steered.device.reset, 0))
    assert len(steered.diff.buffers[0]) == 2
    steered.engine(bps.mv(steered.device.reset, 1))
    assert len(steered.diff.buffers[0]) == 0
    with pytest.raises(ValueError, match="reset = 'yes'"):
        steered.device.reset.set("yes")


def test_the_number_of_ranges_is_fixed_for_the_device(steered):
    described = steered.device.describe()
    steered.device.configure({"diff_ranges": [[0, 90, 2, 12]]})
    assert steered.device.describe() == described
    steered.run(bp.count([steered.detector]))
    assert steered.diff.wait(20)
    got = reading(steered.device)
    assert got["mean_1"] > 0
    assert math.isnan(got["mean_2"])
    steered.device.configure({"diff_ranges": [[0, 90, 2, 12], [0, 50, 2, 12], [0, 20, 2, 12]]})
    steered.device.next()
    assert steered.device.describe() == described
    assert json.loads(steered.device.results.get())["nrdiffs"] == 3


def test_a_device_may_have_more_ranges_than_there_are(steered):
    device = DiffractogramDevice("wide", callback=steered.diff, ranges=4)
    assert isinstance(device, DiffractogramDevice)
    assert {"wide_mean_4", "wide_peak_4_position"} <= set(device.describe())
    assert set(device.read()) == set(device.describe())


def test_results_are_not_for_setting(steered):
    for attempt in (steered.device.mean_1.put, steered.device.mean_1.set):
        with pytest.raises(ReadOnlyError):
            attempt(1.0)


def test_hints_are_those_of_the_configuration(steered):
    assert steered.device.hints == {"fields": ["diffractogram_peak_1_position", "diffractogram_peak_2_position"]}
    steered.diff.configure({"hinted": ["mean_1", "diff_1"]})
    assert DiffractogramDevice("other", callback=steered.diff).hints == {"fields": ["other_mean_1"]}


def test_monitors_see_each_frame(steered):
    steered.run(bpp.monitor_during_wrapper(bp.count([steered.detector], 3, delay=0.3), [steered.device.mean_1]))
    seen = steered.values("diffractogram_mean_1_monitor", "diffractogram_mean_1")
    events = steered.derived_by_seq_num()
    assert [value for value in seen if not math.isnan(value)][:2] == [events[1]["mean_1"], events[2]["mean_1"]]


@pytest.mark.parametrize("callback", [None, "diff", object()])
def test_a_device_without_a_callback_is_refused(callback):
    with pytest.raises(ValueError, match=r"callback = .*allowed: a DiffractogramCallback"):
        DiffractogramDevice("dev", callback=callback)


@pytest.mark.parametrize("ranges", [0, -1, 1.5, True, "2"])
def test_nonsense_for_the_number_of_ranges_is_refused(steered, ranges):
    with pytest.raises(ValueError, match="ranges = "):
        DiffractogramDevice("dev", callback=steered.diff, ranges=ranges)


def test_plans_with_it_can_be_summarized(steered, capsys):
    summarize_plan(bp.scan([steered.detector, steered.device], motor, 0, 1, 2))
    printed = capsys.readouterr().out
    assert "Read ['detector', 'diffractogram', 'motor']" in printed


def test_a_callback_in_the_scans_own_thread_is_followed_too(tmp_path):
    from steered import Steered

    steered = Steered(tmp_path, background=False)
    steered.run(bp.count([steered.detector, steered.device], 2))
    assert steered.values("primary", "diffractogram_raw_seq_num") == [0, 1]


def test_a_device_made_within_a_run_follows_it(steered):
    documents = []
    RunEngine({})(bp.count([steered.detector], 3), lambda *document: documents.append(document))
    send(steered.diff, documents[:3])
    device = DiffractogramDevice("late", callback=steered.diff)
    send(steered.diff, documents[3:])
    device.trigger().wait(10)
    got = reading(device)
    assert (got["valid"], got["raw_seq_num"], got["raw_uid"]) == (1, 3, documents[0][1]["uid"])


def test_a_destroyed_device_follows_no_more(steered):
    device = DiffractogramDevice("gone", callback=steered.diff)
    device.destroy()
    steered.run(bp.count([steered.detector]))
    assert steered.diff.wait(20)
    assert reading(device)["valid"] == 0


def test_peaks_that_are_not_searched_are_nan(tmp_path):
    from steered import Steered

    steered = Steered(tmp_path, config={"peaks": False})
    steered.run(bp.count([steered.detector]))
    assert steered.diff.wait(20)
    got = reading(steered.device)
    assert got["valid"] == 1
    assert math.isnan(got["peak_1_position"])
    assert math.isnan(got["n_peaks_1"])
    assert got["mean_1"] > 0
    steered.close()


def test_the_callback_alone_checks_without_changing(tmp_path):
    from steered import Steered

    steered = Steered(tmp_path)
    config = steered.diff.config
    with pytest.raises(ConfigError, match="npt"):
        steered.diff.check({"npt": 0})
    steered.diff.check({"npt": 10})
    steered.diff.check(config)
    assert steered.diff.config is config
    assert isinstance(steered.diff, ReductionCallback)
    steered.close()


def test_it_is_a_device_like_others_to_ophyd(steered, capsys):
    device = steered.device
    device.wait_for_connection()
    assert device.connected
    device.summary()
    assert "peak_1_position" in capsys.readouterr().out
    assert device.get().npt == 250
    assert {walk.item.attr_name for walk in device.walk_signals()} == set(device.component_names)
    assert device.stage() == [device]
    assert device.unstage() == [device]
    device.mean_1.kind = "omitted"
    assert "diffractogram_mean_1" not in device.read()
    assert set(device.read()) == set(device.describe())


def test_lavues_commands_are_taken_with_the_settings(steered):
    steered.run(bp.count([steered.detector]))
    assert steered.diff.wait(20)
    steered.device.configure({"reset": True, "stop_diff": True, "npt": 130})
    assert len(steered.diff.buffers[0]) == 0
    assert (steered.diff.config.show_diff, steered.diff.config.npt) == (False, 130)
