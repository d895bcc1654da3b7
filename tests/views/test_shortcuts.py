"""matplotlib's keyboard shortcuts, of one window at a time."""

from __future__ import annotations

import matplotlib as mpl
import pytest
from matplotlib import pyplot as plt
from matplotlib.backend_bases import KeyEvent

from bluesky_diffractogram.views.entry_box import EntryBox
from bluesky_diffractogram.views.push_button import Focus


class Typist:
    """Presses keys in a window, and sees which of matplotlib's shortcuts they were."""

    def __init__(self, monkeypatch):
        figure = plt.figure(figsize=(2, 1))
        self.canvas = figure.canvas
        self.box = EntryBox(figure.add_axes((0, 0, 1, 1)), Focus(), lambda box, text: None)
        self.shortcuts = 0
        monkeypatch.setattr(self.canvas.manager, "full_screen_toggle", self._count, raising=False)

    def _count(self):
        self.shortcuts += 1

    def press(self, key="f"):
        before = self.shortcuts
        KeyEvent("key_press_event", self.canvas, key)._process()
        return self.shortcuts > before


@pytest.fixture
def one(live_backend, monkeypatch):
    return Typist(monkeypatch)


@pytest.fixture
def other(live_backend, monkeypatch):
    return Typist(monkeypatch)


def test_a_window_has_none_while_somebody_types_there_and_others_keep_theirs(one, other):
    keymaps = {key: list(value) for key, value in mpl.rcParams.items() if key.startswith("keymap.")}
    one.box.begin_typing()
    assert {key: list(value) for key, value in mpl.rcParams.items() if key.startswith("keymap.")} == keymaps
    assert not one.press()
    assert one.box.text.endswith("f")
    assert other.press()
    other.box.begin_typing()
    assert not other.press()
    one.press("escape")
    assert one.press()
    assert not other.press()
    other.press("enter")
    assert other.press()
    assert one.press()


def test_typing_again_and_again_gives_them_back_once(one):
    for _ in range(3):
        one.box.begin_typing()
        one.press("escape")
    one.press()
    assert one.shortcuts == 1


def test_who_wants_none_gets_none(one):
    one.canvas.mpl_disconnect(one.canvas.manager.key_press_handler_id)
    one.box.begin_typing()
    one.press("escape")
    assert not one.press()


def test_the_tool_manager_is_told_to_keep_quiet(live_backend, monkeypatch):
    with mpl.rc_context():
        with pytest.warns(UserWarning, match="Tool"):
            mpl.rcParams["toolbar"] = "toolmanager"
        typist = Typist(monkeypatch)
        manager = typist.canvas.manager
        assert manager.toolmanager is not None
        typist.box.begin_typing()
        assert manager.toolmanager.keypresslock.locked()
        typist.press("escape")
        assert not manager.toolmanager.keypresslock.locked()
        plt.close("all")
