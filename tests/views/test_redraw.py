"""When a figure is drawn, on which thread, and what needs a display."""

from __future__ import annotations

import itertools
import logging
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from matplotlib import pyplot as plt

from bluesky_diffractogram.views import redraw
from bluesky_diffractogram.views.redraw import RedrawClock, display_available, new_figure


@pytest.fixture
def clock_time(monkeypatch):
    """The monotonic clock and what the process has computed, moved by the test; others keep theirs.

    An event loop that is told by a thread of another test's server would sleep until that clock has caught up.
    """
    now = [100.0, 0.0]
    monkeypatch.setattr(redraw, "time", SimpleNamespace(monotonic=lambda: now[0], process_time=lambda: now[1]))
    return now


def test_without_a_display_there_is_no_timer_and_no_window():
    before = plt.get_fignums()
    assert not display_available()
    figure = new_figure(figsize=(3, 2))
    assert tuple(figure.get_size_inches()) == (3, 2)
    clock = RedrawClock(figure, lambda: True, pytest.fail)
    assert not clock.running
    clock.stop()
    assert plt.get_fignums() == before


def test_with_a_display_a_window_is_made_and_the_trial_leaves_none(live_backend):
    assert display_available()
    assert plt.get_fignums() == []
    figure = new_figure()
    assert plt.get_fignums() == [figure.number]


def test_no_window_is_opened_outside_the_main_thread(live_backend):
    found = []
    thread = threading.Thread(target=lambda: found.extend([display_available(), new_figure().canvas.manager]))
    thread.start()
    thread.join()
    assert found == [False, None]
    assert plt.get_fignums() == []


def test_a_clock_for_a_window_is_refused_outside_the_main_thread(live_backend):
    figure, refused = new_figure(), []

    def make():
        try:
            RedrawClock(figure, bool, bool)
        except RuntimeError as error:
            refused.append(str(error))

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    assert refused == ["make views of a window on the main thread, before the scan"]
    assert not live_backend.TIMERS


def test_the_timer_draws_only_what_is_new(live_backend, clock_time):
    drawn, news = [], []
    RedrawClock(new_figure(), lambda: bool(news), lambda: drawn.append(news.pop()), interval=0.1)
    (timer,) = live_backend.TIMERS
    assert timer.interval == 100
    live_backend.fire_timers()
    assert drawn == []
    news.append("one")
    live_backend.fire_timers()
    live_backend.fire_timers()
    assert drawn == ["one"]


def test_slow_drawing_takes_a_third_of_the_time_at_most(live_backend, clock_time):
    drawn = []

    def draw():
        drawn.append(clock_time[0])
        clock_time[0] += 0.5

    RedrawClock(new_figure(), lambda: True, draw)
    for _ in range(300):
        live_backend.fire_timers()
        clock_time[0] += 0.01
    assert len(drawn) >= 2
    for earlier, later in itertools.pairwise(drawn):
        assert 1.5 <= later - earlier < 1.6


def test_while_the_process_is_busy_otherwise_drawing_takes_a_twentieth(live_backend, clock_time):
    drawn = []

    def draw():
        drawn.append(clock_time[0])
        clock_time[0] += 0.05
        clock_time[1] += 0.05

    RedrawClock(new_figure(), lambda: True, draw)
    for step in range(600):
        live_backend.fire_timers()
        clock_time[0] += 0.01
        clock_time[1] += 0.008 if step < 300 else 0.001
    gaps = [later - earlier for earlier, later in itertools.pairwise(drawn)]
    assert gaps[1] == pytest.approx(1.0, abs=0.02)
    assert gaps[-1] == pytest.approx(0.15, abs=0.02)


