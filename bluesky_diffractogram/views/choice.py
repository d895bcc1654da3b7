"""A button that opens a menu of words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil
from typing import TYPE_CHECKING, Any

from matplotlib.patches import Rectangle

from .push_button import EDGE, FONT_SIZE, HOVER, PRESSED, TEXT, Focus, PushButton, guarded, paint

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROW, CHARACTER, MARGIN = 0.25, 0.085, 0.1  # inches
MENU_ABOVE = 50.0


class Choice(PushButton):
    """Shows one word out of several; a click opens the menu, over whatever is above the button.

    A click beside the menu, or Escape, closes it and does nothing else.

    Parameters
    ----------
    ax, focus
        See `Control`.
    words
        Gives the words there are, each time the menu is opened.
    chosen
        Called with the word that was chosen.

    Attributes
    ----------
    word
        The one that holds.
    menu
        The axes of the open menu, or None.
    """

    def __init__(
        self, ax: Axes, focus: Focus, words: Callable[[], Sequence[str]], chosen: Callable[[str], Any]
    ) -> None:
        super().__init__(ax, "", focus, self.open)
        self._words, self._chosen = words, chosen
        self.word = ""
        self.menu: Axes | None = None
        self._offered: list[str] = []
        self._rows = 1
        self._marks: list[Rectangle] = []
        self._marked: int | None = None
        self._covered: list[Axes] = []
        self.connect("key_press_event", self.on_key)
        self.connect("resize_event", self.on_resize)

    def choose(self, word: str) -> None:
        """Show `word` as what holds; it is seen at the next drawing."""
        self.word = word
        self.show(f"{word} ▾")

    def open(self) -> None:
        """Open the menu."""
        words = list(self._words())
        figure: Any = self.ax.figure
        width, height = figure.get_size_inches()
        place = self.ax.get_position()
        room = height * (1 - place.y1) - MARGIN
        rows, one = max(1, int(room / ROW)), CHARACTER * max(map(len, words)) + 2 * MARGIN
        self._offered = words[: rows * max(1, int((width - 2 * MARGIN) / one))]  # there may be thousands of ranges
        columns = ceil(len(self._offered) / rows)
        self._rows = ceil(len(self._offered) / columns)
        wide = columns * one
        wide = min(max(wide, place.width * width), width - 2 * MARGIN)
        left = max(min(place.x0 * width, width - MARGIN - wide), MARGIN)
        box = (left / width, place.y1, wide / width, self._rows * ROW / height)
        menu = self.menu = figure.add_axes(box, label="menu", zorder=MENU_ABOVE)
        menu.set(xlim=(0, columns), ylim=(self._rows, 0), xticks=[], yticks=[], navigate=False, facecolor="1.0")
        for spine in menu.spines.values():
            spine.set(color=EDGE, linewidth=1.0)
        self._marks, self._marked = [], None
        for index, word in enumerate(self._offered):
            column, row = divmod(index, self._rows)
            self._marks.append(menu.add_patch(Rectangle((column, row), 1, 1, facecolor=self._face(index))))
            at = column + MARGIN * columns / wide
            menu.text(at, row + 0.52, word, va="center", fontsize=FONT_SIZE, color=TEXT, parse_math=False)
        self.focus.take(None)
        self.focus.menu = self
        # the toolbar's zoom and pan hear of a click before anybody else does
        self._covered = [ax for ax in figure.axes if ax.get_navigate()]
        for ax in self._covered:
            ax.set_navigate(False)
        figure.canvas.draw_idle()

    def close(self) -> None:
        """Close the menu."""
        if self.menu is None:
            return
        self.menu.remove()
        self.menu = None
        self.focus.menu = None
        for ax in self._covered:
            ax.set_navigate(True)
        self._covered = []
        figure: Any = self.ax.figure
        figure.canvas.draw_idle()

    def on_press(self, event: Any) -> None:
        """A mouse button went down: on a word, beside the menu, or on the button."""
        if self.menu is None:
            super().on_press(event)
            return
        index = self._index_under(event)
        self.close()
        self.focus.spend(event)
        if index is not None:
            guarded(self._chosen, self._offered[index])

    def on_motion(self, event: Any) -> None:
        """The mouse has moved: mark the word under it."""
        if self.menu is None:
            super().on_motion(event)
            return
        before, self._marked = self._marked, self._index_under(event)
        if before != self._marked:
            for index in (before, self._marked):
                if index is not None:
                    self._marks[index].set_facecolor(self._face(index))
            paint(self.menu, self.focus)

    def on_resize(self, event: Any) -> None:
        """The figure has another size: the menu would be in the wrong place."""
        self.close()

    def on_key(self, event: Any) -> None:
        """A key was pressed."""
        if not self.ignore(event) and event.key == "escape" and self.menu is not None:
            self.close()
            self.focus.spend(event)

    def _face(self, index: int) -> str:
        if index == self._marked:
            return HOVER
        return PRESSED if self._offered[index] == self.word else "none"

    def _index_under(self, event: Any) -> int | None:
        """Which word is under the mouse."""
        if self.menu is None or event.x is None or not self.menu.bbox.contains(event.x, event.y):
            return None
        x, y = self.menu.transData.inverted().transform((event.x, event.y))
        index = int(x) * self._rows + min(int(y), self._rows - 1)
        return index if index < len(self._offered) else None
