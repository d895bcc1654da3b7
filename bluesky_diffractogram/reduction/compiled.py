"""Compiling loops, kept from one process to the next where there is a folder for that."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from numba import njit
from numba.core import event

logger = logging.getLogger(__name__)

OURS = __name__.partition(".")[0]


def compiled(
    func: Callable[..., Any], *, error_model: Literal["python", "numpy"] = "python", any_order: bool = False
) -> Any:
    """`func` compiled by numba, without the interpreter's lock.

    Where neither the package's folder nor a cache of the user can be written to (a service without a home, a
    container), numba refuses to keep what it compiles; it is compiled in each process then. A division by zero raises,
    or with the `error_model` "numpy" gives infinity or NaN. With `any_order` sums may be added up in any order, so that
    the processor does several at once: a kind of processor has one order, another may have another.
    """
    freedom: Any = {"reassoc", "nsz", "contract"} if any_order else False
    try:
        return njit(nogil=True, cache=True, error_model=error_model, fastmath=freedom)(func)
    except RuntimeError as error:
        logger.info("compiled code is not kept, a folder in NUMBA_CACHE_DIR would do: %s", error)
        return njit(nogil=True, error_model=error_model, fastmath=freedom)(func)


class CompilingSaid(event.Listener):
    """Says once in a process that loops are compiled, for which the first frame waits without anything to be seen.

    Attributes
    ----------
    said
        Whether that has been.
    """

    def __init__(self) -> None:
        self.said = False

    def on_start(self, event: Any) -> None:
        """A function, whosever it is, is compiled and not read from what was kept."""
        if not self.said and str(event.data["dispatcher"].py_func.__module__).startswith(OURS):
            self.said = True
            logger.warning(
                "loops are compiled, once after an installation and for each new type of frames: the first frame waits "
                "for that, for up to a minute"
            )

    def on_end(self, event: Any) -> None:
        """Nothing to say."""


compiling_said = CompilingSaid()
event.register("numba:compile", compiling_said)

compiled_sums = partial(compiled, any_order=True)
