"""The darks of one run: which images they are, reading them, and which is in force."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from ..config import DarkConfig, DiffractogramConfig
from ..files import NotReadable
from .assets import Assets
from .dark_in_force import DarkInForce, dark_in_force
from .images import Document, find_image_key
from .messages import DarkPassedOver, DarkReceived, FramesPassedOver, ImagesReceived, Message
from .readings import readings
from .skipping import Skipping
from .tally import DarkTally

logger = logging.getLogger(__name__)


def looked_at(stream: str | None, config: DiffractogramConfig) -> bool:
    """Whether the images of a stream are frames or darks."""
    dark = config.dark_of_run
    return stream == config.stream or (dark is not None and stream == dark.stream)


def find_images(descriptor: Document, config: DiffractogramConfig) -> str | None:
    """The data key under which a stream that is looked at has images; of several detectors that of the first."""
    dark = config.dark_of_run
    if dark is None or descriptor.get("name") != dark.stream:
        return find_image_key(descriptor, config.image_key)
    of_others = (find_image_key(descriptor, each.image_key) for each in config.merge)  # which may have darks apart
    found = find_image_key(descriptor, dark.image_key or config.image_key)
    return found if found is not None else next((key for key in of_others if key is not None), None)


def sorted_out(messages: Iterable[Message], *, of_darks: bool = False) -> Iterator[Message]:
    """Messages about images, darks told from frames.

    Parameters
    ----------
    messages
        As they would be if all were frames.
    of_darks
        Whether what is passed over are darks, as far as is known.
    """
    for message in messages:
        if isinstance(message, ImagesReceived):
            yield DarkReceived(message) if _is_dark(message) else message
        elif isinstance(message, FramesPassedOver) and of_darks:
            if message.why != "replaced":  # by a dark that is the one in force, then
                yield DarkPassedOver(message.run_uid, message.why)
        else:
            yield message


def _is_dark(images: ImagesReceived) -> bool:
    config = images.setting.config
    dark = config.dark_of_run
    if dark is None or images.descriptor.get("name") != config.stream:
        return dark is not None
    return dark.key is not None and any(_same(value, dark.value) for value, _ in readings(images, dark.key))


def _same(value: Any, wanted: Any) -> bool:
    """Whether a reading is what it is to be; so is an array of one."""
    while np.ndim(value) if isinstance(value, np.ndarray) else isinstance(value, (list, tuple)):
        if len(value) != 1:
            return False
        value = value[0]
    try:
        return bool(value == wanted)
    except Exception:  # whatever somebody's objects raise
        return False


class Darks:
    """Takes the darks of one run in the order of its documents, among its frames.

    Parameters
    ----------
    run_uid
        The raw run.
    tally
        Where they are counted.
    assets
        Reads images from files.
    on_error
        Gets what went wrong unexpectedly.

    Attributes
    ----------
    of_latest_frame
        What was in force for the frames that came last.
    """

    def __init__(self, run_uid: str, tally: DarkTally, assets: Assets, on_error: Callable[[Exception], None]) -> None:
        self.of_latest_frame: DarkInForce | None = None
        self._run_uid = run_uid
        self._in_force: DarkInForce | None = None
        self._tally, self._assets = tally, assets
        self._skipping = Skipping(run_uid, tally, on_error, "dark")

    def take(self, images: ImagesReceived, *, waits: bool = True) -> None:
        """Read a dark, which is in force from now on; what is none leaves the earlier one in force.

        Parameters
        ----------
        images
            Its event.
        waits
            Whether its file may still become readable; if not, those of several detectors that can be had are taken.

        Raises
        ------
        NotReadable
            Its file is not readable yet, or none is.
        """
        received = self._tally.received
        try:
            self._in_force, wrong = dark_in_force(images, self._assets, self._in_force, waits=waits)
            for error in wrong:
                self._skipping.skip_for(error, 1, images)
        except NotReadable:
            raise
        except Exception as error:
            self._skipping.skip_for(error, 1, images)
        self._tally.received = received + 1
        self._assets.done(images)

    def skip(self, reason: str, why: str, images: ImagesReceived) -> None:
        """Do without one that cannot be read."""
        self._skipping.skip(reason, 1, why, images)
        self._assets.done(images)

    def pass_over(self, why: str) -> None:
        """Count one that is not read."""
        self._tally.received += 1
        self._tally.skip(why)

    def only_of(self, wanted: DarkConfig | None) -> None:
        """Let go of a dark of another source than a configuration wants: what came since was not looked at for it."""
        held = self._in_force
        if held is not None and (wanted is None or not held.source.same_source(wanted)):
            what = "run %s: the dark %s is in force no more: darks are told otherwise now"
            logger.info(what, self._run_uid, ", ".join(str(each.number) for each in held.darks.values()))
            self._in_force = None

    def frame_comes(self) -> DarkInForce | None:
        """The dark for the frames of an event whose turn has come."""
        self.of_latest_frame = self._in_force
        return self._in_force
