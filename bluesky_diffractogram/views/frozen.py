"""Curves that were frozen, as grey lines behind the present ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

REFERENCE = "0.65"


@dataclass(frozen=True, eq=False, slots=True)
class Reference:
    """A curve that was frozen: ``(2, npt)`` radial, intensity, and the unit of the former."""

    unit: str
    curve: NDArray[np.float64]


class DrawnReferences:
    """The references on axes, as far as they have the unit of the axis.

    Attributes
    ----------
    lines
        The drawn ones.
    """

    def __init__(self, ax: Axes) -> None:
        self._ax = ax
        self._drawn: tuple[tuple[Reference, ...], str] = ((), "")
        self.lines: list[Line2D] = []

    def show(self, references: tuple[Reference, ...], unit: str) -> bool:
        """Draw these, known by identity, instead of those that were there; whether others are drawn now."""
        if references is self._drawn[0] and unit == self._drawn[1]:
            return False
        self._drawn = references, unit
        for line in self.lines:
            line.remove()
        self.lines = [
            self._ax.plot(*each.curve, color=REFERENCE, linewidth=1, zorder=1.5)[0]
            for each in references
            if each.unit == unit
        ]
        return True
