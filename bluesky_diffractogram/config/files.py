"""Checks of files and arrays that a configuration names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationInfo

from .errors import ConfigError
from .values import key_of

ALLOWED_CALIBRATION = "the path of a geometry file that is there, such as a PONI file"


def resolved(value: Any, info: ValidationInfo) -> str | None:
    """`value` as an absolute path, relative to the context's ``base``; None if it is no path."""
    if not isinstance(value, (str, os.PathLike)):
        return None
    text = os.fspath(value)
    if not isinstance(text, str) or not text.strip() or "\0" in text:
        return None
    base = (info.context or {}).get("base") or Path.cwd()
    # abspath, not resolve: people know their files by the links they made.
    return os.path.abspath(os.path.join(base, os.path.expanduser(text)))


def calibration(value: Any, info: ValidationInfo) -> str:
    """Check for the path of a file that is there, kept absolute; its content is not looked at."""
    path = resolved(value, info)
    if path is None:
        raise ConfigError(key_of(info), value, ALLOWED_CALIBRATION)
    _must_exist(path, value, ALLOWED_CALIBRATION, info)
    return path


def any_path(value: Any, info: ValidationInfo) -> str:
    """Check for a path, kept absolute; nothing need be there."""
    path = resolved(value, info)
    if path is None:
        raise ConfigError(key_of(info), value, "the path of a folder")
    return path


def image(value: Any, info: ValidationInfo) -> str | np.ndarray:
    """Check for an image: the path of a file that is there, an array, or a nested list.

    Arrays are kept as read-only copies, so that a configuration does not change with its giver's array.
    """
    allowed = "the path of an image file, or a two-dimensional array of numbers"
    if isinstance(value, (str, os.PathLike)):
        path = resolved(value, info)
        if path is None:
            raise ConfigError(key_of(info), value, allowed)
        # fabio's way to name an image inside a file is FILE::/path/inside
        _must_exist(path.split("::")[0], value, allowed, info)
        return path
    if isinstance(value, np.ndarray) and value.flags.owndata and not value.flags.writeable:
        array = value  # out of another configuration
    else:
        array = _array(value, allowed, info)
    if array.dtype.kind not in "biuf":
        raise ConfigError(key_of(info), value, allowed)
    if array.ndim != 2 or not array.size:
        raise ConfigError(key_of(info), value, allowed, f"its shape is {array.shape}")
    array.flags.writeable = False
    return array


def _array(value: Any, allowed: str, info: ValidationInfo) -> np.ndarray:
    try:
        return np.array(value)
    except ValueError:  # rows of different lengths
        raise ConfigError(key_of(info), value, allowed, "its rows differ in length") from None


def _must_exist(path: str, value: Any, allowed: str, info: ValidationInfo) -> None:
    if os.path.isfile(path):
        return
    what = "is a folder" if os.path.isdir(path) else "does not exist"
    subject = "it" if path == os.fspath(value) else path
    raise ConfigError(key_of(info), os.fspath(value), allowed, f"{subject} {what}")
