"""What scans that steer and are steered need: a simulated beamline, its callback, the device, a RunEngine."""

from __future__ import annotations

import copy
import functools
import tempfile
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
from bluesky import RunEngine
from bluesky.plans import count
from event_model import DocumentNames, schema_validators

from bluesky_diffractogram import DiffractogramDevice, ReductionCallback
from bluesky_diffractogram.sim.beamline import simulated_beamline
from bluesky_diffractogram.sim.detector import SimulatedPowderDetector
from bluesky_diffractogram.sim.furnace import Furnace


@functools.cache
def built():
    """A beamline, built once: what it sees of the sample at each pixel takes longer than most tests."""
    with tempfile.TemporaryDirectory() as folder:
        beamline = simulated_beamline(folder, detector="small")
        return beamline, np.load(beamline.mask), beamline.calibration.read_text()


def beamline_like(made, folder):
    """The same with devices and files of its own."""
    beamline, mask, calibration = made
    files = {name: Path(folder) / getattr(beamline, name).name for name in ("calibration", "mask")}
    files["calibration"].write_text(calibration)
    np.save(files["mask"], mask)
    furnace = Furnace()
    detector = SimulatedPowderDetector(
        "detector", frames=copy.copy(beamline.detector.frames), temperature=lambda: furnace.position,
        calibration=str(files["calibration"]), acquire_time=beamline.detector.acquire_time.get(),
    )  # fmt: skip
    configuration = beamline.configuration | {name: str(path) for name, path in files.items()}
    return replace(beamline, detector=detector, furnace=furnace, configuration=configuration, **files)


class Steered:
    """One session, as a profile sets it up.

    Attributes
    ----------
    raw, derived : list of (name, doc)
        What RunEngine and callback emitted.
    """

    def __init__(self, folder, subscribed=True, timeout=20.0, config=None, **options):
        self.beamline = beamline_like(built(), folder)
        self.detector, self.furnace = self.beamline.detector, self.beamline.furnace
        self.diff = ReductionCallback({**self.beamline.configuration, **(config or {})}, **options)
        self.device = DiffractogramDevice("diffractogram", callback=self.diff, timeout=timeout)
        self.engine = RunEngine({})
        self.raw, self.derived = [], []
        if subscribed:
            self.engine.subscribe(self.diff)
        self.engine.subscribe(lambda name, doc: self.raw.append((name, copy.deepcopy(doc))))
        self.diff.subscribe(lambda name, doc: self.derived.append((name, doc)))

    def run(self, plan):
        """Run a plan from nothing; gives the plan's own result."""
        self.raw.clear()
        self.derived.clear()
        self.engine._call_returns_result = True
        result = self.engine(plan).plan_result
        self.assert_valid()
        return result

    def take(self, num):
        """Count so often, and have it reduced; gives how many events there were."""
        self.run(count([self.detector], num))
        assert self.diff.wait(30)
        return len(self.events("primary"))

    def assert_valid(self):
        """The raw documents are those of complete, valid runs."""
        for name, doc in self.raw:
            schema_validators[DocumentNames[name]].validate(doc)

    def of(self, kind):
        return [doc for name, doc in self.raw if name == kind]

    def events(self, stream):
        """The raw events of a stream; of those with the same seq_num the last, as after a rewind."""
        uids = {doc["uid"] for doc in self.of("descriptor") if doc["name"] == stream}
        return [doc for doc in self.of("event") if doc["descriptor"] in uids]

    def values(self, stream, key):
        return [doc["data"][key] for doc in self.events(stream)]

    def derived_by_seq_num(self):
        """The data of derived events by the number of their raw event."""
        assert self.diff.wait(30)
        found = defaultdict(dict)
        for name, doc in self.derived:
            if name == "event":
                found[doc["data"]["raw_seq_num"]] = doc["data"]
        return found

    def close(self):
        self.device.destroy()
        self.diff.close(5.0)
