"""Frames reduced by worker processes: the same derived documents, to the last bit, whatever happens to the workers."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time

import bluesky.plans as bp
import h5py
import hdf5plugin
import numpy as np
import psutil
import pytest
from derived_documents import assert_same, derived_of
from documents.conftest import Collected, raw_run
from documents.dark_runs import run_in_files
from documents.stream_runs import DATASET, StreamRun, images, settle, uri_of, write_hdf5
from killing_handler import KillingHandler, datum_run
from live_runs import run_live
from ponis import write_poni

from bluesky_diffractogram import ReplayError, replay
from bluesky_diffractogram.replay import reduced_ahead, sent_blocks, workers
from bluesky_diffractogram.replay.blocks import Job

pytestmark = [pytest.mark.timeout(180), pytest.mark.xdist_group("workers")]

BITSHUFFLE = {"chunks": (1, 120, 130), **hdf5plugin.Bitshuffle(cname="lz4")}


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of five frames, however quick they are."""
    monkeypatch.setattr(sent_blocks, "FIRST_FRAMES", 5)
    monkeypatch.setattr(sent_blocks.SentBlocks, "_fit", lambda *_: None)


@pytest.fixture
def submitted(monkeypatch):
    """The blocks that workers are given."""
    blocks, submit = [], workers.Workers.submit

    def spy(self, job, block):
        blocks.append(block)
        return submit(self, job, block)

    monkeypatch.setattr(workers.Workers, "submit", spy)
    return blocks


def frames_of(blocks):
    return sum(piece.frames for block in blocks for piece in block.pieces)


@pytest.fixture
def hdf5_run(tmp_path):
    path = tmp_path / "frames.h5"
    write_hdf5(path, images(30), **BITSHUFFLE)
    settle()
    return list(StreamRun(uri_of(path), motor=True).step_scan(30))


def test_darks_that_come_with_the_run(cfg, pool, tmp_path, submitted):
    cfg = {**cfg, "dark": {"stream": "dark"}}
    documents = run_in_files(tmp_path)
    alone = derived_of(documents, cfg)
    assert_same(derived_of(documents, cfg, workers=pool), alone)
    assert [doc["data"]["dark_seq_num"] for doc in alone.of("event")] == [1, 1, 1, 2, 2, 2]
    assert frames_of(submitted) == 5  # all but the first


def test_a_stream_in_a_bitshuffle_file(cfg, pool, hdf5_run, small_blocks, submitted):
    cfg = {**cfg, "error_model": "poisson", "mask": np.eye(120, 130, dtype="i1")}
    assert_same(derived_of(hdf5_run, cfg, workers=pool), derived_of(hdf5_run, cfg))
    assert frames_of(submitted) == 29  # the first one says what the others are


def test_the_frames_of_few_events(cfg, pool, tmp_path, small_blocks, submitted):
    path = tmp_path / "frames.h5"
    write_hdf5(path, images(36), **BITSHUFFLE)
    run = list(StreamRun(uri_of(path), number=12).fly_scan(3))
    assert_same(derived_of(run, cfg, workers=pool), derived_of(run, cfg))
    assert frames_of(submitted) == 35
    assert max(frames_of([block]) for block in submitted) == 5
    submitted.clear()
    added = {**cfg, "frames_per_event": "mean"}
    assert_same(derived_of(run, added, workers=pool), derived_of(run, added))
    assert len([piece for block in submitted for piece in block.pieces]) == 2


def test_resource_and_datum_documents(cfg, pool, motor, npy_detector, small_blocks, submitted):
    live = run_live(cfg, bp.scan([npy_detector], motor, 0, 3, 8))
    again = derived_of(live.raw, cfg, workers=pool)
    assert_same(again, derived_of(live.raw, cfg))
    assert_same(again, live.derived)
    assert frames_of(submitted) == 7


def test_frames_in_memory_stay_here(cfg, pool, submitted):
    run = list(raw_run(images(4)))
    assert_same(derived_of(run, cfg, workers=pool), derived_of(run, cfg))
    assert submitted == []


