"""Heat-maps over curves, in one window that is used from run to run."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from bluesky.callbacks.core import CallbackBase, make_class_safe

from .curves import LiveDiffractogram
from .derived import DerivedRuns, Stream
from .grid import PERCENTILES, LiveDiffractogramGrid
from .labels import runs_text
from .latest import SEPARATOR
from .layout import two_rows
from .redraw import View, new_figure

logger = logging.getLogger(__name__)

FIGSIZE = (10.0, 7.0)
HEATMAPS = 4


@make_class_safe(logger=logger)
class DiffractogramFigure(View, CallbackBase):
    """The heat-maps of the first ranges side by side, and the latest curves of all ranges under them.

    Called with the documents of derived runs, from any thread; others are ignored. Make it on the main thread, before
    the scan. It is one figure for all runs: panels come and go with the ranges. A window redraws itself; without one,
    call `draw` or `save`.

    Parameters
    ----------
    figsize
        Width and height in inches.
    heatmaps
        How many ranges get a heat-map, at most; none if the configuration says ``"buffering": false``.
    row_axis, log, clim, percentiles, cmap, reset_on_start
        See `LiveDiffractogramGrid`; `log` is also for the curves.
    colors
        One colour per range, see `RangeColors`; None: those of the configuration.
    title
        The window's title.

    Attributes
    ----------
    figure
        matplotlib's figure.
    grids
        The heat-maps, of range 1 on; those that have no range are hidden.
    curves
        The `LiveDiffractogram`.

    Raises
    ------
    ValueError
        `heatmaps` is below 0, or a colour is none.
    """

    def __init__(
        self,
        figsize: tuple[float, float] = FIGSIZE,
        *,
        heatmaps: int = HEATMAPS,
        row_axis: str = "auto",
        log: bool = False,
        clim: tuple[float, float] | None = None,
        percentiles: tuple[float, float] = PERCENTILES,
        cmap: Any = "viridis",
        colors: Sequence[Any] | None = None,
        reset_on_start: bool | None = None,
        title: str = "Diffractograms",
    ) -> None:
        if heatmaps < 0:
            raise ValueError(f"heatmaps = {heatmaps}: at least 0")
        CallbackBase.__init__(self)
        View.__init__(self)
        self.figure = new_figure(figsize=figsize)
        self._runs = DerivedRuns()
        self._panels = 1 if heatmaps else 0
        self._run_label = ""
        self._heading = self.figure.suptitle("", ha="left", va="top", fontsize="large")
        self._laid_out: tuple[Any, ...] = ()
        self.grids = tuple(
            LiveDiffractogramGrid(
                number,
                ax=self.figure.add_axes((0.1, 0.5, 0.1, 0.1), label=f"heat-map {number}"),
                cax=self.figure.add_axes((0.2, 0.5, 0.1, 0.1), label=f"colour bar {number}"),
                row_axis=row_axis,
                log=log,
                clim=clim,
                percentiles=percentiles,
                cmap=cmap,
                colors=colors,
                reset_on_start=reset_on_start,
                ylabel=None if number == 1 else "",  # the rows of all panels are the same
                run_in_title=False,
                auto_redraw=False,
            )
            for number in range(1, heatmaps + 1)
        )
        self.curves = LiveDiffractogram(
            ax=self.figure.add_axes((0.1, 0.1, 0.8, 0.3), label="curves"),
            colors=colors,
            log=log,
            title="",
            legend="above",
            auto_redraw=False,
        )
        self._lay_out()
        self.figure.canvas.mpl_connect("resize_event", lambda _: self._lay_out())
        if self.figure.canvas.manager is not None:
            self.figure.canvas.manager.set_window_title(title)
        self.redraw_by_clock()

    def __call__(self, name: str, doc: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Take a document."""
        for view in (*self.grids, self.curves):
            view(name, doc)
        return CallbackBase.__call__(self, name, doc, *args, **kwargs)

    def start(self, doc: Mapping[str, Any]) -> None:
        """Take a start document."""
        self._runs.start(doc)

    def descriptor(self, doc: Mapping[str, Any]) -> None:
        """Take a descriptor: it says how many panels there are."""
        stream = self._runs.descriptor(doc)
        if stream is not None:
            with self._lock:
                self._panels = _panels(stream, len(self.grids))
                self._run_label = stream.run_label
            self._news.set()

    def stop(self, doc: Mapping[str, Any]) -> None:
        """Take a stop document; what is shown stays."""
        self._runs.stop(doc)

    def changed(self) -> bool:
        """Whether there is something that is not drawn yet."""
        views: tuple[View, ...] = (*self.grids[: self._panels], self.curves)
        return self._news.is_set() or any(view.changed() for view in views)

    def refresh(self, *, full: bool = False) -> None:
        """Bring all panels up to date; nothing is rendered."""
        self._news.clear()
        self._lay_out()
        for grid in self.grids[: self._panels]:
            grid.refresh(full=full)
        self.curves.refresh(full=full)
        with self._lock:
            run_label = self._run_label
        runs = runs_text(self.grids[0].run_labels() if self._panels else ()) or run_label
        self._heading.set_text(SEPARATOR.join(filter(None, (runs, self.curves.caption()))))

    def reset(self) -> None:
        """Empty the heat-maps."""
        for grid in self.grids:
            grid.reset()

    def collect(self, on: bool) -> None:
        """Whether diffractograms that come become rows of the heat-maps, lavue's "Collect"."""
        for grid in self.grids:
            grid.collect(on)

    def freeze(self) -> None:
        """Keep the curves that are shown now as grey references."""
        self.curves.freeze()

    def clear(self) -> None:
        """Remove the grey references."""
        self.curves.clear()

    @property
    def live(self) -> bool:
        """Whether it has a window, that is still open."""
        return self._clock is not None and self._clock.running

    def show(self) -> None:
        """Open the window, without waiting for it to be closed; nothing where there is no display."""
        manager = self.figure.canvas.manager
        if manager is None:
            return
        if not self.live:
            logger.warning("the window has been closed; make a new DiffractogramFigure")
            return
        manager.show()

    def close(self) -> None:
        """Close the window, if there is one, and stop redrawing. On the main thread."""
        if self._clock is not None:
            self._clock.stop()
        if self.figure.canvas.manager is not None:
            import matplotlib.pyplot as plt

            plt.close(self.figure)

    def _lay_out(self) -> None:
        """Put the panels where the figure's size and their number want them, if either has changed."""
        with self._lock:
            panels = self._panels
        width, height = self.figure.get_size_inches()
        if (width, height, panels) == self._laid_out:
            return
        self._laid_out = (width, height, panels)
        layout = two_rows(width, height, panels)
        self._heading.set_position((layout.curves[0], 1 - 0.12 / height))
        for index, grid in enumerate(self.grids):
            grid.ax.set_visible(index < panels)
            if index < panels:
                grid.ax.set_position(layout.heatmaps[index])
                grid.colorbar.ax.set_position(layout.bars[index])
                grid.ax.tick_params(labelleft=index == 0)
            else:
                grid.colorbar.ax.set_visible(False)
        self.curves.ax.set_position(layout.curves)


def _panels(stream: Stream, heatmaps: int) -> int:
    """How many heat-maps are shown: of the ranges 1, 2, … as far as there are any."""
    if not stream.configuration.get("buffering", True):
        return 0
    numbered = 0
    while numbered < heatmaps and numbered + 1 in stream.ranges:
        numbered += 1
    return numbered
