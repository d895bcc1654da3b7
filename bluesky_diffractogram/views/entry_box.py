"""A box in which a number or a path is typed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from .clipboard import clipboard_text
from .entry_line import EntryLine
from .push_button import Control, Focus, guarded, paint
from .shortcuts import Shortcuts

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FACE, HOVER, TYPING, PENDING, REFUSED, CHOSEN = "0.98", "1.0", "#fffbe0", "#fff1b8", "#f9cfcf", "#cfe3f7"
PASTE = ("ctrl+v", "cmd+v", "super+v")


class EntryBox(Control):
    """One line of text that can be edited.

    matplotlib's own `TextBox` draws the whole figure at every key and every click anywhere; of this one nothing but
    the box is drawn. Enter, or a click elsewhere, submits the text; Tab goes to the next box of the ring; Escape
    brings back what was there, in all of the ring; Ctrl-A chooses all of the text. A text that is too long shows its
    end, so that of a path the name of the file is seen. A text that was refused stays, in red, until it is mended or
    given up.

    Parameters
    ----------
    ax, focus
        See `Control`.
    submitted
        Called with the box and its text when that has been submitted.
    given_up
        Called after Escape.

    Attributes
    ----------
    typing
        Whether it has the keyboard.
    pending, refused
        Whether it holds a text that was typed and is not taken yet, or cannot be.
    entered
        Whether it was Enter that submitted the text.
    ring
        The boxes that are filled in together.
    """

    def __init__(
        self,
        ax: Axes,
        focus: Focus,
        submitted: Callable[[EntryBox, str], Any],
        given_up: Callable[[], Any] = lambda: None,
    ) -> None:
        super().__init__(ax, focus, FACE, HOVER)
        self._submitted, self._given_up = submitted, given_up
        self.ring: Sequence[EntryBox] = (self,)
        self.typing = self.pending = self.refused = self.entered = False
        self._value = self._held_text = ""
        self._cursor_at = 0
        self._all_chosen = False
        self._shortcuts: Shortcuts | None = None
        self.line = EntryLine(ax)
        self.connect("key_press_event", self.on_key)
        self.connect("resize_event", self.on_resize)

    # -- what it shows ------------------------------------------------------------------------------------

    @property
    def text(self) -> str:
        """What is in the box."""
        return self._value

    @property
    def edited(self) -> bool:
        """Whether that is something else than what holds."""
        return self._value != self._held_text

    def show(self, text: str) -> None:
        """Show `text` as what holds, at the next drawing.

        What is being typed stays, also in the other boxes of the ring; and what was refused, or is not taken yet,
        unless `text` says that somebody else has changed just that.
        """
        other, self._held_text = text != self._held_text, text
        if self.typing or (self.pending and any(box.typing for box in self.ring)):
            return
        if other or not (self.pending or self.refused):
            self.restore()

    def reset(self, text: str) -> None:
        """Show `text` as what holds, whatever was typed."""
        self._held_text = text
        self.restore()

    def restore(self) -> None:
        """Bring back what holds."""
        self.pending = self.refused = False
        self._value = self._held_text
        self._rest()

    def take(self) -> None:
        """What was submitted holds; `show` says how it is written."""
        if not self.typing:
            self.pending = self.refused = False

    def refuse(self) -> None:
        """What was submitted is wrong: show it in red."""
        if not self.typing:
            self.pending, self.refused = False, True
            self._rest()

    # -- typing -------------------------------------------------------------------------------------------

    def begin_typing(self) -> None:
        """Take the keyboard, also from matplotlib's shortcuts, of which one closes the window."""
        if self.typing:
            return
        self.focus.take(self)
        self.typing = True
        self._shortcuts = Shortcuts(self.ax.figure.canvas)
        self._shortcuts.take()
        self._go_to(len(self.text))

    def stop_typing(self, *, submit: bool = True, entered: bool = False) -> None:
        """Give the keyboard back; submit the text, or bring back what was there."""
        if not self.typing:
            return
        self.abandon()
        self.refused = False
        if submit:
            self.pending, self.entered = self.edited, entered
            self._rest()
            paint(self.ax, self.focus)
            guarded(self._submitted, self, self.text)
            return
        for box in self.ring:
            box.restore()
            paint(box.ax, self.focus)
        guarded(self._given_up)

    def abandon(self) -> None:
        """Give the keyboard back, and no more: the window is closing."""
        self.typing = False
        if self._shortcuts is not None:
            self._shortcuts.give_back()
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
            self._go_to(self.line.index_at(event.x))
        elif not any(box.under(event) for box in self.ring):
            self.stop_typing()

    def on_motion(self, event: Any) -> None:
        """The mouse has moved."""
        if not (self.typing or self.pending or self.refused):
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
            self.stop_typing(entered=True)
        elif key == "escape":
            self.focus.spend(event)
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

    def _insert(self, text: str) -> None:
        at = self._cursor_at
        self._write(self.text[:at] + text + self.text[at:], at + len(text))

    def _write(self, text: str, cursor: int) -> None:
        self._value = text
        self._go_to(cursor)

    def _go_to(self, index: int) -> None:
        """Put the cursor before a character."""
        self._cursor_at = min(max(index, 0), len(self.text))
        self.line.edit(self.text, self._cursor_at)
        self.ax.set_facecolor(TYPING)
        paint(self.ax, self.focus)

    def _rest(self) -> None:
        """Look as somebody left it."""
        if self.typing:
            self._go_to(self._cursor_at)
            return
        self.ax.set_facecolor(REFUSED if self.refused else PENDING if self.pending else self.face)
        self.line.rest(self.text)
