"""The callback with its window: what users subscribe to a RunEngine."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal

from .config import ConfigError, DiffractogramConfig
from .documents.buffers import BufferNews, BuffersEmptied
from .documents.callback import ReductionCallback, Source
from .documents.setting import Setting

Plot = bool | Literal["auto"] | Callable[[str, dict[str, Any]], Any]


class DiffractogramCallback(ReductionCallback):
    """A `ReductionCallback` that opens a window with image, heat-maps and curves where there is a display.

    Parameters
    ----------
    config
        See `ReductionCallback`, as for all other arguments.
    plot
        ``"auto"`` opens a `DiffractogramFigure` where there is a display, True also where there is none (its
        pictures can be saved), False never; or a figure, or anything that takes ``(name, doc)``, of your own, which is
        offered the frames as well if it has a method ``offer``. Make the callback on the main thread if it is to have
        a window. One that was closed comes back with the next run, or by ``figure.show()``.

    Attributes
    ----------
    figure
        The figure, or None.
    """

    def __init__(
        self,
        config: Source,
        *,
        plot: Plot = "auto",
        background: bool = True,
        strict: bool = False,
        handler_registry: Mapping[str, Any] | None = None,
        root_map: Mapping[str, str] | None = None,
        roots: Sequence[str] | None = None,
        file_timeout: float = 30.0,
        block_timeout: float = 5.0,
    ) -> None:
        self.figure: Any = None
        super().__init__(
            config,
            background=background,
            strict=strict,
            handler_registry=handler_registry,
            root_map=root_map,
            roots=roots,
            file_timeout=file_timeout,
            block_timeout=block_timeout,
        )
        if not (plot == "auto" or isinstance(plot, bool) or callable(plot)):
            raise ValueError(f"plot = {plot!r}: allowed: 'auto', True, False, or something that takes (name, doc)")
        _check_colors(self.config)
        if plot == "auto" or plot is True:
            from .views import DiffractogramFigure

            figure = DiffractogramFigure()
            if plot is True or figure.live:
                self.figure = figure
                self._add_controls()
                figure.show()
        elif callable(plot):
            self.figure = plot
            self._add_controls()
        if self.figure is not None:
            self.subscribe(self.figure)
            if callable(getattr(self.figure, "offer", None)):
                self.on_frame(self.figure.offer)
            self._tell_figure("set_buffer_size", self.config.buffer_size)
            self._tell_figure("collect", self.config.collect)
            self._tell_looks(self.config)

    def _add_controls(self) -> None:
        """Where there is a window, somebody can click in it."""
        if getattr(self.figure, "live", False) and getattr(self.figure, "interaction", self) is None:
            self.figure.add_controls(self)

    def _check(self, setting: Setting) -> None:
        super()._check(setting)
        _check_colors(setting.config)

    def _set(self, setting: Setting) -> None:
        before = self.config
        super()._set(setting)
        self._tell_looks(setting.config, before)

    def _given(self, keys: Collection[str]) -> None:
        if "main_plot" in keys:  # also where the figure was told otherwise, and the configuration is as it was
            self._tell_figure("set_main_plot", self.config.main_plot)

    def _tell_looks(self, config: DiffractogramConfig, before: DiffractogramConfig | None = None) -> None:
        """Pass on what alters no document: the figure keeps what was chosen there, unless it is changed here."""
        self._tell_figure("set_cake", config.cake is not None)
        for key in ("diff_number", "main_plot", "buffering", "colors"):
            if before is None or getattr(config, key) != getattr(before, key):
                self._tell_figure(f"set_{key}", getattr(config, key))

    def _on_buffers(self, news: BufferNews) -> None:
        # From the thread that reduces: rows of events that wait there still are those of before.
        if isinstance(news, BuffersEmptied):
            self._tell_figure("set_buffer_size", news.size)
            self._tell_figure("reset")
        else:
            self._tell_figure("collect", news.on)

    def _on_aside(self, name: str, doc: dict[str, Any]) -> None:
        if callable(getattr(self.figure, "offer", None)):  # others may store what they are called with
            self.figure(name, doc)

    def _tell_figure(self, command: str, *arguments: Any) -> None:
        # No document says that a buffer was emptied or is not filled: figures that can be told are told.
        method = getattr(self.figure, command, None)
        if method is not None:
            method(*arguments)


def _check_colors(config: DiffractogramConfig) -> None:
    """Colours are matplotlib's to know, which the configuration is not to import.

    Raises
    ------
    ConfigError
        One is no colour.
    """
    if config.colors is None:
        return
    from .views.colors import RangeColors

    try:
        RangeColors(config.colors)
    except (TypeError, ValueError) as error:
        allowed = "[red, green, blue] of integers 0 to 255, or matplotlib's colours"
        raise ConfigError("colors", list(config.colors), allowed, str(error)) from error
