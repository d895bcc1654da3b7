"""Scans that end when a peak appears, vanishes, or crosses a position: the simulated iron turns at 1185 K."""

from __future__ import annotations

import math
import threading

import bluesky.plans as bp
import bluesky.preprocessors as bpp
import numpy as np
import pytest
from bluesky.callbacks.best_effort import BestEffortCallback
from bluesky.simulators import RunEngineSimulator, assert_message_and_return_remaining, check_limits, summarize_plan
from ophyd.sim import SynAxis
from ophyd.sim import det as no_images
from steered import Steered

from bluesky_diffractogram import DiffractogramDevice, scan_until_peak
from bluesky_diffractogram.devices.snapshot import Snapshot
from bluesky_diffractogram.plans import ScanUntilPeak

READBACK = "diffractogram_readback"
ALPHA = {"range_number": 2, "peak": 8.67, "tolerance": 0.12}  # (110) of bcc iron, vanishes
GAMMA = {"range_number": 2, "peak": 8.45, "tolerance": 0.08}  # (111) of fcc iron, appears


def scan(steered, until, start=1000, stop=1400, step=50, **options):
    return scan_until_peak(
        [steered.detector], steered.furnace, start, stop, step, steered.device, until=until, **options
    )


@pytest.mark.parametrize(("until", "line"), [("vanishes", ALPHA), ("appears", GAMMA)])
def test_the_transition_of_iron_ends_the_scan(steered, until, line):
    result = steered.run(scan(steered, until, **line))
    assert result.met
    assert 1150 <= result.motor <= 1300
    assert steered.furnace.position == result.motor
    assert steered.values(READBACK, "furnace") == list(np.arange(1000, result.motor + 1, 50))
    assert result.points == len(steered.events("primary")) == len(steered.events(READBACK))
    (start,), (stop,) = steered.of("start"), steered.of("stop")
    assert result.uid == start["uid"]
    assert stop["exit_status"] == "success"
    assert stop["reason"] == result.reason
    assert f"at furnace = {result.motor:g}" in result.reason
    assert math.isnan(result.peak) == (until == "vanishes")


def test_a_line_that_expands_crosses_a_position(steered):
    """The strongest line is CeO2's (111), whose place Bragg's law tells for each temperature."""
    seen_at = steered.run(scan(steered, "crosses", 300, 301, 1, position=3.0)).peak
    result = steered.run(scan(steered, "crosses", 300, 1500, 60, position=seen_at - 0.03))
    assert result.met
    assert result.peak <= seen_at - 0.03
    positions = steered.values(READBACK, "diffractogram_peak_1_position")
    assert all(position > seen_at - 0.03 for position in positions[:-1])
    true = [steered.beamline.two_theta(temperature)[0] for temperature in (300.0, result.motor)]
    assert true[0] - true[1] == pytest.approx(0.03, abs=0.015)


def test_a_scan_that_finds_nothing_ends_where_it_should(steered):
    result = steered.run(scan(steered, "appears", 400, 301, 33, **GAMMA))
    assert not result.met
    assert steered.values("primary", "furnace") == [400, 367, 334, 301]
    assert "no peak appeared" in result.reason
    assert steered.of("stop")[0]["reason"] == result.reason


def test_a_peak_has_to_be_confirmed(steered):
    once = steered.run(scan(steered, "appears", **GAMMA))
    twice = steered.run(scan(steered, "appears", confirm=2, **GAMMA))
    assert twice.motor == once.motor + 50


def test_the_start_document_is_that_of_a_scan(steered):
    best = BestEffortCallback()
    best.disable_plots()
    steered.engine.subscribe(best)
    steered.run(scan(steered, "vanishes", 1150, 1250, 50, md={"sample": "iron", "hints": {"x": 1}}, **ALPHA))
    (start,) = steered.of("start")
    assert start["plan_name"] == "scan_until_peak"
    assert start["detectors"] == ["detector"]
    assert start["motors"] == ["furnace"]
    assert start["sample"] == "iron"
    assert start["hints"] == {"x": 1, "dimensions": [(["furnace"], READBACK)]}
    assert start["plan_args"]["peak"] == 8.67
    assert "'detector'" in start["plan_args"]["detectors"]


def pause_at(steered, number, streams=1):
    """Pause from another thread when the event `number` of a run is out."""
    seen = []

    def look(name, doc):
        seen.append(doc["uid"])
        if len(seen) == number:
            threading.Thread(target=steered.engine.request_pause).start()

    return steered.engine.subscribe(look, "event")


