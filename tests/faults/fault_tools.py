"""What must be true after every fault, said once: all frames are accounted for, and the next good one is reduced."""

from __future__ import annotations

import copy
import functools
import json
import os
from collections import Counter, defaultdict

import bluesky.plans as bp
import numpy as np
from bluesky import RunEngine
from documents.conftest import Collected, raw_run, send
from hypothesis import HealthCheck, Phase, settings
from ophyd.sim import SynSignal
from ponis import write_poni

from bluesky_diffractogram import ReductionCallback

SHAPE = (60, 80)
RANGES = [[10, 100, 2, 14], [150, 210, 4, 12]]
PARTS = ("reduced", "skipped", "dropped", "replaced", "not_requested")


def small_poni(path):
    return write_poni(path, shape=SHAPE, pixel=(6e-4, 5e-4), rot=(0.02, -0.03, 0.0))


def examples(number):
    """Hypothesis' settings for `number` examples; ``FAULTS_TIMES`` makes it so many times more."""
    return settings(
        max_examples=number * int(os.environ.get("FAULTS_TIMES", "1")),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        print_blob=True,
        phases=[
            Phase.explicit,
            Phase.reuse,
            Phase.generate,
            *([Phase.shrink] if "FAULTS_SHRINK" in os.environ else []),
        ],
    )


def frame(n, dtype="u2"):
    """``(60, 80)`` counts with a ring, the `n`-th of a series in which no two are alike."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    radius = np.hypot((y - SHAPE[0] / 2) * 0.6, (x - SHAPE[1] / 2) * 0.5)
    expected = 50 + 800 * np.exp(-(((radius - 9) / 0.8) ** 2))
    return np.random.default_rng(n).poisson(expected).astype(dtype)


def curves_of(cfg, frames):
    """``(n, 2, npt)`` the curves of range 1 that frames give, each by itself."""
    collected = Collected()
    with ReductionCallback(cfg, background=False) as diff:
        diff.subscribe(collected)
        send(diff, raw_run(frames))
    return np.array([doc["data"]["diff_1"] for doc in collected.of("event")])


def accounted(derived, received=None, open_runs=0, **parts):
    """Check the accounts of all derived runs, and give those of the last.

    At every stop, frames received = reduced + skipped + dropped + replaced + not requested; each run has one stop;
    its events are those reduced, and those replaced afterwards; no frame is there twice but the replaced ones.

    Parameters
    ----------
    derived
        All derived documents, in order.
    received
        How many frames the last run brought.
    open_runs
        How many runs have no stop yet.
    parts
        What became of the last run's frames; those that are not named are 0.
    """
    starts = {doc["uid"] for doc in derived.of("start")}
    stops = {doc["run_start"]: doc for doc in derived.of("stop")}
    assert len(starts) == len(derived.of("start"))
    assert len(stops) == len(derived.of("stop")) == len(starts) - open_runs
    run_of = {doc["uid"]: doc["run_start"] for doc in derived.of("descriptor")}
    events = defaultdict(list)
    for doc in derived.of("event"):
        events[run_of[doc["descriptor"]]].append(doc)
    for uid, stop in stops.items():
        frames = stop["frames"]
        assert all(frames[part] >= 0 for part in PARTS)
        assert frames["received"] == sum(frames[part] for part in PARTS), frames
        assert frames["skipped"] == sum(frames["reasons"].values())
        # What a second StreamDatum replaces before its event is out has none.
        assert frames["reduced"] <= len(events[uid]) <= frames["reduced"] + frames["replaced"]
        places = Counter((doc["data"]["raw_seq_num"], doc["data"]["frame_index"]) for doc in events[uid])
        assert len(places) == frames["reduced"]
        assert sum((stop["num_events"] or {}).values()) >= frames["reduced"]
    last = derived.of("stop")[-1]["frames"] if stops else None
    if received is not None:
        assert last is not None
        assert {part: last[part] for part in ("received", *PARTS)} == {
            "received": received, **dict.fromkeys(PARTS, 0), **parts,
        }  # fmt: skip
    return last


def next_good_frame_is_reduced(cfg, diff, derived):
    """A run of one frame, after whatever happened, gives the numbers that it would have given first."""
    send(diff, raw_run([frame(999)]))
    assert diff.wait(20)
    accounted(derived, 1, open_runs=len(derived.of("start")) - len(derived.of("stop")), reduced=1)
    np.testing.assert_array_equal(derived.of("event")[-1]["data"]["diff_1"], good_curve(json.dumps(cfg)))


@functools.cache
def good_curve(cfg):
    """``(2, npt)`` what the next good frame gives under a configuration, written as JSON."""
    return curves_of(json.loads(cfg), [frame(999)])[0]


class Scan:
    """A RunEngine with a detector that gives frames one after the other, with and without the callback.

    Parameters
    ----------
    frames
        What the detector gives; functions are called for theirs.
    """

    def __init__(self, *frames):
        self.engine = RunEngine({})
        self.engine.waiting_hook = None
        self.raw = Collected()
        self.engine.subscribe(self.raw)
        self._frames, self._next = frames or tuple(map(frame, range(3))), 0
        self.detector = SynSignal(func=self._take, name="det", labels={"detectors"})
        self._next = 0  # one was taken to have a first value

    def _take(self):
        given = self._frames[self._next % len(self._frames)]
        self._next += 1
        return given() if callable(given) else given

    def count(self):
        return bp.count([self.detector], len(self._frames))

    def outcome(self):
        """What a scan is to everybody else: which documents there are, how they are numbered, and how it ended."""
        told = [(name, doc.get("seq_num")) for name, doc in self.raw]
        return told, [(doc["exit_status"], doc["reason"], doc["num_events"]) for doc in self.raw.of("stop")]


def survived(cfg, *frames, plan=Scan.count, run=None, between=None, **options):
    """Run a scan without us and with us; it ends alike, and the next good frame is reduced.

    Parameters
    ----------
    cfg, options
        Of the callback.
    frames
        What the detector gives.
    plan
        Makes the plan of a `Scan`.
    run
        Runs it, ``run(scan, plan)``; by default the RunEngine does.
    between
        Called with the scan and the callback before the scan with us: `None` subscribes it.

    Returns
    -------
    Collected
        The derived documents of the scan.
    """
    run = run or (lambda scan, plan: scan.engine(plan))
    alone = Scan(*frames)
    run(alone, plan(alone))
    derived, scan = Collected(), Scan(*frames)
    with ReductionCallback(cfg, **options) as diff:
        diff.subscribe(derived)
        if between is None:
            scan.engine.subscribe(diff)
        else:
            between(scan, diff)
        run(scan, plan(scan))
        assert diff.wait(20)
        assert scan.outcome() == alone.outcome()
        of_the_scan = Collected(copy.copy(list(derived)))
        next_good_frame_is_reduced(cfg, diff, derived)
    accounted(derived)
    return of_the_scan
