"""The colour of each range, the same in every view."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from numbers import Integral
from typing import Any

logger = logging.getLogger(__name__)

# Okabe and Ito's palette, distinguishable with every common colour vision deficiency, in an order in which
# neighbours differ most. Their yellow and black are left out: the one cannot be read on white, the other is text.
# M. Okabe, K. Ito, "Color Universal Design", https://jfly.uni-koeln.de/color/ (2008)
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


class RangeColors:
    """The colours of the ranges, used cyclically.

    Parameters
    ----------
    colors
        ``[r, g, b]`` of integers 0 to 255 each, or any of matplotlib's colours. None: the cycle that the user has set
        in ``rcParams["axes.prop_cycle"]``, and where that is matplotlib's own, Okabe and Ito's colour-blind-safe
        palette.

    Raises
    ------
    ValueError
        An entry is no colour.
    """

    def __init__(self, colors: Sequence[Any] | None = None) -> None:
        self._colors = tuple(_color(color) for color in colors) if colors else _default()

    @classmethod
    def configured(cls, colors: Sequence[Any] | None) -> RangeColors:
        """Colours from a document: what is no colour gives the default ones and a warning."""
        try:
            return cls(colors)
        except (TypeError, ValueError) as error:
            logger.warning("colors = %r cannot be used: %s", colors, error)
            return cls()

    def __getitem__(self, number: int) -> str:
        """The colour of range `number`, counted from 1, as ``#rrggbb``."""
        return self._colors[(number - 1) % len(self._colors)]


def _color(color: Any) -> str:
    from matplotlib.colors import to_hex

    if not isinstance(color, str) and len(color) == 3 and all(isinstance(part, Integral) for part in color):
        if not all(0 <= part <= 255 for part in color):
            raise ValueError(f"{color!r} is no colour: 0 to 255 is allowed")
        red, green, blue = (part / 255 for part in color)
        return to_hex((red, green, blue))
    return to_hex(color)


def _default() -> tuple[str, ...]:
    import matplotlib

    cycle = matplotlib.rcParams["axes.prop_cycle"]
    if cycle == matplotlib.rcParamsDefault["axes.prop_cycle"] or "color" not in cycle.keys:
        return OKABE_ITO
    return tuple(_color(color) for color in cycle.by_key()["color"])
