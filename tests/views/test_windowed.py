"""A window that was closed, and comes back."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from derived_run_example import DerivedRun, RangeExample
from matplotlib import pyplot as plt
from matplotlib.backend_bases import KeyEvent
from offered_frames import offered

from bluesky_diffractogram.views import DiffractogramFigure, KeepWindowsAlive, main_thread
from bluesky_diffractogram.views.main_thread import turn_main_thread


@pytest.fixture
def figure(live_backend):
    made = DiffractogramFigure(figsize=(3, 2), heatmaps=1, title="Powder")
    yield made
    made.close()
    main_thread._WAITING.clear()


def run(uid="raw123456", frames=2):
    return list(DerivedRun([RangeExample()], frames, raw_uid=uid).documents())


def feed(figure, documents):
    """As the reduction's thread does."""
    thread = threading.Thread(target=lambda: [figure(*document) for document in documents])
    thread.start()
    thread.join()


def test_show_opens_a_closed_window_again_with_all_that_it_showed(figure, live_backend):
    feed(figure, run())
    figure.set_scale("sqrt")
    figure.draw()
    axes, former = list(figure.figure.axes), figure.figure.canvas
    plt.close(figure.figure)
    assert not figure.live
    assert live_backend.TIMERS == []
    feed(figure, run("other", 1))  # heard of meanwhile
    figure.show()
    assert figure.live
    assert figure.figure.canvas is not former
    assert live_backend.FakeManager.shown.pop().title == "Powder"
    assert plt.get_fignums() == [figure.figure.number]
    assert list(figure.figure.axes) == axes
    live_backend.fire_timers()
    assert figure.figure.canvas.drawn == 1
    assert len(figure.grids[0].rows().intensity) == 3
    assert figure.curves.ax.get_yscale() == "function"


def test_a_window_that_is_open_is_not_opened_twice(figure):
    figure.show()
    assert len(plt.get_fignums()) == 1


def test_a_closed_window_comes_back_with_the_next_run_but_not_during_the_one_it_was_closed_in(figure):
    documents = run(frames=4)
    feed(figure, documents[:3])
    plt.close(figure.figure)
    feed(figure, documents[3:])
    turn_main_thread()
    assert not figure.live
    figure.offer(offered())
    assert figure.image.frame is None  # nothing is kept for nobody
    feed(figure, run("next")[:1])
    figure.offer(offered())
    assert not figure.live  # windows are opened by the main thread
    turn_main_thread()
    assert figure.live
    assert figure.image.frame is not None
    plt.close(figure.figure)
    feed(figure, run("next")[1:])
    turn_main_thread()
    assert not figure.live


def test_closed_by_its_method_it_stays_closed_until_it_is_shown(figure):
    figure.close()
    feed(figure, run())
    turn_main_thread()
    assert not figure.live
    figure.show()
    assert figure.live
    plt.close(figure.figure)
    feed(figure, run("next"))
    turn_main_thread()
    assert figure.live


def test_a_window_shown_before_it_could_come_back_is_left_alone(figure):
    plt.close(figure.figure)
    feed(figure, run())
    figure.show()
    figure.close()
    turn_main_thread()
    assert not figure.live


def test_matplotlib_handles_a_key_once_in_the_new_window(figure, monkeypatch):
    for _ in range(3):
        plt.close(figure.figure)
        figure.show()
    canvas, count = figure.figure.canvas, []
    monkeypatch.setattr(canvas.manager, "full_screen_toggle", lambda: count.append(1), raising=False)
    KeyEvent("key_press_event", canvas, "f")._process()
    assert count == [1]


def test_a_figure_without_a_display_has_no_window_to_come_back(tmp_path):
    figure = DiffractogramFigure(heatmaps=1)
    feed(figure, run())
    figure.show()
    assert not figure.live
    figure.close()
    figure.show()
    figure.save(tmp_path / "a.png", dpi=40)


def test_the_toolbar_saves_the_same_picture_as_save(figure, tmp_path):
    from matplotlib.image import imread

    figure.add_controls(None)
    feed(figure, run())
    figure.draw()
    figure.save(tmp_path / "save.png", dpi=50)
    figure.interaction.controls.choices["scale"].open()
    figure.figure.savefig(tmp_path / "toolbar.png", dpi=50)  # what toolbars call
    np.testing.assert_array_equal(imread(tmp_path / "save.png"), imread(tmp_path / "toolbar.png"))
    assert figure.interaction.controls.buttons["save"].ax.get_visible()
    assert figure.changed()  # the window is drawn again as it was


def test_pictures_can_be_saved_of_a_closed_window(figure, tmp_path):
    feed(figure, run())
    figure.draw()
    plt.close(figure.figure)
    figure.save(tmp_path / "a.png", dpi=40)
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_windows_are_opened_while_a_plan_runs():
    opened, ended = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: main_thread.call_in_main_thread(opened.set))
    thread.start()
    thread.join()
    assert not opened.is_set()
    threading.Timer(0.1, ended.set).start()
    KeepWindowsAlive().block(ended)
    assert opened.is_set()


def test_a_window_that_cannot_be_opened_ends_no_scan(caplog):
    main_thread._WAITING.extend([lambda: 1 / 0, (done := threading.Event()).set])
    turn_main_thread()
    assert done.is_set()
    assert "ZeroDivisionError" in caplog.text
