"""Plan stubs: what plans do with the reduction between their points."""
# Annotations stay what they are, not text, for queueserver reads them.

import asyncio
from typing import Any

import bluesky.plan_stubs as bps
from bluesky.protocols import Readable
from bluesky.utils import MsgGenerator

from .checks import callback_of, check_device, check_number


def configure_diffractogram(device: Readable, settings: dict[str, Any]) -> MsgGenerator[Any]:
    """Change the configuration from the next frame on; all of it or, if something is wrong, nothing.

    In a run that reads the device the change is recorded, in new descriptors. bluesky 1.15 can do that only if the
    point read last had all that the device is read with in any stream, a baseline too.

    Parameters
    ----------
    device
        A `DiffractogramDevice`.
    settings
        By configuration key: ``{"diff_units": "q [1/A]", "npt": 2000}``.

    Returns
    -------
    old, new
        The device's configuration before and after.

    Raises
    ------
    ValueError
        Before the first message; names the key, the value and what is allowed.
    RuntimeError
        bluesky cannot record it in this run; nothing is changed.
    """
    known = check_device(device)
    undoing = known.undoing(settings)
    try:
        return (yield from bps.configure(device, settings))
    except KeyError as error:
        # bluesky's bundler looks for what it makes new descriptors of among what the present stream has read.
        known.apply(undoing)
        raise RuntimeError(
            f"bluesky cannot record in the run that {known.name} is configured, as the point read last had not all "
            "that it is read with in other streams: configure it between runs, or leave it out of the baseline"
        ) from error


def collect(device: Readable, on: bool = True) -> MsgGenerator[None]:
    """Have diffractograms go into the buffers, or not.

    Parameters
    ----------
    device
        A `DiffractogramDevice`.
    on
        Whether they do.
    """
    yield from bps.abs_set(check_device(device).collecting, bool(on), wait=True)


def reset_buffer(device: Readable) -> MsgGenerator[None]:
    """Empty the buffers.

    Parameters
    ----------
    device
        A `DiffractogramDevice`.
    """
    yield from bps.trigger(check_device(device).reset, wait=True)


def wait_for_reduction(device: Readable, timeout: float = 60.0) -> MsgGenerator[bool]:
    """Wait until all frames received so far are reduced, and results are with all subscribers.

    Frames in files that can be read only after the run are not waited for while it goes on.

    Parameters
    ----------
    device
        A `DiffractogramDevice`, or a callback.
    timeout
        In seconds.

    Returns
    -------
    bool
        False if it took longer.
    """
    callback = callback_of(device)
    seconds = check_number("timeout", timeout, "seconds, at least 0", least=0.0)
    return (yield from off_thread(callback.wait, seconds)) is not False


def off_thread(work: Any, *arguments: Any) -> MsgGenerator[Any]:
    """Call `work` in a thread, so that the RunEngine can still be paused meanwhile; gives what it returns."""
    tasks = yield from bps.wait_for([lambda: asyncio.to_thread(work, *arguments)])
    return None if tasks is None else tasks[0].result()
