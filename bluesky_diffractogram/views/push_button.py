"""Buttons of the controls, and what lets one of them at a time have the mouse and the keyboard."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from matplotlib.colors import to_rgba
from matplotlib.widgets import AxesWidget

if TYPE_CHECKING:
    from matplotlib.axes import Axes

logger = logging.getLogger(__name__)

FACE, HOVER, PRESSED = "0.93", "0.86", "#cfe3f2"
EDGE, TEXT = "0.6", "0.1"
FONT_SIZE = 8.5


class Focus:
    """Which control of a figure has the keyboard, and which has an open menu over the others.

    Attributes
    ----------
    typing, menu
        The control with the keyboard, the one whose menu is open; or None.
    painted
        The axes that were drawn alone since the figure was drawn.
    """

    def __init__(self) -> None:
        self.typing: Any = None
        self.menu: Any = None
        self.painted: dict[Axes, None] = {}
        self._handled: Any = None
        self._current: Any = None
        self._spent: Any = None

    def first(self, event: Any) -> bool:
        """Whether nobody has dealt with this event yet; the keyboard may change hands while one goes round."""
        before, self._handled = self._handled, event
        return event is not before

    def take(self, control: Any) -> None:
        """Give the keyboard to `control`; whoever had it stops typing first, and is told who is next."""
        before, self.typing = self.typing, control
        if before is not None and before is not control:
            before.leave()

    def drop(self, control: Any) -> None:
        """`control` has stopped typing."""
        if self.typing is control:
            self.typing = None

    def covers(self, control: Any, event: Any) -> bool:
        """Whether `control` is to leave an event alone: another's menu is open, or was closed by just that."""
        self._current = event
        return (self.menu is not None and self.menu is not control) or event is self._spent

    def spend(self, event: Any) -> None:
        """An event has done something that is enough for one click or key: it has closed a menu, say."""
        self._current = self._spent = event

    @property
    def covered(self) -> bool:
        """Whether what is under the controls is to leave the present event alone."""
        return self.menu is not None or (self._spent is not None and self._spent is self._current)


def style(ax: Axes, *, face: str = FACE) -> None:
    """Axes that are a control: no ticks, a thin frame, above the panels."""
    ax.set(xticks=[], yticks=[], xlim=(0, 1), ylim=(0, 1), navigate=False, facecolor=face, zorder=10)
    for spine in ax.spines.values():
        spine.set(color=EDGE, linewidth=0.8)


def paint(ax: Axes, focus: Focus) -> None:
    """Draw a control alone, on a canvas that can do so: the rest of the figure takes a hundred times longer."""
    canvas: Any = ax.figure.canvas
    focus.painted[ax] = None
    if canvas.supports_blit and hasattr(canvas, "get_renderer"):
        ax.draw_artist(ax)
        canvas.blit(ax.bbox)
    else:
        canvas.draw_idle()


def guarded(func: Callable[..., Any], *arguments: Any) -> None:
    """Call what a control is for; with some toolkits an exception in a callback of theirs ends the process."""
    try:
        func(*arguments)
    except Exception:
        logger.exception("a control failed")


class Control(AxesWidget):
    """What all controls share: a click is a press and a release on the same one, and a menu covers the others.

    Parameters
    ----------
    ax
        The axes that it fills.
    focus
        The controls' shared `Focus`.
    face, hover
        Its colours, the latter under the mouse.
    """

    def __init__(self, ax: Axes, focus: Focus, face: str, hover: str) -> None:
        super().__init__(ax)
        style(ax, face=face)
        self.focus = focus
        self.face, self.hover = face, hover
        self._held = False
        self.connect("button_press_event", self.on_press)
        self.connect("button_release_event", self.on_release)
        self.connect("motion_notify_event", self.on_motion)

    def connect(self, name: str, func: Callable[[Any], Any]) -> None:
        """Call `func`, a bound method, which is held weakly, with every event of this name."""
        canvas: Any = self.ax.figure.canvas
        canvas.mpl_connect(name, func)

    def ignore(self, event: Any) -> bool:
        """Whether an event is not for it."""
        return bool(super().ignore(event) or self.focus.covers(self, event) or not self.ax.get_visible())

    def under(self, event: Any) -> bool:
        """Whether the mouse is on it; it need not be the uppermost there."""
        return event.x is not None and bool(self.ax.bbox.contains(event.x, event.y))

    def clicked(self) -> None:
        """Somebody has clicked on it."""

    def on_press(self, event: Any) -> None:
        """A mouse button went down somewhere in the figure."""
        self._held = not self.ignore(event) and self.under(event)

    def on_release(self, event: Any) -> None:
        """It went up."""
        held, self._held = self._held, False
        if held and not self.ignore(event) and self.under(event):
            self.clicked()

    def on_motion(self, event: Any) -> None:
        """The mouse has moved."""
        if not self.ignore(event):
            self.color(self.hover if self.under(event) else self.face)

    def color(self, wanted: str) -> None:
        """Have this colour, seen at once."""
        if to_rgba(wanted) != self.ax.get_facecolor():
            self.ax.set_facecolor(wanted)
            paint(self.ax, self.focus)


class PushButton(Control):
    """A button with a short word.

    Parameters
    ----------
    ax, focus
        See `Control`.
    label
        The word.
    pressed
        Called when it is pressed.
    """

    def __init__(self, ax: Axes, label: str, focus: Focus, pressed: Callable[[], Any]) -> None:
        super().__init__(ax, focus, FACE, HOVER)
        self._pressed = pressed
        self.label = ax.text(
            0.5, 0.5, label, ha="center", va="center_baseline", fontsize=FONT_SIZE, color=TEXT, clip_on=True
        )

    def clicked(self) -> None:
        """Do what the button is for."""
        guarded(self._pressed)

    def show(self, label: str, *, pressed: bool = False) -> None:
        """Change the word, and whether it looks pressed; it is seen at the next drawing."""
        self.label.set_text(label)
        self.face = PRESSED if pressed else FACE
        self.ax.set_facecolor(self.face)
