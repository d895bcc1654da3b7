"""One test for each row of the table of faults in the design (§16), through a RunEngine where it can come from one.

Each states the same: the scan ends as it would have without us, the next good frame is reduced, and all frames are
accounted for (`fault_tools.survived`, `accounted`). What belongs to one room alone is tested there in detail.
"""

from __future__ import annotations

import json
import logging
import threading
import time

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
import h5py
import numpy as np
import pyFAI
import pytest
from benchmarks.delay import InFile
from bluesky.utils import RunEngineInterrupted
from documents.conftest import Collected, raw_run, send
from documents.stream_runs import DATASET, StreamRun, uri_of, write_hdf5
from fault_tools import SHAPE, Scan, accounted, curves_of, frame, good_curve, next_good_frame_is_reduced, survived
from ponis import write_poni

from bluesky_diffractogram import ConfigError, ReductionCallback
from bluesky_diffractogram.documents import one_run, worker
from bluesky_diffractogram.reduction.reducer import Reducer
from bluesky_diffractogram.replay import replay, workers
from bluesky_diffractogram.replay.blocks import reduce_block
from bluesky_diffractogram.replay.workers import Killed

# -- our code raises --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [ZeroDivisionError, MemoryError, KeyError])
def test_our_code_raises(cfg, monkeypatch, caplog, error):
    reduce, calls = Reducer.reduce, []

    def broken(self, image):
        calls.append(image)
        if len(calls) in (1, 2):
            raise error("a fault of ours")
        return reduce(self, image)

    monkeypatch.setattr(Reducer, "reduce", broken)
    derived = survived(cfg)
    assert accounted(derived, 3, reduced=1, skipped=2)["reasons"] == {f"error: {error.__name__}": 2}
    assert len([record for record in caplog.records if record.message.startswith("the diffractogram failed")]) == 1
    calls.clear()
    with pytest.raises(error), ReductionCallback(cfg, background=False, strict=True) as strict:
        send(strict, raw_run([frame(0)]))


# -- we are slower than the scan --------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["block", "drop_oldest", "latest"])
def test_we_are_slower_than_the_scan(cfg, monkeypatch, policy):
    reduce = Reducer.reduce

    def slowly(self, image):
        time.sleep(0.03)
        return reduce(self, image)

    monkeypatch.setattr(Reducer, "reduce", slowly)
    frames = [frame(n) for n in range(12)]
    derived = survived({**cfg, "queue_size": 2, "when_full": policy}, *frames)
    tally = accounted(derived)
    assert tally["received"] == 12
    assert (tally["dropped"] == 0) == (policy == "block")
    assert derived.of("event")[-1]["data"]["raw_seq_num"] == 12


# -- rewind, duplicate seq_num ----------------------------------------------------------------------------------


def rewinding(scan):
    @bpp.run_decorator()
    def inner():
        yield from bps.checkpoint()
        for _ in range(3):
            yield from bps.trigger_and_read([scan.detector])
        yield from bps.pause()
        yield from bps.trigger_and_read([scan.detector])

    return inner()


def and_resume(scan, plan):
    with pytest.raises(RunEngineInterrupted):
        scan.engine(plan)
    scan.engine.resume()


def test_a_rewind(cfg):
    """The RunEngine takes three points again after a pause: seq_num goes 1, 2, 3, 1, 2, 3, 4."""
    frames = [frame(n) for n in range(7)]
    derived = survived(cfg, *frames, plan=rewinding, run=and_resume)
    accounted(derived, 7, reduced=4, replaced=3)
    assert [doc["seq_num"] for doc in derived.of("event")] == [1, 2, 3, 1, 2, 3, 4]
    last = {doc["seq_num"]: doc["data"]["diff_1"] for doc in derived.of("event")}
    np.testing.assert_array_equal([last[n] for n in (1, 2, 3, 4)], curves_of(cfg, frames[3:]))


