"""Linear, square root, logarithmic: of colours and of axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from .labels import intensity_exponent, intensity_formatter, intensity_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colorbar import Colorbar
    from matplotlib.colors import Normalize

Scale = Literal["linear", "sqrt", "log"]
Labelled = tuple[int, str, tuple[float | None, float | None]]
TICK_SIZES = ((4, "medium"), (5, "small"), (99, "x-small"))  # by how many characters a tick has at most


def check_scale(scale: str) -> Scale:
    """`scale` itself.

    Raises
    ------
    ValueError
        It is none of the three.
    """
    if scale not in get_args(Scale):
        raise ValueError(f"scale = {scale!r}: allowed: {', '.join(map(repr, get_args(Scale)))}")
    return scale  # type: ignore[return-value]


def check_percentiles(percentiles: tuple[float, float]) -> tuple[float, float]:
    """`percentiles` as two floats.

    Raises
    ------
    ValueError
        They are not two rising numbers from 0 to 100.
    """
    low, high = (float(each) for each in percentiles)
    if not 0 <= low < high <= 100:
        raise ValueError(f"percentiles = ({low:g}, {high:g}): allowed: two rising numbers from 0 to 100")
    return low, high


def color_norm(scale: Scale, low: float, high: float) -> Normalize:
    """What maps intensities from `low` to `high` to colours."""
    from matplotlib.colors import LogNorm, Normalize, PowerNorm

    if scale == "log":
        return LogNorm(low, high)
    return PowerNorm(0.5, low, high) if scale == "sqrt" else Normalize(low, high)


def scale_intensities(ax: Axes, scale: Scale) -> None:
    """Give the y axis of `ax` a scale; what is not positive is left out of a logarithmic one."""
    if scale == "log":
        ax.set_yscale("log", nonpositive="mask")
    elif scale == "sqrt":
        ax.set_yscale("function", functions=(_signed_root, _signed_square))
    else:
        ax.set_yscale("linear")


def label_colors(colorbar: Colorbar, scale: Scale, units: str, before: Labelled | None) -> Labelled:
    """Label a colour bar; the power of ten goes from its ticks into the label, so that they are narrow.

    Parameters
    ----------
    colorbar
        The colour bar, with the norm and limits that it is to be labelled for.
    scale
        Of its norm.
    units
        Of the intensities; may be empty.
    before
        What this gave the last time, or None: then everything is set anew.

    Returns
    -------
    tuple
        The power of ten, the units, and the limits.
    """
    from matplotlib.ticker import LogLocator, NullLocator

    limits = colorbar.mappable.get_clim()
    exponent = intensity_exponent(max(abs(limit or 0.0) for limit in limits))
    labelled = (exponent, units, limits)
    if labelled == before:
        return labelled
    if before is None or labelled[:2] != before[:2]:
        colorbar.set_label(intensity_label(exponent, units))
        if scale == "log":
            colorbar.locator = LogLocator(subs=(1.0, 2.0, 5.0))
            colorbar.minorlocator = NullLocator()
        colorbar.formatter = intensity_formatter(exponent)
    # the label stands at a fixed distance: limits near to each other, 102.3 and 102.8 say, have more digits than room
    digits = max((len(colorbar.formatter(at)) for at in colorbar.get_ticks()), default=0)
    colorbar.ax.tick_params(labelsize=next(size for most, size in TICK_SIZES if digits <= most))
    return labelled


def _signed_root(values: NDArray) -> NDArray:
    # with a sign, for curves whose background was subtracted
    return np.sign(values) * np.sqrt(np.abs(values))


def _signed_square(values: NDArray) -> NDArray:
    return np.sign(values) * np.square(values)
