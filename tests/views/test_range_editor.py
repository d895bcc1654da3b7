"""The limits of a range: what is typed is kept, what nobody typed is left as it is in force."""

from __future__ import annotations

import threading

import pytest
from controls_example import Callback, Person, Window
from matplotlib.colors import to_rgba
from ponis import write_poni

from bluesky_diffractogram.config import ConfigError
from bluesky_diffractogram.views.controls import Controls
from bluesky_diffractogram.views.entry_box import REFUSED
from bluesky_diffractogram.views.range_editor import PLACES, changed_range

RANGES = [[10, 20, None, 15.25], [-90, 45, 2, 10]]


@pytest.fixture
def callback(tmp_path):
    return Callback({"calibration": str(write_poni(tmp_path / "one.poni")), "diff_ranges": RANGES})


@pytest.fixture
def controls(callback):
    made = Controls(Window(), callback)
    yield made
    made.wait(10)
    made.close()


@pytest.fixture
def person(controls):
    return Person(controls)


def texts(controls):
    return [controls.boxes[place].text for place in PLACES]


def red(controls):
    return [place for place in PLACES if controls.boxes[place].ax.get_facecolor() == to_rgba(REFUSED)]


def prompt(callback, changes):
    """Change the configuration in another thread than the window's."""
    done = threading.Thread(target=callback.configure, args=(changes,))
    done.start()
    done.join()


def test_limits_set_at_the_prompt_are_shown(callback, controls):
    prompt(callback, {"diff_ranges": [[0, 30, 1, 2], None]})
    controls.refresh()
    assert texts(controls) == ["0", "30", "1", "2"]


def test_limits_set_at_the_prompt_are_shown_also_when_a_command_has_just_been_told(person, callback, controls):
    """What is told comes from within the command's thread, which counts as busy then."""
    hold, told = threading.Event(), controls._told

    def tell(reply):
        told(reply)
        hold.wait(5)

    controls._told = tell
    person.click("next")
    while not controls._news.is_set():
        pass
    prompt(callback, {"diff_ranges": [[0, 30, 1, 2], None]})
    controls.refresh()
    assert texts(controls) == ["0", "30", "1", "2"]
    hold.set()


def test_what_nobody_typed_is_left_as_it_is_in_force(person, callback, controls):
    """Also what was changed at the prompt while somebody typed, and was not seen in the window before Enter."""
    person.fill("azimuth end", "25")
    prompt(callback, {"diff_ranges": [[-5, 20, 3, 15.25], [0, 10, 2, 10]]})
    person.key("enter")
    person.settle()
    assert callback.config.diff_ranges == ((-5, 25, 3, 15.25), (0, 10, 2, 10))
    assert texts(controls) == ["-5", "25", "3", "15.25"]


def test_what_is_typed_stays_while_others_are_changed_at_the_prompt(person, callback, controls):
    person.fill("azimuth end", "25")
    person.key("tab")
    prompt(callback, {"diff_ranges": [[-5, 30, 3, 15.25], [0, 10, 2, 10]]})
    controls.refresh()
    assert texts(controls) == ["-5", "25", "", "15.25"]  # the cursor is in the third
    person.key("escape")
    assert texts(controls) == ["-5", "30", "3", "15.25"]


def test_a_typing_error_costs_nothing_of_what_else_was_typed(person, callback, controls):
    config = callback.config
    person.fill("azimuth start", "-20")
    person.key("tab", "ctrl+u", *"7o", "tab", *"2.5", "enter")
    person.settle()
    assert callback.config is config
    assert texts(controls) == ["-20", "7o", "2.5", "15.25"]
    assert red(controls) == ["azimuth end"]
    assert controls.message.full == "azimuth end of range 1 = '7o': allowed: a number, or nothing for no limit"
    person.fill("azimuth end", "70")
    person.key("enter")
    person.settle()
    assert callback.config.diff_ranges[0] == (-20, 70, 2.5, 15.25)
    assert red(controls) == []
    assert controls.message.full == ""


def test_a_wrong_number_is_red_as_soon_as_one_goes_on_to_the_next(person, controls):
    person.fill("azimuth start", "1o")
    person.key("tab")
    assert red(controls) == ["azimuth start"]
    person.key("shift+tab", "backspace", "0", "tab")
    assert red(controls) == []


def test_limits_that_are_refused_together_stay_to_be_mended(person, callback, controls):
    person.fill("azimuth start", "33")
    person.key("tab", "ctrl+u", *"33", "enter")
    person.settle()
    assert texts(controls)[:2] == ["33", "33"]
    assert red(controls) == ["azimuth start", "azimuth end"]
    person.fill("azimuth end", "44")
    person.key("enter")
    person.settle()
    assert callback.config.diff_ranges[0][:2] == (33, 44)
    assert red(controls) == []


def test_what_was_refused_gives_way_to_what_is_set_at_the_prompt(person, callback, controls):
    person.fill("azimuth end", "7o")
    person.key("enter")
    person.settle()
    prompt(callback, {"diff_ranges": [[10, 20, 4, 15.25], RANGES[1]]})
    controls.refresh()
    assert texts(controls) == ["10", "7o", "4", "15.25"]  # another limit
    prompt(callback, {"diff_ranges": [[10, 70, 4, 15.25], RANGES[1]]})
    controls.refresh()
    assert texts(controls) == ["10", "70", "4", "15.25"]
    assert red(controls) == []


def test_escape_gives_up_all_four(person, callback, controls):
    person.fill("azimuth start", "1")
    person.key("tab", "ctrl+u", *"2", "tab", *"3", "escape")
    assert texts(controls) == ["10", "20", "", "15.25"]
    prompt(callback, {"buffer_size": 7})
    controls.refresh()
    assert texts(controls) == ["10", "20", "", "15.25"]


def test_a_number_written_otherwise_changes_nothing_but_is_written_as_it_holds(person, callback, controls):
    person.fill("azimuth start", "10,0")
    person.key("enter")
    person.settle()
    assert callback.config.diff_ranges[0] == (10, 20, None, 15.25)
    assert texts(controls)[0] == "10"


def test_the_last_range_gives_way_when_there_are_fewer(person, callback, controls):
    person.click("following")
    person.fill("azimuth start", "1")
    person.key("tab")
    prompt(callback, {"diff_number": 1})
    controls.refresh()
    assert texts(controls)[1:] == ["20", "", "15.25"]
    assert controls.texts["range text"].get_text() == "range 1"


def test_a_range_that_is_gone_is_not_made_again(callback):
    with pytest.raises(ConfigError, match="no longer there"):
        changed_range(callback.config, 3, {0: 5.0})
