"""A new window for a figure whose window was closed."""

from __future__ import annotations

import gc
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from .redraw import adopted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HANDLERS = ("key_press_handler_id", "button_press_handler_id", "scroll_handler_id")
TOOLBAR_HANDLERS = ("_id_press", "_id_release", "_id_drag")


def give_window(figure: Figure, former: Any) -> bool:
    """Put a figure into a window of its own again. In the main thread.

    Parameters
    ----------
    figure
        All that is drawn and connected in it stays.
    former
        The manager of the window that is gone. What it has connected to the figure goes with it.

    Returns
    -------
    bool
        False where no window can be opened.
    """
    toolbar = getattr(former, "toolbar", None)
    for owner, names in ((former, HANDLERS), (toolbar, TOOLBAR_HANDLERS)):
        for name in names:
            number = getattr(owner, name, None)
            if number is not None:
                with suppress(KeyError):
                    figure.canvas.mpl_disconnect(number)
    opened = adopted(figure)
    del former, toolbar
    gc.collect()  # Tk aborts the process if another thread collects what is left of a window
    return opened
