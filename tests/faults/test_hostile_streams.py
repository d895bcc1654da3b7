"""Streams of documents as nobody should send them: the callback never raises, and never mixes runs."""

from __future__ import annotations

import copy
import math
import time
from collections import Counter

import numpy as np
import pytest
from documents.conftest import Collected, raw_run, send
from documents.stream_runs import StreamRun, uri_of, write_hdf5
from documents.test_streams import area_detector_run
from event_model import pack_event_page
from fault_tools import SHAPE, accounted, curves_of, examples, frame, next_good_frame_is_reduced
from hypothesis import given
from hypothesis import strategies as st

from bluesky_diffractogram import ReductionCallback

KINDS = ("array", "list", "stack", "stream", "fly", "datum")


class Raw:
    """A raw run of one kind, and which curves its frames give; no two runs have a frame in common."""

    def __init__(self, number, kind, folder, n, cfg):
        self.kind = kind
        frames = [frame(100 * number + i) for i in range(2 * n if kind == "stack" else n)]
        self.curves = curves_of(cfg, frames) if n else np.zeros((0, 2, 40))
        path = folder / f"run{number}" / "frames.h5"
        if kind in ("stream", "fly", "datum"):
            path.parent.mkdir(exist_ok=True)
            write_hdf5(path, np.array(frames).reshape(-1, *SHAPE))
        if kind in ("array", "list", "stack"):
            given = {
                "array": frames, "list": [each.tolist() for each in frames],
                "stack": [np.array(frames[2 * i : 2 * i + 2]) for i in range(n)],
            }[kind]  # fmt: skip
            self.documents = list(raw_run(given)) if n else empty_run()
        elif kind == "datum":
            self.documents = list(area_detector_run(path.parent, "AD_HDF5", {}, n))
        else:
            run = StreamRun(uri_of(path), shape=[1, *SHAPE])
            self.documents = list(run.step_scan(n) if kind == "stream" else run.fly_scan(*[1] * n))
        self.uid = self.documents[0][1]["uid"]


def empty_run():
    documents = list(raw_run([frame(0)]))
    return [documents[0], documents[1], ("stop", {**documents[3][1], "num_events": {"primary": 0}})]


@pytest.fixture(scope="module")
def runs(tmp_path_factory, cfg):
    """Two runs of each kind, of arrays one without a frame too; they are sent again and again."""
    folder = tmp_path_factory.mktemp("runs")
    chosen = [(kind, n) for kind in KINDS for n in (3, 1)] + [("array", 0)]
    return [Raw(number, kind, folder, n, cfg) for number, (kind, n) in enumerate(chosen, 1)]


@st.composite
def interleaved(draw, choice):
    """The documents of one to three runs, each in order."""
    chosen = draw(st.lists(st.sampled_from(choice), min_size=1, max_size=3, unique=True))
    left = [list(run.documents) for run in chosen]
    sent = []
    while any(left):
        sent.append(draw(st.sampled_from([each for each in left if each])).pop(0))
    return chosen, sent


@st.composite
def disturbed(draw, sent):
    """The same documents, some lost, twice, or in another order."""
    sent = list(sent)
    for _ in range(draw(st.integers(0, 6))):
        if not sent:
            break
        at, to = (draw(st.integers(0, len(sent) - 1)) for _ in range(2))
        how = draw(st.sampled_from(["lose", "double", "move", "swap", "cut", "again"]))
        if how == "lose":
            del sent[at]
        elif how == "double":
            sent.insert(to, sent[at])
        elif how == "move":
            sent.insert(to, sent.pop(at))
        elif how == "swap":
            sent[at], sent[to] = sent[to], sent[at]
        elif how == "cut":
            del sent[max(at, to) :]
        else:
            sent += sent[min(at, to) :]
    return sent


JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=3), st.binary(max_size=3),
    st.sampled_from([[], {}, [[]], {"shape": None}, "primary", "image", math.nan, -1, 0, 1, 2, 10**9]),
    st.sampled_from([np.zeros((0, 3)), np.zeros((3, 3)), np.zeros((2, 2, 2, 2)), np.array(["x"]), np.float32(1)]),
    st.lists(st.integers(-2, 3), max_size=4), st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)  # fmt: skip


@st.composite
def mutated(draw, sent):
    """The same documents, with parts of some replaced by what does not belong there, or left out."""
    sent = list(sent)
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, len(sent) - 1))
        name, doc = sent[at]
        if draw(st.integers(0, 9)) == 0:
            sent[at] = draw(st.sampled_from(["nonsense", "", None, "event", "start", "datum", "bulk_events"])), doc
            continue
        if draw(st.integers(0, 9)) == 0:
            sent[at] = name, draw(JUNK)
            continue
        doc = part = copy.deepcopy(doc)
        if not isinstance(doc, dict):
            continue
        while True:
            if not part:
                break
            key = draw(st.sampled_from(sorted(part, key=str) if isinstance(part, dict) else range(len(part))))
            deeper = part[key]
            if isinstance(deeper, (dict, list)) and deeper and draw(st.integers(0, 3)):
                part = deeper
                continue
            if isinstance(part, dict) and draw(st.integers(0, 3)) == 0:
                del part[key]
            else:
                part[key] = draw(JUNK)
            break
        sent[at] = name, doc
    return sent


def reduced(cfg, sent):
    """Send documents to a callback, then a good run; gives callback and derived documents."""
    derived = Collected()
    diff = ReductionCallback(cfg, background=False, file_timeout=0)
    diff.subscribe(derived)
    send(diff, sent)
    next_good_frame_is_reduced(cfg, diff, derived)
    diff.close()
    accounted(derived)
    return diff, derived


def nothing_is_mixed(derived, chosen):
    """Every derived event has a curve that a frame of its own raw run gives."""
    raw_uid = {doc["uid"]: doc["raw_uid"] for doc in derived.of("start")}
    run_of = {doc["uid"]: raw_uid[doc["run_start"]] for doc in derived.of("descriptor")}
    curves = {run.uid: {curve.tobytes() for curve in run.curves} for run in chosen}
    for doc in derived.of("event"):
        uid = run_of[doc["descriptor"]]
        assert uid not in curves or doc["data"]["diff_1"].tobytes() in curves[uid]


def expected_accounts(sent):
    """Of each run of arrays that is stopped: its uid, and how many of its frames came while it was open."""
    opened, ended, descriptors = {}, [], {}
    for name, doc in sent:
        if name == "start" and doc["uid"] not in opened:
            opened[doc["uid"]] = [0, False]
        elif name == "descriptor" and doc["run_start"] in opened:
            descriptors[doc["uid"]] = doc["run_start"]
            opened[doc["run_start"]][1] = True
        elif name == "event" and descriptors.get(doc["descriptor"]) in opened:
            opened[descriptors[doc["descriptor"]]][0] += len(np.asarray(doc["data"]["image"]).reshape(-1, *SHAPE))
        elif name == "stop" and doc["run_start"] in opened:
            received, described = opened.pop(doc["run_start"])
            descriptors = {uid: run for uid, run in descriptors.items() if run != doc["run_start"]}
            if described:
                ended.append((doc["run_start"], received))
    return Counter(ended), {uid: n for uid, (n, described) in opened.items() if described}


@examples(15)
@given(data=st.data())
def test_runs_of_arrays_in_any_order_are_accounted_for_to_the_frame(cfg, runs, data):
    """Against a count of what a run that is open brings; in documents that are well-formed nothing is an error."""
    chosen, sent = data.draw(interleaved([run for run in runs if run.kind in ("array", "list", "stack")]))
    sent = data.draw(disturbed(sent))
    diff, derived = reduced(cfg, sent)
    assert not diff.errors
    nothing_is_mixed(derived, chosen)
    raw_uid = {doc["uid"]: doc["raw_uid"] for doc in derived.of("start")}
    told = {"success": Counter(), "abort": Counter()}
    for doc in derived.of("stop"):
        if raw_uid[doc["run_start"]] in {run.uid for run in chosen}:
            told[doc["exit_status"]][raw_uid[doc["run_start"]], doc["frames"]["received"]] += 1
    ended, still_open = expected_accounts(sent)
    assert told == {"success": ended, "abort": Counter(still_open.items())}


