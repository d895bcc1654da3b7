"""The latest frame, with the outline of every range on it."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

from bluesky_diffractogram.reduction.preview import DetectorView, preview

from .colored_image import ColoredImage
from .colors import RangeColors
from .labels import frame_text
from .lines import Lines
from .outlines import DrawnOutlines
from .readout import image_text
from .redraw import View, new_figure
from .rings import DrawnRings
from .scales import Scale

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

logger = logging.getLogger(__name__)

PERCENTILES = (1.0, 99.8)
MASKED = "#c9d7e2"
EDGE = 0.01  # of the detector's size, kept free around it so that outlines along its edge are seen


class ShownFrame(Protocol):
    """What a frame to be shown must tell: the callback's `OfferedFrame` does."""

    @property
    def image(self) -> NDArray: ...
    @property
    def detector(self) -> DetectorView: ...
    @property
    def config(self) -> Any: ...
    @property
    def seq_num(self) -> int: ...
    @property
    def frame_index(self) -> int: ...


class LiveImage(View):
    """The latest frame that was offered, as the calibration sees it, with the outline of every range in its colour.

    Frames may be offered from any thread; the latest is kept by reference. Row 0 is at the bottom, so that with
    pyFAI's default orientation azimuths run counter-clockwise from the right. A window redraws itself; without one,
    call `draw` or `save`.

    Parameters
    ----------
    ax
        The axes to draw on, cleared first; None makes a new figure.
    cax
        The axes for the colour bar; None takes some room of `ax`.
    scale
        ``"linear"``, ``"sqrt"`` or ``"log"``.
    clim
        Colour limits; None: the `percentiles` of the valid pixels, so that a few spikes do not darken the rest.
    percentiles
        See `clim`.
    cmap
        A colour map. What is masked has a colour of its own.
    colors
        One colour per range, see `RangeColors`; None: those of the configuration.
    title
        Instead of the frame's number; an empty string for none.
    auto_redraw
        Whether a window is redrawn by a timer; False where the owner of the figure draws it.

    Attributes
    ----------
    ax, im, colorbar
        The axes, the image and its colour bar.
    outlines
        What is drawn of the ranges (`DrawnOutlines`).

    Raises
    ------
    ValueError
        `scale`, `percentiles` or a colour is none.

    Examples
    --------
    >>> image = LiveImage(scale="log")  # doctest: +SKIP
    >>> diff.on_frame(image.offer)      # doctest: +SKIP
    """

    def __init__(
        self,
        *,
        ax: Axes | None = None,
        cax: Axes | None = None,
        scale: Scale = "linear",
        clim: tuple[float, float] | None = None,
        percentiles: tuple[float, float] = PERCENTILES,
        cmap: Any = "gray_r",
        colors: Sequence[Any] | None = None,
        title: str | None = None,
        auto_redraw: bool = True,
    ) -> None:
        super().__init__()
        if ax is None:
            ax = new_figure(figsize=(7, 6)).add_subplot()
        ax.cla()
        self.ax = ax
        self.figure = ax.figure.canvas.figure  # not the subfigure that ax may be in
        self._title = title
        self._colors = RangeColors(colors) if colors else None
        self._frame: ShownFrame | None = None
        self._drawn: ShownFrame | None = None
        self._lines: Lines | None = None
        self._outlined: tuple[Any, ...] = ()
        self._refreshing = False
        self._colored = ColoredImage(
            ax, cax, cmap=cmap, bad=MASKED, scale=scale, clim=clim, percentiles=percentiles, aspect="equal"
        )
        self.im, self.colorbar = self._colored.im, self._colored.colorbar
        ax.set(xlabel="column (pixel)", ylabel="row (pixel)")
        if title:
            ax.set_title(title)
        # a zoom keeps the box of the axes, which is aligned with other panels
        ax.set_adjustable("datalim" if cax is not None else "box")
        self.outlines = DrawnOutlines(ax)
        self._rings = DrawnRings(ax)
        self._empty = ax.text(0.5, 0.5, "no frames yet", transform=ax.transAxes, ha="center", va="center", color="0.4")
        self._show_axes(False)
        ax.format_coord = self.readout  # type: ignore[method-assign]
        self.im.mouseover = False  # the value is part of the readout
        for signal in ("xlim_changed", "ylim_changed"):
            ax.callbacks.connect(signal, self._zoomed)
        if auto_redraw:
            self.redraw_by_clock()

    def offer(self, frame: ShownFrame) -> None:
        """Take a frame: it is shown at the next drawing, unless a later one comes before."""
        with self._lock:
            self._frame = frame
        self._news.set()

    @property
    def frame(self) -> ShownFrame | None:
        """The frame that came last, or None."""
        with self._lock:
            return self._frame

    @property
    def ratio(self) -> float:
        """Width over height of the axes, so that pixels are square."""
        frame = self.frame
        ny, nx = (1, 1) if frame is None else frame.detector.shape
        edge = 2 * EDGE * max(ny, nx)
        return (nx + edge) / (ny + edge)

    def set_scale(self, scale: Scale) -> None:
        """Show intensities linear, by their square root (``"sqrt"``) or logarithmic; ValueError for anything else."""
        self._colored.set_scale(scale)
        self._news.set()

    def set_percentiles(self, low: float, high: float) -> None:
        """Set the percentiles that the colours span, 0 to 100; ValueError if they do not rise within that."""
        self._colored.set_percentiles(low, high)
        self._news.set()

    def set_colors(self, colors: Sequence[Any] | None) -> None:
        """Give the ranges other colours, see `RangeColors`; None: those of the configuration."""
        self._colors = RangeColors(colors) if colors else None
        self._news.set()

    def set_lines(self, lines: Lines | None) -> None:
        """Draw the lines of a powder as thin rings, or none; they are seen where the wavelength is known.

        Where they are too close to be told apart, the inner ones only; more when the image is zoomed into.
        """
        with self._lock:
            self._lines = lines
        self._news.set()

    def moving(self) -> list[Artist]:
        """What changes with every frame, and what lies over that."""
        over = [*self._rings.artists, *self.outlines.artists, *self.ax.spines.values()]
        return [self.im, *sorted(over, key=lambda artist: artist.get_zorder()), self.ax.title]

    def refresh(self, *, full: bool = False) -> None:
        """Bring image, outlines, limits and title up to date; nothing is rendered."""
        self._news.clear()
        with self._lock:
            frame, lines = self._frame, self._lines
        if frame is None:
            return
        self._refreshing = True
        try:
            self._show(frame, full)
        finally:
            self._refreshing = False
        self._draw_outlines(frame)
        self._rings.follow(lines, frame.detector)
        if self._title is None:
            self.ax.set_title(f"image of {frame_text(frame.seq_num, frame.frame_index)}", fontsize="medium")

    def _show(self, frame: ShownFrame, full: bool) -> None:
        ny, nx = frame.detector.shape
        if self._drawn is None or self._drawn.detector.shape != (ny, nx):
            self._show_axes(True)
            self.ax.autoscale(True)  # a zoom into another detector means nothing
        self._follow(ny, nx)
        self._drawn = frame
        by, (rows, columns) = (1, (slice(0, ny), slice(0, nx))) if full else self._window(ny, nx)
        values = preview(frame.image, frame.detector, by, (rows, columns))
        self._colored.show(values, full=full)
        self._colored.label("counts")
        # the last block may reach beyond the detector, by less than a pixel of the screen
        left, bottom = columns.start - 0.5, rows.start - 0.5
        self.im.set_extent((left, left + by * values.shape[1], bottom, bottom + by * values.shape[0]))
        self._follow(ny, nx)  # the extent has taken the limits with it

    def _follow(self, ny: int, nx: int) -> None:
        """Show all of the detector, unless somebody has zoomed."""
        if self.ax.get_autoscale_on():
            edge = 0.5 + EDGE * max(ny, nx)
            self.ax.set_xlim(-edge, nx - 1 + edge, auto=None)
            self.ax.set_ylim(-edge, ny - 1 + edge, auto=None)

    def _window(self, ny: int, nx: int) -> tuple[int, tuple[slice, slice]]:
        """How many pixels become one of the screen, and which rows and columns can be seen."""
        box = self.ax.get_window_extent()
        low_x, high_x = sorted(self.ax.get_xlim())
        low_y, high_y = sorted(self.ax.get_ylim())
        by = max(1, math.ceil(max((high_x - low_x) / max(box.width, 1.0), (high_y - low_y) / max(box.height, 1.0))))

        def visible(low: float, high: float, n: int) -> slice:
            begin = by * max(0, math.floor(low) // by)
            return slice(min(begin, n - 1), min(n, max(math.ceil(high) + by + 1, begin + 1)))

        return by, (visible(low_y, high_y, ny), visible(low_x, high_x, nx))

    def _draw_outlines(self, frame: ShownFrame) -> None:
        configured = getattr(frame.config, "colors", None)
        wanted = (frame.detector, repr(configured), self._colors)
        if wanted == self._outlined:
            return
        self._outlined = wanted
        colors = self._colors or RangeColors.configured(configured)
        self.outlines.show(frame.detector.outlines, colors, frame.detector.shape)

    def _show_axes(self, filled: bool) -> None:
        self._empty.set_visible(not filled)
        self._colored.set_visible(filled)
        for axis in (self.ax.xaxis, self.ax.yaxis):
            axis.set_visible(filled)

    def readout(self, x: float, y: float) -> str:
        """What is at a point of the axes: the pixel, its angles, and its counts as they were read."""
        frame = self._drawn
        return "" if frame is None else image_text(frame, x, y)

    def _zoomed(self, ax: Axes) -> None:
        if not self._refreshing:  # another part, or another resolution
            self._news.set()