@pytest.mark.parametrize("number", [3, 4])
def test_it_pauses_and_resumes_and_ends_as_if_nothing_had_happened(steered, number):
    expected = steered.run(scan(steered, "vanishes", **ALPHA))
    steered.raw.clear()
    pause_at(steered, number)
    with pytest.raises(Exception, match="paused"):
        steered.engine(scan(steered, "vanishes", **ALPHA))
    result = steered.engine.resume().plan_result
    steered.assert_valid()
    assert (result.met, result.motor, result.points) == (expected.met, expected.motor, expected.points)
    for stream in ("primary", READBACK):
        by_number = {event["seq_num"]: event for event in steered.events(stream)}
        assert len(steered.events(stream)) <= expected.points + 1  # the interrupted point alone is taken again
        assert sorted(by_number) == list(range(1, expected.points + 1))
    readback = {event["seq_num"]: event["data"] for event in steered.events(READBACK)}
    primary = {event["seq_num"]: event["uid"] for event in steered.events("primary")}
    assert all(readback[n]["diffractogram_raw_event"] == primary[n] for n in primary)


@pytest.mark.parametrize(("how", "status"), [("abort", "abort"), ("stop", "success"), ("halt", "abort")])
def test_it_ends_as_bluesky_ends_plans(steered, how, status):
    steered.run(scan(steered, "vanishes", 1000, 1001, 1, **ALPHA))
    steered.raw.clear()
    pause_at(steered, 2)
    with pytest.raises(Exception, match="paused"):
        steered.engine(scan(steered, "vanishes", **ALPHA))
    getattr(steered.engine, how)()
    assert steered.engine.state == "idle"
    (stop,) = steered.of("stop")
    assert stop["exit_status"] == status
    steered.detector.unstage()
    steered.device.unstage()
    steered.run(scan(steered, "vanishes", 1000, 1001, 1, **ALPHA))  # all is as before


def test_nobody_subscribed_is_said_at_the_first_point(tmp_path):
    steered = Steered(tmp_path, subscribed=False)
    with pytest.raises(RuntimeError, match="subscribed to this RunEngine"):
        steered.run(scan(steered, "vanishes", **ALPHA))
    (stop,) = steered.of("stop")
    assert (stop["exit_status"], len(steered.events("primary"))) == ("fail", 1)
    assert "subscribed" in stop["reason"]
    steered.close()


def test_a_detector_without_images_is_said_at_the_first_point_even_after_other_scans(steered):
    steered.run(scan(steered, "vanishes", 1000, 1001, 1, **ALPHA))
    with pytest.raises(RuntimeError, match="no image of this run"):
        steered.run(scan_until_peak([no_images], steered.furnace, 0, 1, 1, steered.device))


def test_points_without_results_are_borne_for_a_while(steered):
    steered.diff.configure({"normalization": "detector_total", "valid_range": [0, 1e9]})
    steered.diff.configure({"normalization": "not_there"})
    with pytest.raises(RuntimeError, match="3 points in a row have no result"):
        steered.run(scan(steered, "vanishes", **ALPHA))
    assert len(steered.events("primary")) == 3


WRONG = [
    ({"range_number": 3}, r"range_number = 3: allowed: 1 to 2"),
    ({"range_number": 0}, r"range_number = 0: allowed: 1 to 2"),
    ({"range_number": True}, "range_number = True"),
    ({"peak": 40.0, "tolerance": 1}, r"peak = 40.0: allowed: .*range 1, in 2th \[deg\], from 0 to 10"),
    ({"peak": 8.0}, "tolerance = None: allowed: a distance"),
    ({"peak": 8.0, "tolerance": 0}, "tolerance = 0: allowed"),
    ({"tolerance": 1.0}, "tolerance = 1.0: allowed: only with a peak"),
    ({"until": "explodes"}, "until = 'explodes': allowed: 'appears', 'vanishes', 'crosses'"),
    ({"until": "crosses"}, "position = None: allowed"),
    ({"until": "crosses", "position": -3}, "position = -3: allowed"),
    ({"position": 3}, "position = 3: allowed: only with"),
    ({"confirm": 0}, "confirm = 0: allowed"),
    ({"step": 0}, "step = 0: allowed: a number above 0"),
    ({"step": float("nan")}, "step = nan"),
    ({"step": 1e-320}, "step = 1e-320: allowed: a step"),
    ({"start": "x"}, "start = 'x'"),
    ({"device": "detector"}, "detector.*allowed: a DiffractogramDevice"),
    ({"motor": "detector"}, "motor = .*allowed: something that can be set"),
    ({"detectors": []}, r"detectors = \[\]: allowed: at least one"),
]


