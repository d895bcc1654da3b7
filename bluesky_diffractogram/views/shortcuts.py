"""matplotlib's own keyboard shortcuts, out of the way while somebody types."""

from __future__ import annotations

from typing import Any

from matplotlib.backend_bases import key_press_handler


class Shortcuts:
    """Takes the shortcuts from one window, of which one closes it, and gives them back; other windows keep theirs.

    Parameters
    ----------
    canvas
        The window's.
    """

    def __init__(self, canvas: Any) -> None:
        self._manager: Any = canvas.manager
        self._canvas = canvas
        self._taken = False

    def take(self) -> None:
        """Keys do nothing any more but what this package connects."""
        manager = self._manager
        if manager is None or self._taken:
            return
        if manager.toolmanager is not None:
            manager.toolmanager.keypresslock(self)
        elif not self._connected():
            return  # somebody wants none of them
        else:
            self._canvas.mpl_disconnect(manager.key_press_handler_id)
        self._taken = True

    def give_back(self) -> None:
        """Undo `take`."""
        manager = self._manager
        if manager is None or not self._taken:
            return
        self._taken = False
        if manager.toolmanager is not None:
            manager.toolmanager.keypresslock.release(self)
        else:
            manager.key_press_handler_id = self._canvas.mpl_connect("key_press_event", key_press_handler)

    def _connected(self) -> bool:
        return self._manager.key_press_handler_id in self._canvas.callbacks.callbacks.get("key_press_event", {})
