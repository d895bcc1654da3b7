"""Darks that are taken in the run: in a stream of their own, or with the shutter closed between the frames."""

from __future__ import annotations

import logging

import bluesky.plan_stubs as bps
import numpy as np
import pyFAI
import pytest
from bluesky import RunEngine
from bluesky.preprocessors import run_decorator
from ophyd import Signal
from ophyd.sim import SynSignal

from bluesky_diffractogram import ReductionCallback

from .conftest import SHAPE, Collected, image, raw_run, send
from .dark_runs import DarkRun, dark_image
from .test_callback import assert_valid, frames_add_up

STREAM = {"stream": "dark"}
SHUTTER = {"key": "shutter", "value": "closed"}


def reduce(cfg, documents, dark=STREAM, missing=0, **options):
    """The derived documents, with the frames accounted for."""
    collected = Collected()
    with ReductionCallback({**cfg, "dark": dark}, strict=True, **{"background": False, **options}) as diff:
        diff.subscribe(collected)
        send(diff, documents)
        assert diff.wait(30)
    assert_valid(collected)
    for stop in collected.of("stop"):
        frames_add_up(stop, missing)
    return collected


def reference(cfg, frames, dark):
    """The events of the same frames with a dark from the configuration."""
    return reduce(cfg, raw_run(frames), dark).of("event")


def curves(events):
    return [doc["data"]["diff_1"] for doc in events]


def assert_darkened(cfg, events, frames, darks):
    """Frames were reduced, each with its dark, bit for bit as with that dark in the configuration."""
    assert len(events) == len(frames)
    for event, frame, dark in zip(events, frames, darks, strict=True):
        (expected,) = reference(cfg, [frame], dark)
        for key in ("diff_1", "diff_2", "total_1", "peak_1_position"):
            np.testing.assert_array_equal(event["data"][key], expected["data"][key])


def dark_numbers(events):
    return [doc["data"]["dark_seq_num"] for doc in events]


# -- with a RunEngine ----------------------------------------------------------------------------------------


class Scan:
    """A RunEngine, a detector that sees light while the shutter is open, and what comes of it."""

    def __init__(self, cfg, dark, **options):
        self.shutter = Signal(name="shutter", value="open")
        self.lit, self.dark, self.taken = iter(range(100)), iter(range(100)), []
        self.detector = SynSignal(func=self.expose, name="det", labels={"detectors"})
        self.engine, self.derived = RunEngine({}), Collected()
        self.diff = ReductionCallback({**cfg, "dark": dark}, strict=True, **options)
        self.diff.subscribe(self.derived)
        self.engine.subscribe(self.diff)

    def expose(self):
        closed = self.shutter.get() == "closed"
        self.taken.append(dark_image(next(self.dark)) if closed else image(next(self.lit)) + np.uint16(20))
        return self.taken[-1]

    def run(self, plan):
        self.engine(plan)
        with self.diff:
            assert self.diff.wait(30)
        assert_valid(self.derived)
        return self.derived.of("event"), frames_add_up(self.derived.of("stop")[0])


def integrate1d(cfg, frame, dark, **settings):
    return pyFAI.load(cfg["calibration"]).integrate1d(
        frame, cfg["npt"], unit="q_A^-1", azimuth_range=(10, 60), dark=dark, **settings
    )