def test_quick_drawings_come_between_complete_ones(live_backend, clock_time):
    drawn = []

    def draw(name, took):
        drawn.append((name, clock_time[0]))
        clock_time[0] += took

    RedrawClock(new_figure(), lambda: True, lambda: draw("complete", 0.3), quick=lambda: draw("quick", 0.05))
    for _ in range(300):
        live_backend.fire_timers()
        clock_time[0] += 0.01
    complete = [at for name, at in drawn if name == "complete"]
    assert all(later - earlier >= 0.9 for earlier, later in itertools.pairwise(complete))
    quick = [at for name, at in drawn if name == "quick" and complete[0] < at < complete[1]]
    assert len(quick) == 4
    assert all(later - earlier >= 0.15 for earlier, later in itertools.pairwise(quick))


def test_who_draws_lets_go_of_the_interpreter_often(live_backend, clock_time):
    before, within = sys.getswitchinterval(), []
    RedrawClock(new_figure(), lambda: True, lambda: within.append(sys.getswitchinterval()))
    live_backend.fire_timers()
    assert within[0] <= 1e-3
    assert sys.getswitchinterval() == before


def test_a_long_drawing_does_not_stop_a_busy_window_for_long(live_backend, clock_time):
    drawn = []

    def draw():
        drawn.append(clock_time[0])
        clock_time[0] += 3.0

    RedrawClock(new_figure(), lambda: True, draw)
    for _ in range(1300):
        live_backend.fire_timers()
        clock_time[0] += 0.01
        clock_time[1] += 0.01
    assert drawn[2] - drawn[1] == pytest.approx(7.0, abs=0.02)


def test_drawing_that_fails_is_said_once_and_tried_again(live_backend, clock_time, caplog):
    def fail():
        raise ValueError("cannot")

    clock = RedrawClock(new_figure(), lambda: True, fail)
    with caplog.at_level(logging.ERROR):
        live_backend.fire_timers()
        live_backend.fire_timers()
    assert caplog.text.count("cannot be drawn") == 1
    assert clock.running


def test_closing_the_window_stops_the_timer(live_backend):
    figure = new_figure()
    clock = RedrawClock(figure, lambda: True, lambda: None)
    plt.close(figure)
    assert not clock.running
    assert not live_backend.TIMERS


def run_python(code, **env):
    """What a process of its own prints on stdout and stderr; it has no display."""
    path = f"import sys; sys.path[:0] = [{str(Path(__file__).parents[2])!r}, {str(Path(__file__).parent)!r}]\n"
    env = {"PATH": "", **env}
    done = subprocess.run([sys.executable, "-c", path + code], env=env, capture_output=True, text=True, timeout=60)
    return done.stdout.strip(), done.stderr


@pytest.mark.parametrize(("fallback", "said"), [(True, False), (False, True)])
def test_a_backend_that_cannot_be_loaded_gives_a_figure_without_a_window(fallback, said):
    out, err = run_python(
        "import logging, matplotlib; logging.basicConfig(level=logging.INFO)\n"
        f"matplotlib.rcParams['backend_fallback'] = {fallback}\n"
        "from bluesky_diffractogram.views.redraw import display_available, new_figure\n"
        "print(display_available(), type(new_figure().canvas).__name__)",
        MPLBACKEND="tkagg",
    )
    assert out == "False FigureCanvasAgg", err
    assert ("no window can be opened" in err) is said


def test_a_process_without_a_display_has_one_thread_and_no_figure_in_pyplot(tmp_path):
    out, err = run_python(
        "import threading\n"
        "from derived_run_example import DerivedRun\n"
        "from bluesky_diffractogram.views import DiffractogramFigure, LiveDiffractogramGrid, display_available\n"
        "assert not display_available()\n"
        "figure, grid = DiffractogramFigure(), LiveDiffractogramGrid()\n"
        "DerivedRun(frames=3).feed(figure)\n"
        "DerivedRun(frames=3).feed(grid)\n"
        f"figure.save({str(tmp_path / 'a.png')!r})\n"
        "figure.show()\n"
        "figure.close()\n"
        "import matplotlib.pyplot as plt\n"
        "print(threading.active_count(), plt.get_fignums())"
    )
    assert out == "1 []", err
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
