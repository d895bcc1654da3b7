"""The text in a box, with its cursor: as much of it as there is room for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .push_button import FONT_SIZE, TEXT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PADDING = 4.0  # points
CURSOR = 0.18  # of the box's height stay free above and below


class EntryLine:
    """One line of text in the axes of a box.

    Parameters
    ----------
    ax
        The axes, from 0 to 1 in both directions.

    Attributes
    ----------
    text
        matplotlib's text.
    """

    def __init__(self, ax: Axes) -> None:
        self._ax = ax
        self.text = ax.text(
            0, 0.5, "", va="center_baseline", fontsize=FONT_SIZE, color=TEXT, clip_on=True, parse_math=False
        )
        (self._cursor,) = ax.plot([], [], color=TEXT, linewidth=1.0, visible=False)

    def rest(self, words: str) -> None:
        """Show `words` without a cursor, or as much of their end as fits."""
        self._cursor.set_visible(False)
        self.text.set_text(self._shortened(words))
        self.text.set_x(self.padding() / self._wide())

    def edit(self, words: str, cursor: int) -> None:
        """Show `words` with the cursor before a character, moved so far that it is in the box."""
        self.text.set_text(words)
        padding, before = self.padding(), self.width(words[:cursor])
        left = min(padding, self._wide() - padding - before)
        self.text.set_x(left / self._wide())
        at = (left + before) / self._wide()
        self._cursor.set_data([at, at], [CURSOR, 1 - CURSOR])
        self._cursor.set_visible(True)

    def index_at(self, x: float) -> int:
        """The character before which a click at `x`, in pixels of the canvas, puts the cursor; while edited."""
        words = self.text.get_text()
        left = self.text.get_position()[0] * self._wide() + self._ax.bbox.x0
        away = [abs(left + self.width(words[:index]) - x) for index in range(len(words) + 1)]
        return away.index(min(away))

    def padding(self) -> float:
        """What stays free beside the text, in pixels of the canvas."""
        return PADDING * float(self._ax.figure.dpi) / 72

    def width(self, words: str) -> float:
        """How wide words are, in pixels of the canvas."""
        if not words:
            return 0.0
        shown = self.text.get_text()
        self.text.set_text(words)
        width = float(self.text.get_window_extent().width)
        self.text.set_text(shown)
        return width

    def _shortened(self, words: str) -> str:
        room = self._wide() - 2 * self.padding()
        if self.width(words) <= room:
            return words
        too_short, too_long = 0, len(words)
        while too_long - too_short > 1:
            middle = (too_short + too_long) // 2
            fits = self.width(f"…{words[-middle:]}") <= room
            too_short, too_long = (middle, too_long) if fits else (too_short, middle)
        return f"…{words[-too_short:]}" if too_short else ""

    def _wide(self) -> float:
        return max(float(self._ax.bbox.width), 1.0)