@pytest.mark.parametrize("background", [True, False])
def test_a_plan_that_takes_darks_in_a_stream_of_their_own(cfg, background):
    scan = Scan({**cfg, "error_model": "poisson"}, STREAM, background=background)

    @run_decorator()
    def plan():
        for _ in range(2):
            yield from bps.mv(scan.shutter, "closed")
            yield from bps.trigger_and_read([scan.detector], name="dark")
            yield from bps.mv(scan.shutter, "open")
            for _ in range(2):
                yield from bps.trigger_and_read([scan.detector])

    events, frames = scan.run(plan())
    assert (frames["received"], frames["reduced"]) == (4, 4)
    assert frames["darks"] == {"received": 2, "reasons": {}}
    assert dark_numbers(events) == [1, 1, 2, 2]
    assert [doc["data"]["raw_seq_num"] for doc in events] == [1, 2, 3, 4]
    taken = scan.taken[-6:]  # the detector exposes once more when it is made
    limits = events[0]["data"]["radial_range_1"]
    for event, frame, dark in zip(
        events, [taken[i] for i in (1, 2, 4, 5)], [taken[i] for i in (0, 0, 3, 3)], strict=True
    ):
        expected = integrate1d(
            cfg, frame, dark, radial_range=tuple(limits), method=("bbox", "csr", "cython"), error_model="poisson"
        )
        filled = np.isfinite(event["data"]["diff_1"][1])
        assert filled.mean() > 0.9
        np.testing.assert_allclose(event["data"]["diff_1"][1][filled], expected.intensity[filled], rtol=2e-6)
        np.testing.assert_allclose(event["data"]["sigma_1"][filled], expected.sigma[filled], rtol=1e-5)


@pytest.mark.parametrize("method", ["no", "bbox", "full", ["bbox", "csc", "cython"]], ids=str)
def test_a_plan_with_the_shutter_closed_now_and_then(cfg, method):
    cfg = {**cfg, "method": method}
    scan = Scan(cfg, SHUTTER)

    @run_decorator(md={"hints": {"dimensions": [[["shutter"], "primary"]], "gridding": "rectilinear"}, "shape": [5]})
    def plan():
        for state in ("closed", "open", "open", "closed", "open"):
            yield from bps.mv(scan.shutter, state)
            yield from bps.trigger_and_read([scan.detector, scan.shutter])

    events, frames = scan.run(plan())
    assert (frames["received"], frames["reduced"], frames["darks"]["received"]) == (3, 3, 2)
    assert dark_numbers(events) == [1, 1, 4]
    taken = scan.taken[-5:]
    if method != "no":
        assert_darkened(cfg, events, [taken[i] for i in (1, 2, 4)], [taken[i] for i in (0, 0, 3)])
    limits = tuple(events[0]["data"]["radial_range_1"])
    method = (method, "csr", "cython") if isinstance(method, str) else method
    expected = integrate1d(cfg, taken[4], taken[3], radial_range=limits, method=method)
    filled = np.isfinite(events[2]["data"]["diff_1"][1])
    np.testing.assert_allclose(events[2]["data"]["diff_1"][1][filled], expected.intensity[filled], rtol=2e-6)
    start = scan.derived.of("start")[0]
    assert "shape" not in start  # of five points three are frames
    assert "gridding" not in start["hints"]


# -- which is in force ---------------------------------------------------------------------------------------


def test_before_the_first_dark_frames_are_skipped_and_it_is_said_why(cfg, caplog):
    run = DarkRun()
    documents = [
        *run.begin(), run.event(image(0)), run.event(image(1)), run.dark(dark_image(0)), run.event(image(2)),
        run.stop(),
    ]  # fmt: skip
    with caplog.at_level(logging.WARNING):
        collected = reduce(cfg, documents)
    frames = collected.of("stop")[0]["frames"]
    assert frames["reasons"] == {"no dark": 2}
    assert frames["messages"]["no dark"] == "no dark came before it in its run, an event of the stream 'dark'"
    assert f"run {run.uid}, seq_num 1: frame skipped (no dark)" in caplog.text
    assert dark_numbers(collected.of("event")) == [1]


def test_where_it_is_optional_they_are_reduced_without(cfg):
    run = DarkRun()
    documents = [*run.begin(), run.event(image(0)), run.dark(dark_image(0)), run.event(image(1)), run.stop()]
    events = reduce(cfg, documents, {**STREAM, "optional": True}).of("event")
    assert dark_numbers(events) == [0, 1]
    assert_darkened(cfg, events, [image(0), image(1)], [None, dark_image(0)])


def test_without_such_a_configuration_nothing_is_said_of_darks(cfg):
    collected = reduce(cfg, raw_run([image(0)]), None)
    assert "dark_seq_num" not in collected.of("event")[0]["data"]
    assert "darks" not in collected.of("stop")[0]["frames"]


