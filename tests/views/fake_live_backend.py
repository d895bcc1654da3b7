"""A matplotlib backend with an event loop that a test turns by hand."""

from __future__ import annotations

from typing import ClassVar

from matplotlib.backend_bases import CloseEvent, FigureManagerBase, TimerBase
from matplotlib.backends.backend_agg import FigureCanvasAgg

TIMERS: list[FakeTimer] = []


class FakeTimer(TimerBase):
    """Fires in `fire_timers`."""

    def _timer_start(self):
        TIMERS.append(self)

    def _timer_stop(self):
        if self in TIMERS:
            TIMERS.remove(self)


class FakeManager(FigureManagerBase):
    """Counts how often it is shown."""

    shown: ClassVar[list[FakeManager]] = []

    def show(self):
        self.shown.append(self)

    def destroy(self):
        CloseEvent("close_event", self.canvas)._process()

    def set_window_title(self, title):
        self.title = title

    def get_window_title(self):
        return self.title


class FigureCanvas(FigureCanvasAgg):
    """Counts how often it is drawn."""

    _timer_cls = FakeTimer
    manager_class = FakeManager
    drawn = 0

    def draw(self):
        self.drawn += 1
        super().draw()


FigureManager = FakeManager


def fire_timers():
    """One turn of the event loop."""
    for timer in list(TIMERS):
        timer._on_timer()
