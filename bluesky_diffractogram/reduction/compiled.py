"""Compiling loops, kept from one process to the next where there is a folder for that."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from numba import njit

logger = logging.getLogger(__name__)


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


compiled_sums = partial(compiled, any_order=True)