def test_a_run_without_darks_is_told_of_that(cfg):
    run = DarkRun(readings={"shutter": "string"})
    documents = [*run.begin("primary"), run.event(image(0), shutter="Closed"), run.stop()]
    frames = reduce(cfg, documents, SHUTTER).of("stop")[0]["frames"]
    assert frames["darks"] == {"received": 0, "reasons": {}}
    assert frames["messages"]["no dark"].endswith("an event whose 'shutter' is 'closed'; here it is 'Closed'")
    frames = reduce(cfg, raw_run([image(0)]), SHUTTER).of("stop")[0]["frames"]
    assert frames["messages"]["no dark"].endswith("an event whose 'shutter' is 'closed'; it has no reading 'shutter'")


def test_several_images_of_an_event_are_one_dark(cfg):
    stack = np.stack([dark_image(0), dark_image(1)])
    stack[1, 50, 60] = 65535
    run = DarkRun()
    events = reduce(cfg, [*run.begin(), run.dark(stack), run.event(image(0)), run.stop()]).of("event")
    mean = stack.mean(axis=0)
    mean[50, 60] = np.nan
    (expected,) = reference(cfg, [image(0)], mean)
    np.testing.assert_allclose(events[0]["data"]["diff_1"], expected["data"]["diff_1"], rtol=1e-12)


@pytest.mark.parametrize("how", ["mean", "sum"])
def test_frames_that_are_added_up_have_it_taken_away_as_often(cfg, how):
    cfg = {**cfg, "frames_per_event": how}
    stack, run = np.stack([image(0), image(1), image(2)]), DarkRun()
    events = reduce(cfg, [*run.begin(), run.dark(dark_image(1)), run.event(stack), run.stop()]).of("event")
    assert_darkened(cfg, events, [stack], [dark_image(1)])


def test_a_dark_taken_again_after_a_rewind_is_the_one_in_force(cfg):
    run = DarkRun()
    documents = [
        *run.begin(), run.dark(dark_image(0), 1), run.event(image(0), seq_num=1), run.event(image(1), seq_num=2),
        run.dark(dark_image(2), 1), run.event(image(0), seq_num=1), run.event(image(1), seq_num=2), run.stop(),
    ]  # fmt: skip
    collected = reduce(cfg, documents)
    events = collected.of("event")
    assert [doc["seq_num"] for doc in events] == [1, 2, 1, 2]
    assert collected.of("stop")[0]["frames"]["replaced"] == 2
    assert collected.of("stop")[0]["frames"]["darks"]["received"] == 2
    assert_darkened(cfg, events, [image(0), image(1)] * 2, [dark_image(0)] * 2 + [dark_image(2)] * 2)


def test_runs_do_not_see_each_others_darks(cfg):
    one, two, three = DarkRun(), DarkRun(), DarkRun()
    documents = [
        *one.begin(), *two.begin(), one.dark(dark_image(0)), two.event(image(5)), two.dark(dark_image(3)),
        *three.begin(), one.event(image(0)), two.event(image(1)), one.event(image(2)), three.event(image(4)),
        two.event(image(3)), one.stop(), two.stop(), three.stop(),
    ]  # fmt: skip
    collected = reduce(cfg, documents)
    starts = {doc["uid"]: doc["raw_uid"] for doc in collected.of("start")}
    run_of = {doc["uid"]: starts[doc["run_start"]] for doc in collected.of("descriptor")}
    events = [[doc for doc in collected.of("event") if run_of[doc["descriptor"]] == run.uid] for run in (one, two)]
    assert_darkened(cfg, events[0], [image(0), image(2)], [dark_image(0)] * 2)
    assert_darkened(cfg, events[1], [image(1), image(3)], [dark_image(3)] * 2)
    reasons = {starts[doc["run_start"]]: doc["frames"]["reasons"] for doc in collected.of("stop")}
    assert reasons == {one.uid: {}, two.uid: {"no dark": 1}, three.uid: {"no dark": 1}}


