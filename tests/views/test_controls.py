"""Buttons, boxes and menus do what the callback's methods do, and follow it."""

from __future__ import annotations

import itertools
import threading
import time

import numpy as np
import pytest
from controls_example import Callback, Person, Window
from matplotlib.colors import to_rgba
from ponis import write_poni

from bluesky_diffractogram.config import ConfigError
from bluesky_diffractogram.views.controls import Controls
from bluesky_diffractogram.views.entry_box import REFUSED

RANGES = [[10, 20, None, 15.25], [-90, 45, 2, 10]]


@pytest.fixture
def callback(tmp_path):
    return Callback({"calibration": str(write_poni(tmp_path / "one.poni")), "diff_ranges": RANGES})


@pytest.fixture
def window():
    return Window()


@pytest.fixture
def controls(window, callback):
    made = Controls(window, callback)
    yield made
    made.wait(10)
    made.close()


@pytest.fixture
def person(controls):
    return Person(controls)


def label(controls, name):
    return controls.buttons[name].label.get_text()


def test_show_and_stop_are_one_button_that_says_what_it_will_do(person, callback, controls):
    assert label(controls, "show") == "Stop"
    person.click("show")
    person.settle()
    assert callback.asked == [("show", False)]
    assert label(controls, "show") == "Show"
    person.click("show")
    person.settle()
    assert callback.asked[-1] == ("show", True)


def test_collect_next_and_reset(person, callback, controls):
    for name in ("collect", "next", "reset"):
        person.click(name)
    person.settle()
    assert callback.asked == [("collect", False), "next", "reset"]
    assert label(controls, "collect") == "Collect"


@pytest.mark.parametrize(
    ("name", "word", "changes"),
    [
        ("unit", "2th [deg]", {"diff_units": "2th [deg]"}),
        ("unit", "d [A]", {"diff_units": "d [A]"}),
        ("main", "buffer 2", {"main_plot": "buffer 2"}),
    ],
)
def test_a_word_chosen_from_a_menu_changes_the_configuration(person, callback, controls, name, word, changes):
    person.choose(name, word)
    person.settle()
    assert callback.asked == [changes]
    assert controls.choices[name].word == word
    assert controls.choices[name].menu is None


@pytest.mark.parametrize(
    ("name", "text", "changes"),
    [("number", "3", {"diff_number": 3}), ("buffer", "64", {"buffer_size": 64})],
)
def test_a_number_is_taken_at_enter(person, callback, controls, name, text, changes):
    person.fill(name, text)
    assert callback.asked == []
    person.key("enter")
    person.settle()
    assert callback.asked == [changes]
    assert controls.boxes[name].text == text


def test_what_is_unchanged_commands_nothing(person, callback, controls):
    person.click("number")
    person.key("enter")
    person.fill("azimuth start", "10")
    person.key("enter")
    assert controls.wait(5)
    assert "diff_number" not in str(callback.asked)


@pytest.mark.parametrize(
    ("name", "text", "key"),
    [
        ("number", "0", "diff_number"),
        ("number", "many", "diff_number"),
        ("buffer", "-3", "buffer_size"),
        ("calibration", "nowhere.poni", "calibration"),
        ("radial end", "wide", "radial end of range 1"),
        ("azimuth end", "10", "diff_ranges[0]"),
    ],
)
def test_what_is_refused_is_said_and_stays_in_red_until_it_is_given_up(person, callback, controls, name, text, key):
    box, before, config = controls.boxes[name], controls.boxes[name].text, callback.config
    person.fill(name, text)
    person.key("enter")
    person.settle()
    assert controls.message.full.startswith(key)
    assert text in controls.message.full
    assert "allowed" in controls.message.full
    assert box.text == text
    assert box.ax.get_facecolor() == to_rgba(REFUSED)
    assert callback.config is config
    person.click("next")
    person.settle()
    assert controls.message.full == ""
    assert box.refused
    person.click(name)
    person.key("escape")
    assert box.text == before
    assert box.ax.get_facecolor() != to_rgba(REFUSED)


def test_errors_of_other_kinds_are_said_too(person, callback, controls, monkeypatch):
    monkeypatch.setattr(callback, "reset", lambda: 1 / 0)
    person.click("reset")
    person.settle()
    assert controls.message.full == "ZeroDivisionError: division by zero"


def test_a_range_is_applied_when_all_of_it_is_typed(person, callback):
    person.fill("azimuth start", "20")  # alone it would be equal to the end, and refused
    person.key("tab")
    person.key("ctrl+u", *"40.5", "tab", *"3", "tab", "ctrl+u")
    assert callback.asked == []
    person.key("enter")
    person.settle()
    assert callback.config.diff_ranges == ((20, 40.5, 3, None), (-90, 45, 2, 10))
    assert len(callback.asked) == 1


