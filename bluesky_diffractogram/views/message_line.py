"""The line in which a window says what was refused, or done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .push_button import FONT_SIZE
from .strip import EDGE, MESSAGE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REFUSED, SAID = "#a31515", "0.3"
CHARACTERS = 15.5  # of the smaller kind that fit into an inch


class MessageLine:
    """One line of text under the controls.

    Attributes
    ----------
    text
        matplotlib's text.
    full
        What it says, before it was cut to the width of the figure.
    """

    def __init__(self, figure: Figure) -> None:
        self.full = ""
        self.text = figure.text(0, 0, "", ha="left", va="center", fontsize=FONT_SIZE)
        self._width = float(figure.get_size_inches()[0])

    def place(self, width: float, height: float) -> None:
        """Put it into a figure of `width` and `height` in inches."""
        self._width = width
        self.text.set_position((EDGE / width, 0.5 * MESSAGE / height))
        self._cut()

    def refused(self, text: str) -> None:
        """Say why something was refused; an empty text says nothing any more."""
        self._write(text, REFUSED)

    def say(self, text: str) -> None:
        """Say something that nobody need worry about."""
        self._write(text, SAID)

    def _write(self, text: str, color: str) -> None:
        self.full = " ".join(text.split())
        self.text.set_color(color)
        self._cut()

    def _cut(self) -> None:
        most = int((self._width - 2 * EDGE) * CHARACTERS)
        self.text.set_text(self.full if len(self.full) <= most else self.full[: most - 1] + "…")
        self.text.set_parse_math(False)
