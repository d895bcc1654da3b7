"""What the programs that are looked at in a browser share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bluesky.plan_stubs import sleep

from bluesky_diffractogram.sim.scan import heating_scan


def slow_scan(beamline: Any, frames: int, seconds: float, enough: Path) -> Any:
    """The simulated scan with a pause after each frame, until there is a file `enough`: machines differ in speed."""
    for message in heating_scan(beamline.detector, beamline.furnace, num=frames):
        yield message
        if message.command == "save" and not enough.exists():
            yield from sleep(seconds)


def control_boxes(diff: Any) -> dict[str, list[float]]:
    """The middle of every control, in pixels of the figure."""
    controls = diff.figure.interaction.controls
    found = {}
    for name, widget in (*controls.buttons.items(), *controls.boxes.items(), *controls.choices.items()):
        box = widget.ax.bbox
        found[name] = [(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2]
    return found


def window_origin(diff: Any) -> list[int]:
    """The upper left corner of the figure on the screen, and its size."""
    canvas = diff.figure.figure.canvas
    if hasattr(canvas, "get_tk_widget"):
        widget = canvas.get_tk_widget()
        return [widget.winfo_rootx(), widget.winfo_rooty(), widget.winfo_width(), widget.winfo_height()]
    from matplotlib.backends.qt_compat import QtCore

    corner = canvas.mapToGlobal(QtCore.QPoint(0, 0))
    return [corner.x(), corner.y(), canvas.width(), canvas.height()]