@pytest.mark.parametrize(("keys", "start"), [("21", 21), (("backspace", "5"), 5), (("left", "1"), 110)])
def test_what_is_typed_after_choosing_all_takes_the_place_of_all(person, callback, keys, start):
    """Not of what was there with something behind it, which may be a valid number too."""
    person.fill("azimuth start", "10")
    person.key("ctrl+a", *keys, "enter")
    person.settle()
    assert callback.config.diff_ranges[0][0] == start


def test_going_on_to_another_box_of_the_range_by_mouse_applies_nothing_but_elsewhere_does(person, callback):
    person.fill("radial end", "12")
    person.fill("azimuth start", "-5")
    person.fill("azimuth end", "5")
    assert callback.asked == []
    person.click_at(500, 600)
    person.settle()
    assert callback.config.diff_ranges[0] == (-5, 5, None, 12)


def test_the_other_ranges_and_their_number_stay_as_they_were(person, callback, controls):
    callback.configure({"diff_number": 3})
    controls.refresh()
    person.click("following")
    person.click("following")
    assert controls.boxes["azimuth start"].text == ""
    person.fill("azimuth start", "100")
    person.key("enter")
    person.settle()
    assert callback.config.diff_ranges == (*map(tuple, RANGES), (100, None, None, None))
    assert callback.config.diff_number == 3
    person.click("following")
    assert controls.boxes["azimuth start"].text == "10"
    person.click("previous")
    assert controls.boxes["azimuth start"].text == "100"


def test_a_range_without_any_limit_is_written_as_null(person, callback):
    person.fill("azimuth start", "")
    person.fill("azimuth end", "")
    person.fill("radial end", "")
    person.key("enter")
    person.settle()
    assert callback.config.diff_ranges[0] is None


def test_escape_brings_back_what_was_there(person, callback, controls):
    person.fill("number", "7")
    person.key("escape")
    assert controls.boxes["number"].text == "2"
    person.key("8")
    assert controls.boxes["number"].text == "2"
    assert callback.asked == []


def test_keys_edit_where_the_cursor_is(person, controls):
    person.fill("picture", "abc")
    person.key("left", "x", "home", "y", "delete", "end", "backspace", None, "f5")
    assert controls.boxes["picture"].text == "ybx"


def test_a_click_puts_the_cursor_between_the_characters_there(person, controls):
    person.fill("calibration", "abcdef")
    box = controls.boxes["calibration"]
    for index in range(7):
        x = box.ax.bbox.x0 + box.line.padding() + box.line.width("abcdef"[:index])
        person.click_at(x, person.at("calibration")[1])
        assert box._cursor_at == index


def test_of_a_long_path_the_end_is_seen(person, controls):
    path = "/data/visitor/experiment/raw/2026/beamline/detector/calibration_with_a_long_name.poni"
    box = controls.boxes["calibration"]
    box.show(path)
    person.canvas.draw()
    assert box.text == path
    shown = box.line.text.get_text()
    assert shown.startswith("…")
    assert path.endswith(shown[1:])
    assert shown.endswith("name.poni")
    extent = box.line.text.get_window_extent()
    assert box.ax.bbox.x0 < extent.x0
    assert extent.x1 < box.ax.bbox.x1
    person.click("calibration")
    person.key("end", "x")
    assert box.text == path + "x"
    assert box.line.text.get_window_extent().x1 <= box.ax.bbox.x1
    person.key("home", "y")
    assert box.text == "y" + path + "x"
    assert box.line.text.get_window_extent().x0 >= box.ax.bbox.x0
    person.key("escape")


def test_a_change_from_the_prompt_is_followed_and_leaves_alone_what_is_being_typed(person, callback, controls):
    person.fill("buffer", "77")
    done = threading.Thread(target=callback.configure, args=({"diff_units": "r [mm]", "diff_number": 1},))
    done.start()
    done.join()
    callback.show(False)
    assert controls.changed()
    controls.refresh()
    assert not controls.changed()
    assert controls.choices["unit"].word == "r [mm]"
    assert controls.boxes["number"].text == "1"
    assert label(controls, "show") == "Show"
    assert controls.boxes["buffer"].text == "77"
    person.key("enter")
    person.settle()
    assert callback.config.buffer_size == 77


def test_a_slow_configuration_does_not_keep_the_window_waiting(person, callback, controls, monkeypatch):
    released = threading.Event()
    monkeypatch.setattr(callback, "configure", lambda changes: released.wait(10))
    begin = time.monotonic()
    person.choose("unit", "r [mm]")
    person.click("next")
    assert time.monotonic() - begin < 5
    assert not controls.wait(0.05)
    assert callback.asked == []  # in their order
    released.set()
    person.settle()
    assert callback.asked == ["next"]