@pytest.mark.parametrize(("wrong", "allowed"), WRONG)
def test_nonsense_is_refused_before_the_first_message(steered, wrong, allowed):
    arguments = {
        "detectors": [steered.detector], "motor": steered.furnace, "start": 0.0, "stop": 1.0, "step": 1.0,
        "device": steered.device, **wrong,
    }  # fmt: skip
    for name in ("device", "motor"):
        if arguments[name] == "detector":
            arguments[name] = steered.detector
    with pytest.raises(ValueError, match=allowed):
        next(scan_until_peak(**arguments))
    with pytest.raises(ValueError, match=allowed):
        steered.engine(scan_until_peak(**arguments))
    assert steered.raw == []


@pytest.mark.parametrize(
    ("settings", "allowed"),
    [
        ({"when_full": "latest"}, "when_full = 'latest': allowed: 'block'"),
        ({"show_diff": False}, "show_diff = False: allowed: True"),
        ({"peaks": False}, "peaks = None: allowed: a peak search"),
    ],
)
def test_a_configuration_that_cannot_steer_is_refused(steered, settings, allowed):
    steered.diff.configure(settings)
    with pytest.raises(ValueError, match=allowed):
        next(scan(steered, "appears"))


def test_limits_in_other_units_are_known_before_the_first_frame(steered):
    steered.diff.configure({"diff_units": "q [1/A]"})
    q = 4 * np.pi / 0.31 * np.sin(np.deg2rad(10.0) / 2)
    with pytest.raises(ValueError, match=rf"in q \[1/A\], from 0 to {q:.3f}"):
        next(scan(steered, "appears", peak=q + 0.01, tolerance=0.1))
    next(scan(steered, "appears", peak=q - 0.01, tolerance=0.1)).command  # noqa: B018


def test_signals_that_are_not_read_are_missed_before_the_start(steered):
    steered.device.valid.kind = "omitted"
    with pytest.raises(ValueError, match=r"diffractogram_valid.* are not read"):
        next(scan(steered, "appears"))


def test_it_can_be_summarized_and_checked(steered, capsys):
    summarize_plan(scan(steered, "appears", 0, 2, 1))
    printed = capsys.readouterr().out
    assert [f"furnace -> {n}" in printed for n in (0, 1, 2)] == [True] * 3
    check_limits(scan(steered, "appears", 0, 2, 1))


def test_messages_in_order_with_injected_readings(steered):
    """A peak appears at the second point: no third, and everything is unstaged."""
    simulator = RunEngineSimulator()
    points = iter([0.0, 8.45])

    def read_peaks(msg):
        position = next(points)
        found = np.array([[position], [1.0]]) if position else np.empty((2, 0))
        return {"diffractogram_peaks_1": {"value": found, "timestamp": 0}}

    results = {f"diffractogram_{name}": {"value": 1, "timestamp": 0} for name in ("valid", "peak_1_position")}
    simulator.add_handler("read", lambda msg: results, "diffractogram")
    simulator.add_handler("read", read_peaks, "diffractogram_peaks_1")
    simulator.add_handler("open_run", lambda msg: "uid")
    messages = simulator.simulate_plan(scan(steered, "appears", 0, 9, 1, peak=8.45, tolerance=0.1))
    assert [msg.args[0] for msg in messages if msg.command == "set"] == [0, 1]
    rest = messages
    for command in ("stage", "open_run", "checkpoint", "set", "prepare", "trigger", "save", "close_run", "unstage"):
        rest = assert_message_and_return_remaining(rest, lambda msg, c=command: msg.command == c)[1:]
    assert simulator.return_value == ScanUntilPeak(
        uid="uid", met=True, motor=1.0, peak=8.45, points=2, reason="the peak appeared at furnace = 1, at 8.45"
    )


def test_baselines_and_other_wrappers_go_with_it(steered):
    result = steered.run(
        bpp.baseline_wrapper(scan(steered, "appears", 1200, 1300, 50, **GAMMA), [steered.device, steered.furnace])
    )
    assert result.met
    assert len(steered.events("baseline")) == 2


def test_numpys_numbers_are_numbers(steered):
    steered.furnace.set(300)
    plan = scan(
        steered, "appears", np.int64(300), np.float32(301), np.int64(1),
        range_number=np.int64(1), confirm=np.int32(1), peak=np.float64(9.9), tolerance=np.float32(0.01),
    )  # fmt: skip
    assert steered.run(plan).points == 2
    assert steered.of("start")[0]["plan_args"]["start"] == 300
    assert type(steered.of("start")[0]["plan_args"]["start"]) is int


