"""Images of which a store has forgotten what kind of integers they were."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..config import DiffractogramConfig
from ..documents.images import find_image_key

logger = logging.getLogger(__name__)

Document = Mapping[str, Any]


class LostDtype:
    """Warns, once, of images in events whose dtype was not kept: what marks their bad pixels depends on it.

    Called with raw documents. Stores that keep no arrays give lists, and without ``dtype_numpy`` in the data key
    nothing says of which integers; tiled writes float64 then, and says that of the data key. Only the first image
    of each descriptor is looked at.

    Parameters
    ----------
    config
        Says where images are.
    """

    def __init__(self, config: DiffractogramConfig) -> None:
        self._config = config
        self._keys: dict[str, list[tuple[str, Document]]] = {}
        self._warned = not config.mask_invalid

    def __call__(self, name: str, doc: Document) -> None:
        """Take one document."""
        if self._warned:
            return
        if name == "descriptor" and doc.get("name") == self._config.stream:
            data_keys, key = doc["data_keys"], find_image_key(doc, self._config.image_key)
            keys = [key] if key is not None else []
            keys += [each.image_key for each in self._config.merge if each.image_key in data_keys]
            self._keys[doc["uid"]] = [(key, data_keys[key]) for key in keys]
        elif name == "event":
            for key, data_key in self._keys.pop(doc["descriptor"], ()):
                if self._warned or not _is_lost(doc["data"].get(key), data_key):
                    continue
                self._warned = True
                logger.warning(
                    "the images under %r are whole numbers of which it is not stored what integers they were: if the "
                    "detector marks bad pixels with the top value of an unsigned type, or with -1 and -2, these count "
                    "as intensity; mask them with dummy or valid_range, and have the detector state dtype_numpy",
                    key,
                )


def _is_lost(value: Any, data_key: Document) -> bool:
    told = _dtype(data_key.get("dtype_numpy"))
    if told is not None and told.kind != "f":
        return False
    if isinstance(value, np.ndarray):
        if told is None:  # straight from the detector: the array itself tells
            return False
    elif not isinstance(value, (list, tuple)):
        return False
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        return False
    return bool(array.size and np.all(np.isfinite(array)) and np.array_equal(array, np.rint(array)))


def _dtype(name: Any) -> np.dtype | None:
    try:
        return np.dtype(name) if isinstance(name, str) else None
    except TypeError:
        return None
