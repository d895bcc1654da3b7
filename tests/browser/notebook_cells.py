"""The cells of the notebook that is driven in a browser."""

from __future__ import annotations

SET_UP = """\
%matplotlib ipympl
import json, sys, tempfile
sys.path[:0] = {paths!r}
from pathlib import Path
from bluesky import RunEngine
from bluesky_diffractogram import DiffractogramCallback, KeepWindowsAlive
from bluesky_diffractogram.sim.beamline import simulated_beamline
from scanning import control_boxes, slow_scan

beamline = simulated_beamline(Path({folder!r}), detector="small")
diff = DiffractogramCallback(beamline.configuration)
RE = RunEngine({{}}, during_task=KeepWindowsAlive())
RE.subscribe(diff)
print("BOXES", json.dumps(control_boxes(diff)), "END")"""

SCAN = """\
RE(slow_scan(beamline, {frames}, {seconds}, Path({enough!r})))
diff.wait()
print("SCANNED", len(diff.buffers[0]), "END")"""

AFTER = """\
print("AFTER", json.dumps([diff.config.show_diff, diff.config.unit.label]), "END")"""
