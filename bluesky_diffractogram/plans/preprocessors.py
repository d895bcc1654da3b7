"""The reduction for one plan: subscribed before it, waited for and closed after it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

import bluesky.preprocessors as bpp
from bluesky.utils import MsgGenerator

from ..documents.callback import ReductionCallback, Source
from ..live import DiffractogramCallback, Plot
from .checks import check_number
from .stubs import off_thread

Subscriber = Callable[[str, dict[str, Any]], Any]


def diffractogram_wrapper(
    plan: Any,
    config: Source | ReductionCallback,
    *,
    subs: Subscriber | Iterable[Subscriber] = (),
    plot: Plot = "auto",
    timeout: float = 60.0,
) -> MsgGenerator[Any]:
    """Have the images of a plan reduced, of this plan only.

    The plan ends when its frames are reduced, also if it was aborted. A callback that is subscribed to the RunEngine
    already gets every document once, and stays subscribed.

    Parameters
    ----------
    plan
        Any plan.
    config
        A configuration, as for `DiffractogramCallback`; a callback is made of it at once, and closed after the
        plan. Or a callback, which stays open.
    subs
        Called with the derived documents.
    plot
        As for `DiffractogramCallback`.
    timeout
        For how many seconds the reduction is waited for at the end.

    Raises
    ------
    ConfigError
        A ValueError, when this is called: names the key, the value and what is allowed.
    """
    check_number("timeout", timeout, "seconds, at least 0", least=0.0)
    listeners = [subs] if callable(subs) else list(subs)
    if isinstance(config, ReductionCallback):
        return _reduced(plan, config, listeners, timeout, close=False)
    return _reduced(plan, DiffractogramCallback(config, plot=plot), listeners, timeout, close=True)


def diffractogram_decorator(
    config: Source | ReductionCallback, **options: Any
) -> Callable[[Callable[..., Any]], Callable[..., MsgGenerator[Any]]]:
    """`diffractogram_wrapper` for a function that makes plans: ``@diffractogram_decorator(config)``.

    Parameters
    ----------
    config, options
        As for `diffractogram_wrapper`, at each call.
    """

    def decorate(make_plan: Callable[..., Any]) -> Callable[..., MsgGenerator[Any]]:
        # No generator, unlike bluesky's own: a window has to be opened by the thread of the caller.
        @wraps(make_plan)
        def made(*args: Any, **kwargs: Any) -> MsgGenerator[Any]:
            return diffractogram_wrapper(make_plan(*args, **kwargs), config, **options)

        return made

    return decorate


def _reduced(
    plan: Any, callback: ReductionCallback, listeners: list[Subscriber], timeout: float, *, close: bool
) -> MsgGenerator[Any]:
    tokens = [callback.subscribe(listener) for listener in listeners]

    ending, ended = threading.Lock(), threading.Event()
    subscribed = False

    def receive(name: str, doc: dict[str, Any]) -> None:
        # Not the callback itself: a RunEngine knows it once, and would drop it after the plan for good.
        nonlocal subscribed
        if name == "start":
            subscribed = doc["uid"] in callback.open_runs
        if not subscribed:
            callback(name, doc)

    def end() -> None:
        with ending:  # asked for again when a plan was paused meanwhile
            if ended.is_set():
                return
            callback.wait(timeout)
            if close:
                callback.close(timeout)
            for token in tokens:
                callback.unsubscribe(token)
            ended.set()

    def finish() -> MsgGenerator[None]:
        yield from off_thread(end)

    try:
        return (yield from bpp.finalize_wrapper(bpp.subs_wrapper(plan, receive), finish))
    finally:
        if not ended.is_set():  # halted, which skips all clean-up by messages; or nobody did what they ask for
            threading.Thread(target=end, name="diffractogram-end", daemon=True).start()