# -- abort, halt, no stop ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["abort", "halt", "stop", "fail"])
def test_a_scan_that_is_ended(cfg, how):
    def plan(scan):
        @bpp.run_decorator()
        def inner():
            yield from bps.trigger_and_read([scan.detector])
            if how == "fail":
                raise RuntimeError("the beam is gone")
            yield from bps.pause()

        return inner()

    def run(scan, plan):
        with pytest.raises(RuntimeError if how == "fail" else RunEngineInterrupted):
            scan.engine(plan)
        if how != "fail":
            getattr(scan.engine, how)()

    derived = survived(cfg, plan=plan, run=run)
    accounted(derived, 1, reduced=1)
    expected = {"abort": "abort", "halt": "abort", "stop": "success", "fail": "fail"}[how]
    assert derived.of("stop")[0]["exit_status"] == expected


def test_a_run_without_a_stop(cfg):
    derived = Collected()
    with ReductionCallback(cfg) as diff:
        diff.subscribe(derived)
        send(diff, list(raw_run([frame(0), frame(1)]))[:-1])
        next_good_frame_is_reduced(cfg, diff, derived)
        assert len(derived.of("stop")) == 1
    accounted(derived, 2, reduced=2)
    assert derived.of("stop")[-1]["exit_status"] == "abort"


# -- subscribed late, unknown ids, bad order --------------------------------------------------------------------


def test_subscribed_late(cfg):
    """From within the plan, after the first point."""
    late = []

    def plan(scan):
        @bpp.run_decorator()
        def inner():
            yield from bps.trigger_and_read([scan.detector])
            for diff in late:
                yield from bps.subscribe("all", diff)
            yield from bps.trigger_and_read([scan.detector])

        return inner()

    derived = survived(cfg, plan=plan, between=lambda scan, diff: late.append(diff))
    assert derived == []
    assert late[0].ignored == {"event": 1, "stop": 1}


def test_unknown_ids_and_bad_order(cfg):
    derived = Collected()
    run = list(raw_run([frame(0), frame(1)]))
    stranger = {**run[2][1], "descriptor": "nobody's"}
    with ReductionCallback(cfg) as diff:
        diff.subscribe(derived)
        send(diff, [("event", stranger), *run[1:3], *run[:2], run[3], run[4], run[2], ("stop", {"run_start": "?"})])
        assert diff.wait(20)
        accounted(derived, 1, reduced=1)
        next_good_frame_is_reduced(cfg, diff, derived)
        assert not diff.errors
    assert diff.ignored == {"event": 3, "descriptor": 1, "stop": 1}


# -- shape, dtype -----------------------------------------------------------------------------------------------


def test_frames_that_are_none(cfg, caplog):
    wrong = [np.zeros((7, 9), "u2"), frame(1).astype(complex), np.array([[None, "a"]] * 60), np.zeros((0, 80)), [[]]]
    with caplog.at_level(logging.WARNING):
        derived = survived(cfg, frame(0), *wrong, frame(2))
    tally = accounted(derived, 7, reduced=2, skipped=5)
    assert tally["reasons"] == {"shape": 3, "dtype": 2}
    assert "(7, 9)" in tally["messages"]["shape"]
    assert str(SHAPE) in tally["messages"]["shape"]
    np.testing.assert_array_equal(
        [doc["data"]["diff_1"] for doc in derived.of("event")], curves_of(cfg, [frame(0), frame(2)])
    )


# -- shape, dtype or calibration changes in mid-run ---------------------------------------------------------------


def test_changes_in_mid_run(cfg, tmp_path):
    other = write_poni(tmp_path / "other.poni", shape=SHAPE, pixel=(6e-4, 5e-4), distance=0.2)
    binned = frame(2).reshape(30, 2, 40, 2).sum(axis=(1, 3), dtype="u4")
    found = []

    def reconfigured():
        assert all(diff.wait(20) for diff in found)
        for diff in found:
            diff.configure({"calibration": str(other)})
        return frame(3)

    def between(scan, diff):
        scan.engine.subscribe(diff)
        found.append(diff)

    frames = [frame(0), frame(1, "f4"), binned, reconfigured]
    derived = survived_with_calibration(cfg, other, frames, between)
    accounted(derived, 4, reduced=4)
    # An axis with open limits moves with the pixels' size, and all with the distance.
    names = {doc["uid"]: doc["name"] for doc in derived.of("descriptor")}
    streams = [names[doc["descriptor"]] for doc in derived.of("event")]
    assert streams == ["diffractogram", "diffractogram", "diffractogram_2", "diffractogram_3"]
    np.testing.assert_array_equal(
        derived.of("event")[3]["data"]["diff_1"], curves_of({**cfg, "calibration": str(other)}, [frame(3)])[0]
    )


