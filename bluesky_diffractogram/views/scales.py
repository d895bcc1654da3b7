"""Linear, square root, logarithmic: of colours and of axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize

Scale = Literal["linear", "sqrt", "log"]


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


def _signed_root(values: NDArray) -> NDArray:
    # with a sign, for curves whose background was subtracted
    return np.sign(values) * np.sqrt(np.abs(values))


def _signed_square(values: NDArray) -> NDArray:
    return np.sign(values) * np.square(values)