@pytest.fixture
def waiting_change(steered):
    """Ranges and unit are changed, and the reduction, busy with a frame, has not come to it."""
    steered.take(1)
    go = threading.Event()
    steered.diff.subscribe(lambda name, doc: go.wait(20))
    steered.engine(bp.count([steered.detector]))
    steered.diff.configure(
        {"diff_units": "q [1/A]", "diff_ranges": [[0, 90, 0, 10], [0, 90, 0, 10], [0, 90, None, 10]]}
    )
    yield steered
    go.set()


def test_positions_are_checked_against_the_configuration_that_is_in_force(waiting_change):
    device = DiffractogramDevice("three", callback=waiting_change.diff)
    for number in (1, 3):
        with pytest.raises(ValueError, match=rf"peak = 5.0: allowed: .*range {number}, in q \[1/A\]"):
            next(
                scan_until_peak(
                    [waiting_change.detector], waiting_change.furnace, 0, 1, 1, device,
                    range_number=number, peak=5.0, tolerance=1,
                )
            )  # fmt: skip
        accepted = scan_until_peak(
            [waiting_change.detector], waiting_change.furnace, 0, 1, 1, device,
            range_number=number, peak=2.0, tolerance=1,
        )  # fmt: skip
        assert next(accepted).command == "stage"
    device.destroy()


def test_a_range_that_the_device_was_not_made_for_is_told(steered):
    steered.diff.configure({"diff_ranges": [[0, 90, 0, 10]] * 3})
    with pytest.raises(ValueError, match=r"1 to 2, the ranges that diffractogram reads; .* 3: make it with ranges=3"):
        next(scan(steered, "appears", range_number=3))


def test_another_device_of_ours_has_the_results_of_each_point_too(steered):
    other = DiffractogramDevice("other", callback=steered.diff)
    steered.run(
        scan_until_peak(
            [steered.detector, other], steered.furnace, 300, 302, 1, steered.device, peak=9.9, tolerance=0.01
        )
    )
    assert steered.values(READBACK, "other_raw_seq_num") == [1, 2, 3]
    assert not any(key.startswith("other") for key in steered.events("primary")[0]["data"])
    other.destroy()


def test_the_peaks_are_those_of_the_point_whatever_comes_after_it(steered):
    """A frame of somebody else's is reduced between the reading of the point and that of its peaks."""

    def hook(msg):
        if msg.command == "read" and msg.obj is steered.device.peaks_2:
            steered.device.take(Snapshot.none(2, 0.0))

    steered.engine.msg_hook = hook
    assert steered.run(scan(steered, "appears", 1300, 1301, 1, **GAMMA)).met


def test_where_the_motor_is_said_to_be_it_was_read(steered):
    """One that stops a little short."""
    short = SynAxis(name="short", readback_func=lambda where: where - 0.25)
    result = steered.run(scan_until_peak([steered.detector], short, 0, 2, 1, steered.device, peak=9.9, tolerance=0.01))
    assert result.motor == 1.75
    assert "at short = 1.75" in result.reason


@pytest.mark.parametrize(
    "change",
    [{"diff_units": "q [1/A]"}, {"diff_ranges": [[10, 20, 0, 10]]}, {"peaks": None}],
    ids=lambda each: next(iter(each)),
)
def test_a_peak_does_not_vanish_because_somebody_changes_what_it_is(steered, change):
    plan = scan_until_peak(
        [steered.detector], steered.furnace, 900, 1500, 50, steered.device, range_number=2, until="vanishes"
    )
    steered.engine.subscribe(lambda name, doc: steered.diff.configure(change), "event")
    with pytest.raises(RuntimeError, match="were changed for range 2"):
        steered.run(plan)
    (stop,) = steered.of("stop")
    assert (stop["exit_status"], "were changed" in stop["reason"]) == ("fail", True)
    assert steered.furnace.position == 900


def test_a_change_that_leaves_positions_what_they_are_is_borne(steered):
    plan = scan_until_peak(
        [steered.detector], steered.furnace, 1100, 1200, 100, steered.device, range_number=2, until="vanishes",
        peak=8.67, tolerance=0.12,
    )  # fmt: skip
    changes = iter([{"npt": 260}, {"colors": ["red", "blue"]}, {"diff_ranges": [[10, 21, 0, 10], [-5, 5, 5, 15]]}])
    steered.engine.subscribe(lambda name, doc: steered.diff.configure(next(changes, {})), "event")
    assert steered.run(plan).met