def survived_with_calibration(cfg, other, frames, between):
    """As `survived`, where the next good frame is one under another calibration."""
    alone = Scan(*frames)
    alone.engine(alone.count())
    derived, scan = Collected(), Scan(*frames)
    with ReductionCallback(cfg) as diff:
        diff.subscribe(derived)
        between(scan, diff)
        scan.engine(scan.count())
        assert diff.wait(20)
        assert scan.outcome() == alone.outcome()
        of_the_scan = Collected(list(derived))
        next_good_frame_is_reduced({**cfg, "calibration": str(other)}, diff, derived)
    return of_the_scan


# -- saturated, dead, negative, NaN pixels ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dtype", "bad"),
    [("u2", [2**16 - 1]), ("u4", [2**32 - 1]), ("i4", [-1, -2]), ("f4", [np.nan, np.inf, -np.inf])],
)
def test_pixels_that_are_none(cfg, dtype, bad):
    """Against pyFAI with a mask; other negative counts of a signed frame are honest."""
    image, masked = frame(0, dtype), np.zeros(SHAPE, bool)
    masked[20:40, 45:50] = True
    image[masked] = np.resize(bad, masked.sum())
    if dtype == "i4":
        image[10, 60] = -3
    derived = survived(cfg, image, plan=Scan.count)
    accounted(derived, 1, reduced=1)
    ours = derived.of("event")[0]["data"]["diff_1"]
    theirs = pyFAI.load(cfg["calibration"]).integrate1d(
        np.where(masked, 0, image).astype("f8"), 40, unit="2th_deg", azimuth_range=(10, 100), radial_range=(2, 14),
        mask=masked.astype("i1"), method=("bbox", "csr", "cython"), dummy=np.nan,
    )  # fmt: skip
    np.testing.assert_allclose(ours[0], theirs.radial, rtol=1e-12)
    np.testing.assert_allclose(ours[1], theirs.intensity, rtol=1e-6)


# -- empty bins, empty range, all masked --------------------------------------------------------------------------


def test_nothing_to_integrate(cfg, caplog):
    """A range off the detector, one that goes on beyond it, and a frame without a valid pixel."""
    settings = {**cfg, "diff_ranges": [[10, 100, 2, 14], [0, 10, 70, 80], [0, 10, 2, 30]], "npt": [40, 40, 60]}
    dead = np.full(SHAPE, 2**16 - 1, "u2")
    good_curve(json.dumps(settings))
    caplog.clear()  # of what that said
    with caplog.at_level(logging.WARNING):
        derived = survived(settings, dead, frame(0))
    accounted(derived, 2, reduced=2)
    first, second = (doc["data"] for doc in derived.of("event"))
    for data, ranges in ((first, (1, 2, 3)), (second, (2,))):
        for i in ranges:
            assert np.isnan(data[f"diff_{i}"][1]).all()
            assert data[f"n_peaks_{i}"] == 0
    holes = np.isnan(second["diff_3"][1])
    assert 20 < holes.sum() < 60
    assert len([record for record in caplog.records if "range 2 (" in record.message]) == 1
    assert len([record for record in caplog.records if "pixels are invalid" in record.message]) == 1


# -- bad PONI, mask, configuration ----------------------------------------------------------------------------------


