"""What comes out of the reduction, and who gets it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from ..reduction.diffractogram import Reduction
from ..reduction.reducer import Reducer
from .latest import LatestReduction
from .messages import OriginOfFrame
from .offering import OfferedFrame
from .results import tool_results
from .setting import Setting
from .subscribers import Subscribers


class Outgoing:
    """Those who subscribe to derived documents, results, frames and settings, and what was computed last."""

    def __init__(self) -> None:
        tokens = itertools.count()
        self._subscribers = Subscribers("a subscriber to the derived documents", tokens)
        self._results_subscribers = Subscribers("a subscriber to the results", tokens)
        self._viewers = Subscribers("a viewer of frames", tokens)
        self._followers = Subscribers("a follower of the reduction", tokens)
        self._setting_followers = Subscribers("a follower of the configuration", tokens)
        self._latest: LatestReduction | None = None

    def subscribe(self, func: Callable[[str, dict[str, Any]], Any], *, own_thread: bool = False) -> int:
        """Call `func(name, doc)` with every derived document from now on.

        Parameters
        ----------
        func
            Held strongly. An exception in it is logged and reaches nobody else.
        own_thread
            Call it in a thread of its own; for slow sinks such as TiledWriter.

        Returns
        -------
        int
            A token for `unsubscribe`.
        """
        return self._subscribers.add(func, own_thread=own_thread)

    def unsubscribe(self, token: int) -> None:
        """End a subscription of any kind; KeyError if there is none with this token."""
        for subscribers in (self._results_subscribers, self._viewers, self._followers, self._setting_followers):
            if token in subscribers:
                subscribers.remove(token)
                return
        self._subscribers.remove(token)

    def lost(self, token: int) -> int:
        """How many derived documents a subscriber raised at, or was not given as it was too slow.

        Raises
        ------
        KeyError
            None has this token.
        """
        return self._subscribers.lost(token)

    def on_results(self, func: Callable[[dict[str, Any]], Any]) -> int:
        """Call `func(results)` after each frame, with the dictionary that lavue gives its user functions.

        Returns
        -------
        int
            A token for `unsubscribe`.
        """
        return self._results_subscribers.add(func)

    def on_frame(self, func: Callable[[OfferedFrame], Any]) -> int:
        """Call `func(frame)` with frames that come, as they were read, to show them.

        With every frame that is reduced, once it is; with about ten a second of those that are not, while `show` is
        off; and with the last one again when the configuration changes. In the thread that reduces: `func` should
        keep the frame and return.

        Returns
        -------
        int
            A token for `unsubscribe`.
        """
        return self._viewers.add(func)

    def on_reduction(self, func: Callable[[LatestReduction], Any]) -> int:
        """Call `func(latest)` after each frame, with what was computed and where the frame came from.

        In the thread that reduces, after the derived event is out; unlike with `on_results` nothing is made for it.

        Returns
        -------
        int
            A token for `unsubscribe`.
        """
        return self._followers.add(func)

    def on_setting(self, func: Callable[[Setting], Any]) -> int:
        """Call `func(setting)` after each change of the configuration, whoever made it, in the thread that made it.

        Returns
        -------
        int
            A token for `unsubscribe`.
        """
        return self._setting_followers.add(func)

    @property
    def results(self) -> dict[str, Any] | None:
        """The latest frame's results as lavue's dictionary; None before the first."""
        latest = self._latest
        return None if latest is None else tool_results(latest.reduction, latest.reducer)

    @property
    def reduction(self) -> Reduction | None:
        """The latest frame's reduction; None before the first."""
        latest = self._latest
        return None if latest is None else latest.reduction

    @property
    def latest(self) -> LatestReduction | None:
        """The latest frame's reduction, with where the frame came from; None before the first."""
        return self._latest

    def _on_reduction(self, reduction: Reduction, reducer: Reducer, origin: OriginOfFrame, run_uid: str) -> None:
        self._latest = latest = LatestReduction(reduction, reducer, run_uid, origin)
        self._followers.call(latest)
        if len(self._results_subscribers):
            self._results_subscribers.call(tool_results(reduction, reducer))
