"""A terminal program whose figure is a page in the browser: scans when told on its standard input.

It writes one line of JSON for each command: where the controls are, and what the callback says.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("WebAgg")
matplotlib.rcParams["webagg.open_in_browser"] = False
matplotlib.rcParams["webagg.port"] = int(sys.argv[2])

from bluesky import RunEngine  # noqa: E402
from scanning import control_boxes, slow_scan  # noqa: E402

from bluesky_diffractogram import DiffractogramCallback, KeepWindowsAlive  # noqa: E402
from bluesky_diffractogram.sim.beamline import simulated_beamline  # noqa: E402

logging.basicConfig(stream=sys.stderr)


def answer(**what: Any) -> None:
    print(json.dumps(what), flush=True)


def pixel_of(diff: DiffractogramCallback, two_theta: float, chi: float) -> list[float]:
    """Where a direction in degrees is on the drawn image, in pixels of the figure."""
    image = diff.figure.image
    if image.frame is None:
        return []
    pixels = image.frame.detector.projection.pixels(np.radians([two_theta]), np.radians([chi]))
    return [float(each) for each in image.ax.transData.transform(pixels[0])]


def row_of(diff: DiffractogramCallback, row: float) -> list[float]:
    """Where a row of the first heat-map is, in pixels of the figure."""
    ax = diff.figure.grids[0].ax
    return [float(each) for each in ax.transData.transform((sum(ax.get_xlim()) / 2, row))]


beamline = simulated_beamline(Path(sys.argv[1]), detector="small")
diff = DiffractogramCallback(beamline.configuration)
engine = RunEngine({}, during_task=KeepWindowsAlive())
engine.subscribe(diff)
answer(ready=True, boxes=control_boxes(diff), threads=[thread.name for thread in threading.enumerate()])
for line in sys.stdin:
    word, *arguments = line.split()
    if word == "scan":
        frames, seconds = int(arguments[0]), float(arguments[1])
        begin = time.monotonic()

        engine(slow_scan(beamline, frames, seconds))
        diff.wait()
        answer(scanned=frames, seconds=time.monotonic() - begin, rows=len(diff.buffers[0]))
    elif word == "state":
        answer(
            configuration=diff.configuration(),
            rows=len(diff.buffers[0]),
            message=diff.figure.interaction.controls.message.full,
            held=diff.figure.curves.held,
            picked=diff.figure.interaction.pick.picked,
        )
    elif word == "pixel":
        answer(at=pixel_of(diff, float(arguments[0]), float(arguments[1])))
    elif word == "row":
        answer(at=row_of(diff, float(arguments[0])))
    elif word == "boxes":
        answer(boxes=control_boxes(diff))
    elif word == "end":
        break
diff.close()