def test_bad_configurations_in_mid_run(cfg, tmp_path):
    """They are refused when they are given, and the scan goes on under the one that was there."""
    bad_poni, bad_mask = tmp_path / "bad.poni", tmp_path / "bad.npy"
    bad_poni.write_text("Distance: -1\n")
    bad_mask.write_bytes(b"\x93NUMPY nonsense")
    wrong = {
        "calibration": bad_poni, "mask": bad_mask, "diff_units": "furlongs", "diff_ranges": [[1, 2, 3]], "npt": 0,
        "detector_shape": [10**6, 10**6], "buffer_size": 10**12,
    }  # fmt: skip
    found = []

    def misconfigured():
        for diff in found:
            for key, value in wrong.items():
                with pytest.raises(ConfigError) as caught:
                    diff.configure({key: value})
                assert caught.value.key.partition("[")[0] == key
        return frame(1)

    def between(scan, diff):
        scan.engine.subscribe(diff)
        found.append(diff)

    derived = survived(cfg, frame(0), misconfigured, frame(2), between=between)
    accounted(derived, 3, reduced=3)
    assert len(derived.of("descriptor")) == 1


# -- file missing, not flushed, chunk not written ---------------------------------------------------------------------


class Writing(InFile):
    """Tells of frames in a file that is written as the test wants it."""

    def __init__(self, path):
        super().__init__(frame(0), path)


def with_files(path):
    """A scan of three points whose frames lie in a file."""

    def plan(scan):
        detector = Writing(path)

        @bpp.run_decorator()
        def inner():
            for _ in range(3):
                yield from bps.trigger_and_read([detector])

        return inner()

    return plan


@pytest.mark.parametrize("state", ["missing", "damaged", "no chunk of the second"])
def test_a_file_that_cannot_be_read(cfg, tmp_path, state, monkeypatch):
    monkeypatch.setattr(worker, "RETRY_EVERY_S", 0.01)
    path = tmp_path / "frames.h5"
    if state == "damaged":
        path.write_bytes(b"not HDF5" * 100)
    elif state != "missing":
        with h5py.File(path, "w") as file:
            data = file.create_dataset(DATASET, (3, *SHAPE), "u2", chunks=(1, *SHAPE))
            data[0], data[2] = frame(0), frame(2)
    derived = survived(cfg, plan=with_files(path), file_timeout=0.2)
    there = [0, 2] if "chunk" in state else []
    tally = accounted(derived, 3, reduced=len(there), skipped=3 - len(there))
    assert set(tally["reasons"]) <= {"file", "unreadable"}
    got = [doc["data"]["diff_1"] for doc in derived.of("event")]
    assert len(got) == len(there)
    for n, curve in zip(there, got, strict=True):
        np.testing.assert_array_equal(curve, curves_of(cfg, [frame(n)])[0])  # never zeros


def test_a_file_that_comes_after_the_run(cfg, tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "RETRY_EVERY_S", 0.01)
    path, frames = tmp_path / "frames.h5", [frame(n) for n in range(3)]

    def run(scan, plan):
        began = time.monotonic()
        scan.engine(plan)
        assert time.monotonic() - began < 5
        threading.Timer(0.2, write_hdf5, (path, frames)).start()

    derived = survived(cfg, plan=with_files(path), run=run, file_timeout=20)
    accounted(derived, 3, reduced=3)
    np.testing.assert_array_equal([doc["data"]["diff_1"] for doc in derived.of("event")], curves_of(cfg, frames))


# -- hostile document or file -----------------------------------------------------------------------------------------


def petabytes(folder):
    with h5py.File(folder / "frames.h5", "w") as file:
        file.create_dataset(DATASET, (2, 10**8, 10**8), np.uint16, chunks=(1, 100, 100))


def elsewhere(folder):
    outside = folder.parent / "secret.h5"
    write_hdf5(outside, [frame(0)] * 2)
    with h5py.File(folder / "frames.h5", "w") as file:
        file[DATASET] = h5py.ExternalLink(str(outside), DATASET)


