"""Readings beside an image: in its event, or in the configuration of its descriptor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .messages import ImagesReceived


def readings(images: ImagesReceived, key: str) -> list[Any]:
    """The readings of that name in an event, or else in the configuration of its descriptor."""
    data = images.event["data"]
    if key in data:
        return [data[key]]
    devices = _mapping(images.descriptor.get("configuration")).values()
    configured = (_mapping(_mapping(device).get("data")) for device in devices)
    return [values[key] for values in configured if key in values]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