def test_bad_frames_are_skipped_for_the_same_reasons(cfg, pool, tmp_path, caplog, small_blocks):
    """A chunk that is damaged, one that was never written, and a monitor of zero."""
    path, frames = tmp_path / "frames.h5", images(20)
    with h5py.File(path, "w") as file:
        data = file.create_dataset(DATASET, (20, 120, 130), "u2", **BITSHUFFLE)
        for n in set(range(20)) - {11}:
            data[n] = frames[n]
        data.id.write_direct_chunk((7, 0, 0), b"\0" * 40)
    run = list(StreamRun(uri_of(path), motor=True).step_scan(20))
    cfg = {**cfg, "normalization": "motor"}  # which is 0 at the first point
    serial = derived_of(run, cfg)
    assert_same(derived_of(run, cfg, workers=pool), serial)
    (stop,) = serial.of("stop")
    assert stop["frames"]["reasons"] == {"normalization": 1, "unreadable": 1, "file": 1}


def test_frames_that_change_their_shape(cfg, pool, tmp_path, small_blocks):
    folder = tmp_path / "npy"
    folder.mkdir()
    for n, frame in enumerate(images(12)):
        binned = frame.reshape(60, 2, 65, 2).sum(axis=(1, 3), dtype="u4")
        np.save(folder / f"img_{n:03d}.npy", frame if n < 5 or n == 8 else binned)
    stream = StreamRun(
        uri_of(folder), "multipart/related;type=application/x-npy", {"template": "img_{:03d}.npy"}, motor=True
    )
    run = list(stream.step_scan(12))
    serial = derived_of(run, cfg)
    assert [doc["name"] for doc in serial.of("descriptor")] == ["diffractogram", "diffractogram_2"]
    assert_same(derived_of(run, cfg, workers=pool), serial)


def test_several_runs_and_a_rewind(cfg, pool, tmp_path, small_blocks):
    path = tmp_path / "frames.h5"
    write_hdf5(path, images(12), **BITSHUFFLE)
    runs = []
    for seq_nums in ([1, 2, 3, 4], [1, 2, 3, 2, 3, 4, 5, 6]):
        stream = StreamRun(uri_of(path), motor=True)
        documents = list(stream.begin())
        for n, seq_num in enumerate(seq_nums):
            documents += [stream.datum(n, n + 1, seq_num), stream.event(seq_num, motor=float(n))]
        runs.append([*documents, stream.stop()])
    serial = derived_of(runs, cfg)
    assert [doc["frames"]["replaced"] for doc in serial.of("stop")] == [0, 2]
    assert_same(derived_of(runs, cfg, workers=pool), serial)


def test_a_calibration_that_says_no_shape_takes_that_of_the_first_frame(cfg, pool, tmp_path, small_blocks):
    cfg = {**cfg, "calibration": str(write_poni(tmp_path / "any.poni", shape=None, pixel=(6e-4, 5e-4)))}
    folder = tmp_path / "npy"
    folder.mkdir()
    for n, frame in enumerate(images(9)):
        np.save(folder / f"img_{n:03d}.npy", frame[:, :100] if n == 4 else frame)
    mimetype = "multipart/related;type=application/x-npy"
    run = list(StreamRun(uri_of(folder), mimetype, {"template": "img_{:03d}.npy"}, motor=True).step_scan(9))
    serial = derived_of(run, cfg)
    assert serial.of("stop")[0]["frames"]["reasons"] == {"shape": 1}
    assert_same(derived_of(run, cfg, workers=pool), serial)


def test_an_interrupted_replay_is_gone_on_with(cfg, pool, hdf5_run, small_blocks, submitted):
    serial = derived_of(hdf5_run, cfg)
    assert_same(derived_of(hdf5_run, cfg, workers=pool, resume=serial[:14]), serial)  # start, descriptor, 12 events
    assert frames_of(submitted) == 30 - 12
    submitted.clear()
    serial.of("event")[0]["data"]["diff_1"][1, 70] += 1.0
    assert_same(derived_of(hdf5_run, cfg, workers=pool, resume=serial[:14]), derived_of(hdf5_run, cfg))
    assert frames_of(submitted) == 29


# -- killed workers -------------------------------------------------------------------------------------------------


def test_a_worker_that_is_killed_costs_its_block_only(cfg, pool, hdf5_run, small_blocks, submitted):
    serial, killed, events = derived_of(hdf5_run, cfg), [], 0
    again = Collected()
    for name, doc in replay(hdf5_run, cfg, workers=pool):
        again(name, doc)
        events += name == "event"
        if events == 4 and not killed:
            killed = list(pool.run(os.getpid).values())
            os.kill(killed[0], signal.SIGKILL)
    assert_same(again, serial)
    assert killed
    pool.wait_for_workers(2, timeout=60)


