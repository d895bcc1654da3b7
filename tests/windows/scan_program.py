"""A program with a window, or a page, that is looked at and clicked by tests; told what to do on its standard input.

It answers each command with one line of JSON. ``python scan_program.py BACKEND FOLDER [PORT] [DURING]``, the last
``default`` for bluesky's own task during plans.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import sys
import threading
import time
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

BACKEND, FOLDER, PORT, DURING = (*sys.argv[1:], "0", "ours")[:4]
if os.environ.get("QT_QPA_PLATFORM") == "offscreen":
    from PySide6.QtWidgets import QApplication

    application = QApplication([])  # without a screen matplotlib makes none by itself
matplotlib.use(BACKEND)
matplotlib.rcParams["webagg.open_in_browser"] = False
matplotlib.rcParams["webagg.port"] = int(PORT)

from bluesky import RunEngine  # noqa: E402
from scanning import control_boxes, slow_scan, window_origin  # noqa: E402

from bluesky_diffractogram import DiffractogramCallback, KeepWindowsAlive  # noqa: E402
from bluesky_diffractogram.sim.beamline import simulated_beamline  # noqa: E402

logging.basicConfig(stream=sys.stderr)


def answer(**what: Any) -> None:
    print(json.dumps(what), flush=True)


def pixel_of(two_theta: float, chi: float) -> list[float]:
    """Where a direction in degrees is on the drawn image, in pixels of the figure; empty without an image."""
    image = diff.figure.image
    if image.frame is None:
        return []
    pixels = image.frame.detector.projection.pixels(np.radians([two_theta]), np.radians([chi]))
    return [float(each) for each in image.ax.transData.transform(pixels[0])]


def row_of(row: float) -> list[float]:
    """Where a row of the first heat-map is, in pixels of the figure."""
    ax = diff.figure.grids[0].ax
    return [float(each) for each in ax.transData.transform((sum(ax.get_xlim()) / 2, row))]


def state() -> dict[str, Any]:
    interaction = diff.figure.interaction
    return {
        "configuration": diff.configuration(),
        "rows": len(diff.buffers[0]),
        "message": interaction.controls.message.full,
        "held": diff.figure.curves.held,
        "picked": interaction.pick.picked,
        "live": diff.figure.live,
    }


def click_in_qt(x: float, y: float) -> None:
    """A click by Qt's own test library, where there is no screen."""
    from matplotlib.backends.qt_compat import QtCore
    from PySide6.QtTest import QTest

    canvas: Any = diff.figure.figure.canvas
    at = QtCore.QPoint(round(x), round(canvas.height() - y))
    QTest.mouseMove(canvas, at)
    QTest.mouseClick(canvas, QtCore.Qt.MouseButton.LeftButton, pos=at)


def click_later(x: float, y: float, seconds: float) -> None:
    from matplotlib.backends.qt_compat import QtCore

    QtCore.QTimer.singleShot(int(1000 * seconds), lambda: click_in_qt(x, y))


def close_as_by_its_cross() -> None:
    """What the window's toolkit does when somebody clicks the cross in its title bar."""
    canvas: Any = diff.figure.figure.canvas
    if hasattr(canvas, "get_tk_widget"):
        window = canvas.manager.window
        window.tk.call(window.protocol("WM_DELETE_WINDOW"))
    else:
        canvas.window().close()


def obey(line: str) -> bool:
    """Do what a line says; False at the end."""
    word, *arguments = line.split()
    numbers = [float(each) for each in arguments if each.replace(".", "", 1).replace("-", "", 1).isdigit()]
    match word:
        case "scan":
            begin = time.monotonic()
            engine(slow_scan(beamline, int(numbers[0]), numbers[1], Path(FOLDER) / "enough"))
            diff.wait()
            answer(scanned=int(numbers[0]), seconds=time.monotonic() - begin, rows=len(diff.buffers[0]))
        case "state":
            answer(**state())
        case "pixel":
            answer(at=pixel_of(*numbers))
        case "row":
            answer(at=row_of(*numbers))
        case "boxes":
            answer(boxes=control_boxes(diff))
        case "origin":
            answer(origin=window_origin(diff))
        case "click":
            click_in_qt(*numbers)
            answer(clicked=numbers)
        case "click-later":
            click_later(*numbers)
            answer(clicked=numbers)
        case "close-window":
            close_as_by_its_cross()
            answer(live=diff.figure.live)
        case "show":
            diff.figure.show()
            answer(shown=diff.figure.live)
        case "grab":
            diff.figure.figure.canvas.grab().save(arguments[0])
            answer(grabbed=arguments[0])
        case "end":
            return False
    return True


beamline = simulated_beamline(Path(FOLDER), detector="small")
diff = DiffractogramCallback(beamline.configuration)
engine = RunEngine({}, **({} if DURING == "default" else {"during_task": KeepWindowsAlive()}))
engine.subscribe(diff)
lines: queue.Queue[str] = queue.Queue()
threading.Thread(target=lambda: [lines.put(line) for line in sys.stdin], daemon=True).start()
answer(ready=True, boxes=control_boxes(diff))
while True:
    try:
        command = lines.get(timeout=0.02)
    except queue.Empty:
        diff.figure.figure.canvas.flush_events()  # as a prompt does
        continue
    if not obey(command):
        break
diff.close()
diff.figure.close()
