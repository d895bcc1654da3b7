"""The examples run as they are."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import re
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import bluesky.plans as bp
import pytest
from ponis import write_poni

PROFILES = Path(__file__).parents[1] / "profile_examples"
ROOT = PROFILES.parent


def environment(**more):
    """For processes that find this very package, and no display."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg", **more}


def profile(name):
    """The one file of a profile's start-up."""
    (startup,) = (PROFILES / name / "startup").glob("*.py")
    return startup


@pytest.fixture
def example(monkeypatch):
    """Imports a module of the examples."""
    monkeypatch.syspath_prepend(str(PROFILES))
    return importlib.import_module


def test_every_example_is_short_and_says_what_it_is():
    files = sorted(PROFILES.rglob("*.py"))
    assert len(files) >= 8
    for file in files:
        text = file.read_text()
        assert text.startswith('"""'), file
        assert len(text.splitlines()) < 90, file


FEWER = [("1500, 30", "1500, 3"), ("], 5", "], 2"), ("900, 7", "900, 2"), ("900, 1500, 50", "1100, 1300, 100")]
"""What is printed, and what is done instead to save time."""


def to_type(printed):
    """The commands among what a profile printed."""
    return re.findall(r"(?:RE|diff|analysed|db)[(.\\[].*?(?=   |$)", printed, re.MULTILINE)


def test_profile_sim_is_a_working_beamline_and_what_it_prints_can_be_typed(capsys):
    session = runpy.run_path(str(profile("profile_sim")))
    printed = capsys.readouterr().out
    assert printed.startswith("Type   RE(heating_scan(detector, furnace, 300, 1500, 30))   or   RE(count")
    commands = to_type(printed)
    assert len(commands) == (8 if session["db"] is None else 10)
    engine, diff = session["RE"], session["diff"]
    answers = {}
    for command in commands:
        if session["db"] is None and command.startswith(("db", "analysed")):
            continue
        for points, fewer in FEWER:
            command = command.replace(points, fewer)
        answers[command[:18]] = eval(command, session)
        assert diff.wait(60)
    assert len(answers["diff.results['peak"][0]) > 3
    assert answers["diff.buffers[0].to"].shape == (5, 1000)
    if session["db"] is not None:
        first, second = (session["db"][-n] for n in (4, 3))
        assert (first.start["plan_name"], second.start["plan_name"]) == ("heating_scan", "count")
        assert list(session["analysed"][-4].table("diffractogram")["furnace"]) == [300, 900, 1500]
        assert len(answers["analysed[-1].table"]) == 2
        assert answers["db[-1].stop['reaso"] == "the peak vanished at furnace = 1300"
    assert session["diffractogram"].unit.get() == "2th_deg"
    engine(session["count"]([session["detector"]]))
    assert diff.wait(60)
    assert session["diffractogram"].unit.get() == "q_A^-1"
    diff.close()


