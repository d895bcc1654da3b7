"""lavue's controls, as a strip of matplotlib's widgets along the bottom of the figure."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bluesky_diffractogram.config import UNITS, DiffractogramConfig

from .colors import RangeColors
from .commands import Commands, CommandThread, Reply
from .control_groups import CALIBRANT, EDITOR, FILES, LOOKS, MAIN, REDUCTION
from .control_strip import ControlStrip
from .controlled import Window
from .entry_box import EntryBox
from .free_name import free_name
from .main_plot import IMAGE, buffer_number
from .range_editor import PLACES, Changes, RangeEditor
from .strip import Piece

logger = logging.getLogger(__name__)

SCALES = ("linear", "sqrt", "log")
NO_CALIBRANT = "none"
PICTURE = "figure.png"
TEXTS = {
    "unit": "unit", "number": "ranges", "buffer": "buffer", "range": "", "azimuth": "χ (°)", "radial": "",
    "calibration": "calibration",
}  # fmt: skip


class Controls(ControlStrip):
    """Buttons, boxes and menus that do what the same method of the callback does.

    They follow the configuration: whoever changes it, and in whatever thread, the next drawing shows it. Each changes
    what it is for and nothing else, whatever has been changed meanwhile.

    Parameters
    ----------
    window
        The figure that they are part of, and whose looks they change.
    commands
        The callback; None leaves out all that commands it.
    """

    def __init__(self, window: Window, commands: Commands | None) -> None:
        groups: tuple[tuple[Piece, ...], ...] = (*REDUCTION, *MAIN, *LOOKS, *EDITOR, *CALIBRANT, *FILES)
        if commands is None:
            groups = (*MAIN, *LOOKS, *CALIBRANT, *FILES[1:])
        super().__init__(window.figure, groups)
        self._window, self._commands = window, commands
        self._thread = CommandThread()
        self._replies: deque[Reply] = deque()
        self._news = threading.Event()
        self._shown: DiffractogramConfig | None = None
        self._make_looks()
        if commands is not None:
            self._make_commanding(commands)
        self.refresh()

    # -- making -------------------------------------------------------------------------------------------

    def _make_looks(self) -> None:
        window = self._window
        self.choice("main", window.main_plots, self._show_main)
        self.choice("scale", lambda: SCALES, lambda word: self._look(window.set_scale, word))
        self.button("freeze", "Freeze", lambda: self._look(window.freeze))
        self.button("clear", "Clear", lambda: self._look(window.clear))
        self.button("live", "Live", lambda: self._look(window.live_rows))
        self.choice(
            "calibrant",
            lambda: (NO_CALIBRANT, *window.calibrants()),
            lambda word: self._look(window.set_calibrant, None if word == NO_CALIBRANT else word),
        )
        self.box("picture", lambda box, text: box.reset(text.strip() or PICTURE))
        self.boxes["picture"].reset(PICTURE)
        self.button("save", "Save", self._save)
        for name, text in (("main", "plot"), ("scale", "scale"), ("calibrant", "calibrant")):
            self.text(name, text)

    def _make_commanding(self, commands: Commands) -> None:
        self.button("show", "Stop", lambda: self._switch(commands.show, "show_diff"))
        self.button("next", "Next", lambda: self._do(commands.next))
        self.button("collect", "Collect", lambda: self._switch(commands.collect, "collect"))
        self.button("reset", "Reset", lambda: self._do(commands.reset))
        self.choice("unit", lambda: [unit.label for unit in UNITS], lambda word: self.configure({"diff_units": word}))
        for name, key in (("number", "diff_number"), ("buffer", "buffer_size")):
            self.box(name, partial(self._number_typed, key), self._said_nothing)
        for name in PLACES:
            self.box(name, lambda box, text: self._editor.submitted(box, text), self._said_nothing)
        self._editor = RangeEditor(
            [self.boxes[name] for name in PLACES],
            self.focus,
            lambda changes, boxes: self._do(lambda: commands.configure(changes), boxes),
            self.refuse,
        )
        self.button("previous", "◀", lambda: self._step(-1))
        self.button("following", "▶", lambda: self._step(1))
        self.box("calibration", self._calibration_typed, self._said_nothing)
        for name, text in TEXTS.items():
            self.text(name, text)

    # -- following ----------------------------------------------------------------------------------------

    def changed(self) -> bool:
        """Whether there is something that is not shown yet."""
        return self._news.is_set() or (self._commands is not None and self._commands.config is not self._shown)

    def refresh(self) -> None:
        """Show the configuration in force and what there is to say; on the thread that draws."""
        self._news.clear()
        self.place()
        answered = self._hear()
        window = self._window
        self.buttons["live"].show("Live", pressed=window.live_curves)
        self.choices["main"].choose(window.main_plot)
        self.choices["scale"].choose(window.scale)
        self.choices["calibrant"].choose(window.calibrant or NO_CALIBRANT)
        if self._commands is not None:
            config = self._commands.config
            if answered or config is not self._shown:
                self._shown = config
                self._follow(config)

    def _hear(self) -> bool:
        """Take what came of commands: the boxes hold, or were refused; what was refused is said. Whether any came."""
        replies = []
        while self._replies:
            replies.append(self._replies.popleft())
        for reply in replies:
            for box in reply.boxes:
                box.refuse() if reply.refusal else box.take()
        refusals = [reply.refusal for reply in replies if reply.refusal]
        if refusals:
            self.message.refused("; and ".join(refusals))
        elif replies:
            self.message.say(replies[-1].said)
        return bool(replies)

    def _follow(self, config: DiffractogramConfig) -> None:
        self.buttons["show"].show("Stop" if config.show_diff else "Show", pressed=config.show_diff)
        self.buttons["collect"].show("Stop collecting" if config.collect else "Collect", pressed=config.collect)
        self.choices["unit"].choose(config.unit.label)
        self.boxes["number"].show(str(config.diff_number))
        self.boxes["buffer"].show(str(config.buffer_size))
        self.boxes["calibration"].show(config.calibration)
        self._editor.show(config)
        self._name_range(config)

    def _name_range(self, config: DiffractogramConfig) -> None:
        number = self._editor.number
        text = self.texts["range text"]
        text.set_text(f"range {number}")
        text.set_color(RangeColors.configured(config.colors)[number])
        quantity = (config.radial_limit_unit or config.unit).label.replace("2th", "2θ").replace("deg", "°")
        self.texts["radial text"].set_text(quantity.replace("[", "(").replace("]", ")"))

    # -- commanding ---------------------------------------------------------------------------------------

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all that was commanded here is done; False if it took longer than `timeout` seconds."""
        return self._thread.wait(timeout)

    def close(self) -> None:
        """The window is gone: nobody types any more, no menu is open."""
        if self.focus.typing is not None:
            self.focus.typing.abandon()
        if self.focus.menu is not None:
            self.focus.menu.close()
        self._thread.close()

    def configure(self, changes: Mapping[str, Any] | Changes, boxes: Sequence[EntryBox] = (), said: str = "") -> None:
        """Change the configuration as `Commands.configure` does, without waiting; what is refused is said."""
        commands = self._commands
        if commands is not None:
            self._do(lambda: commands.configure(changes), boxes, said)

    def _do(self, command: Callable[[], Any], boxes: Sequence[EntryBox] = (), said: str = "") -> None:
        self.message.say("…")
        self._thread.do(command, lambda refusal: self._told(Reply(refusal, said, boxes)))

    def refuse(self, reason: str) -> None:
        """Say at the next drawing why something was refused; an empty text, that nothing was."""
        self._told(Reply(reason))

    def _said_nothing(self) -> None:
        self._told(Reply())

    def _told(self, reply: Reply) -> None:
        self._replies.append(reply)
        self._news.set()
        self._window.hasten()

    def _switch(self, command: Callable[[bool], Any], key: str) -> None:
        """Do what the button says, also if it is no longer so."""
        on = not getattr(self._shown, key)
        self._do(lambda: command(on))

    def _typed(self, box: EntryBox, key: str, value: Any, **others: Any) -> None:
        if self._shown is not None and getattr(self._shown, key) == value:
            box.reset(str(value))
            self._said_nothing()
        else:
            self.configure({key: value, **others}, [box])

    def _number_typed(self, key: str, box: EntryBox, text: str) -> None:
        try:
            value: int | str = int(text)
        except ValueError:  # it is refused with the reason
            value = text
        others: dict[str, Any] = {}
        shown = 0 if self._shown is None else buffer_number(self._shown.main_plot) or 0
        if key == "diff_number" and isinstance(value, int) and shown > value:
            others["main_plot"] = IMAGE  # the heat-map that it is now goes with its range
        self._typed(box, key, value, **others)

    def _calibration_typed(self, box: EntryBox, text: str) -> None:
        path = text.strip()
        if box.entered:  # the file may have been written anew under its name
            self.configure({"calibration": path}, [box], f"calibration read from {path}")
        else:
            self._typed(box, "calibration", path)

    def _step(self, by: int) -> None:
        if self._shown is not None:
            self._editor.step(by, self._shown)
            self._name_range(self._shown)
            self._figure.canvas.draw_idle()

    def _show_main(self, word: str) -> None:
        commands = self._commands
        if commands is None:
            self._look(self._window.set_main_plot, word)
            return

        def show() -> None:
            commands.configure({"main_plot": word})
            self._window.set_main_plot(word)

        self._do(show)

    def _look(self, change: Callable[..., Any], *arguments: Any) -> None:
        """Change what is drawn, on this thread."""
        try:
            change(*arguments)
        except Exception as error:
            logger.exception("a control failed")
            self._told(Reply(f"{type(error).__name__}: {error}"))
        else:
            self._said_nothing()

    def _save(self) -> None:
        box = self.boxes["picture"]
        path = free_name(Path(box.text.strip() or PICTURE).expanduser())
        try:
            self._window.save(path)
        except Exception as error:  # no such folder, no such format
            self._told(Reply(f"cannot be saved as {path}: {error}"))
        else:
            self.message.say(f"saved as {path.absolute()}")
            self._figure.canvas.draw_idle()
