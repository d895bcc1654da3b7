"""What a derived run says of how it was computed: enough to compute it again."""

from __future__ import annotations

import hashlib
import json
import logging
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import DiffractogramConfig, configuration_json
from ..reduction.geometry import Geometry, pyfai_version

logger = logging.getLogger(__name__)

ARRAYS = ("mask", "dark", "flat")


@cache
def versions() -> dict[str, str]:
    """Versions of this package and of the libraries that make the numbers."""
    return {
        "bluesky-diffractogram": version("bluesky-diffractogram"),
        "pyFAI": pyfai_version(),
        "numpy": np.__version__,
    }


def provenance(config: DiffractogramConfig, geometry: Geometry) -> dict[str, Any]:
    """The keys of a derived start document that tell how it was computed.

    Returns
    -------
    dict
        ``configuration``: JSON that `load_config` accepts, arrays in it replaced by the paths where they are
        kept; ``calibration``: its path, text and SHA-256; ``arrays``: path and SHA-256 of mask, dark and flat, where
        there are any; ``versions``.
    """
    arrays: dict[str, dict[str, str]] = {}

    def keep(key: str, array: NDArray) -> str:
        digest = _digest(array)
        arrays[key] = {"path": _store(key, array, digest, config.assets_dir), "sha256": digest}
        return arrays[key]["path"]

    text = json.dumps(configuration_json(config, keep))
    for key in ARRAYS:
        source = getattr(config, key)
        if isinstance(source, str):
            arrays[key] = {"path": source, "sha256": hashlib.sha256(Path(source).read_bytes()).hexdigest()}
    return {
        "configuration": text,
        "calibration": {"path": geometry.path, "text": geometry.text, "sha256": geometry.sha256},
        "arrays": arrays,
        "versions": versions(),
    }


def _digest(array: NDArray) -> str:
    """SHA-256 of an array's dtype, shape and values."""
    head = f"{array.dtype.str}{array.shape}".encode()
    return hashlib.sha256(head + np.ascontiguousarray(array).tobytes()).hexdigest()


def _store(key: str, array: NDArray, digest: str, folder: str | None) -> str:
    """Keep an array as ``.npy`` and return where; an empty path without a folder for it."""
    if folder is None:
        logger.warning(
            "the %s was given as an array and assets_dir is not set: the derived run records its SHA-256 only, "
            "from which it cannot be computed again",
            key,
        )
        return ""
    path = Path(folder) / f"{key}-{digest[:16]}.npy"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, array, allow_pickle=False)
    return str(path)
