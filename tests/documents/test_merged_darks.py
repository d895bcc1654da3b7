"""Several detectors, each with darks of its own that are taken in the run."""

from __future__ import annotations

import logging

import bluesky.plan_stubs as bps
import numpy as np
import pytest
from bluesky import RunEngine
from bluesky.preprocessors import run_decorator
from ophyd.sim import SynSignal

from bluesky_diffractogram import ReductionCallback

from .conftest import SHAPE, Collected, image
from .dark_runs import dark_image
from .merged_dark_runs import TwoDarkened, second_dark
from .merged_runs import SECOND, in_memory, merged_config, second_image
from .stream_runs import write_hdf5
from .test_callback import frames_add_up
from .test_merged import reduce

STREAM = {"stream": "dark"}
SHUTTER = {"key": "shutter", "value": "closed"}


@pytest.fixture
def cfg(tmp_path):
    return merged_config(tmp_path, error_model="poisson", count=True, peaks={"fit": "pseudo-voigt"})


def with_second(cfg, **settings):
    return {**cfg, "merge": [{**cfg["merge"][0], **settings}]}


def numbers(collected):
    return [(doc["data"]["dark_seq_num"], doc["data"]["dark_seq_num_det2"]) for doc in collected.of("event")]


def told(collected):
    return frames_add_up(collected.of("stop")[0])


def assert_darkened(cfg, events, frames, darks):
    """Bit for bit what comes of the same frames with these darks as constant ones."""
    assert len(events) == len(frames)
    for event, (first, second), (of_first, of_second) in zip(events, frames, darks, strict=True):
        constant = with_second({**cfg, "dark": of_first}, dark=of_second)
        (expected,) = reduce(constant, in_memory([{"det1": first, "det2": second}])).of("event")
        for key in ("diff_1", "diff_2", "sigma_1", "count_2", "peaks_1", "peaks_2", "peak_1_area_error", "total_2"):
            np.testing.assert_array_equal(event["data"][key], expected["data"][key], err_msg=key)


def lit(n):
    return image(n), second_image(n) + np.int32(30)


def dark(n):
    return dark_image(n), second_dark(n)


@pytest.mark.parametrize("background", [True, False])
def test_a_plan_that_takes_darks_of_both_in_a_stream(cfg, background):
    exposed = {"det1": [], "det2": []}
    state = {"n": 0, "closed": False}

    def expose(key, which):
        exposed[key].append((dark if state["closed"] else lit)(state["n"])[which])
        return exposed[key][-1]

    detectors = [
        SynSignal(func=lambda: expose("det1", 0), name="det1", labels={"detectors"}),
        SynSignal(func=lambda: expose("det2", 1), name="det2", labels={"detectors"}),
    ]
    engine, collected = RunEngine({}), Collected()

    @run_decorator()
    def plan():
        for n, closed in enumerate((True, False, False, True, False)):
            state.update(n=n, closed=closed)
            yield from bps.trigger_and_read(detectors, name="dark" if closed else "primary")

    with ReductionCallback({**cfg, "dark": STREAM}, background=background, strict=True) as diff:
        diff.subscribe(collected)
        engine.subscribe(diff)
        engine(plan())
        assert diff.wait(120)  # the first one compiles what fits
    assert numbers(collected) == [(1, 1), (1, 1), (2, 2)]
    assert told(collected)["darks"] == {"received": 2, "reasons": {}}
    assert_darkened(cfg, collected.of("event"), [lit(1), lit(2), lit(4)], [dark(0), dark(0), dark(3)])


def test_by_a_reading_and_with_darks_of_one_alone(cfg):
    """A dark of the second detector alone leaves that of the first in force."""
    run = TwoDarkened(readings={"shutter": "string"})
    documents = [*run.begin("primary")]
    documents += [run.event(*dark(0), shutter="closed"), run.event(*lit(0), shutter="open")]
    documents += [run.event(None, second_dark(5), shutter="closed"), run.event(*lit(1), shutter="open")]
    collected = reduce({**cfg, "dark": SHUTTER}, [*documents, run.stop()])
    assert numbers(collected) == [(1, 1), (1, 3)]
    assert_darkened(cfg, collected.of("event"), [lit(0), lit(1)], [dark(0), (dark_image(0), second_dark(5))])
    darks = told(collected)["darks"]
    assert (darks["received"], darks["reasons"]) == (2, {"no image": 1})
    assert "'det1'" in darks["messages"]["no image"]


def test_darks_of_each_detector_in_streams_at_different_times(cfg):
    """The stream has one of them at first, and the descriptor that comes later the other."""
    run = TwoDarkened()
    documents = run.begin("primary")
    documents += [run.descriptor("dark", ("det2",)), run.dark(None, second_dark(0)), run.event(*lit(0))]
    documents += [run.descriptor("dark", ("det1",)), run.dark(dark_image(1), None), run.event(*lit(1))]
    collected = reduce({**cfg, "dark": STREAM}, [*documents, run.stop()])
    assert numbers(collected) == [(2, 1)]
    frames = told(collected)
    assert frames["reasons"] == {"no dark": 1}
    assert "under 'det1', an event of the stream 'dark'" in frames["messages"]["no dark"]
    assert frames["darks"] == {"received": 2, "reasons": {}}
    assert_darkened(cfg, collected.of("event"), [lit(1)], [(dark_image(1), second_dark(0))])