@examples(10)
@given(data=st.data())
def test_runs_of_files_in_any_order_are_never_mixed(cfg, runs, data):
    chosen, sent = data.draw(interleaved(runs))
    diff, derived = reduced(cfg, data.draw(disturbed(sent)))
    assert not diff.errors
    nothing_is_mixed(derived, chosen)


@examples(20)
@given(data=st.data())
def test_documents_with_anything_in_them_never_raise(cfg, runs, data):
    _, sent = data.draw(interleaved(runs))
    reduced(cfg, data.draw(mutated(data.draw(disturbed(sent)) or sent)))


@examples(4)
@given(data=st.data())
def test_a_worker_survives_them_too(cfg, runs, data):
    _, sent = data.draw(interleaved(runs))
    sent = data.draw(mutated(sent))
    derived = Collected()
    with ReductionCallback(cfg, file_timeout=0.05) as diff:
        diff.subscribe(derived)
        send(diff, sent)
        assert diff.wait(20)
        next_good_frame_is_reduced(cfg, diff, derived)
    accounted(derived)


# -- found by the above ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change", [{"exit_status": 7}, {"exit_status": np.ones(2)}, {"reason": 5}, {"reason": np.ones(2)},
               {"num_events": {"primary": np.int64(1)}}, {"num_events": "x"},
               {"num_events": {"primary": "x"}}, {"num_events": {"primary": math.inf}}, {"time": None}],
)  # fmt: skip
def test_a_stop_with_anything_in_it_ends_its_run(cfg, change):
    documents = list(raw_run([frame(0)]))
    documents[-1][1].update(change)
    derived = Collected()
    with ReductionCallback(cfg, background=False) as diff:
        diff.subscribe(derived)
        send(diff, documents)
        accounted(derived, 1, reduced=1)
        assert not diff.errors
    assert derived.of("stop")[0]["exit_status"] == ("fail" if "exit_status" in change else "success")


@pytest.mark.parametrize("kind", ["event_page", "bulk_events"])
def test_of_a_page_with_a_damaged_event_the_others_before_it_are_reduced(cfg, kind):
    start, descriptor, *events, stop = raw_run([frame(n) for n in range(3)])
    events = [doc for _, doc in events]
    events[2]["descriptor"] = []
    page = {events[0]["descriptor"]: events}
    if kind == "event_page":
        page = pack_event_page(*events)
        page["descriptor"] = events[0]["descriptor"]
        page["data"]["image"].pop()
    derived = Collected()
    with ReductionCallback(cfg, background=False) as diff:
        diff.subscribe(derived)
        send(diff, [start, descriptor, (kind, page), stop])
    assert accounted(derived)["reduced"] == 2


def test_a_run_that_is_given_again_while_its_files_are_waited_for(cfg, tmp_path):
    """As by Kafka, to a service that goes on with a partition: the first one ends before the second begins."""
    documents = list(StreamRun(uri_of(tmp_path / "late.h5"), shape=[1, *SHAPE]).step_scan(2))
    derived = Collected()
    with ReductionCallback(cfg, file_timeout=20) as diff:
        diff.subscribe(derived)
        send(diff, documents)
        while diff.processing:
            time.sleep(0.01)
        send(diff, documents[:-1])
        write_hdf5(tmp_path / "late.h5", [frame(0), frame(1)])
        send(diff, documents[-1:])
        assert diff.wait(20)
        accounted(derived, 2, reduced=2)
    first, _ = derived.of("stop")
    assert first["frames"]["reasons"] == {"file": 2}
    assert "given again" in first["frames"]["messages"]["file"]
