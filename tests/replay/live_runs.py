"""Runs reduced live, to compare with."""

from __future__ import annotations

import numpy as np
from bluesky import RunEngine
from documents.conftest import Collected, image

from bluesky_diffractogram import ReductionCallback


class Live:
    """A scan as it was taken, and what was computed of it live."""

    def __init__(self, raw, derived):
        self.raw, self.derived = raw, derived
        self.uid = raw[0][1]["uid"]

    @property
    def events(self):
        return [doc["data"] for name, doc in self.derived if name == "event"]


def run_live(cfg, plan):
    """Run a plan in a RunEngine with the callback subscribed."""
    engine, raw, derived = RunEngine({}), Collected(), Collected()
    engine.waiting_hook = None
    engine.subscribe(raw)
    with ReductionCallback(cfg) as diff:
        diff.subscribe(derived)
        engine.subscribe(diff)
        engine(plan)
        assert diff.wait(30)
    return Live(raw, derived)


def live_of(cfg, documents, **options):
    """What is computed live of documents that are given to a callback with a worker."""
    raw, derived = Collected(), Collected()
    with ReductionCallback(cfg, **options) as diff:
        diff.subscribe(derived)
        for name, doc in documents:
            raw(name, doc)
            diff(name, doc)
        assert diff.wait(30)
    return Live(raw, derived)


def with_bad_pixels(motor):
    frame = image(round(motor.readback.get()))
    frame[40:50, 60] = 2**16 - 1
    return frame


def assert_same_numbers(dataset, live, ranges=(1, 2)):
    """A data set and the derived events of the live run hold the same bits."""
    for i in ranges:
        expected = np.array([data[f"diff_{i}"] for data in live.events])
        np.testing.assert_array_equal(dataset[f"diff_{i}"].values, expected[:, 1])
        np.testing.assert_array_equal(dataset[f"radial_{i}"].values, expected[0, 0])
        peaks = np.array([data[f"peaks_{i}"] for data in live.events])
        np.testing.assert_array_equal(dataset[f"peaks_{i}_position"].values, peaks[:, 0])
        np.testing.assert_array_equal(dataset[f"peaks_{i}_height"].values, peaks[:, 1])
        for key in (f"mean_{i}", f"total_{i}", f"n_peaks_{i}", f"peak_{i}_position", f"peak_{i}_fwhm"):
            np.testing.assert_array_equal(dataset[key].values, [data[key] for data in live.events])
        assert np.isfinite(expected[:, 1]).mean() > 0.5