def test_workers_that_are_killed_while_they_work(cfg, pool, tmp_path, caplog):
    """Each point takes its time, so that the workers are in the midst of it."""
    run = datum_run(tmp_path, images(12), slow_s=0.3)
    handlers = {"KILLING": KillingHandler}

    def kill_who_works():
        until = time.monotonic() + 60
        while not list(tmp_path.glob("working-*")) and time.monotonic() < until:
            time.sleep(0.02)
        for mark in tmp_path.glob("working-*"):
            os.kill(int(mark.name.partition("-")[2]), signal.SIGKILL)

    killer = threading.Thread(target=kill_who_works)
    killer.start()
    again = derived_of(run, cfg, workers=pool, handler_registry=handlers)
    killer.join()
    assert_same(again, derived_of(run, cfg, handler_registry=handlers))
    assert "a worker was killed" in caplog.text
    pool.wait_for_workers(2, timeout=60)


def test_a_frame_that_kills_workers_is_skipped_and_the_others_are_reduced(cfg, pool, tmp_path, small_blocks, caplog):
    run = datum_run(tmp_path, images(14), deadly={6})
    again = derived_of(run, cfg, workers=pool, handler_registry={"KILLING": KillingHandler})
    (stop,) = again.of("stop")
    assert stop["frames"]["reasons"] == {"killed": 1}
    assert "worker was killed" in stop["frames"]["messages"]["killed"]
    assert [doc["data"]["raw_seq_num"] for doc in again.of("event")] == [n for n in range(1, 15) if n != 7]
    without = [pair for pair in datum_run(tmp_path, images(14)) if pair[0] != "event" or pair[1]["seq_num"] != 7]
    expected = derived_of(without, cfg, handler_registry={"KILLING": KillingHandler})
    for event, other in zip(again.of("event"), expected.of("event"), strict=True):
        np.testing.assert_equal(event["data"]["diff_1"], other["data"]["diff_1"])
        np.testing.assert_equal(event["data"]["peaks_1"], other["data"]["peaks_1"])
    pool.wait_for_workers(2, timeout=60)


def test_without_any_worker_the_rest_is_reduced_here(cfg, hdf5_run, small_blocks, monkeypatch, caplog):
    def nobody(self, job, block):
        raise workers.NoWorkers("gone")

    monkeypatch.setattr(workers.Workers, "submit", nobody)
    assert_same(derived_of(hdf5_run, cfg, workers=2), derived_of(hdf5_run, cfg))
    assert "reduced without them: gone" in caplog.text


def test_workers_that_would_compute_something_else_are_not_used(cfg, pool, hdf5_run, small_blocks, monkeypatch, caplog):
    serial = derived_of(hdf5_run, cfg)

    def other(*arguments):
        job = Job(*arguments)
        versions = {**job.provenance["versions"], "pyFAI": "2020.1"}
        return Job(job.key, job.config, {**job.provenance, "versions": versions})

    monkeypatch.setattr(sent_blocks, "Job", other)
    assert_same(derived_of(hdf5_run, cfg, workers=pool), serial)
    assert "pyFAI: 2020.1 where the run is replayed" in caplog.text


def test_short_runs_are_worked_on_at_the_same_time(cfg, pool, tmp_path, monkeypatch):
    path, most = tmp_path / "frames.h5", 0
    write_hdf5(path, images(4), **BITSHUFFLE)
    runs = [list(StreamRun(uri_of(path), motor=True).step_scan(4)) for _ in range(6)]
    runs.insert(3, list(raw_run([np.ones((9, 9))])))
    send = reduced_ahead.ReducedAhead._send

    def spy(self, block):
        nonlocal most
        send(self, block)
        most = max(most, len(self._sent.blocks))

    monkeypatch.setattr(reduced_ahead.ReducedAhead, "_send", spy)
    again = replay(runs, cfg, workers=pool)
    collected = Collected()
    again.store(collected)
    assert_same(collected, derived_of(runs, cfg))
    assert most > 1
    assert list(again.failures) == [runs[3][0][1]["uid"]]


