"""A start-up directory of bluesky-queueserver, with a simulated beamline.

``start-re-manager --startup-dir profile_examples/queueserver/startup --keep-re`` (it needs a redis server). Then
``qserver environment open``, and for instance

``qserver queue add plan '{"name": "scan_until_peak", "args": [["detector"], "furnace", 900, 1500, 50, "diffractogram"],
"kwargs": {"until": "vanishes", "range_number": 2, "peak": 8.67, "tolerance": 0.12}}'``

The queue knows objects by their names: the plans find the callback through the device.
"""

import tempfile

from bluesky import RunEngine
from bluesky.plans import count, scan
from bluesky.protocols import Movable, Readable

from bluesky_diffractogram import DiffractogramCallback, DiffractogramDevice, readback_hints, reduced_one_nd_step
from bluesky_diffractogram.plans import (  # noqa: F401  (every generator function here can be queued)
    calibrated_count,
    collect,
    configure_diffractogram,
    reset_buffer,
    scan_until_peak,
    track_peak,
    wait_for_reduction,
)
from bluesky_diffractogram.sim.beamline import simulated_beamline

_beamline = simulated_beamline(tempfile.mkdtemp(prefix="diffractogram-"), detector="small")
detector, furnace = _beamline.detector, _beamline.furnace

RE = RunEngine({})  # --keep-re has the queue use this one
_diff = DiffractogramCallback(_beamline.configuration, plot=False)  # the worker has no display
RE.subscribe(_diff)
diffractogram = DiffractogramDevice("diffractogram", callback=_diff)

# What cannot be written in the queue, as a function for ``per_step``, goes into plans of your own.
_per_step = reduced_one_nd_step
del reduced_one_nd_step


def reduced_scan(detectors: list[Readable], motor: Movable, start: float, stop: float, num: int, device: Readable):
    """Scan a motor, and read the results of every point after it."""
    md = {"plan_name": "reduced_scan", **readback_hints(motor)}
    return (yield from scan([*detectors, device], motor, start, stop, num, per_step=_per_step, md=md))


__all__ = ["count", "detector", "diffractogram", "furnace", "reduced_scan"]