@pytest.mark.long
def test_profile_sim_starts_in_ipython(tmp_path):
    """As a person does: commands are typed at the prompt."""
    pytest.importorskip("IPython")
    typed = [
        "RE(heating_scan(detector, furnace, 300, 1500, 3))",
        "diff.wait(60)",
        "print('rows', len(diff.buffers[0]), len(diff.results['peaks_1'][0]) > 0)",
        "exit()",
    ]
    profile_dir = shutil.copytree(PROFILES / "profile_sim", tmp_path / "profile_sim")
    ipython = [sys.executable, "-m", "IPython", "--simple-prompt", "--no-banner"]
    done = subprocess.run(
        [*ipython, "--profile-dir", str(profile_dir)],
        input="\n".join(typed) + "\n", capture_output=True, text=True, timeout=200, cwd=tmp_path,
        env=environment(IPYTHONDIR=str(tmp_path)),
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert "rows 3 True" in done.stdout, said
    assert "Traceback" not in said, said


def test_profile_epics_runs_against_a_server_of_channels(tmp_path, monkeypatch):
    """In a process of its own, which is the only one that opens channels here."""
    pytest.importorskip("caproto")
    pytest.importorskip("epics")
    from ioc.served import area_detector_ioc

    poni = write_poni(tmp_path / "det.poni", shape=None, pixel=(4e-4, 4e-4), centre=(101.5, 108.0))
    config = tmp_path / "diffractogram.json"
    config.write_text(f'{{"calibration": "{poni}", "diff_ranges": [[10, 80, 3, 18]], "npt": 200}}')
    script = tmp_path / "session.py"
    script.write_text(
        "import runpy\n"
        f"session = runpy.run_path({str(profile('profile_epics'))!r})\n"
        "detector, diffractogram, diff = (session[n] for n in ('detector', 'diffractogram', 'diff'))\n"
        "events = []\n"
        "count, shot = session['count'], session['reduced_one_shot']\n"
        "session['RE'](count([detector, diffractogram], 4, per_shot=shot), lambda n, d: events.append((n, d)))\n"
        "read = [d['data'] for n, d in events if n == 'event' and 'diffractogram_valid' in d['data']]\n"
        "assert diff.wait(30)\n"
        "print('valid', [(each['diffractogram_valid'], each['diffractogram_raw_seq_num']) for each in read])\n"
        "print('different', len({each['diffractogram_mean_1'] for each in read}), len(diff.buffers[0]))\n"
    )
    before = dict(os.environ)
    try:
        with area_detector_ioc(tmp_path / "log") as prefix:
            done = subprocess.run(
                [sys.executable, str(script)], capture_output=True, text=True, timeout=120, cwd=tmp_path,
                env=environment(
                    DETECTOR_PREFIX=prefix, DETECTOR_FOLDER=str(tmp_path), DIFFRACTOGRAM_CONFIG=str(config)
                ),
            )  # fmt: skip
    finally:
        os.environ.clear()
        os.environ.update(before)
    assert "valid [(1, 1), (1, 2), (1, 3), (1, 4)]" in done.stdout, done.stdout + done.stderr
    assert "different 4 4" in done.stdout


def test_profile_async_runs():
    pytest.importorskip("ophyd_async.sim", reason="ophyd-async[sim] is not installed")
    session = runpy.run_path(str(profile("profile_async")))
    engine, diff, detector, device = (session[name] for name in ("RE", "diff", "detector", "diffractogram"))
    events = []
    plan = session["count"]([detector, device], 3, per_shot=session["reduced_one_shot"])
    engine(plan, lambda name, doc: events.append(doc["data"]) if name == "event" else None)
    read = [data for data in events if "diffractogram_valid" in data]
    assert [(data["diffractogram_valid"], data["diffractogram_raw_seq_num"]) for data in read] == [
        (1, 1),
        (1, 2),
        (1, 3),
    ]
    assert all(data["diffractogram_mean_1"] > 0 for data in read)
    engine(session["scan"]([detector], session["stage"], 0, 1, 2))
    assert diff.wait(30)
    assert len(diff.buffers[0]) == 5
    diff.close()


# -- 0MQ ----------------------------------------------------------------------------------------------------


def free_ports(n):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(n)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]


def test_a_process_of_its_own_reduces_what_is_published(tmp_path, steered, monkeypatch):
    monkeypatch.syspath_prepend(str(PROFILES / "zmq_analysis"))
    beamline = importlib.import_module("beamline")
    config = tmp_path / "diffractogram.json"
    config.write_text(json.dumps(steered.beamline.configuration))
    from_scans, to_listeners = free_ports(2)
    process = subprocess.Popen(
        [sys.executable, "-u", str(PROFILES / "zmq_analysis" / "analysis.py"), str(config), from_scans, to_listeners],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment(),
    )  # fmt: skip
    said = []
    engine, publisher = beamline.engine(from_scans)
    try:
        assert process.stdout.readline() == "listening\n"
        threading.Thread(target=lambda: [said.append(line) for line in process.stdout], daemon=True).start()
        # 0MQ's subscribers join in their own time, in the middle of a run too: what went before, nobody tells them
        deadline = time.monotonic() + 100
        curves = []
        while len(curves) < 2 and time.monotonic() < deadline:
            (uid,) = engine(bp.count([steered.detector], 2))
            until = time.monotonic() + 3
            while len(curves := [line for line in said if line.startswith(uid[:8])]) < 2 and time.monotonic() < until:
                time.sleep(0.05)
        assert len(curves) == 2, said
        first, second = curves
    finally:
        publisher._context.destroy(linger=0)
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        finally:
            process.kill()
    assert "/detector_image/1 [[" in first, first
    assert "/detector_image/2 [[" in second
    steered.engine(bp.count([steered.detector], 2))
    assert steered.diff.wait(20)
    assert second.split("/2 ")[1].strip() == str(steered.diff.results["peaks_1"])


