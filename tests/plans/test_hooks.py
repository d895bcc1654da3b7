"""Points that are read with their own results."""

from __future__ import annotations

import threading
import time

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import bluesky.preprocessors as bpp
import matplotlib
import pytest
from bluesky.callbacks import LiveFit, LivePlot
from bluesky.callbacks.best_effort import BestEffortCallback
from bluesky.callbacks.fitting import PeakStats
from bluesky.simulators import RunEngineSimulator, assert_message_and_return_remaining
from bluesky.suspenders import SuspendFloor
from ophyd import Signal
from ophyd.sim import det as no_images

from bluesky_diffractogram import readback_hints, reduced_one_1d_step, reduced_one_nd_step, reduced_one_shot

matplotlib.use("Agg")

READBACK = "diffractogram_readback"
POSITION = "diffractogram_peak_1_position"


def test_each_step_has_its_own_results_and_motor_in_the_readback_stream(steered):
    steered.run(bp.scan([steered.detector, steered.device], steered.furnace, 300, 900, 4, per_step=reduced_one_nd_step))
    assert steered.values(READBACK, "diffractogram_raw_seq_num") == [1, 2, 3, 4]
    assert steered.values(READBACK, "diffractogram_valid") == [1] * 4
    assert steered.values(READBACK, "furnace") == steered.values("primary", "furnace") == [300, 500, 700, 900]
    events = [doc["uid"] for doc in steered.events("primary")]
    assert steered.values(READBACK, "diffractogram_raw_event") == events
    derived = steered.derived_by_seq_num()
    assert steered.values(READBACK, POSITION) == [derived[n]["peak_1_position"] for n in (1, 2, 3, 4)]
    assert not any(POSITION in doc["data"] for doc in steered.events("primary"))


def test_each_shot_has_its_own_results(steered):
    steered.run(bp.count([steered.device, steered.detector], 3, per_shot=reduced_one_shot))
    assert steered.values(READBACK, "diffractogram_raw_seq_num") == [1, 2, 3]
    assert steered.values(READBACK, "diffractogram_valid") == [1, 1, 1]


def test_grids_are_scanned_too(steered):
    from ophyd.sim import motor1

    steered.run(
        bp.grid_scan(
            [steered.detector, steered.device], steered.furnace, 300, 400, 2, motor1, 0, 1, 2,
            per_step=reduced_one_nd_step,
        )
    )  # fmt: skip
    assert steered.values(READBACK, "diffractogram_raw_seq_num") == [1, 2, 3, 4]
    assert steered.values(READBACK, "motor1") == [0, 1, 0, 1]


def test_live_plot_and_peak_stats_work_on_the_readback(steered, undrawn):
    plot, stats = LivePlot(POSITION, "furnace"), PeakStats("furnace", POSITION)
    steered.engine.subscribe(plot)
    steered.engine.subscribe(stats)
    steered.run(
        bp.scan([steered.detector, steered.device], steered.furnace, 300, 1000, 5, per_step=reduced_one_nd_step)
    )
    positions = steered.values(READBACK, POSITION)
    assert list(plot.y_data) == positions
    assert list(plot.x_data) == steered.values(READBACK, "furnace")
    assert stats["min"] == (1000, min(positions))


def test_best_effort_callback_plots_peaks_against_the_motor(steered, undrawn):
    best = BestEffortCallback()
    steered.engine.subscribe(best)
    plan = bp.scan(
        [steered.detector, steered.device], steered.furnace, 300, 1000, 4,
        per_step=reduced_one_nd_step, md=readback_hints(steered.furnace),
    )  # fmt: skip
    steered.run(plan)
    positions = steered.values(READBACK, POSITION)
    assert best.peaks["min"][POSITION] == (1000, min(positions))
    # and the derived run still knows the scan's axis
    start = next(doc for name, doc in steered.derived if name == "start")
    assert start["hints"]["dimensions"] == [[["furnace"], "diffractogram"]]
    assert [event["furnace"] for event in steered.derived_by_seq_num().values()] == steered.values(READBACK, "furnace")


def test_the_hints_of_a_count_are_the_time(steered):
    assert readback_hints() == {"hints": {"dimensions": [(["time"], READBACK)]}}


def test_a_point_without_a_frame_has_no_result_of_an_earlier_one(steered):
    """Half of the points bring an image."""

    def per_shot(detectors):
        points = per_shot.points = per_shot.points + 1
        dets = [steered.device, steered.detector] if points % 2 else [steered.device, no_images]
        steered.detector.stage_sigs.clear()
        yield from reduced_one_shot(
            dets, lambda devices, name="primary": take(devices, f"of_{len(devices)}_{points % 2}")
        )

    from bluesky.plan_stubs import trigger_and_read

    def take(devices, name):
        return trigger_and_read(devices, name="primary" if name.endswith("1") else "other")

    per_shot.points = 0
    steered.run(bp.count([steered.detector, no_images, steered.device], 4, per_shot=per_shot))
    assert steered.values(READBACK, "diffractogram_valid") == [1, 0, 1, 0]


