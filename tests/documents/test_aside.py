"""What a window is told of a frame that `next` reduces and no derived run holds."""

from __future__ import annotations

import json

import numpy as np

from bluesky_diffractogram import ReductionCallback
from documents.conftest import Collected, image, raw_run, send
from documents.test_callback import assert_valid


class Watched(ReductionCallback):
    """A callback that keeps what a window would be told."""

    def __init__(self, *arguments, **options):
        self.aside = Collected()
        super().__init__(*arguments, **options)

    def _on_aside(self, name, doc):
        self.aside(name, doc)


def test_a_frame_of_a_run_that_is_over_is_a_derived_run_of_one_event(cfg, collected):
    diff = Watched({**cfg, "reset_on_start": True}, background=False)
    diff.subscribe(collected)
    send(diff, raw_run([image(0), image(1)]))
    assert diff.aside == []
    documents = list(collected)
    diff.next()
    assert diff.aside.names == ["start", "descriptor", "event", "stop"]
    assert_valid(diff.aside)
    (start,), (event,), (last,) = diff.aside.of("start"), diff.aside.of("event"), collected.of("event")[1:]
    assert start["raw_uid"] == collected.of("start")[0]["raw_uid"]
    assert start["uid"] != collected.of("start")[0]["uid"]
    assert not json.loads(start["configuration"]).get("reset_on_start", False)  # the rows of the run stay
    np.testing.assert_equal(event["data"], last["data"])
    assert len(diff.buffers[0]) == 2
    assert collected == documents


def test_a_frame_that_was_not_requested_goes_into_its_run_and_only_the_second_time_aside(cfg, collected):
    diff = Watched({**cfg, "show_diff": False}, background=False)
    diff.subscribe(collected)
    send(diff, list(raw_run([image(0)]))[:-1])
    diff.next()
    assert diff.aside == []
    assert len(collected.of("event")) == 1
    diff.next()
    assert len(diff.aside.of("event")) == 1
    assert len(collected.of("event")) == 1


def test_the_run_of_the_latest_image_is_known_when_the_next_one_has_begun(cfg):
    diff = Watched(cfg, background=False)
    first, second = list(raw_run([image(0)])), list(raw_run([image(1)]))
    send(diff, [*first, *second[:2]])
    diff.next()
    assert diff.aside.of("start")[0]["raw_uid"] == first[0][1]["uid"]
    send(diff, second[2:])
    diff.next()
    assert diff.aside.of("start")[1]["raw_uid"] == second[0][1]["uid"]


def test_a_window_that_fails_costs_nothing_but_an_error(cfg):
    class Failing(ReductionCallback):
        def _on_aside(self, name, doc):
            raise ZeroDivisionError

    diff = Failing(cfg, background=False)
    send(diff, raw_run([image(0)]))
    diff.configure({"npt": 70})
    diff.next()
    assert diff.reduction.diffractograms[0].intensity.shape == (70,)
    assert len(diff.buffers[0]) == 1
    assert set(diff.errors) == {"ZeroDivisionError"}
