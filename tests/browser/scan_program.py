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

matplotlib.use("WebAgg")
matplotlib.rcParams["webagg.open_in_browser"] = False
matplotlib.rcParams["webagg.port"] = int(sys.argv[2])

from bluesky import RunEngine  # noqa: E402
from bluesky.plan_stubs import sleep  # noqa: E402
from bluesky.preprocessors import msg_mutator, plan_mutator  # noqa: E402, F401

from bluesky_diffractogram import DiffractogramCallback, KeepWindowsAlive  # noqa: E402
from bluesky_diffractogram.sim.beamline import simulated_beamline  # noqa: E402
from bluesky_diffractogram.sim.scan import heating_scan  # noqa: E402

logging.basicConfig(stream=sys.stderr)


def answer(**what: Any) -> None:
    print(json.dumps(what), flush=True)


def boxes(diff: DiffractogramCallback) -> dict[str, list[float]]:
    """The middle of every control, in pixels of the figure."""
    controls = diff.figure.interaction.controls
    found = {}
    for name, widget in (*controls.buttons.items(), *controls.boxes.items(), *controls.choices.items()):
        box = widget.ax.bbox
        found[name] = [(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2]
    return found


beamline = simulated_beamline(Path(sys.argv[1]), detector="small")
diff = DiffractogramCallback(beamline.configuration)
engine = RunEngine({}, during_task=KeepWindowsAlive())
engine.subscribe(diff)
answer(ready=True, boxes=boxes(diff), threads=[thread.name for thread in threading.enumerate()])
for line in sys.stdin:
    word, *arguments = line.split()
    if word == "scan":
        frames, seconds = int(arguments[0]), float(arguments[1])
        begin = time.monotonic()

        def slowly():
            for message in heating_scan(beamline.detector, beamline.furnace, num=frames):
                yield message
                if message.command == "save":
                    yield from sleep(seconds)

        engine(slowly())
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
    elif word == "end":
        break
diff.close()
