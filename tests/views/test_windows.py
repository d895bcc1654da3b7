"""Keeping a window alive while the main thread waits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from bluesky import RunEngine
from bluesky.plan_stubs import sleep
from matplotlib._pylab_helpers import Gcf

from bluesky_diffractogram.views.windows import KeepWindowsAlive, wait_until_closed


class Canvas:
    """Counts how often its events are turned, and can be closed by one of them."""

    def __init__(self, close_after: int | None = None) -> None:
        self.turns: list[threading.Thread] = []
        self._close_after = close_after
        self._on_close: Callable[[Any], Any] = lambda _: None

    def mpl_connect(self, name: str, func: Callable[[Any], Any]) -> None:
        assert name == "close_event"
        self._on_close = func

    def flush_events(self) -> None:
        self.turns.append(threading.current_thread())
        if len(self.turns) == self._close_after:
            self._on_close(None)


def test_events_are_turned_on_the_main_thread_while_a_plan_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    canvas = Canvas()
    monkeypatch.setattr(Gcf, "get_all_fig_managers", lambda: [SimpleNamespace(canvas=canvas)])
    engine = RunEngine({}, during_task=KeepWindowsAlive())

    def plan():  # type: ignore[no-untyped-def]
        yield from sleep(0.3)

    engine(plan())
    assert len(canvas.turns) >= 3
    assert set(canvas.turns) == {threading.main_thread()}


def test_waiting_for_the_window_ends_when_it_is_closed() -> None:
    canvas = Canvas(close_after=3)
    wait_until_closed(canvas)
    assert len(canvas.turns) == 3


def test_figures_whose_event_loop_is_the_blocked_one_are_drawn_while_a_plan_runs(live_backend: Any) -> None:
    from bluesky_diffractogram.views.curves import LiveDiffractogram

    curves = LiveDiffractogram()  # nobody fires its timer, as in a notebook's cell
    canvas = curves.figure.canvas
    drawn = canvas.drawn
    engine = RunEngine({}, during_task=KeepWindowsAlive())

    def plan():  # type: ignore[no-untyped-def]
        curves.clear()  # something new
        yield from sleep(0.5)

    engine(plan())
    assert canvas.drawn > drawn
    curves.figure.canvas.manager.destroy()
    drawn = canvas.drawn
    engine(plan())
    assert canvas.drawn == drawn  # closed


def test_figures_of_toolkits_that_turn_are_left_to_their_timers(live_backend: Any, monkeypatch: Any) -> None:
    from bluesky_diffractogram.views.curves import LiveDiffractogram
    from bluesky_diffractogram.views.redraw import turn_clocks

    curves = LiveDiffractogram()
    monkeypatch.setattr(type(curves.figure.canvas), "flush_events", lambda self: None)
    drawn = curves.figure.canvas.drawn
    curves.clear()
    turn_clocks()
    assert curves.figure.canvas.drawn == drawn


def test_a_window_that_fails_does_not_end_the_scan(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    class Broken:
        def flush_events(self) -> None:
            raise RuntimeError("the window was destroyed")

    monkeypatch.setattr(Gcf, "get_all_fig_managers", lambda: [SimpleNamespace(canvas=Broken())])
    engine = RunEngine({}, during_task=KeepWindowsAlive())

    def plan():  # type: ignore[no-untyped-def]
        yield from sleep(0.3)

    engine(plan())
    assert caplog.text.count("a window could not be kept alive") == 1