# -- queueserver --------------------------------------------------------------------------------------------


@pytest.fixture
def queue_startup(tmp_path):
    """A copy of the start-up directory: the manager writes a list of what it found into it."""
    return Path(shutil.copytree(PROFILES / "queueserver" / "startup", tmp_path / "startup"))


def test_queueserver_finds_plans_and_devices_in_the_startup(queue_startup):
    profile_ops = pytest.importorskip("bluesky_queueserver.manager.profile_ops")
    namespace = profile_ops.load_startup_script(str(queue_startup / "00_beamline.py"))
    plans, devices, *_ = profile_ops.existing_plans_and_devices_from_nspace(nspace=namespace)
    assert {name for name in plans if name[0] != "_"} == {  # those the permissions leave out
        "count", "scan", "reduced_scan", "calibrated_count", "collect", "configure_diffractogram", "reset_buffer",
        "scan_until_peak", "track_peak", "wait_for_reduction",
    }  # fmt: skip
    assert {"detector", "furnace", "diffractogram"} <= set(devices)
    namespace["_diff"].close()


@pytest.mark.slow
def test_a_real_manager_runs_a_plan_of_ours(queue_startup, tmp_path):
    pytest.importorskip("bluesky_queueserver")
    from bluesky_queueserver import ZMQCommSendThreads

    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    redis, control, info = (address.rpartition(":")[2] for address in free_ports(3))
    with contextlib.ExitStack() as stack:

        def start(*command):
            log = stack.enter_context((tmp_path / f"{Path(command[0]).name}.log").open("w"))
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=tmp_path, env=environment())

            def end():
                process.terminate()
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()

            stack.callback(end)

        start("redis-server", "--port", redis, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
        time.sleep(0.5)
        start(
            str(Path(sys.executable).with_name("start-re-manager")), "--startup-dir", str(queue_startup), "--keep-re",
            "--redis-addr", f"127.0.0.1:{redis}", "--zmq-control-addr", f"tcp://127.0.0.1:{control}",
            "--zmq-info-addr", f"tcp://127.0.0.1:{info}",
        )  # fmt: skip
        client = ZMQCommSendThreads(zmq_server_address=f"tcp://127.0.0.1:{control}")
        stack.callback(client.close)
        log = tmp_path / "start-re-manager.log"

        def ask(method, **params):
            return client.send_message(method=method, params=params, timeout=5000)

        def until(condition, seconds=100):
            deadline = time.monotonic() + seconds
            while True:
                with contextlib.suppress(Exception):
                    status = ask("status")
                    if condition(status):
                        return status
                assert time.monotonic() < deadline, log.read_text()[-5000:]
                time.sleep(0.3)

        until(lambda status: status["manager_state"] == "idle")
        assert ask("environment_open")["success"]
        until(lambda status: status["worker_environment_exists"] and status["manager_state"] == "idle")
        stack.callback(lambda: ask("environment_destroy"))
        who = {"user": "test", "user_group": "primary"}
        # The manager reads its list of them after the environment is there.
        until(lambda _: "scan_until_peak" in ask("plans_allowed", user_group="primary")["plans_allowed"])
        described = ask("plans_allowed", user_group="primary")["plans_allowed"]
        assert described["scan_until_peak"]["description"].startswith("Step a motor until a peak")
        items = [
            {"name": "configure_diffractogram", "args": ["diffractogram", {"npt": 200}]},
            {"name": "reduced_scan", "args": [["detector"], "furnace", 300, 500, 2, "diffractogram"]},
            {
                "name": "scan_until_peak",
                "args": [["detector"], "furnace", 1100, 1300, 50, "diffractogram"],
                "kwargs": {"range_number": 2, "until": "vanishes", "peak": 8.65, "tolerance": 0.12},
            },
        ]
        refused = {"name": "scan_until_peak", "args": [["detector"], "furnace", 1, 2, 1], "item_type": "plan"}
        assert not ask("queue_item_add", item=refused, **who)["success"]
        for item in items:
            added = ask("queue_item_add", item={**item, "item_type": "plan"}, **who)
            assert added["success"], added
        assert ask("queue_start")["success"]
        until(lambda status: status["items_in_history"] == len(items) and status["manager_state"] == "idle")
        history = ask("history_get")["items"]
        assert [item["result"]["exit_status"] for item in history] == ["completed"] * 3, history
        assert [len(item["result"]["run_uids"]) for item in history] == [0, 1, 1]
        assert ask("environment_close")["success"]
        until(lambda status: not status["worker_environment_exists"])


# -- adaptive plans, and plans that peaks interrupt -----------------------------------------------------------


def test_an_adaptive_plan_asks_and_is_told_by_derived_events(steered, example):
    """The temperature at which Bragg's law puts the strongest line at a given angle is found by halving."""
    plans = pytest.importorskip("bluesky_adaptive.plans")
    adaptive = example("adaptive")
    steered.run(bp.scan([steered.detector], steered.furnace, 1000, 1000, 1))
    target = steered.derived_by_seq_num()[1]["peak_1_position"]
    optimizer = adaptive.Bisection("furnace", "peak_1_position", target, 300.0, 1500.0)
    steered.engine(
        plans.optimize(adaptive.problem(steered.diff, steered.detector, steered.furnace, optimizer), iterations=5)
    )
    assert len(optimizer.points) == 5
    (_, where, found), *_ = optimizer.get_best_points()
    assert abs(found["peak_1_position"] - target) < 0.006
    lines = [steered.beamline.two_theta(temperature)[0] for temperature in (where["furnace"], 1000.0)]
    assert lines[0] == pytest.approx(lines[1], abs=0.012)


def test_a_plan_is_stopped_when_a_peak_says_so(steered, example):
    stop_on_peak = example("stop_on_peak")
    watch = stop_on_peak.Latest(steered.diff)
    plan = bp.scan([steered.detector], steered.furnace, 300, 1500, 61)
    steered.run(stop_on_peak.stop_on(plan, lambda: watch.data.get("raw_seq_num", 0) >= 3))
    (stop,) = steered.of("stop")
    assert stop["exit_status"] == "success"
    assert 3 <= len(steered.events("primary")) < 30
    assert steered.detector._staged.value == "no"
    # a plan that is not stopped is as it was, and gives what it gave
    uid = steered.run(stop_on_peak.stop_on(bp.count([steered.detector], 2), lambda: False))
    assert steered.of("start")[0]["uid"] == uid
    steered.detector.trigger = lambda: (_ for _ in ()).throw(RuntimeError("no beam"))
    with pytest.raises(RuntimeError, match="no beam"):
        steered.engine(stop_on_peak.stop_on(bp.count([steered.detector], 2), lambda: False))
    assert steered.of("stop")[-1]["exit_status"] == "fail"


def test_a_plan_is_paused_when_a_peak_says_so(steered, example):
    stop_on_peak = example("stop_on_peak")
    stop_on_peak.pause_on(steered.engine, steered.diff, lambda data: data["raw_seq_num"] >= 2)
    with pytest.raises(Exception, match="paused"):
        steered.engine(bp.scan([steered.detector], steered.furnace, 300, 1500, 61))
    assert steered.engine.state == "paused"
    points = len(steered.events("primary"))
    assert 2 <= points < 30
    steered.engine.stop()
    assert steered.of("stop")[-1]["exit_status"] == "success"
