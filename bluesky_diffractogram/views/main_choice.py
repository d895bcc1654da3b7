"""What the main panel is to show: as documents say, unless somebody has chosen otherwise."""

from __future__ import annotations

import threading

from .derived import Stream
from .main_plot import CAKE, IMAGE, Shown, buffer_number, checked, choose, main_plots


class MainChoice:
    """Keeps what streams say of their ranges, heat-maps and cake, and what was told instead; from any thread.

    Parameters
    ----------
    heatmaps
        How many ranges get a heat-map, at most, besides that of the main panel.
    """

    def __init__(self, heatmaps: int) -> None:
        self._heatmaps = heatmaps
        self._lock = threading.Lock()
        self._ranges, self._buffering, self._cake = 1, True, False
        self._configured = IMAGE
        self._described = False
        self._told_ranges: int | None = None
        self._told_buffering: bool | None = None
        self._told_cake: bool | None = None
        self._chosen: str | None = None

    def describe(self, stream: Stream) -> None:
        """Take what a stream says."""
        with self._lock:
            self._described = True
            self._ranges = sum(number in stream.ranges for number in range(1, len(stream.ranges) + 1))
            self._cake = stream.cake is not None
            self._buffering = bool(stream.configuration.get("buffering", True))
            self._configured = str(stream.configuration.get("main_plot", IMAGE))

    def tell_ranges(self, ranges: int) -> None:
        """So many ranges there are to choose from, instead of as many as streams say."""
        with self._lock:
            self._told_ranges = ranges
            if (buffer_number(self._chosen or IMAGE) or 0) > ranges:
                self._chosen = None

    def tell_cake(self, there: bool) -> None:
        """Whether there is a cake to choose, instead of what streams say."""
        with self._lock:
            self._told_cake = there
            if self._chosen == CAKE and not there:
                self._chosen = None

    def tell_buffering(self, on: bool) -> None:
        """Whether heat-maps are shown, instead of what streams say."""
        with self._lock:
            self._told_buffering = on

    def choose(self, main_plot: str) -> None:
        """Show something else; ValueError where that is not there, as far as it is known what is."""
        with self._lock:
            ranges = self._told_ranges or (self._ranges if self._described else None)
            self._chosen = checked(main_plot, ranges, cake=self._cake_known())

    @property
    def main_plot(self) -> str:
        """What is to be shown."""
        with self._lock:
            return self._chosen or self._configured

    def main_plots(self) -> tuple[str, ...]:
        """What can be shown."""
        with self._lock:
            return main_plots(self._told_ranges or self._ranges, cake=bool(self._cake_known()))

    def shown(self, *, image: bool) -> Shown:
        """Which panels are shown, with an `image` or without."""
        with self._lock:
            return choose(
                self._chosen or self._configured,
                self._ranges,
                self._heatmaps,
                buffering=self._buffering if self._told_buffering is None else self._told_buffering,
                image=image,
                cake=self._cake,
            )

    def _cake_known(self) -> bool | None:
        """Whether there is a cake; None while nobody has said; with `_lock` held."""
        return (self._cake if self._described else None) if self._told_cake is None else self._told_cake
