"""Eight threads and several callbacks at once give what one gives, to the last bit."""

from __future__ import annotations

import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from documents.conftest import Collected, raw_run, send
from documents.stream_runs import StreamRun, uri_of, write_hdf5
from fault_tools import SHAPE, accounted, frame

from bluesky_diffractogram import ReductionCallback
from bluesky_diffractogram.config import load_config
from bluesky_diffractogram.reduction.frame import Frame
from bluesky_diffractogram.reduction.opening import open_geometry
from bluesky_diffractogram.reduction.reducer import Reducer

THREADS, FRAMES = 8, 10


def numbers(events):
    """All that was computed for events, as bytes."""
    keys = [key for key in events[0]["data"] if key.startswith(("diff_", "peaks_", "n_peaks", "mean_", "total_"))]
    return [b"".join(np.asarray(doc["data"][key]).tobytes() for key in keys) for doc in events]


def by_run(derived):
    """The events of each raw run, in order."""
    raw_uid = {doc["uid"]: doc["raw_uid"] for doc in derived.of("start")}
    run_of = {doc["uid"]: raw_uid[doc["run_start"]] for doc in derived.of("descriptor")}
    events = defaultdict(list)
    for doc in derived.of("event"):
        events[run_of[doc["descriptor"]]].append(doc)
    return {uid: numbers(each) for uid, each in events.items()}


def runs(folder):
    """Eight runs, of arrays and of files."""
    made = []
    for r in range(THREADS):
        frames = [frame(100 * r + n) for n in range(FRAMES)]
        if r % 2:
            write_hdf5(folder / f"{r}.h5", frames)
            made.append(list(StreamRun(uri_of(folder / f"{r}.h5"), shape=[1, *SHAPE]).step_scan(FRAMES)))
        else:
            made.append(list(raw_run(frames)))
    return made


def one_after_the_other(cfg, made):
    derived = Collected()
    with ReductionCallback(cfg, background=False) as diff:
        diff.subscribe(derived)
        for run in made:
            send(diff, run)
    return by_run(derived)


def at_once(work, arguments):
    """Call `work` in a thread for each of `arguments`, all begun at the same moment."""
    ready = threading.Barrier(len(arguments))

    def begin(argument):
        ready.wait(20)
        return work(argument)

    with ThreadPoolExecutor(len(arguments)) as pool:
        return list(pool.map(begin, arguments))


def test_eight_threads_into_one_callback(cfg, tmp_path):
    made, derived = runs(tmp_path), Collected()
    expected = one_after_the_other(cfg, made)
    with ReductionCallback({**cfg, "queue_size": 4}, block_timeout=60) as diff:
        diff.subscribe(derived)
        at_once(lambda run: send(diff, run), made)
        assert diff.wait(60)
        assert not diff.errors
    accounted(derived)
    assert by_run(derived) == expected
    assert len(derived.of("event")) == THREADS * FRAMES


def test_eight_threads_into_one_callback_without_a_worker(cfg, tmp_path):
    made, derived = runs(tmp_path), Collected()
    with ReductionCallback(cfg, background=False) as diff:
        diff.subscribe(derived)
        at_once(lambda run: send(diff, run), made)
        assert diff.wait(60)
        assert not diff.errors
    accounted(derived)
    assert by_run(derived) == one_after_the_other(cfg, made)


def test_eight_callbacks_at_once(cfg, tmp_path):
    made = runs(tmp_path)
    expected = one_after_the_other(cfg, made)

    def alone(run):
        derived = Collected()
        with ReductionCallback(cfg) as diff:
            diff.subscribe(derived)
            send(diff, run)
            assert diff.wait(60)
        accounted(derived, FRAMES, reduced=FRAMES)
        return by_run(derived)

    assert {uid: found for each in at_once(alone, made) for uid, found in each.items()} == expected


def test_eight_threads_with_one_reducer(cfg):
    """Also with pyFAI's own integrators, of which a warm one shared by threads gives wrong curves."""
    frames = [Frame(frame(n), 0.0) for n in range(THREADS)]
    for method in ("bbox", ["bbox", "csr", "cython"]):
        config = load_config({**cfg, "method": method})
        reducer = Reducer(config, open_geometry(config), SHAPE)

        def curves(image, reducer=reducer):
            found = [reducer.reduce(image).diffractograms for _ in range(5)]
            return [np.array([each.intensity for each in one]).tobytes() for one in found]

        expected = [curves(image) for image in frames]
        assert at_once(curves, frames) == expected


def test_eight_threads_that_build_their_tables(cfg):
    image = Frame(frame(0), 0.0)

    def built(_):
        config = load_config({**cfg, "npt": 41})
        reducer = Reducer(config, open_geometry(config), SHAPE)
        return b"".join(each.intensity.tobytes() for each in reducer.reduce(image).diffractograms)

    assert len(set(at_once(built, range(THREADS)))) == 1
