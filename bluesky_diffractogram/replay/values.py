"""Values of one data key from many events, as one array of the right type, and what catalogues make of dictionaries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DTYPES = {"number": "<f8", "integer": "<i8", "boolean": "?"}


def column(values: Sequence[Any], data_key: Mapping[str, Any]) -> NDArray[Any]:
    """One value for each event.

    Parameters
    ----------
    values
        ``(n,)``, None where an event has none: stores that have no NaN write that for it.
    data_key
        Tells the type.

    Returns
    -------
    numpy.ndarray
        ``(n,)`` of the data key's type; floats where integers or booleans are missing, objects where the values are
        not what it says.
    """
    if data_key["dtype"] == "string":
        return np.array(["" if value is None else str(value) for value in values], dtype=str)
    wanted = np.dtype(_DTYPES.get(data_key["dtype"], "O"))
    if any(value is None for value in values):
        wanted = np.dtype("<f8") if wanted.kind in "fib" else wanted
    try:
        array = np.array([np.nan if value is None else value for value in values], dtype=wanted)
    except (TypeError, ValueError, OverflowError):
        array = np.empty(len(values), dtype=object)
        array[:] = values
    return array


def plain(value: Any) -> Any:
    """Dictionaries and lists of their own, in place of the read-only views of catalogues."""
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [plain(each) for each in value]
    return value
