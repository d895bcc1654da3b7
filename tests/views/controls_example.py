"""A window and a callback that note what the controls ask of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.backend_bases import KeyEvent, MouseEvent
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bluesky_diffractogram.config import DiffractogramConfig, load_config, update_config
from bluesky_diffractogram.views.controls import Controls


class Callback:
    """Holds a configuration as the real one does."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config: DiffractogramConfig = load_config(config)
        self.asked: list[Any] = []

    def configure(self, changes):
        if callable(changes):
            changes = changes(self.config)
        self.config = update_config(self.config, changes)
        self.asked.append(dict(changes))

    def show(self, on=True):
        self.config = self.config.model_copy(update={"show_diff": on})
        self.asked.append(("show", on))

    def collect(self, on=True):
        self.config = self.config.model_copy(update={"collect": on})
        self.asked.append(("collect", on))

    def next(self):
        self.asked.append("next")

    def reset(self):
        self.asked.append("reset")


class Window:
    """A figure with nothing but controls."""

    def __init__(self, figsize=(10.0, 7.0)) -> None:
        self.figure = Figure(figsize=figsize, dpi=100)
        FigureCanvasAgg(self.figure)
        self.scale, self.calibrant, self.live_curves, self.main_plot = "linear", None, True, "image"
        self.asked: list[Any] = []

    def main_plots(self):
        return ("image", "buffer 1", "buffer 2")

    def calibrants(self):
        return ("CeO2", "LaB6", "Si")

    def set_main_plot(self, main_plot):
        self.main_plot = main_plot

    def set_scale(self, scale):
        self.scale = scale

    def set_calibrant(self, name):
        self.calibrant = name

    def freeze(self):
        self.asked.append("freeze")

    def clear(self):
        self.asked.append("clear")

    def live_rows(self):
        self.asked.append("live")

    def hasten(self):
        pass

    def save(self, path):
        self.figure.savefig(path)


class Person:
    """Clicks and types, with events as toolkits send them."""

    def __init__(self, controls: Controls) -> None:
        self.controls = controls
        self.canvas: Any = controls.buttons["save"].ax.figure.canvas

    def at(self, name: str) -> tuple[float, float]:
        for widgets in (self.controls.buttons, self.controls.boxes, self.controls.choices):
            if name in widgets:
                box = widgets[name].ax.bbox
                return (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
        raise KeyError(name)

    def click_at(self, x: float, y: float) -> None:
        for event in ("motion_notify_event", "button_press_event", "button_release_event"):
            MouseEvent(event, self.canvas, x, y, None if event[0] == "m" else 1)._process()

    def click(self, name: str) -> None:
        self.click_at(*self.at(name))

    def key(self, *keys: str) -> None:
        for key in keys:
            KeyEvent("key_press_event", self.canvas, key, 1, 1)._process()

    def fill(self, name: str, text: str) -> None:
        """Click into a box and replace what is in it; Enter is not pressed."""
        self.click(name)
        self.key("end", "ctrl+u", *text)

    def choose(self, name: str, word: str) -> None:
        """Open a menu and click on a word."""
        self.click(name)
        menu = self.controls.choices[name].menu
        assert menu is not None, f"the menu of {name} did not open"
        (text,) = [each for each in menu.texts if each.get_text() == word]
        self.canvas.draw()
        box = text.get_window_extent()
        self.click_at((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2)

    def settle(self) -> None:
        """Wait for the commands and show their results."""
        assert self.controls.wait(10)
        assert self.controls.changed()
        self.controls.refresh()
