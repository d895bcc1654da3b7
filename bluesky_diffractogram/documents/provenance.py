"""What a derived run says of how it was computed: enough to compute it again."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import ConfigError, DiffractogramConfig, configuration_json
from ..reduction.detectors import Detector
from ..reduction.geometry import Geometry
from ..reduction.pyfai_library import pyfai_version

logger = logging.getLogger(__name__)

INPUTS = ("calibration", "arrays", "merge")
MOST_SAID = 256


@cache
def versions() -> dict[str, str]:
    """Versions of this package and of the libraries that make the numbers."""
    return {
        "bluesky-diffractogram": version("bluesky-diffractogram"),
        "pyFAI": pyfai_version(),
        "numpy": np.__version__,
    }


def provenance(
    config: DiffractogramConfig, geometry: Geometry, images: Mapping[str, NDArray], others: Sequence[Detector] = ()
) -> dict[str, Any]:
    """The keys of a derived start document that tell how it was computed.

    Parameters
    ----------
    config, geometry
        In force.
    images
        The mask, dark and flat that are used.
    others
        The further detectors, if there are any.

    Returns
    -------
    dict
        ``configuration``: JSON that `load_config` accepts, arrays in it replaced by the paths where they are
        kept; ``calibration``: its path, text and SHA-256; ``arrays``: path and SHA-256 (of dtype, shape and values) of
        mask, dark and flat, where there are any; ``versions``. With further detectors ``merge``: the calibration of
        each, as that of the first; their arrays are called ``merge_0_mask``, ….

    Raises
    ------
    ConfigError
        An array cannot be kept in ``assets_dir``.
    """
    arrays = _arrays("", config, images, config.assets_dir)
    for i, each in enumerate(others):
        arrays |= _arrays(f"merge_{i}_", each.config, each.images, config.assets_dir)
    described: dict[str, Any] = {
        "calibration": _calibration(geometry),
        "arrays": arrays,
        "versions": versions(),
    }
    if others:
        described["merge"] = [_calibration(each.geometry) for each in others]
    return {"configuration": configuration_text(config, described), **described}


def _calibration(geometry: Geometry) -> dict[str, str]:
    return {"path": geometry.path, "text": geometry.text, "sha256": geometry.sha256}


def _arrays(
    place: str, config: DiffractogramConfig, images: Mapping[str, NDArray], folder: str | None
) -> dict[str, dict[str, str]]:
    """Where the images of one detector are kept, and their digests; `place` is put before their keys."""
    arrays: dict[str, dict[str, str]] = {}
    for key, image in images.items():
        source, digest = getattr(config, key), _digest(image)
        path = source if isinstance(source, str) else _store(place + key, image, digest, folder)
        arrays[place + key] = {"path": path, "sha256": digest}
    return arrays


def provenance_of(start: Mapping[str, Any], descriptor: Mapping[str, Any]) -> dict[str, Any]:
    """What the documents of a derived stream say of how it was computed, as `provenance` made it.

    Parameters
    ----------
    start, descriptor
        Of the derived run. The start document says it of the first stream.
    """
    return provenance_in(start, descriptor["configuration"]["diffractogram"]["data"])


def inputs_text(described: Mapping[str, Any]) -> str:
    """What `provenance` says of the inputs, as one text."""
    return json.dumps({key: described[key] for key in INPUTS if key in described})


def provenance_in(start: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The same out of ``configuration`` and ``provenance`` (`inputs_text`), as documents have them."""
    return {
        "configuration": settings["configuration"],
        "calibration": start["calibration"],
        "arrays": start.get("arrays") or {},
        "merge": start.get("merge") or [],
        "versions": start["versions"],
        **json.loads(settings.get("provenance") or "{}"),
    }


def calibration_file(recorded: Mapping[str, str], folder: Path) -> str:
    """The path of a recorded calibration: its own, or in `folder` if that file is another now.

    Parameters
    ----------
    recorded
        Its path, text and SHA-256 (`provenance`).
    folder
        Where it is written from its text then.
    """
    original = Path(recorded["path"])
    with suppress(OSError):
        if hashlib.sha256(original.read_bytes()).hexdigest() == recorded["sha256"]:
            return str(original)
    path = folder / f"{recorded['sha256'][:16]}{original.suffix}"
    path.write_bytes(recorded["text"].encode())
    return str(path)


def configuration_text(config: DiffractogramConfig, described: Mapping[str, Any]) -> str:
    """The configuration as JSON, arrays in it replaced by the paths where `described` says that they are kept."""
    return json.dumps(configuration_json(config, lambda key, _: described["arrays"][key]["path"]))


def _digest(array: NDArray) -> str:
    """SHA-256 of an array's dtype, shape and values."""
    head = f"{array.dtype.str}{array.shape}".encode()
    return hashlib.sha256(head + np.ascontiguousarray(array).tobytes()).hexdigest()


@lru_cache(MOST_SAID)
def _say_not_kept(key: str, digest: str) -> None:
    """Warn of an array, once: each change of another setting opens the configuration anew, and a replay does twice."""
    logger.warning(
        "the %s was given as an array and assets_dir is not set: the derived run records its SHA-256 only, "
        "from which it cannot be computed again",
        key,
    )


def _store(key: str, array: NDArray, digest: str, folder: str | None) -> str:
    """Keep an array as ``.npy`` and return where; an empty path without a folder for it."""
    if folder is None:
        _say_not_kept(key, digest)
        return ""
    path = Path(folder) / f"{key}-{digest[:16]}.npy"
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, array, allow_pickle=False)
    except OSError as error:
        raise ConfigError("assets_dir", folder, "a folder that can be written to", str(error)) from error
    return str(path)
