"""What is seen: heat-maps and curves, drawn from the documents of derived runs."""

from .curves import LiveDiffractogram
from .figure import DiffractogramFigure
from .grid import LiveDiffractogramGrid
from .redraw import display_available
from .windows import KeepWindowsAlive

__all__ = [
    "DiffractogramFigure",
    "KeepWindowsAlive",
    "LiveDiffractogram",
    "LiveDiffractogramGrid",
    "display_available",
]
