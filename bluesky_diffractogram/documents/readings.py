"""Readings beside an image: in its event, in the configuration of its descriptor, or in the run's baseline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from .messages import Document, ImagesReceived, Reading


def readings(images: ImagesReceived, key: str) -> list[Reading]:
    """The readings of that name: of the event, else in the configuration of its descriptor."""
    data, descriptor = images.event["data"], images.descriptor
    if key in data:
        return [(data[key], _unit(descriptor.get("data_keys"), key))]
    return [reading for name, reading in _configured(descriptor) if name == key]


def readings_or_baseline(images: ImagesReceived, key: str) -> list[Reading]:
    """The same; of a stream that has no such data key the latest one of the baseline before the image."""
    found = readings(images, key)
    if found or key not in images.baseline or key in images.descriptor["data_keys"]:
        return found
    return [images.baseline[key]]


def readings_of(descriptor: Document, event: Document) -> dict[str, Reading]:
    """All readings of an event and of its descriptor's configuration but arrays, by which nothing is told."""
    data_keys = descriptor.get("data_keys")
    read = ((key, (value, _unit(data_keys, key))) for key, value in _mapping(event.get("data")).items())
    every = dict(_configured(descriptor)) | dict(read)
    return {key: reading for key, reading in every.items() if not _is_array(reading[0])}


def _configured(descriptor: Mapping[str, Any]) -> Iterator[tuple[str, Reading]]:
    for device in _mapping(descriptor.get("configuration")).values():
        of_device = _mapping(device)
        for key, value in _mapping(of_device.get("data")).items():
            yield key, (value, _unit(of_device.get("data_keys"), key))


def _is_array(value: Any) -> bool:
    return isinstance(value, (list, tuple, np.ndarray)) and np.size(value) != 1


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _unit(data_keys: Any, key: str) -> str | None:
    unit = _mapping(_mapping(data_keys).get(key)).get("units")
    return unit if isinstance(unit, str) else None