def test_a_pause_and_rewind_reads_the_point_again(steered):
    """Paused between a point and its readback: both are taken again, and belong together."""
    paused = threading.Event()

    def pause(name, doc):
        if doc["seq_num"] == 2 and not paused.is_set() and POSITION not in doc["data"]:
            paused.set()
            threading.Thread(target=steered.engine.request_pause).start()

    steered.engine.subscribe(pause, "event")
    plan = bp.scan([steered.detector, steered.device], steered.furnace, 300, 600, 3, per_step=reduced_one_nd_step)
    steered.engine._call_returns_result = True
    with pytest.raises(Exception, match="paused"):
        steered.engine(plan)
    assert steered.engine.state == "paused"
    steered.engine.resume()
    steered.assert_valid()
    primary = {doc["seq_num"]: doc["uid"] for doc in steered.events("primary")}  # the last one of each counts
    readback = {doc["seq_num"]: doc["data"] for doc in steered.events(READBACK)}
    assert len(steered.events("primary")) == 4
    assert sorted(primary) == sorted(readback) == [1, 2, 3]
    for seq_num, data in readback.items():
        assert (data["diffractogram_valid"], data["diffractogram_raw_event"]) == (1, primary[seq_num])
    assert steered.of("stop")[0]["exit_status"] == "success"


def test_a_hook_without_a_device_is_refused(steered):
    with pytest.raises(ValueError, match=r"detectors = \['detector'\]: allowed: .*DiffractogramDevice"):
        list(reduced_one_shot([steered.detector]))


def test_messages_in_order(steered):
    messages = RunEngineSimulator().simulate_plan(
        bp.scan([steered.detector, steered.device], steered.furnace, 300, 301, 1, per_step=reduced_one_nd_step)
    )
    rest = messages
    for command, obj in (
        ("stage", steered.detector), ("stage", steered.device), ("open_run", None), ("checkpoint", None),
        ("set", steered.furnace), ("prepare", steered.device), ("trigger", steered.detector), ("create", None),
        ("read", steered.detector), ("read", steered.furnace), ("save", None), ("trigger", steered.device),
        ("wait", None), ("create", None), ("read", steered.device), ("read", steered.furnace), ("save", None),
        ("close_run", None), ("unstage", steered.device),
    ):  # fmt: skip
        rest = assert_message_and_return_remaining(
            rest, lambda msg, c=command, o=obj: msg.command == c and (o is None or msg.obj is o)
        )[1:]


def test_the_wait_is_for_the_reduction_not_for_a_time(steered):
    steered.run(bp.count([steered.detector, steered.device], 1, per_shot=reduced_one_shot))
    started = time.monotonic()
    steered.run(bp.count([steered.detector, steered.device], 20, per_shot=reduced_one_shot))
    assert time.monotonic() - started < 10
    assert steered.values(READBACK, "diffractogram_valid") == [1] * 20


def test_plans_with_one_motor_and_their_own_signature_have_a_hook_too(steered):
    plan = bp.log_scan(
        [steered.detector, steered.device], steered.furnace, 2, 3, 3, per_step=reduced_one_1d_step,
    )  # fmt: skip
    steered.run(plan)
    assert steered.values(READBACK, "furnace") == pytest.approx([100, 10**2.5, 1000])
    assert steered.values(READBACK, "diffractogram_raw_seq_num") == [1, 2, 3]
    steered.run(bp.scan([steered.detector, steered.device], steered.furnace, 300, 400, 2, per_step=reduced_one_1d_step))
    assert steered.values(READBACK, "diffractogram_valid") == [1, 1]


def test_interleaved_runs_have_their_own_results(steered):
    def of(key, plan):
        return (yield from bpp.set_run_key_wrapper(plan, key))

    @bpp.stage_decorator([steered.detector, steered.device])
    def plan():
        for key in "ab":
            yield from of(key, bps.open_run())
        for key in "abba":
            yield from of(key, reduced_one_shot([steered.detector, steered.device]))
        for key in "ab":
            yield from of(key, bps.close_run())

    steered.run(plan())
    readback = [doc["data"] for doc in steered.events(READBACK)]
    assert [data["diffractogram_raw_event"] for data in readback] == [doc["uid"] for doc in steered.events("primary")]
    a, b = (doc["uid"] for doc in steered.of("start"))
    assert [data["diffractogram_raw_uid"] for data in readback] == [a, b, b, a]


def test_a_suspender_makes_the_point_be_taken_again(steered):
    beam = Signal(name="beam", value=10.0)
    steered.engine.install_suspender(SuspendFloor(beam, 5.0))
    dipped = []

    def dip(name, doc):
        if not dipped and doc["seq_num"] == 2:
            dipped.append(True)
            threading.Thread(target=lambda: (beam.put(1.0), time.sleep(0.3), beam.put(10.0))).start()

    steered.engine.subscribe(dip, "event")
    plan = bp.scan([steered.detector, steered.device], steered.furnace, 300, 600, 4, per_step=reduced_one_nd_step)
    steered.run(plan)
    primary = {doc["seq_num"]: doc["uid"] for doc in steered.events("primary")}
    readback = {doc["seq_num"]: doc["data"] for doc in steered.events(READBACK)}
    assert sorted(primary) == sorted(readback) == [1, 2, 3, 4]
    assert all(data["diffractogram_raw_event"] == primary[number] for number, data in readback.items())


def test_a_line_is_fitted_to_peaks(steered):
    lmfit = pytest.importorskip("lmfit")
    fit = LiveFit(lmfit.models.LinearModel(), POSITION, {"x": "furnace"}, {"slope": 0.0, "intercept": 5.0})
    steered.engine.subscribe(fit)
    steered.run(bp.scan([steered.detector, steered.device], steered.furnace, 300, 900, 5, per_step=reduced_one_nd_step))
    line = [steered.beamline.two_theta(temperature)[0] for temperature in (300.0, 900.0)]
    assert fit.result.values["slope"] == pytest.approx((line[1] - line[0]) / 600, rel=0.15)
