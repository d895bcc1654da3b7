"""A figure that is made ready for every picture of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from matplotlib.figure import Figure


class PictureFigure(Figure):
    """A figure whose pictures are alike, whoever saves them: `save`, the toolbar of a window, a notebook.

    Attributes
    ----------
    prepared
        Gives what is entered while a picture is saved.
    """

    prepared: Callable[[], AbstractContextManager[Any]] = staticmethod(nullcontext)

    def savefig(self, fname: Any, **kwargs: Any) -> None:
        """As `matplotlib.figure.Figure.savefig`."""
        with self.prepared():
            super().savefig(fname, **kwargs)
