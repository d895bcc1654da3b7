"""What a raw frame is known by: its files as they are, or its pixels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from ..reduction.moved import Moved

DIGITS = 16


def frame_digest(states: Iterable[str | None], monitor: float | None, moved: Moved | None = None) -> str:
    """The digest of a frame, the same as long as reducing it gives the same.

    Parameters
    ----------
    states
        Of its images: of their files (`files.file_state`), or of their pixels.
    monitor
        What divides it.
    moved
        What is told of its geometry.

    Returns
    -------
    str
        Hexadecimal digits; none where the state of an image is not known.
    """
    known = list(dict.fromkeys(states))
    if not known or None in known:
        return ""
    parts = [known, monitor, *([] if moved is None else [moved.told()])]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:DIGITS]


def with_dark_digest(digest: str, dark: str) -> str:
    """The digest of a frame from which a dark is taken away, told from those of both; none without its own."""
    return digest and hashlib.sha256(f"{digest} {dark}".encode()).hexdigest()[:DIGITS]


def state_of_pixels(image: NDArray) -> str:
    """SHA-256 of an image's dtype, shape and pixels."""
    digest = hashlib.sha256(f"{image.dtype.str}{image.shape}".encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()