def test_it_stays_in_force_when_another_setting_changes(cfg):
    run, collected = DarkRun(), Collected()
    with ReductionCallback({**cfg, "dark": STREAM}, background=False, strict=True) as diff:
        diff.subscribe(collected)
        send(diff, [*run.begin(), run.dark(dark_image(0)), run.event(image(0))])
        diff.configure({"npt": 90})
        send(diff, [run.event(image(1))])
        diff.configure({"dark": SHUTTER})
        send(diff, [run.event(image(2)), run.stop()])
    one, two = collected.of("event")
    assert_darkened(cfg, [one], [image(0)], [dark_image(0)])
    assert_darkened({**cfg, "npt": 90}, [two], [image(1)], [dark_image(0)])
    assert frames_add_up(collected.of("stop")[0])["reasons"] == {"no dark": 1}


def test_whether_darks_are_optional_says_nothing_of_which_is_in_force(cfg):
    run, collected = DarkRun(), Collected()
    with ReductionCallback({**cfg, "dark": STREAM}, background=False, strict=True) as diff:
        diff.subscribe(collected)
        send(diff, [*run.begin(), run.dark(dark_image(0)), run.event(image(0))])
        diff.configure({"dark": {**STREAM, "optional": True}})
        send(diff, [run.event(image(1)), run.stop()])
    assert dark_numbers(collected.of("event")) == [1, 1]
    assert_darkened(cfg, collected.of("event"), [image(0), image(1)], [dark_image(0)] * 2)


def test_one_is_not_taken_up_again_when_darks_were_not_looked_at_meanwhile(cfg, caplog):
    run, collected = DarkRun(), Collected()
    with caplog.at_level(logging.INFO), ReductionCallback({**cfg, "dark": STREAM}, background=False) as diff:
        diff.subscribe(collected)
        send(diff, [*run.begin(), run.dark(dark_image(0)), run.event(image(0))])
        diff.configure({"dark": None})
        send(diff, [run.dark(dark_image(1)), run.event(image(1))])
        diff.configure({"dark": STREAM})
        send(diff, [run.event(image(2)), run.dark(dark_image(2)), run.event(image(3)), run.stop()])
    frames = frames_add_up(collected.of("stop")[0])
    assert (frames["reduced"], frames["reasons"]) == (3, {"no dark": 1})
    last = collected.of("event")[-1]
    assert_darkened(cfg, [last], [image(3)], [dark_image(2)])
    assert f"run {run.uid}: the dark 1 is in force no more" in caplog.text


# -- which events are darks ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "closed", "opened"),
    [("closed", "closed", "open"), (0, 0, 1), (0, False, True), (0, np.int32(0), 1), (0, 0.0, 1.0), (0, [0], [1]),
     (0, np.zeros(1), np.ones(1)), (False, 0, 1), (0, 0, [0, 0]), ("0", "0", 0)],
    ids=str,
)  # fmt: skip
def test_readings_as_detectors_give_them(cfg, value, closed, opened):
    run = DarkRun(readings={"shutter": "number"})
    documents = [
        *run.begin("primary"), run.event(dark_image(0), shutter=closed), run.event(image(0), shutter=opened),
        run.stop(),
    ]  # fmt: skip
    collected = reduce(cfg, documents, {"key": "shutter", "value": value})
    assert dark_numbers(collected.of("event")) == [1]


def test_a_reading_in_the_descriptors_configuration(cfg):
    """A descriptor is made anew when a detector is configured in mid-run."""
    run = DarkRun(configuration={"shutter": "closed"})
    documents = [*run.begin("primary"), run.event(dark_image(0), seq_num=1)]
    run.configuration = {"shutter": "open"}
    documents += [run.descriptor(), run.event(image(0), seq_num=2), run.stop()]
    collected = reduce(cfg, documents, SHUTTER)
    assert dark_numbers(collected.of("event")) == [1]
    assert_darkened(cfg, collected.of("event"), [image(0)], [dark_image(0)])


