"""Compiling loops, kept from one process to the next where there is a folder for that."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Literal

from numba import njit

logger = logging.getLogger(__name__)


def compiled(func: Callable[..., Any], *, error_model: Literal["python", "numpy"] = "python") -> Any:
    """`func` compiled by numba, without the interpreter's lock.

    Where neither the package's folder nor a cache of the user can be written to (a service without a home, a
    container), numba refuses to keep what it compiles; it is compiled in each process then. A division by zero raises,
    or with the `error_model` "numpy" gives infinity or NaN.
    """
    try:
        return njit(nogil=True, cache=True, error_model=error_model)(func)
    except RuntimeError as error:
        logger.info("compiled code is not kept, a folder in NUMBA_CACHE_DIR would do: %s", error)
        return njit(nogil=True, error_model=error_model)(func)
