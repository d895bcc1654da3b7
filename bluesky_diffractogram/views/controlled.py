"""What the controls need of the figure whose looks they change."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Window(Protocol):
    """What the controls need of the figure that they are part of."""

    figure: Figure

    @property
    def scale(self) -> str:
        """The scale of the intensities."""

    @property
    def calibrant(self) -> str | None:
        """The calibrant whose lines are drawn."""

    @property
    def live_curves(self) -> bool:
        """Whether the latest curves are shown, not those of a row."""

    @property
    def main_plot(self) -> str:
        """What the main panel is to show."""

    def main_plots(self) -> Sequence[str]:
        """What the main panel can show."""

    def calibrants(self) -> Sequence[str]:
        """Calibrants that are known."""

    def set_main_plot(self, main_plot: str, /) -> None:
        """Show something else in the main panel."""

    def set_scale(self, scale: str, /) -> None:
        """Linear, square-root or logarithmic intensities."""

    def set_calibrant(self, name: str | None, /) -> None:
        """Draw the lines of a calibrant."""

    def freeze(self) -> None:
        """Keep the curves as references."""

    def clear(self) -> None:
        """Remove the references."""

    def live_rows(self) -> None:
        """Show the latest frame's curves again."""

    def save(self, path: str | Path, /) -> None:
        """Write the figure to a file."""

    def hasten(self) -> None:
        """Draw what is new soon."""
