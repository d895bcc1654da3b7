"""librdkafka's settings: from the address, and from the environment what is nobody's to see."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

VARIABLE = "DIFFRACTOGRAM_KAFKA"
MOST_BYTES = 10 * 2**20


def kafka_settings(environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Settings of librdkafka (``sasl.password`` and the like) in the environment, as JSON or as a file of it.

    Raises
    ------
    ValueError
        They are none; the message does not hold them.
    """
    given = environment.get(VARIABLE, "")
    try:
        if given and not given.lstrip().startswith("{"):
            with open(given) as file:
                given = file.read()
        settings = json.loads(given or "{}")
    except (OSError, ValueError):
        settings = None
    if not isinstance(settings, dict):
        raise ValueError(f"{VARIABLE} is neither a JSON object of librdkafka's settings nor a file of one")
    return settings