@pytest.mark.parametrize("make", [petabytes, elsewhere])
def test_hostile_files(cfg, tmp_path, make):
    folder = tmp_path / "inside"
    folder.mkdir()
    make(folder)
    derived = Collected()
    with ReductionCallback(cfg, roots=[str(folder)], file_timeout=0.1) as diff:
        diff.subscribe(derived)
        send(diff, StreamRun(uri_of(folder / "frames.h5"), shape=[1, *SHAPE]).step_scan(2))
        assert diff.wait(20)
        accounted(derived, 2, skipped=2)
        next_good_frame_is_reduced(cfg, diff, derived)


@pytest.mark.parametrize("uri", ["file://localhost/etc/passwd", "/inside/../../etc/passwd", "http://x/y", "\0", ""])
def test_hostile_documents(cfg, tmp_path, uri, monkeypatch):
    opened = []
    monkeypatch.setattr(h5py, "File", lambda *arguments, **_: opened.append(arguments))
    derived = Collected()
    with ReductionCallback(cfg, roots=[str(tmp_path)], file_timeout=0.1) as diff:
        diff.subscribe(derived)
        run = StreamRun(uri, shape=[1, *SHAPE])
        _, too_much = run.datum(0, 10**12)
        send(diff, [*run.begin(), run.datum(0, 1), run.event(1), ("stream_datum", too_much), run.stop()])
        assert diff.wait(20)
        accounted(derived, 1 + 10**12, skipped=1 + 10**12)
        next_good_frame_is_reduced(cfg, diff, derived)
    assert opened == []


# -- lost 0MQ documents ---------------------------------------------------------------------------------------------


def test_documents_that_are_lost_on_the_way(cfg, caplog):
    """As a slow subscriber of 0MQ loses them, from a scan of a RunEngine."""

    def between(scan, diff):
        scan.engine.subscribe(
            lambda name, doc: None if name == "event" and doc["seq_num"] in (2, 5) else diff(name, doc)
        )

    derived = survived(cfg, *map(frame, range(5)), between=between)
    assert accounted(derived, 3, reduced=3)["missing"] == 2
    assert "2 of its events never came" in caplog.text


# -- a worker is killed ----------------------------------------------------------------------------------------------


class Deadly:
    """Workers of a replay, of which those die that get a certain frame; processes are killed in test_killed.py."""

    def __init__(self, frame):
        self._frame = frame

    def __len__(self):
        return 2

    def submit(self, job, block):
        if any(piece.rows.first <= self._frame < piece.rows.first + piece.rows.number for piece in block.pieces):
            return Answer(None)
        return Answer(reduce_block(job, block))

    def close(self):
        pass


class Answer:
    def __init__(self, result):
        self._result = result

    def result(self):
        if self._result is None:
            raise Killed("its worker was killed")
        return self._result

    def wait(self):
        pass


def test_a_frame_that_kills_workers_is_isolated(cfg, tmp_path, monkeypatch):
    frames = [frame(n) for n in range(8)]
    write_hdf5(tmp_path / "frames.h5", frames)
    run = list(StreamRun(uri_of(tmp_path / "frames.h5"), shape=[1, *SHAPE]).step_scan(8))
    derived = Collected()
    monkeypatch.setattr(workers, "Workers", lambda given: Deadly(5))
    for name, doc in replay(run, cfg, workers=2):
        derived(name, doc)
    assert accounted(derived, 8, reduced=7, skipped=1)["reasons"] == {"killed": 1}
    expected = curves_of(cfg, frames)
    np.testing.assert_array_equal([doc["data"]["diff_1"] for doc in derived.of("event")], np.delete(expected, 5, 0))


# -- more than may wait ----------------------------------------------------------------------------------------------


def test_more_images_than_may_wait_for_their_files(cfg, tmp_path, monkeypatch):
    monkeypatch.setattr(one_run, "MOST_PARKED", 2)
    monkeypatch.setattr(worker, "RETRY_EVERY_S", 0.01)
    derived = survived(cfg, plan=with_files(tmp_path / "never.h5"), file_timeout=0.1)
    accounted(derived, 3, skipped=2, dropped=1)
