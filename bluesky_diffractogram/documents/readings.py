"""Readings beside an image: in its event, or in the configuration of its descriptor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .messages import ImagesReceived

Found = tuple[Any, str | None]
"""A value, and its unit if that is said."""


def readings(images: ImagesReceived, key: str) -> list[Found]:
    """The readings of that name: of the event, else in the configuration of its descriptor."""
    data, descriptor = images.event["data"], images.descriptor
    if key in data:
        return [(data[key], _unit(_mapping(descriptor.get("data_keys")), key))]
    devices = map(_mapping, _mapping(descriptor.get("configuration")).values())
    return [
        (_mapping(device["data"])[key], _unit(_mapping(device.get("data_keys")), key))
        for device in devices
        if key in _mapping(device.get("data"))
    ]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _unit(data_keys: Mapping[str, Any], key: str) -> str | None:
    unit = _mapping(data_keys.get(key)).get("units")
    return unit if isinstance(unit, str) else None
