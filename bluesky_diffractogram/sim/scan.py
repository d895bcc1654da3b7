"""The scan of the simulated beamline."""

from __future__ import annotations

from typing import Any

from bluesky import plans
from bluesky.utils import MsgGenerator

from .detector import SimulatedPowderDetector
from .furnace import Furnace


def heating_scan(
    detector: SimulatedPowderDetector,
    furnace: Furnace,
    start: float = 300.0,
    stop: float = 1500.0,
    num: int = 60,
    *,
    md: dict[str, Any] | None = None,
) -> MsgGenerator[Any]:
    """Heat the sample in equal steps and take an image at each.

    Parameters
    ----------
    detector, furnace
        Of a `SimulatedBeamline`.
    start, stop
        First and last temperature in K.
    num
        How many images.
    md
        Metadata of the run, beside ``plan_name`` and ``sample``.

    Returns
    -------
    str
        The uid of the run, as the plan's value.
    """
    metadata = {"plan_name": "heating_scan", "sample": detector.frames.sample.name, **(md or {})}
    return (yield from plans.scan([detector], furnace, start, stop, num, md=metadata))