@pytest.mark.parametrize("configuration", [None, [], {"det": None}, {"det": {"data": None}}, {"det": {"data": [1]}}])
def test_a_configuration_that_is_none_tells_of_no_darks(cfg, configuration):
    run = DarkRun()
    (name, descriptor), *others = [run.descriptor("primary"), run.event(image(0)), run.stop()]
    documents = [run.start(), (name, {**descriptor, "configuration": configuration}), *others]
    frames = reduce(cfg, documents, SHUTTER).of("stop")[0]["frames"]
    assert (frames["received"], frames["reasons"]) == (1, {"no dark": 1})


def test_another_data_key_has_to_be_named(cfg):
    run = DarkRun(keys={"dark": "raw"})
    documents = [*run.begin(), run.dark(dark_image(0)), run.event(image(0)), run.stop()]
    frames = reduce(cfg, documents).of("stop")[0]["frames"]
    assert frames["reasons"] == {"dark": 1}
    assert "the darks came under 'raw', the frames under 'image'" in frames["messages"]["dark"]
    events = reduce(cfg, documents, {**STREAM, "image_key": "raw"}).of("event")
    assert_darkened(cfg, events, [image(0)], [dark_image(0)])


# -- darks that are of no use --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "reason"),
    [(None, "no image"), (np.zeros(SHAPE, complex), "dtype"), (np.zeros((0, 3)), "shape"), ([[1], [1, 2]], "shape")],
    ids=["none", "complex", "empty", "ragged"],
)
def test_what_is_no_image_leaves_the_earlier_dark_in_force(cfg, bad, reason, caplog):
    run = DarkRun()
    documents = [*run.begin(), run.dark(dark_image(0)), run.dark(bad), run.event(image(0)), run.stop()]
    with caplog.at_level(logging.WARNING):
        collected = reduce(cfg, documents)
    darks = collected.of("stop")[0]["frames"]["darks"]
    assert (darks["received"], darks["reasons"]) == (2, {reason: 1})
    assert f"run {run.uid}, seq_num 2: dark skipped ({reason})" in caplog.text
    assert_darkened(cfg, collected.of("event"), [image(0)], [dark_image(0)])


def test_a_dark_of_another_shape_is_of_no_use_to_a_frame(cfg):
    run = DarkRun()
    documents = [
        *run.begin(), run.dark(np.zeros((60, 65), np.uint16)), run.event(image(0)), run.dark(dark_image(0)),
        run.event(image(1)), run.stop(),
    ]  # fmt: skip
    collected = reduce(cfg, documents)
    assert collected.of("stop")[0]["frames"]["reasons"] == {"dark": 1}
    assert_darkened(cfg, collected.of("event"), [image(1)], [dark_image(0)])


# -- while not every frame is reduced ------------------------------------------------------------------------


def test_next_has_the_dark_before_its_frame_also_when_the_run_is_over(cfg):
    run, other = DarkRun(), DarkRun()
    with ReductionCallback({**cfg, "dark": STREAM, "show_diff": False}, background=False, strict=True) as diff:
        collected = Collected()
        diff.subscribe(collected)
        send(diff, [*run.begin(), run.dark(dark_image(0)), run.event(image(0)), run.dark(dark_image(2))])
        diff.next()
        assert_darkened(cfg, collected.of("event"), [image(0)], [dark_image(0)])
        send(diff, [run.event(image(1)), *other.begin(), other.dark(dark_image(4)), run.stop(), other.stop()])
        diff.next()
        (expected,) = reference(cfg, [image(1)], dark_image(2))
        np.testing.assert_array_equal(diff.reduction.diffractograms[0].intensity, expected["data"]["diff_1"][1])
        frames = frames_add_up(collected.of("stop")[0])
    assert (frames["reduced"], frames["not_requested"], frames["darks"]["received"]) == (1, 1, 2)


def test_buffers_hold_frames_only(cfg):
    run = DarkRun()
    with ReductionCallback({**cfg, "dark": STREAM}, background=False) as diff:
        send(diff, [*run.begin(), run.dark(dark_image(0)), run.event(image(0)), run.dark(dark_image(1)), run.stop()])
        assert [len(buffer) for buffer in diff.buffers] == [1, 1]
        assert diff.latest.origin.seq_num == 1
