"""An image on axes whose colours follow its values, with the colour bar that says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .raster import color_limits, settled
from .scales import Labelled, Scale, check_percentiles, check_scale, color_norm, label_colors

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class ColoredImage:
    """Draws values on axes; all but the scale and the percentiles on the thread that draws.

    Parameters
    ----------
    ax, cax
        The axes, and those for the colour bar, or None to take some room of `ax`.
    cmap, bad
        A colour map, and the colour of NaN.
    scale
        ``"linear"``, ``"sqrt"`` or ``"log"``.
    clim
        Colour limits; None: the `percentiles` of the values, so that a few spikes do not darken the rest.
    percentiles
        See `clim`.
    **options
        Passed on to matplotlib's ``imshow``.

    Attributes
    ----------
    im, colorbar
        matplotlib's.

    Raises
    ------
    ValueError
        The scale or the percentiles are none.
    """

    def __init__(
        self,
        ax: Axes,
        cax: Axes | None,
        *,
        cmap: Any,
        bad: str,
        scale: Scale,
        clim: tuple[float, float] | None,
        percentiles: tuple[float, float],
        **options: Any,
    ) -> None:
        self._clim = clim
        self.set_scale(scale)
        self._drawn_scale = self._scale
        self._percentiles = check_percentiles(percentiles)
        self._labelled: Labelled | None = None
        norm = color_norm(scale, *(clim or ((0.1, 1.0) if scale == "log" else (0.0, 1.0))))
        self.im = ax.imshow([[np.nan]], norm=norm, cmap=cmap, interpolation="none", origin="lower", **options)
        self.im.set_cmap(self.im.get_cmap().with_extremes(bad=bad))
        room_of = ax if cax is None else None
        self.colorbar = ax.figure.colorbar(self.im, ax=room_of, cax=cax, extend="both", extendfrac=0.03)
        self.colorbar.set_label("intensity")

    def set_scale(self, scale: Scale) -> None:
        """Show values linear, by their square root or logarithmic from the next drawing on; ValueError for all else."""
        self._scale = check_scale(scale)

    def set_percentiles(self, low: float, high: float) -> None:
        """Have the colours span these, 0 to 100, from the next drawing on; ValueError if they do not rise in that."""
        self._percentiles, self._clim = check_percentiles((low, high)), None

    def show(self, values: NDArray, *, all_values: NDArray | None = None, full: bool = False) -> None:
        """Draw other values.

        Parameters
        ----------
        values
            ``(ny, nx)``, the first row at the bottom.
        all_values
            What the colour limits are found from, if `values` are fewer.
        full
            Whether the limits follow smallest changes too.
        """
        scale, clim = self._scale, self._clim  # another thread may set them meanwhile
        log = scale == "log"
        limits = clim or color_limits(values if all_values is None else all_values, self._percentiles, positive=log)
        if scale != self._drawn_scale:
            self._drawn_scale, self._labelled = scale, None
            self.im.set_norm(color_norm(scale, *(limits or (0.1, 1.0))))
        elif limits is not None:
            if clim is None and not full:
                limits = settled(limits, self.im.get_clim(), log=log)
            if limits != self.im.get_clim():
                self.im.set_clim(*limits)
        self.im.set_data(np.maximum(values, self.im.get_clim()[0] or 0.0) if log else values)  # NaN stays

    def label(self, units: str) -> None:
        """Label the colour bar with the values' `units`."""
        self._labelled = label_colors(self.colorbar, self._drawn_scale, units, self._labelled)

    def set_visible(self, visible: bool) -> None:
        """Show the image and its colour bar, or hide them."""
        self.im.set_visible(visible)
        self.colorbar.ax.set_visible(visible)