def test_a_menu_closes_at_escape_and_beside_it_and_nothing_under_it_is_clicked(person, callback, controls):
    unit = controls.choices["unit"]
    person.click("unit")
    assert unit.menu is not None
    person.key("escape")
    assert unit.menu is None
    person.click("scale")  # its menu covers what is in the row above
    menu = controls.choices["scale"].menu
    person.click("reset")
    assert controls.choices["scale"].menu is None
    assert menu not in person.canvas.figure.axes
    assert controls.wait(5)
    assert callback.asked == []
    person.click("reset")
    person.settle()
    assert callback.asked == ["reset"]


def test_the_looks_of_the_window(person, window, controls):
    person.choose("scale", "log")
    person.choose("calibrant", "LaB6")
    for name in ("freeze", "clear", "live"):
        person.click(name)
    controls.refresh()
    assert (window.scale, window.calibrant) == ("log", "LaB6")
    assert controls.choices["calibrant"].word == "LaB6"
    assert window.asked == ["freeze", "clear", "live"]
    person.choose("calibrant", "none")
    assert window.calibrant is None


def test_saving_replaces_no_file_and_says_where_it_went(person, controls, tmp_path):
    person.fill("picture", str(tmp_path / "a.png"))
    person.click("save")
    person.click("save")
    assert sorted(each.name for each in tmp_path.iterdir() if each.suffix == ".png") == ["a-2.png", "a.png"]
    assert controls.message.full == f"saved as {tmp_path / 'a-2.png'}"
    person.fill("picture", str(tmp_path / "no" / "a.png"))
    person.click("save")
    controls.refresh()
    assert "cannot be saved" in controls.message.full


def test_a_saved_picture_has_no_controls(controls, window):
    window.figure.canvas.draw()
    with_controls = np.asarray(window.figure.canvas.buffer_rgba())
    assert (with_controls[..., :3] != 255).any()
    with controls.out_of_sight():
        assert controls.height(10) == 0
        window.figure.canvas.draw()
        assert (np.asarray(window.figure.canvas.buffer_rgba())[..., :3] == 255).all()
    window.figure.canvas.draw()
    np.testing.assert_array_equal(np.asarray(window.figure.canvas.buffer_rgba()), with_controls)


def test_without_a_callback_there_are_only_the_looks(window):
    controls = Controls(window, None)
    assert set(controls.buttons) == {"freeze", "clear", "live", "save"}
    assert set(controls.boxes) == {"picture"}
    Person(controls).choose("scale", "sqrt")
    assert window.scale == "sqrt"


@pytest.mark.parametrize("size", [(10.0, 7.0), (19.2, 10.8), (7.0, 5.0)])
def test_no_two_controls_overlap_and_their_words_fit(callback, size):
    window = Window(size)
    controls = Controls(window, callback)
    controls.boxes["calibration"].show("x" * 200)
    window.figure.canvas.draw()
    axes = [*window.figure.axes]
    boxes = [ax.bbox for ax in axes]
    boxes += [text.get_window_extent() for text in window.figure.texts if text.get_text()]
    for index, one in enumerate(boxes):
        assert one.x0 >= 0
        assert one.x1 <= window.figure.bbox.width
        for other in boxes[index + 1 :]:
            apart = one.x1 <= other.x0 or other.x1 <= one.x0 or one.y1 <= other.y0 or other.y1 <= one.y0
            assert apart
    for button in (*controls.buttons.values(), *controls.choices.values()):
        extent = button.label.get_window_extent()
        assert button.ax.bbox.x0 + 2 <= extent.x0
        assert extent.x1 <= button.ax.bbox.x1 - 2
    assert max(box.y1 for box in boxes) <= controls.height(size[0]) * 100


def test_every_unit_fits_into_its_button(callback, window):
    controls = Controls(window, callback)
    for word in ("q [1/nm]", "2th [rad]", "r [pixel]", "2th [deg]"):
        callback.configure({"diff_units": word, "main_plot": "buffer 2"})
        controls.refresh()
        for name in ("unit", "main"):
            button = controls.choices[name]
            assert button.label.get_window_extent().width <= button.ax.bbox.width - 4


def test_refusals_are_those_of_the_configuration(callback):
    with pytest.raises(ConfigError):  # the example is no easier than the real callback
        callback.configure({"diff_number": 0})


