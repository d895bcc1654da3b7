"""lavue's controls, as a strip of matplotlib's widgets along the bottom of the figure."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bluesky_diffractogram.config import UNITS, DiffractogramConfig

from .choice import Choice
from .colors import RangeColors
from .commands import Commands, CommandThread
from .control_groups import EDITOR, FILES, LOOKS, REDUCTION
from .controlled import Window
from .entry_box import EntryBox
from .free_name import free_name
from .message_line import MessageLine
from .push_button import FONT_SIZE, Focus, PushButton
from .range_editor import RangeEditor
from .strip import Strip, strip

logger = logging.getLogger(__name__)

SCALES = ("linear", "sqrt", "log")
NO_CALIBRANT = "none"
PICTURE = "figure.png"


class Controls:
    """Buttons, boxes and menus that do what the same method of the callback does.

    They follow the configuration: whoever changes it, and in whatever thread, the next drawing shows it.

    Parameters
    ----------
    window
        The figure that they are part of, and whose looks they change.
    commands
        The callback; None leaves out all that commands it.

    Attributes
    ----------
    buttons, boxes, choices
        The widgets by their names.
    focus
        Who has the keyboard, and whether a menu is open.
    message
        The line in which refusals are said.
    """

    def __init__(self, window: Window, commands: Commands | None) -> None:
        self._window, self._commands = window, commands
        self._figure = window.figure
        self.focus = Focus()
        self._news = threading.Event()
        self._thread = CommandThread(self._told)
        self._shown: DiffractogramConfig | None = None
        self._reply: str | None = None
        self.buttons: dict[str, PushButton] = {}
        self.boxes: dict[str, EntryBox] = {}
        self.choices: dict[str, Choice] = {}
        self._texts: dict[str, Any] = {}
        self._groups = (*REDUCTION, *EDITOR, *LOOKS, *FILES) if commands is not None else (*LOOKS, *FILES[1:])
        self._make()
        self.message = MessageLine(self._figure)
        self._laid_out: tuple[float, float] | None = None
        self.hidden = False
        self.refresh()

    # -- making and placing -------------------------------------------------------------------------------

    def _make(self) -> None:
        window = self._window
        if self._commands is not None:
            self._make_commanding(self._commands)
        self._choice("scale", lambda: SCALES, lambda word: self._look(window.set_scale, word))
        self._button("freeze", "Freeze", lambda: self._look(window.freeze))
        self._button("clear", "Clear", lambda: self._look(window.clear))
        self._button("live", "Live", lambda: self._look(window.live_rows))
        self._choice(
            "calibrant",
            lambda: (NO_CALIBRANT, *window.calibrants()),
            lambda word: self._look(window.set_calibrant, None if word == NO_CALIBRANT else word),
        )
        self._box("picture", lambda box, text: box.show(text.strip() or PICTURE))
        self.boxes["picture"].show(PICTURE)
        self._button("save", "Save", self._save)
        for name, text in (("scale", "scale"), ("calibrant", "calibrant")):
            self._text(name, text)

    def _make_commanding(self, commands: Commands) -> None:
        self._button("show", "Stop", lambda: self._do(lambda: commands.show(not commands.config.show_diff)))
        self._button("next", "Next", lambda: self._do(commands.next))
        self._button("collect", "Collect", lambda: self._do(lambda: commands.collect(not commands.config.collect)))
        self._button("reset", "Reset", lambda: self._do(commands.reset))
        self._choice("unit", lambda: [unit.label for unit in UNITS], lambda word: self._configure(diff_units=word))
        self._box("number", lambda box, text: self._typed(box, "diff_number", _integer(text)))
        self._box("buffer", lambda box, text: self._typed(box, "buffer_size", _integer(text)))
        self._choice("main", self._window.main_plots, lambda word: self._configure(main_plot=word))
        names = ("azimuth start", "azimuth end", "radial start", "radial end")
        for name in names:
            self._box(name, lambda box, text: self._editor.submitted(box, text))
        self._editor = RangeEditor(
            [self.boxes[name] for name in names],
            self.focus,
            lambda changes: self._do(lambda: commands.configure(changes(commands.config))),
            self._told,
        )
        self._button("previous", "◀", lambda: self._step(-1))
        self._button("following", "▶", lambda: self._step(1))
        self._box("calibration", lambda box, text: self._typed(box, "calibration", text.strip()))
        for name, text in (
            ("unit", "unit"), ("number", "ranges"), ("buffer", "buffer"), ("main", "plot"),
            ("range", ""), ("azimuth", "χ (°)"), ("radial", ""), ("calibration", "calibration"),
        ):  # fmt: skip
            self._text(name, text)

    def _axes(self, name: str) -> Any:
        return self._figure.add_axes((0.0, 0.0, 0.01, 0.01), label=f"control: {name}")

    def _button(self, name: str, label: str, pressed: Callable[[], Any]) -> None:
        self.buttons[name] = PushButton(self._axes(name), label, self.focus, pressed)

    def _choice(self, name: str, words: Callable[[], Sequence[str]], chosen: Callable[[str], Any]) -> None:
        self.choices[name] = Choice(self._axes(name), self.focus, words, chosen)

    def _box(self, name: str, submitted: Callable[[EntryBox, str], Any]) -> None:
        self.boxes[name] = EntryBox(self._axes(name), self.focus, submitted)

    def _text(self, name: str, text: str) -> None:
        self._texts[f"{name} text"] = self._figure.text(0, 0, text, ha="right", va="center", fontsize=FONT_SIZE)

    def _widgets(self) -> Iterator[tuple[str, Any]]:
        yield from self.buttons.items()
        yield from self.boxes.items()
        yield from self.choices.items()

    def _strip(self, width: float) -> Strip:
        return strip(width, self._groups)

    def height(self, width: float) -> float:
        """How high the strip is in a figure of `width`, both in inches; 0 while it is hidden."""
        return 0.0 if self.hidden else self._strip(width).height

    def place(self) -> None:
        """Put everything where the figure's size wants it."""
        width, height = (float(each) for each in self._figure.get_size_inches())
        if self._laid_out == (width, height):
            return
        self._laid_out = (width, height)
        boxes = self._strip(width).boxes
        for name, widget in self._widgets():
            left, bottom, wide, high = boxes[name]
            widget.ax.set_position((left / width, bottom / height, wide / width, high / height))
        for box in self.boxes.values():
            box.on_resize(None)
        for name, text in self._texts.items():
            left, bottom, wide, high = boxes[name]
            text.set_position(((left + wide) / width, (bottom + high / 2) / height))
        self.message.place(width, height)

    @contextmanager
    def out_of_sight(self) -> Iterator[None]:
        """Leave the controls out of what is drawn meanwhile, of a picture that is saved say."""
        artists = [*(widget.ax for _, widget in self._widgets()), *self._texts.values(), self.message.text]
        seen = [artist.get_visible() for artist in artists]
        self.hidden = True
        for artist in artists:
            artist.set_visible(False)
        try:
            yield
        finally:
            self.hidden = False
            for artist, visible in zip(artists, seen, strict=True):
                artist.set_visible(visible)

    # -- following ----------------------------------------------------------------------------------------

    def changed(self) -> bool:
        """Whether there is something that is not shown yet."""
        return self._news.is_set() or (self._commands is not None and self._commands.config is not self._shown)

    def refresh(self) -> None:
        """Show the configuration in force and what there is to say; on the thread that draws."""
        answered = self._news.is_set()
        self._news.clear()
        self.place()
        if answered:
            self.message.refused(self._reply or "")
        self.buttons["live"].show("Live", pressed=self._window.live_curves)
        self.choices["scale"].choose(self._window.scale)
        self.choices["calibrant"].choose(self._window.calibrant or NO_CALIBRANT)
        if self._commands is not None:
            config = self._commands.config
            if answered or config is not self._shown:
                self._shown = config
                self._follow(config)

    def _follow(self, config: DiffractogramConfig) -> None:
        self.buttons["show"].show("Stop" if config.show_diff else "Show", pressed=config.show_diff)
        self.buttons["collect"].show("Stop collecting" if config.collect else "Collect", pressed=config.collect)
        self.choices["unit"].choose(config.unit.label)
        self.choices["main"].choose(config.main_plot)
        self.boxes["number"].show(str(config.diff_number))
        self.boxes["buffer"].show(str(config.buffer_size))
        self.boxes["calibration"].show(config.calibration)
        if not (self._editor.typing or self._thread.busy()):
            self._editor.show(config)
        self._name_range(config)

    def _name_range(self, config: DiffractogramConfig) -> None:
        number = self._editor.number
        text = self._texts["range text"]
        text.set_text(f"range {number}")
        text.set_color(RangeColors.configured(config.colors)[number])
        quantity = (config.radial_limit_unit or config.unit).label.replace("2th", "2θ").replace("deg", "°")
        self._texts["radial text"].set_text(quantity.replace("[", "(").replace("]", ")"))

    # -- commanding ---------------------------------------------------------------------------------------

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all that was commanded here is done; False if it took longer than `timeout` seconds."""
        return self._thread.wait(timeout)

    def close(self) -> None:
        """Command no more, and give matplotlib its keys back: the window is gone."""
        if self.focus.typing is not None:
            self.focus.typing.abandon()
        self._thread.close()

    def configure(self, changes: Mapping[str, Any]) -> None:
        """Change the configuration as `Commands.configure` does, without waiting; what is refused is said."""
        commands = self._commands
        if commands is not None:
            self._do(lambda: commands.configure(changes))

    def _configure(self, **changes: Any) -> None:
        self.configure(changes)

    def _do(self, command: Callable[[], Any]) -> None:
        self.message.say("…")
        self._thread.do(command)

    def refuse(self, reason: str) -> None:
        """Say at the next drawing why something was refused."""
        self._told(reason)

    def _told(self, reply: str | None) -> None:
        self._reply = reply
        self._news.set()
        self._window.hasten()

    def _typed(self, box: EntryBox, key: str, value: Any) -> None:
        if self._shown is not None and getattr(self._shown, key) == value:
            box.show(str(value))
            self._news.set()
        else:
            self._configure(**{key: value})

    def _step(self, by: int) -> None:
        if self._shown is not None:
            self._editor.step(by, self._shown)
            self._name_range(self._shown)
            self._figure.canvas.draw_idle()

    def _look(self, change: Callable[..., Any], *arguments: Any) -> None:
        """Change what is drawn, on this thread."""
        try:
            change(*arguments)
        except Exception as error:
            logger.exception("a control failed")
            self._told(f"{type(error).__name__}: {error}")
        else:
            self._told(None)

    def _save(self) -> None:
        box = self.boxes["picture"]
        path = free_name(Path(box.text.strip() or PICTURE).expanduser())
        try:
            self._window.save(path)
        except Exception as error:  # no such folder, no such format
            self._told(f"cannot be saved as {path}: {error}")
        else:
            self.message.say(f"saved as {path.absolute()}")
            self._figure.canvas.draw_idle()


def _integer(text: str) -> Any:
    """The integer that `text` says, else the text, which is refused with the reason."""
    try:
        return int(text)
    except ValueError:
        return text