def test_frames_before_the_first_dark(cfg):
    run = TwoDarkened()
    documents = [*run.begin(), run.event(*lit(0)), run.dark(*dark(0)), run.event(*lit(1)), run.stop()]
    collected = reduce({**cfg, "dark": STREAM}, documents)
    assert (told(collected)["reasons"], numbers(collected)) == ({"no dark": 1}, [(1, 1)])
    collected = reduce({**cfg, "dark": {**STREAM, "optional": True}}, documents)
    assert numbers(collected) == [(0, 0), (1, 1)]
    (without, _) = collected.of("event")
    (expected,) = reduce(cfg, in_memory([dict(zip(("det1", "det2"), lit(0), strict=True))])).of("event")
    np.testing.assert_array_equal(without["data"]["diff_1"], expected["data"]["diff_1"])


def test_one_detector_may_have_a_dark_that_never_changes(cfg):
    run = TwoDarkened()
    documents = [*run.begin(), run.dark(*dark(0)), run.event(*lit(1)), run.stop()]
    collected = reduce(with_second({**cfg, "dark": STREAM}, dark=second_dark(7)), documents)
    (event,) = collected.of("event")
    assert "dark_seq_num_det2" not in event["data"]
    assert_darkened(cfg, [event], [lit(1)], [(dark_image(0), second_dark(7))])


def test_an_optional_detector_without_a_dark_is_done_without(cfg, caplog):
    run = TwoDarkened()
    documents = [*run.begin("primary"), run.descriptor("dark", ("det1",)), run.dark(dark_image(0), None)]
    documents += [run.event(*lit(0)), run.event(image(1), None)]
    documents += [run.descriptor("dark"), run.dark(*dark(2)), run.event(*lit(3)), run.stop()]
    collected = reduce(with_second({**cfg, "dark": STREAM}, optional=True), documents)
    events = collected.of("event")
    assert [doc["data"]["merged_det2"] for doc in events] == [0, 0, 1]
    assert numbers(collected) == [(1, 0), (1, 0), (2, 2)]
    assert told(collected)["without"]["det2"]["reasons"] == {"no dark": 1, "no image": 1}
    alone = reduce({**cfg, "merge": [], "dark": dark_image(0)}, in_memory([{"det1": image(0)}, {"det1": image(1)}])).of(
        "event"
    )
    for event, expected in zip(events, alone, strict=False):
        np.testing.assert_array_equal(event["data"]["diff_2"], expected["data"]["diff_2"])
        np.testing.assert_array_equal(event["data"]["peaks_2"], expected["data"]["peaks_2"])
    assert_darkened(cfg, events[2:], [lit(3)], [dark(2)])


@pytest.mark.parametrize("bad", [np.zeros(SHAPE), np.zeros(SECOND, complex), "text"], ids=["shape", "dtype", "text"])
def test_what_is_no_dark_of_a_detector_leaves_its_earlier_one_in_force(cfg, caplog, bad):
    run = TwoDarkened()
    documents = [*run.begin(), run.dark(*dark(0)), run.dark(dark_image(1), bad), run.event(*lit(1)), run.stop()]
    collected = reduce({**cfg, "dark": STREAM}, documents)
    assert numbers(collected) == [(2, 1)]
    darks = told(collected)["darks"]
    assert (darks["received"], sum(darks["reasons"].values())) == (2, 1)
    assert "'det2'" in next(iter(darks["messages"].values()))
    assert "seq_num 2: dark skipped" in caplog.text
    assert_darkened(cfg, collected.of("event"), [lit(1)], [(dark_image(1), second_dark(0))])


def test_several_exposures_are_averaged_for_each_detector(cfg):
    run = TwoDarkened()
    several = [np.array([dark(n)[which] for n in range(3)]) for which in (0, 1)]
    documents = [*run.begin(), run.dark(*several), run.event(*lit(1)), run.stop()]
    collected = reduce({**cfg, "dark": STREAM}, documents)
    means = [each.mean(axis=0).astype(np.float32) for each in several]
    assert_darkened(cfg, collected.of("event"), [lit(1)], [means])


# -- in files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize("late", ["none", "det2's documents"])
def test_darks_and_frames_in_hdf5_files(cfg, tmp_path, background, late):
    """A dark whose second StreamDatum comes late is waited for, and what is behind it."""
    run = TwoDarkened(folder=tmp_path)
    documents = run.in_files(late=late != "none")
    collected = reduce({**cfg, "dark": STREAM}, documents, background=background)
    assert numbers(collected) == [(1, 1), (1, 1), (2, 2), (2, 2)]
    assert_darkened(cfg, collected.of("event"), [lit(n) for n in range(4)], [dark(0)] * 2 + [dark(3)] * 2)
    assert told(collected)["darks"] == {"received": 2, "reasons": {}}


def test_darks_of_one_detector_that_are_never_readable(cfg, tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    run = TwoDarkened(folder=tmp_path)
    documents = run.in_files()
    write_hdf5(tmp_path / "det2_dark.h5", [second_dark(0)])
    collected = reduce({**cfg, "dark": STREAM}, documents, file_timeout=0)
    assert numbers(collected) == [(1, 1), (1, 1), (2, 1), (2, 1)]
    darks = told(collected)["darks"]
    assert (darks["received"], darks["reasons"]) == (2, {"file": 1})
    expected = [dark(0)] * 2 + [(dark_image(3), second_dark(0))] * 2
    assert_darkened(cfg, collected.of("event"), [lit(n) for n in range(4)], expected)