def test_a_menu_of_very_many_words_stays_in_the_figure(person, controls, window, monkeypatch):
    names = [f"powder number {n}" for n in range(30_000)]
    monkeypatch.setattr(window, "calibrants", lambda: names)
    person.click("calibrant")
    menu = controls.choices["calibrant"].menu
    person.canvas.draw()
    box = menu.bbox
    assert 0 <= box.x0 < box.x1 <= window.figure.bbox.width
    assert 0 <= box.y0 < box.y1 <= window.figure.bbox.height
    extents = [text.get_window_extent() for text in menu.texts]
    assert len(extents) > 50
    for one, other in itertools.pairwise(extents):
        assert one.y0 >= other.y1 - 2 or one.x1 <= other.x0
    word = menu.texts[-1].get_text()
    person.click_at(*extents[-1].get_points().mean(axis=0))
    assert window.calibrant == word


def test_a_typed_box_is_drawn_alone(person, controls, window, monkeypatch):
    canvas = window.figure.canvas
    person.click("buffer")
    before = np.asarray(canvas.buffer_rgba()).copy()
    monkeypatch.setattr(canvas, "draw", lambda: pytest.fail("the whole figure was drawn"))
    monkeypatch.setattr(type(canvas), "supports_blit", True)
    monkeypatch.setattr(canvas, "blit", lambda bbox: None, raising=False)
    person.key("9")
    after = np.asarray(canvas.buffer_rgba())
    changed = np.argwhere((before != after).any(axis=-1))
    box = controls.boxes["buffer"].ax.bbox
    assert len(changed)
    rows, columns = 700 - changed[:, 0], changed[:, 1]
    assert (columns >= box.x0 - 2).all()
    assert (columns <= box.x1 + 2).all()
    assert (rows >= box.y0 - 2).all()
    assert (rows <= box.y1 + 2).all()


def test_nothing_raises_out_of_a_widget(person, controls, caplog):
    controls.buttons["following"]._pressed = lambda: 1 / 0
    person.click("following")
    controls.choices["main"]._chosen = lambda word: 1 / 0
    person.choose("main", "buffer 1")
    controls.boxes["buffer"]._submitted = lambda box, text: 1 / 0
    person.fill("buffer", "5")
    person.key("enter")
    assert caplog.text.count("ZeroDivisionError") == 3
    person.click("reset")
    person.settle()
    assert controls.message.full == ""


def test_a_button_does_what_it_says_also_if_that_was_done_at_the_prompt_meanwhile(person, callback, controls):
    callback.show(False)
    person.click("show")  # it still says Stop
    person.settle()
    assert callback.config.show_diff is False
    assert label(controls, "show") == "Show"


def test_a_refusal_is_said_though_something_else_was_done_before_the_next_drawing(person, controls):
    person.fill("buffer", "0")
    person.key("enter")
    person.click("next")
    person.settle()
    assert controls.message.full.startswith("buffer_size = 0")


def test_enter_reads_a_calibration_again_that_may_have_been_written_anew(person, callback, controls):
    person.click("calibration")
    person.click_at(500, 600)  # looked at only
    assert controls.wait(5)
    assert callback.asked == []
    person.click("calibration")
    person.key("enter")
    person.settle()
    assert callback.asked == [{"calibration": callback.config.calibration}]
    assert controls.message.full == f"calibration read from {callback.config.calibration}"


def test_the_main_menu_says_what_the_figure_shows_and_is_not_locked_by_the_prompt(person, callback, controls, window):
    window.set_main_plot("buffer 1")  # by the figure's method: the configuration still says image
    controls.refresh()
    assert controls.choices["main"].word == "buffer 1"
    person.choose("main", "image")
    person.settle()
    assert window.main_plot == "image"
    assert controls.choices["main"].word == "image"


def test_a_click_that_closes_a_menu_does_nothing_else(person, callback, controls, window):
    ax = window.figure.add_axes((0.1, 0.6, 0.3, 0.3))
    for name in ("freeze", "scale", "number"):
        person.click("unit")
        assert not ax.get_navigate()  # the toolbar's zoom would begin under the menu
        person.click(name)
        assert controls.choices["unit"].menu is None
        assert ax.get_navigate()
        assert controls.choices["scale"].menu is None
        assert not controls.boxes["number"].typing
    assert window.asked == []
    person.click("freeze")
    assert window.asked == ["freeze"]


def test_an_open_menu_is_in_no_picture(person, controls, window):
    def pixels():
        with controls.out_of_sight():
            window.figure.canvas.draw()
            return np.asarray(window.figure.canvas.buffer_rgba()).copy()

    before = pixels()
    person.click("unit")
    np.testing.assert_array_equal(pixels(), before)
    assert controls.choices["unit"].menu.get_visible()


def test_nobody_types_and_no_menu_is_open_when_the_window_is_gone(person, controls):
    person.click("buffer")
    controls.close()
    assert controls.focus.typing is None
    person.click("unit")
    controls.close()
    assert controls.focus.menu is None
    person.click("next")  # a window that was opened again
    person.settle()
