"""The limits of the axes of curves: they follow what is shown, with room for the positions of peaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .scales import Scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text

MARGIN = 0.08
PEAK_TEXT = 0.28  # inches
MOST_PEAK_TEXT = 0.35  # of the height


class CurveLimits:
    """Brings limits to the curves on axes, unless somebody has zoomed.

    Parameters
    ----------
    ax
        The axes.
    empty
        Says there that nothing can be seen.
    peaks
        Whether peaks have their positions written over them.
    """

    def __init__(self, ax: Axes, empty: Text, *, peaks: bool) -> None:
        self._ax, self._empty, self._peaks = ax, empty, peaks
        self._fitted = False
        ax.margins(x=0, y=MARGIN)

    def forget(self) -> None:
        """What is shown next has nothing to do with what was."""
        self._fitted = False

    def fit(self, scale: Scale, *, full: bool) -> None:
        """Bring the limits to the curves; small steps only for a file, which is `full`."""
        ax = self._ax
        ax.relim()
        nothing = scale == "log" and not ax.dataLim.minposy < np.inf
        self._empty.set_text("nothing above zero" if nothing else "")
        self._empty.set_visible(nothing)
        follows = ax.get_autoscaley_on()
        ax.set_autoscaley_on(follows and not nothing)  # autoscaling to nothing warns, whoever asks for limits
        before = ax.get_ylim()
        ax.autoscale_view()
        if ax.get_autoscaley_on() and self._peaks:
            self._leave_room()
        low, high = ax.get_ylim()
        if not full and ax.get_autoscaley_on() and self._fitted and _fits((low, high), before):
            ax.set_ylim(before, auto=None)
        ax.set_autoscaley_on(follows)
        self._fitted = True

    def _leave_room(self) -> None:
        """Leave as much of the height free at the top as the peaks' positions need, on any scale."""
        ax = self._ax
        scale = ax.yaxis.get_transform()
        low, high = scale.transform(np.array(ax.get_ylim()))
        inches = ax.get_window_extent().height / ax.figure.canvas.figure.dpi
        share = min(PEAK_TEXT / max(inches, 0.1), MOST_PEAK_TEXT)
        top = high - (high - low) * MARGIN / (1 + 2 * MARGIN)
        wanted = low + (top - low) / (1 - share)
        ax.set_ylim(top=float(scale.inverted().transform(np.array([max(wanted, high)]))[0]), auto=None)


def _fits(wanted: tuple[float, float], shown: tuple[float, float]) -> bool:
    """Whether limits that are `shown` will do for those that are `wanted`: all is seen, and not much too small."""
    span = shown[1] - shown[0]  # a part of what is kept free above and below the curves may be used
    inside = wanted[0] >= shown[0] - 0.05 * span and wanted[1] <= shown[1] + 0.02 * span
    return inside and wanted[1] - wanted[0] >= 0.8 * (shown[1] - shown[0])
