"""Documents as JSON lines."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from event_model import NumpyEncoder


class JsonLines:
    """Writes every document that it is called with as one line, ``{"name": …, "doc": …}``.

    These are the lines of bluesky's ``JSONLinesWriter``, for documents that hold arrays; NaN and infinities
    become null, as JSON has none of them.

    Parameters
    ----------
    path
        Written anew.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file = self.path.open("w", encoding="utf-8")

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Write one document; a run is on disk when its stop is written."""
        line = json.dumps({"name": name, "doc": _plain(doc)}, cls=NumpyEncoder, allow_nan=False)
        self._file.write(line + "\n")
        if name != "event":
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _plain(value: Any) -> Any:
    """`value` with null for every number that is not finite, and floating arrays as nested lists."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        if np.isfinite(value).all():
            return value.tolist()
        return [_plain(each) for each in value] if value.ndim > 1 else list(map(_plain, value.tolist()))
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return value
