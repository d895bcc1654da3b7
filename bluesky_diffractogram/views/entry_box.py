"""A box in which a number or a path is typed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

from .clipboard import clipboard_text
from .push_button import FONT_SIZE, TEXT, Control, Focus, guarded, paint

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FACE, HOVER, TYPING, PENDING, CHOSEN = "0.98", "1.0", "#fffbe0", "#fff1b8", "#cfe3f7"
PASTE = ("ctrl+v", "cmd+v", "super+v")
PADDING = 4.0  # points
CURSOR = 0.18  # of the box's height stay free above and below


class EntryBox(Control):
    """One line of text that can be edited.

    matplotlib's own `TextBox` draws the whole figure at every key and every click anywhere; of this one nothing but
    the box is drawn. Enter, or a click elsewhere, submits the text; Escape brings back what was there; Tab goes to the
    next box of the ring; Ctrl-A chooses all of the text. A text that is too long shows its end, so that of a path the
    name of the file is seen.

    Parameters
    ----------
    ax, focus
        See `Control`.
    submitted
        Called with the box and its text when that has been submitted.

    Attributes
    ----------
    typing
        Whether it has the keyboard.
    pending
        Whether it holds a text that was submitted and is neither taken nor refused yet.
    ring
        The boxes that are filled in together.
    """

    def __init__(self, ax: Axes, focus: Focus, submitted: Callable[[EntryBox, str], Any]) -> None:
        super().__init__(ax, focus, FACE, HOVER)
        self._submitted = submitted
        self.ring: Sequence[EntryBox] = (self,)
        self.typing = self.pending = False
        self._value = self._held_text = ""
        self._cursor_at = 0
        self._all_chosen = False
        self._keymaps: Any = {}
        self._line = ax.text(
            0, 0.5, "", va="center_baseline", fontsize=FONT_SIZE, color=TEXT, clip_on=True, parse_math=False
        )
        (self._cursor,) = ax.plot([], [], color=TEXT, linewidth=1.0, visible=False)
        self.connect("key_press_event", self.on_key)
        self.connect("resize_event", self.on_resize)

    @property
    def text(self) -> str:
        """What is in the box."""
        return self._value

    def show(self, text: str) -> None:
        """Show `text` as what holds, unless somebody is typing; it is seen at the next drawing."""
        self._held_text = text
        self.pending = False
        if not self.typing:
            self._value = text
            self._rest()

    def begin_typing(self) -> None:
        """Take the keyboard, also from matplotlib's shortcuts, of which one closes the window."""
        if self.typing:
            return
        self.focus.take(self)
        self.typing = True
        tools = self._tools()
        if tools is not None:
            tools.keypresslock(self)
        else:
            params: Any = mpl.rcParams
            self._keymaps = {key: params[key] for key in params if key.startswith("keymap.")}
            params.update({key: [] for key in self._keymaps})
        self._go_to(len(self.text))

    def stop_typing(self, *, submit: bool = True) -> None:
        """Give the keyboard back; submit the text, or bring back what was there."""
        if not self.typing:
            return
        self.abandon()
        if not submit:
            self.pending = False
            self._value = self._held_text
        elif self.text != self._held_text:
            self.pending = True
        self._rest()
        paint(self.ax, self.focus)
        if submit:
            guarded(self._submitted, self, self.text)

    def abandon(self) -> None:
        """Give the keyboard back, and no more: the window is closing."""
        self.typing = False
        tools = self._tools()
        if tools is not None:
            tools.keypresslock.release(self)
        params: Any = mpl.rcParams
        params.update(self._keymaps)
        self._keymaps = {}
        self.focus.drop(self)

    def leave(self) -> None:
        """Somebody has gone on to another control."""
        self.stop_typing()

    def clicked(self) -> None:
        """Nothing more: the press has begun the typing."""

    def on_press(self, event: Any) -> None:
        """A mouse button went down: in the box, where one begins to type, or elsewhere."""
        if self.ignore(event):
            return
        if self.under(event):
            self._all_chosen = False
            self.begin_typing()  # shows all of the text, its end in the box
            self._go_to(self._index_at(event.x))
        elif not any(box.under(event) for box in self.ring):
            self.stop_typing()

    def on_motion(self, event: Any) -> None:
        """The mouse has moved."""
        if not (self.typing or self.pending):
            super().on_motion(event)

    def on_resize(self, event: Any) -> None:
        """The figure has another size."""
        self._rest()

    def on_key(self, event: Any) -> None:
        """A key was pressed."""
        if not self.typing or self.ignore(event) or event.key is None or not self.focus.first(event):
            return
        key = event.key
        if key in ("ctrl+a", "cmd+a", "super+a"):
            self._choose_all()
            return
        if self._all_chosen and (len(key) == 1 or key in ("backspace", "delete", *PASTE)):
            self._write("", 0)
        self._all_chosen = False
        text, at = self.text, self._cursor_at
        if key in ("enter", "return"):
            self.stop_typing()
        elif key == "escape":
            self.stop_typing(submit=False)
        elif key in ("tab", "shift+tab"):
            step = -1 if key == "shift+tab" else 1
            self.ring[(self.ring.index(self) + step) % len(self.ring)].begin_typing()
        elif key in ("left", "right"):
            self._go_to(at + (1 if key == "right" else -1))
        elif key in ("home", "end"):
            self._go_to(0 if key == "home" else len(text))
        elif key == "backspace":
            self._write(text[: max(at - 1, 0)] + text[at:], max(at - 1, 0))
        elif key == "delete":
            self._write(text[:at] + text[at + 1 :], at)
        elif key == "ctrl+u":
            self._write(text[at:], 0)
        elif key in PASTE:
            self._insert(" ".join(clipboard_text(self.ax.figure.canvas).split()))
        elif len(key) == 1:
            self._insert(key)

    def _choose_all(self) -> None:
        """What is typed next takes the place of all."""
        self._go_to(len(self.text))
        self._all_chosen = True
        self.ax.set_facecolor(CHOSEN)
        paint(self.ax, self.focus)

    def _tools(self) -> Any:
        return getattr(self.ax.figure.canvas.manager, "toolmanager", None)

    def _insert(self, text: str) -> None:
        at = self._cursor_at
        self._write(self.text[:at] + text + self.text[at:], at + len(text))

    def _write(self, text: str, cursor: int) -> None:
        self._value = text
        self._go_to(cursor)

    def _go_to(self, index: int) -> None:
        """Put the cursor before a character, and that into the box."""
        self._cursor_at = min(max(index, 0), len(self.text))
        self._line.set_text(self.text)
        at = self._scroll(self._cursor_at)
        self._cursor.set_data([at, at], [CURSOR, 1 - CURSOR])
        self._cursor.set_visible(True)
        self.ax.set_facecolor(TYPING)
        paint(self.ax, self.focus)

    def _rest(self) -> None:
        """Look as somebody left it."""
        if self.typing:
            self._go_to(self._cursor_at)
            return
        self._cursor.set_visible(False)
        self.ax.set_facecolor(PENDING if self.pending else self.face)
        self._line.set_text(self._shortened())
        self._line.set_x(self._padding() / max(float(self.ax.bbox.width), 1.0))

    def _shortened(self) -> str:
        """The text, or as much of its end as fits."""
        room = float(self.ax.bbox.width) - 2 * self._padding()
        if self._width(self.text) <= room:
            return self.text
        too_short, too_long = 0, len(self.text)
        while too_long - too_short > 1:
            middle = (too_short + too_long) // 2
            fits = self._width(f"…{self.text[-middle:]}") <= room
            too_short, too_long = (middle, too_long) if fits else (too_short, middle)
        return f"…{self.text[-too_short:]}" if too_short else ""

    def _scroll(self, index: int) -> float:
        """Move the text so that character `index` is in the box; where that is, as a fraction of its width."""
        wide = max(float(self.ax.bbox.width), 1.0)
        padding = self._padding()
        before = self._width(self.text[:index])
        left = min(padding, wide - padding - before)
        self._line.set_x(left / wide)
        return (left + before) / wide

    def _index_at(self, x: float) -> int:
        """The character before which a click at `x`, in pixels of the canvas, puts the cursor."""
        left = self._line.get_position()[0] * self.ax.bbox.width + self.ax.bbox.x0
        away = [abs(left + self._width(self.text[:index]) - x) for index in range(len(self.text) + 1)]
        return away.index(min(away))

    def _padding(self) -> float:
        return PADDING * float(self.ax.figure.dpi) / 72

    def _width(self, text: str) -> float:
        """How wide a text is, in pixels of the canvas."""
        if not text:
            return 0.0
        shown = self._line.get_text()
        self._line.set_text(text)
        width = float(self._line.get_window_extent().width)
        self._line.set_text(shown)
        return width
