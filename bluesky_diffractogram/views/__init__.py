"""What is seen: heat-maps, curves and cakes of the documents of derived runs, and the frames that are offered."""

from .cake import LiveCake
from .curves import LiveDiffractogram
from .figure import DiffractogramFigure
from .grid import LiveDiffractogramGrid
from .image import LiveImage
from .redraw import display_available
from .windows import KeepWindowsAlive

__all__ = [
    "DiffractogramFigure",
    "KeepWindowsAlive",
    "LiveCake",
    "LiveDiffractogram",
    "LiveDiffractogramGrid",
    "LiveImage",
    "display_available",
]
