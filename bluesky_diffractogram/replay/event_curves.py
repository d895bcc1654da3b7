"""The curves of a derived event, as soon as it is there."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..config import parse_unit
from ..config.moving import told_wavelength
from ..documents.derived_keys import OBJECT
from .curve import Curve
from .dataset import carried_name
from .described import wavelength_of
from .names import FreeNames, frame_stem

Document = Mapping[str, Any]


class EventCurves:
    """Gives the curves of the events of one derived run, the same as `curves` gives of its data set.

    Parameters
    ----------
    start
        The derived run's start document.
    """

    def __init__(self, start: Document) -> None:
        self._scan = start.get("raw_scan_id")
        self._calibration_text = (start.get("calibration") or {}).get("text", "")
        self._names = FreeNames()
        self._stems: dict[tuple[str, int], str] = {}
        self._wavelengths: dict[str, float | None] = {}
        self._carried: dict[str, dict[str, str]] = {}

    def descriptor(self, doc: Document) -> None:
        """Take the descriptor of events to come."""
        settings = json.loads(doc["configuration"][OBJECT]["data"].get("configuration") or "{}")
        self._wavelengths[doc["uid"]] = wavelength_of(settings, self._calibration_text)
        self._carried[doc["uid"]] = {
            name: str(key.get("units") or "")
            for name, key in doc["data_keys"].items()
            if key.get("object_name") != OBJECT and key["dtype"] in ("number", "integer")
        }

    def curves(self, event: Document) -> list[Curve]:
        """A curve for each range; an event that takes an earlier one's place has that one's name."""
        data, descriptor = event["data"], event["descriptor"]
        which = descriptor, event["seq_num"]
        if which not in self._stems:
            self._stems[which] = self._names.free(frame_stem(data["imagename"], self._scan))
        carried = self._carried[descriptor]
        length = told_wavelength(data)
        readings = {carried_name(key): (_number(data.get(key)), unit) for key, unit in carried.items()}
        found = []
        for number in sorted(int(key[5:]) for key in data if re.fullmatch(r"diff_\d+", key)):
            radial, intensity = np.array(data[f"diff_{number}"], dtype=float)
            sigma = data.get(f"sigma_{number}")
            start, end = data[f"azimuth_range_{number}"]
            low, high = data[f"radial_range_{number}"]
            found.append(
                Curve(
                    stem=self._stems[which],
                    number=number,
                    unit=parse_unit(data["unit"]),
                    radial=radial,
                    intensity=intensity,
                    sigma=None if sigma is None else np.array(sigma, dtype=float),
                    azimuth_range=(float(start), float(end)),
                    radial_range=(float(low), float(high)),
                    imagename=data["imagename"],
                    calibration=data["calibration"],
                    wavelength=self._wavelengths[descriptor] if length is None else length,
                    readings=readings,
                )
            )
        return found


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