def test_runs_whose_first_frames_have_other_shapes(cfg, pool, tmp_path, small_blocks):
    """The calibration says none: what is expected of the second run, by the first one, is wrong."""
    cfg = {**cfg, "calibration": str(write_poni(tmp_path / "any.poni", shape=None, pixel=(6e-4, 5e-4)))}
    runs = []
    for name, width in (("wide", 130), ("narrow", 110), ("again", 110)):
        write_hdf5(tmp_path / f"{name}.h5", [frame[:, :width] for frame in images(8)])
        runs.append(list(StreamRun(uri_of(tmp_path / f"{name}.h5"), motor=True).step_scan(8)))
    assert_same(derived_of(runs, cfg, workers=pool), derived_of(runs, cfg))


def test_a_script_without_a_guard_is_told_of_it(cfg, tmp_path):
    """And dask is imported by nobody before processes are wanted."""
    path = tmp_path / "frames.h5"
    write_hdf5(path, images(4))
    documents = tmp_path / "raw.jsonl"
    run = StreamRun(uri_of(path)).step_scan(4)
    documents.write_text("".join(json.dumps(pair) + "\n" for pair in run))
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        "from bluesky_diffractogram import replay\n"
        "import bluesky_diffractogram.replay.replayed, bluesky_diffractogram.replay.reduced_ahead\n"
        "assert 'distributed' not in sys.modules\n"
        f"print(sum(name == 'event' for name, _ in replay({str(documents)!r}, {cfg!r}, workers=1)))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert done.stdout == "4\n"
    assert "has to stand under `if __name__ ==" in done.stderr


# -- what is given and kept -------------------------------------------------------------------------------------------


def test_no_more_blocks_than_there_is_room_for(cfg, pool, hdf5_run, small_blocks, monkeypatch):
    most = 0
    submit = reduced_ahead.ReducedAhead._send

    def send(self, block):
        nonlocal most
        submit(self, block)
        most = max(most, len(self._sent.blocks))

    monkeypatch.setattr(reduced_ahead.ReducedAhead, "_send", send)
    taken, documents = 0, []

    def one_after_the_other():
        nonlocal taken
        for pair in hdf5_run:
            taken += pair[0] == "event"
            yield pair

    for name, _ in replay(one_after_the_other(), cfg, workers=pool):
        documents.append(name)
        assert taken - documents.count("event") <= 5 * 5 + 2
    assert 3 <= most <= 4
    assert documents.count("event") == 30


def test_a_replay_that_is_given_up_ends_at_once(cfg, pool, hdf5_run, small_blocks):
    derived = iter(replay(hdf5_run, cfg, workers=pool))
    next(derived)
    begin = time.monotonic()
    derived.close()
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize("given", [0, -1, True, 2.5, "four"])
def test_other_workers_are_refused(cfg, hdf5_run, given):
    with pytest.raises(ReplayError, match="expected how many processes"):
        replay(hdf5_run, cfg, workers=given)


def test_the_missing_extra_is_named(cfg, hdf5_run, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ReplayError, match=r"bluesky-diffractogram\[dask\]"):
        replay(hdf5_run, cfg, workers=2)


@pytest.mark.slow
def test_processes_of_its_own(cfg, hdf5_run, tmp_path, caplog):
    """Two are started, with what they need in their environment, and none is left behind."""
    serial = derived_of(hdf5_run, cfg)
    with caplog.at_level(logging.WARNING):
        again = replay(hdf5_run, cfg, workers=2)
        collected = Collected()
        started, before = {}, {each.pid for each in psutil.Process().children()}
        for name, doc in again:
            collected(name, doc)
            children = [each for each in psutil.Process().children() if each.pid not in before]
            started |= {each.pid: each.environ() for each in children if "spawn_main" in " ".join(each.cmdline())}
    assert_same(collected, serial)
    assert len(started) == 2
    for environment in started.values():
        assert environment["BLUESKY_DIFFRACTOGRAM_CACHE"]
        assert workers.ENVIRONMENT.items() <= environment.items()
        assert "MALLOC_TRIM_THRESHOLD_" not in environment
    assert not set(started) & {each.pid for each in psutil.Process().children()}
    assert "bluesky_diffractogram" not in caplog.text
