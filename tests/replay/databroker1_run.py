"""Run by ``test_databroker1.py`` in an environment with databroker 1: scans stored there, replayed, and compared.

Arguments: an empty folder, and the folder of intake's catalogues that the environment reads. Prints as JSON what was
compared.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import bluesky.plans as bp
import databroker
import numpy as np
from bluesky import RunEngine
from ophyd.sim import SynSignalWithRegistry

from bluesky_diffractogram import DiffractogramCallback, replay
from bluesky_diffractogram.replay.read_derived import read_derived
from bluesky_diffractogram.sim.beamline import simulated_beamline

KEYS = ("diff_1", "diff_2", "peaks_1", "peaks_2", "mean_1", "total_2", "n_peaks_1", "peak_1_position", "peak_1_fwhm")


class Scans:
    """A RunEngine whose raw and derived runs go to databroker 1."""

    def __init__(self, cfg, raw, derived):
        self.live, self.raw = {}, raw
        self.diff = DiffractogramCallback(cfg, plot=False)
        self.diff.subscribe(self._keep)
        self.diff.subscribe(derived.insert, own_thread=True)
        self.engine = RunEngine({})
        self.engine.waiting_hook = None
        self.engine.subscribe(raw.insert)
        self.engine.subscribe(self.diff)

    def _keep(self, name, doc):
        if name == "start":
            self.live[doc["raw_uid"]] = self._events = []
            self.derived_uid = doc["uid"]
        elif name == "event":
            self._events.append(doc["data"])

    def __call__(self, plan):
        (uid,) = self.engine(plan)
        assert self.diff.wait(60)
        assert len(self.live[uid]) == self.raw[uid].stop["num_events"]["primary"] > 0
        return uid, self.derived_uid


def assert_same(documents, live):
    """Derived documents hold the bits that were computed live."""
    events = [doc["data"] for name, doc in documents if name == "event"]
    assert len(events) == len(live)
    for key in KEYS:
        expected = np.array([data[key] for data in live])
        np.testing.assert_array_equal(np.array([data[key] for data in events]), expected, strict=True)
    assert np.isfinite(np.array([data["diff_1"][1] for data in live])).mean() > 0.5


def check_read_back(run, live):
    """What databroker itself makes of the derived run is of the right type and shape."""
    found = run["diffractogram"].read() if hasattr(run, "metadata") else run.xarray("diffractogram")
    for key in KEYS:
        expected = np.array([data[key] for data in live])
        assert (found[key].shape, found[key].dtype) == (expected.shape, expected.dtype), (key, found[key])
        np.testing.assert_array_equal(found[key].values, expected)
    assert [str(value) for value in found["imagename"].values] == [data["imagename"] for data in live]


def main(folder, catalogues):
    done = {"databroker": databroker.__version__, "numpy": np.__version__, "replayed": [], "read": []}
    beamline = simulated_beamline(folder / "beamline", detector="small")
    cfg = {**beamline.configuration, "error_model": "poisson"}
    config_file = folder / "config.json"
    config_file.write_text(json.dumps(cfg))
    db, analysed = databroker.Broker.named("temp"), databroker.temp()
    scans = Scans(cfg, db, analysed)

    def compare(what, documents, live):
        assert_same(documents, live)
        done["replayed"].append(what)

    uid, derived = scans(bp.scan([beamline.detector], beamline.furnace, 300, 600, 4))
    live = scans.live[uid]
    compare("header", replay(db[uid], cfg), live)
    compare("latest header", replay(db[-1], cfg), live)
    compare("interface 2", replay(db.v2[uid], cfg), live)
    compare("scan id", replay(db[uid].start["scan_id"], cfg, catalog=db), live)
    compare("uid in interface 2", replay(uid, cfg, catalog=db.v2), live)
    for name, run in (("header", analysed[derived]), ("interface 2", analysed.v2[derived])):
        compare(f"derived run, {name}", replay(run, raw=db), live)
        check_read_back(run, live)
        found = read_derived(run)
        np.testing.assert_array_equal(found["diff_1"].values, np.array([data["diff_1"][1] for data in live]))
        np.testing.assert_array_equal(found["sigma_2"].values, np.array([data["sigma_2"] for data in live]))
        done["read"].append(name)
    again = databroker.temp()
    replay(db[uid], cfg).store(again.insert)
    compare("derived run of a replay", replay(again[-1], raw=db.v2), live)

    saved = folder / "npy"
    saved.mkdir()
    npy = SynSignalWithRegistry(
        func=lambda: beamline.detector.frames.frame(1, beamline.furnace.position, 1.0), name="npy", save_path=str(saved)
    )
    uid_of_files, derived = scans(bp.scan([npy], beamline.furnace, 300, 400, 2))
    compare("NPY files, header", replay(db[uid_of_files], cfg), scans.live[uid_of_files])
    compare("NPY files, interface 2", replay(db.v2[uid_of_files], cfg), scans.live[uid_of_files])
    compare("NPY files, derived run", replay(analysed[derived], raw=db), scans.live[uid_of_files])

    other, _ = scans(bp.count([beamline.detector], 2))
    for name, found in (
        ("query", db(plan_name="count")),
        ("query of interface 2", db.v2.search({"plan_name": "count"})),
    ):
        compare(name, replay(found, cfg), scans.live[other])
    for name, found in (("catalogue", db), ("catalogue of interface 2", db.v2)):
        assert {run for run, _ in replay(found, cfg).to_xarrays()} == set(scans.live)
        done["replayed"].append(name)
    found = replay([other, uid], cfg, catalog=db).to_xarrays()
    assert [run for run, _ in found] == [other, uid]
    np.testing.assert_array_equal(found[uid, "diffractogram"]["diff_2"], np.array([d["diff_2"][1] for d in live]))
    done["replayed"].append("list of uids")

    # At the command line a name, here of a catalogue in a YAML file as beamlines have them.
    catalogues.mkdir(parents=True, exist_ok=True)
    paths = sorted({str(Path(path).parent / "*.msgpack") for path in db.v2.paths})
    (catalogues / "mine.yml").write_text(
        json.dumps({"sources": {"my_beamline": {"driver": "bluesky-msgpack-catalog", "args": {"paths": paths}}}})
    )
    command = [sys.executable, "-m", "bluesky_diffractogram", "replay", "my_beamline"]
    options = ["--config", str(config_file), "--output", str(folder / "out")]
    told = subprocess.run([*command, uid, *options], capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    assert "4 received, 4 reduced" in told.stdout, told.stdout
    lines = (folder / "out" / uid[:8] / "derived.jsonl").read_text().splitlines()
    events = [each["doc"]["data"] for each in map(json.loads, lines) if each["name"] == "event"]
    written = np.array([data["diff_1"] for data in events], dtype=float)
    np.testing.assert_array_equal(written, np.array([data["diff_1"] for data in live]))
    done["command line"] = "my_beamline"
    wrong = subprocess.run([*command[:-1], "my_beamlin", *options], capture_output=True, text=True)
    assert wrong.returncode == 2, wrong.stderr
    assert "my_beamline" in wrong.stderr, wrong.stderr
    print(json.dumps(done))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
