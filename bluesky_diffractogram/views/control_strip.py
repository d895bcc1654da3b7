"""The controls as widgets at the bottom of a figure: made, placed, and left out of pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .choice import Choice
from .entry_box import EntryBox
from .message_line import MessageLine
from .push_button import FONT_SIZE, Focus, PushButton
from .strip import Piece, strip

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class ControlStrip:
    """Buttons, boxes and menus by their names, in as many rows as the figure's width needs.

    Parameters
    ----------
    figure
        That they are part of.
    groups
        Which there will be, in their order.

    Attributes
    ----------
    buttons, boxes, choices
        The widgets by their names.
    focus
        Who has the keyboard, and whether a menu is open.
    message
        The line in which refusals are said.
    hidden
        Whether they are out of sight.
    """

    def __init__(self, figure: Figure, groups: Sequence[Sequence[Piece]]) -> None:
        self._figure, self._groups = figure, groups
        self.focus = Focus()
        self.buttons: dict[str, PushButton] = {}
        self.boxes: dict[str, EntryBox] = {}
        self.choices: dict[str, Choice] = {}
        self.texts: dict[str, Any] = {}
        self.message = MessageLine(figure)
        self.hidden = False
        self._laid_out: tuple[float, float] | None = None

    def button(self, name: str, label: str, pressed: Callable[[], Any]) -> None:
        """Make a button."""
        self.buttons[name] = PushButton(self._axes(name), label, self.focus, pressed)

    def choice(self, name: str, words: Callable[[], Sequence[str]], chosen: Callable[[str], Any]) -> None:
        """Make a button with a menu."""
        self.choices[name] = Choice(self._axes(name), self.focus, words, chosen)

    def box(
        self, name: str, submitted: Callable[[EntryBox, str], Any], given_up: Callable[[], Any] = lambda: None
    ) -> None:
        """Make a box to type in."""
        self.boxes[name] = EntryBox(self._axes(name), self.focus, submitted, given_up)

    def text(self, name: str, text: str) -> None:
        """Make the text beside a control."""
        self.texts[f"{name} text"] = self._figure.text(0, 0, text, ha="right", va="center", fontsize=FONT_SIZE)

    def _axes(self, name: str) -> Any:
        return self._figure.add_axes((0.0, 0.0, 0.01, 0.01), label=f"control: {name}")

    def widgets(self) -> Iterator[tuple[str, Any]]:
        """All that can be clicked, with their names."""
        yield from self.buttons.items()
        yield from self.boxes.items()
        yield from self.choices.items()

    def height(self, width: float) -> float:
        """How high the strip is in a figure of `width`, both in inches; 0 while it is hidden."""
        return 0.0 if self.hidden else strip(width, self._groups).height

    def place(self) -> None:
        """Put everything where the figure's size wants it."""
        width, height = (float(each) for each in self._figure.get_size_inches())
        if self._laid_out == (width, height):
            return
        self._laid_out = (width, height)
        places = strip(width, self._groups).boxes
        for name, widget in self.widgets():
            left, bottom, wide, high = places[name]
            widget.ax.set_position((left / width, bottom / height, wide / width, high / height))
        for box in self.boxes.values():
            box.on_resize(None)
        for name, text in self.texts.items():
            left, bottom, wide, high = places[name]
            text.set_position(((left + wide) / width, (bottom + high / 2) / height))
        self.message.place(width, height)

    @contextmanager
    def out_of_sight(self) -> Iterator[None]:
        """Leave the controls, and an open menu, out of what is drawn meanwhile, of a picture that is saved say."""
        artists = [*(widget.ax for _, widget in self.widgets()), *self.texts.values(), self.message.text]
        artists += [choice.menu for choice in self.choices.values() if choice.menu is not None]
        seen = [artist.get_visible() for artist in artists]
        before, self.hidden = self.hidden, True
        for artist in artists:
            artist.set_visible(False)
        try:
            yield
        finally:
            self.hidden = before
            for artist, visible in zip(artists, seen, strict=True):
                artist.set_visible(visible)
