"""What a detector tells by itself, as the documents of a run would, and what cannot be had of it alone."""

from __future__ import annotations

import logging
import time
from typing import Any

from ..config import ConfigError, DiffractogramConfig
from ..documents.messages import Document

logger = logging.getLogger(__name__)


def descriptor_of(detector: Any, image: Any, config: DiffractogramConfig) -> Document:
    """What a descriptor says of the readings; the configuration only where it may tell the geometry."""
    descriptor = {"name": config.stream, "data_keys": _with_image(detector.describe(), image, "describe")}
    if config.geometry is not None:
        readings = _of_configuration(detector, "read_configuration")
        data = {name: reading["value"] for name, reading in readings.items()}
        data_keys = _of_configuration(detector, "describe_configuration")
        descriptor["configuration"] = {detector.name: {"data": data, "data_keys": data_keys}}
    return descriptor


def event_of(detector: Any, image: Any) -> Document:
    """What an event says, the image included."""
    readings = _with_image(detector.read(), image, "read")
    return {
        "uid": "",
        "seq_num": 0,
        "time": time.time(),
        "data": {name: reading["value"] for name, reading in readings.items()},
        "timestamps": {name: reading["timestamp"] for name, reading in readings.items()},
    }


def check_alone(config: DiffractogramConfig) -> None:
    """Refuse what needs other events or other detectors than the one that is triggered.

    Raises
    ------
    ConfigError
        A ValueError that names the key, the value and what is allowed.
    """
    if config.dark_of_run is not None:
        given = config.dark_of_run.model_dump(exclude_none=True)
        reason = "it has no events but its own, and so no darks of the run"
        raise ConfigError("dark", given, "a file, an array or null, for a ReducedDetector", reason)
    if config.merge:
        names = [each.image_key for each in config.merge]
        reason = "it reduces the image of one detector alone"
        raise ConfigError("merge", names, "an empty list, for a ReducedDetector", reason)


def check_readings(config: DiffractogramConfig, detector: Any, image: Any) -> None:
    """Refuse a geometry that is told by what `detector` does not read.

    Where it cannot be asked, as it is not connected yet, nothing is refused: its images will tell.

    Raises
    ------
    ConfigError
        A ValueError that names the key, the value and what is allowed.
    """
    if config.geometry is None or not getattr(detector, "connected", True):
        return
    try:
        known = {
            **_with_image(detector.describe(), image, "describe"),
            **_of_configuration(detector, "describe_configuration"),
        }
    except Exception as error:
        logger.info("it is not known yet whether %s reads its geometry: %s", detector.name, error)
        return
    there = ", ".join(sorted(known.keys() - {image.name})) or "none"
    for parameter, reading in config.geometry.readings.items():
        if reading.key not in known:
            allowed = f"a reading of {detector.name} or of its configuration, for a ReducedDetector: {there}"
            raise ConfigError(f"geometry.{parameter}", reading.key, allowed)


def _with_image(told: Document, image: Any, method: str) -> Document:
    """What the detector tells, and its image's signal where the detector leaves it out."""
    return told if image.name in told else {**told, **getattr(image, method)()}


def _of_configuration(detector: Any, method: str) -> Document:
    return getattr(detector, method, dict)()
