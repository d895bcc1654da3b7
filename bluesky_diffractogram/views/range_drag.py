"""Moving the edge of a range on the image with the mouse."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from matplotlib.backend_tools import cursors

from bluesky_diffractogram.config import ConfigError, DiffractogramConfig, update_config
from bluesky_diffractogram.reduction.limits import integration_ranges
from bluesky_diffractogram.reduction.outlines import Polyline, outline
from bluesky_diffractogram.reduction.range_edges import Edge, moved_edge, nearest_edge

from .colors import RangeColors
from .push_button import Focus, guarded
from .range_editor import Changes, changed_range, written_range
from .readout import SeenFrame

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NEAR = 6.0  # pixels of the screen
HALO, LINE = 4.0, 2.0
EVERYWHERE = (0.0, math.inf)


class DraggedImage(Protocol):
    """What is needed of the image: `LiveImage` has it."""

    ax: Axes

    @property
    def frame(self) -> SeenFrame | None:
        """The frame that is shown."""


class RangeDrag:
    """Drags edges of ranges on an image, as the outlines show them.

    Near an edge the cursor changes. A press takes hold of the edge, its outline follows the mouse, a release applies
    it, Escape leaves the range as it was. What the toolbar does with the mouse (zoom, pan) comes first.

    Parameters
    ----------
    image
        Where the outlines are.
    focus
        The controls' shared `Focus`.
    config
        Gives the configuration in force.
    configure
        Called with the changes when an edge was moved: those limits that were, and no others.
    refused
        Called with the reason if it cannot be where it was let go.
    """

    def __init__(
        self,
        image: DraggedImage,
        focus: Focus,
        config: Callable[[], DiffractogramConfig],
        configure: Callable[[Changes], Any],
        refused: Callable[[str], Any],
    ) -> None:
        self._image, self._focus = image, focus
        self._config, self._configure, self._refused = config, configure, refused
        self._edge: Edge | None = None
        self._entry: Sequence[float | None] | None = None
        self._moved: dict[int, float | None] = {}
        self._reason = ""
        self._pointing = False
        self._background: Any = None
        self.lines = [image.ax.plot([], [], linewidth=wide, zorder=8)[0] for wide in (HALO, LINE)]
        events: list[tuple[Any, Any]] = [
            ("button_press_event", self._press),
            ("motion_notify_event", self._motion),
            ("button_release_event", self._release),
            ("key_press_event", self._key),
            ("draw_event", self._drawn),
        ]
        for name, func in events:
            self._canvas.mpl_connect(name, partial(guarded, func))

    @property
    def _canvas(self) -> Any:  # another one after the window was opened again
        return self._image.ax.figure.canvas

    @property
    def held(self) -> bool:
        """Whether an edge is held."""
        return self._edge is not None

    @property
    def text(self) -> str:
        """The range as it would be if it were let go now; empty while none is held."""
        if self._edge is None or self._entry is None:
            return ""
        shown = ", ".join("null" if value is None else f"{value:.10g}" for value in self._entry)
        return f"range {self._edge.number}: [{shown}]".replace("-", "−")

    def _near(self, event: Any) -> Edge | None:
        """The edge under the mouse, if that is on the image and nobody else's."""
        frame, ax = self._image.frame, self._image.ax
        toolbar = getattr(self._canvas, "toolbar", None)
        busy = getattr(toolbar, "mode", "") or self._focus.covered or self._focus.typing is not None
        if frame is None or busy or event.inaxes is not ax:
            return None
        low, high = ax.get_xlim()
        within = NEAR * abs(high - low) / max(float(ax.bbox.width), 1.0)
        config = self._config()
        geometry, calibrated = frame.detector.projection.geometry, frame.detector.calibrated
        if not on_detector(frame, event):
            return None
        try:
            return nearest_edge(config, geometry, event.ydata, event.xdata, within, calibrated)
        except ValueError:  # a configuration that this frame's calibration knows nothing of
            return None

    def _press(self, event: Any) -> None:
        if event.button != 1:
            return
        self._edge, self._entry, self._reason = self._near(event), None, ""
        if self._edge is not None:
            color = RangeColors.configured(self._config().colors)[self._edge.number]
            for line, each in zip(self.lines, ("white", color), strict=True):
                # animated: left out when the figure is drawn, and drawn over it where the canvas can do that
                line.set(color=each, data=([], []), animated=bool(self._canvas.supports_blit))
            self._canvas.draw_idle()  # takes what is under the outline, see _drawn

    def _motion(self, event: Any) -> None:
        edge = self._edge
        if edge is None:
            self._point(self._near(event) is not None)
            return
        frame = self._image.frame
        if frame is None or event.inaxes is not self._image.ax or not on_detector(frame, event):
            return
        config, geometry = self._config(), frame.detector.projection.geometry
        calibrated = frame.detector.calibrated
        try:
            entry = moved_edge(config, geometry, edge, event.ydata, event.xdata, calibrated)[edge.number - 1] or ()
            before = written_range(config, edge.number)
            moved = {place: value for place, value in enumerate(entry) if value != before[place]}
            changed = update_config(config, changed_range(config, edge.number, moved))
            wanted = integration_ranges(changed, calibrated, None, EVERYWHERE)
        except (ConfigError, ValueError) as error:
            self._entry, self._reason = None, str(error)
            return
        self._entry, self._moved = entry, moved
        drawn = outline(wanted[edge.number - 1], frame.detector.projection)
        self._show([*drawn.rings, *drawn.border])

    def _release(self, event: Any) -> None:
        edge, entry, moved, reason = self._edge, self._entry, self._moved, self._reason
        self._forget()
        if edge is None:
            return
        if entry is not None:
            self._configure(partial(changed_range, number=edge.number, values=moved))
        elif reason:
            self._refused(reason)

    def _key(self, event: Any) -> None:
        if event.key == "escape" and self._edge is not None:
            self._forget()

    def _forget(self) -> None:
        if self._edge is not None:
            self._edge, self._entry, self._background = None, None, None
            self._show([])
            self._canvas.draw_idle()

    def _point(self, pointing: bool) -> None:
        if pointing != self._pointing:
            self._pointing = pointing
            self._canvas.set_cursor(cursors.HAND if pointing else cursors.POINTER)

    def _show(self, lines: Sequence[Polyline]) -> None:
        gap = np.full((1, 2), np.nan)
        points = np.concatenate([part for each in lines for part in (each, gap)]) if lines else gap
        for line in self.lines:
            line.set_data(points[:, 0], points[:, 1])
        self._paint()

    def _paint(self) -> None:
        """Draw the outline over what is under it, where the canvas can, without the rest of the figure."""
        if not self.lines[0].get_animated():
            self._canvas.draw_idle()
            return
        if self._background is None:
            return
        self._canvas.restore_region(self._background)
        for line in self.lines:
            self._image.ax.draw_artist(line)
        self._canvas.blit(self._image.ax.bbox)

    def _drawn(self, event: Any) -> None:
        """The figure was drawn: what is under the outline may be new."""
        if self._edge is not None and self.lines[0].get_animated() and not self._canvas.is_saving():
            self._background = self._canvas.copy_from_bbox(self._image.ax.bbox)
            self._paint()


def on_detector(frame: SeenFrame, event: Any) -> bool:
    """Whether the mouse is on a pixel."""
    ny, nx = frame.detector.shape
    return -0.5 <= event.xdata <= nx - 0.5 and -0.5 <= event.ydata <= ny - 0.5
