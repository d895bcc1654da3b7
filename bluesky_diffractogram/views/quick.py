"""What changes with every frame, drawn over a kept picture of all that stays: axes, ticks, labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure
    from matplotlib.text import Text

BAND = 0.36  # inches at the upper edge that belong to the heading


class QuickDrawing:
    """Draws the moving artists of a figure anew without the rest, where the canvas can put pixels back (blitting).

    The picture of the rest is taken at every complete drawing, whoever asks for that: this class, a toolbar, or the
    toolkit when the window is resized.

    Parameters
    ----------
    figure
        The figure.
    moving
        Gives its moving artists, all of axes, in the order in which they are drawn. They are drawn by this class
        alone; a file has them all the same.
    heading
        A text at the figure's upper edge, with nothing beside it.
    above
        Gives what lies over the moving artists, a menu say; and, unless a complete drawing has just been made, which
        its argument tells, what is no longer as it was then.
    """

    def __init__(
        self,
        figure: Figure,
        moving: Callable[[], Sequence[Artist]],
        heading: Text,
        above: Callable[[bool], Sequence[Artist]] = lambda complete: (),
    ) -> None:
        self._figure = figure
        self._heading = heading
        self._moving, self._above = moving, above
        self._background: Any = None
        canvas: Any = figure.canvas
        self.possible = bool(canvas.supports_blit) and canvas.manager is not None
        if self.possible:
            canvas.mpl_connect("draw_event", self._drawn)

    def forget(self) -> None:
        """The picture of the rest is of a window that is gone."""
        self._background = None

    def mark(self) -> None:
        """Leave the moving artists out of the next complete drawing; to be called before it."""
        if self.possible:
            for artist in self._moving():
                artist.set_animated(True)

    @property
    def ready(self) -> bool:
        """Whether there is a picture of the rest."""
        return self._background is not None

    def draw(self) -> None:
        """Put the picture back and draw the moving artists over it."""
        canvas: Any = self._figure.canvas
        canvas.restore_region(self._background)
        self._draw_moving()
        self._draw_heading()
        self._draw_above(complete=False)
        canvas.blit(self._figure.bbox)

    def _drawn(self, event: Any) -> None:
        canvas: Any = self._figure.canvas
        if canvas.is_saving():
            return
        self._background = canvas.copy_from_bbox(self._figure.bbox)
        self._draw_moving()
        self._draw_above(complete=True)

    def _draw_moving(self) -> None:
        renderer = self._figure.canvas.get_renderer()  # type: ignore[attr-defined]
        for artist in self._moving():
            if artist.get_visible() and artist.get_animated():
                artist.draw(renderer)

    def _draw_above(self, *, complete: bool) -> None:
        renderer = self._figure.canvas.get_renderer()  # type: ignore[attr-defined]
        for artist in self._above(complete):
            artist.draw(renderer)

    def _draw_heading(self) -> None:
        # Artists of the figure itself that move would be missing in files: it is in the picture of the rest.
        from matplotlib.patches import Rectangle

        renderer = self._figure.canvas.get_renderer()  # type: ignore[attr-defined]
        bottom = 1 - BAND / self._figure.get_figheight()
        blank = Rectangle((0, bottom), 1, 1, color=self._figure.get_facecolor(), transform=self._figure.transFigure)
        blank.set_figure(self._figure)
        blank.draw(renderer)
        self._heading.draw(renderer)
