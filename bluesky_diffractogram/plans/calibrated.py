"""A count under a calibration and settings of its own."""
# Annotations stay what they are, not text, for queueserver reads them.

from collections.abc import Mapping, Sequence
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import bluesky.preprocessors as bpp
from bluesky.protocols import Readable
from bluesky.utils import MsgGenerator

from .checks import check_count, check_device, check_number
from .hooks import readback_hints, reduced_one_shot


def calibrated_count(
    detectors: Sequence[Readable],
    device: Readable,
    num: int = 1,
    *,
    calibration: str = "",
    settings: dict[str, Any] | None = None,
    delay: float = 0.0,
    md: dict[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Count with a calibration and other settings, each shot with its results; then these are as they were.

    Parameters
    ----------
    detectors
        Read in the stream ``primary``; one of them brings the images.
    device
        The `DiffractogramDevice`, read after each shot in the stream ``diffractogram_readback``.
    num
        How many shots.
    calibration
        The calibration's file; that in force if empty.
    settings
        Other settings, by configuration key.
    delay
        Seconds between shots.
    md
        Metadata of the run.

    Returns
    -------
    str
        The run's uid.

    Raises
    ------
    ValueError
        Before anything is changed; names the key, the value and what is allowed.
    """
    known = check_device(device)
    num = check_count("num", num)
    check_number("delay", delay, "seconds, at least 0", least=0.0)
    others = [detector for detector in detectors if detector is not device]
    if not others:
        raise ValueError("detectors = []: allowed: at least one, whose images are reduced")
    changes = {} if settings is None else settings
    if calibration and isinstance(changes, Mapping):
        changes = {**changes, "calibration": calibration}
    undoing = known.undoing(changes)
    in_force = calibration or known.config.calibration
    _md = {"plan_name": "calibrated_count", "calibration": in_force, **readback_hints(), **(md or {})}

    def counted() -> MsgGenerator[str]:
        if changes:
            yield from bps.configure(device, changes)
        return (yield from bp.count([*others, device], num, delay=delay, per_shot=reduced_one_shot, md=_md))

    def restored() -> MsgGenerator[None]:
        if undoing:  # and not all that somebody may have changed while it was paused
            yield from bps.configure(device, undoing)

    return (yield from bpp.finalize_wrapper(counted(), restored))
