"""The darks of one run: which images they are, reading them, and which is in force."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import DarkConfig, DiffractogramConfig
from ..files import NotReadable
from ..reduction.dark import Dark, mean_dark
from ..reduction.frame import Frame, FrameError
from ..reduction.validity import Validity
from .assets import Assets
from .digests import state_of_pixels, with_dark_digest
from .images import frames_in
from .messages import DarkPassedOver, DarkReceived, FramesPassedOver, ImagesReceived, Message
from .setting import Setting
from .skipping import Skipping
from .tally import DarkTally

logger = logging.getLogger(__name__)


def image_key_in(stream: str | None, config: DiffractogramConfig) -> tuple[bool, str | None]:
    """Whether the images of a stream are looked at, and under which data key; None to look for it."""
    dark = config.dark_of_run
    if dark is not None and stream == dark.stream:
        return True, dark.image_key or config.image_key
    return stream == config.stream, config.image_key


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
    return dark.key is not None and any(_same(value, dark.value) for value in readings(images, dark.key))


def readings(images: ImagesReceived, key: str) -> list[Any]:
    """The readings of that name in an event, or else in the configuration of its descriptor."""
    data = images.event["data"]
    if key in data:
        return [data[key]]
    devices = _mapping(images.descriptor.get("configuration")).values()
    configured = (_mapping(_mapping(device).get("data")) for device in devices)
    return [values[key] for values in configured if key in values]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


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


@dataclass(frozen=True, eq=False, slots=True)
class DarkInForce:
    """A dark, the data key that it came under, and why it is one."""

    dark: Dark
    image_key: str
    source: DarkConfig


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

    def take(self, images: ImagesReceived) -> None:
        """Read a dark, which is in force from now on; what is none leaves the earlier one in force.

        Raises
        ------
        NotReadable
            Its file is not readable yet.
        """
        try:
            self._in_force = dark_in_force(images, self._assets)
            self._tally.received += 1
        except NotReadable:
            raise
        except Exception as error:
            self._skipping.skip_for(error, 1, images)
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
            what = "run %s: the dark %d is in force no more: darks are told otherwise now"
            logger.info(what, self._run_uid, held.dark.number)
            self._in_force = None

    def frame_comes(self) -> DarkInForce | None:
        """The dark for the frames of an event whose turn has come."""
        self.of_latest_frame = self._in_force
        return self._in_force


def dark_in_force(images: ImagesReceived, assets: Assets) -> DarkInForce:
    """The dark of an event, the mean of its images.

    Raises
    ------
    NotReadable
        Not all of them are readable yet.
    FrameError
        They will never be, or are no images.
    """
    setting, key = images.setting, images.image_key
    source = setting.config.dark_of_run
    assert source is not None
    if not images.is_told:
        raise FrameError("no image", f"the event has no value for {key!r}")
    arrays: Iterable[NDArray]
    if images.in_file:
        _, found = assets.images(images, whole=True)
        arrays = (read().image for _, read in found)
    else:
        arrays = frames_in(images.event["data"][key], images.descriptor["data_keys"].get(key))
    validity = Validity.from_config(setting.config, setting.geometry.detector_dummy())
    mean = mean_dark(arrays, validity)
    return DarkInForce(Dark(mean, int(images.event["seq_num"]), state_of_pixels(mean)), key, source)


def dark_for(in_force: DarkInForce | None, images: ImagesReceived, setting: Setting) -> Dark | None:
    """The dark for the frames of an event; None if they are to be reduced without.

    Parameters
    ----------
    in_force
        Of the run; one that was told by another configuration does not count.
    images
        The event.
    setting
        Under which it is reduced.

    Raises
    ------
    FrameError
        There is none and there should be one, or it came under another data key.
    """
    wanted = setting.config.dark_of_run
    if wanted is None:
        return None
    if in_force is None or not in_force.source.same_source(wanted):
        if wanted.optional:
            return None
        message = f"no dark came before it in its run, {wanted.meaning}"
        if wanted.key is not None:
            here = readings(images, wanted.key)
            message += f"; here it is {here[0]!r}" if here else f"; it has no reading {wanted.key!r}"
        raise FrameError("no dark", message)
    if wanted.image_key is None and in_force.image_key != images.image_key:
        raise FrameError(
            "dark",
            f"the darks came under {in_force.image_key!r}, the frames under {images.image_key!r}: dark.image_key and "
            "image_key say which belong together",
        )
    return in_force.dark


def frame_with_dark(frame: Frame, dark: Dark | None) -> Frame:
    """A frame as it is reduced with a dark, which its digest tells of."""
    if dark is None:
        return frame
    return replace(frame, dark=dark, digest=digest_with_dark(lambda: frame.digest, dark)())


def digest_with_dark(digest: Callable[[], str], dark: Dark | None) -> Callable[[], str]:
    """What gives the digest of a frame from which a dark is taken away, for what gives that of its images."""
    return digest if dark is None else lambda: with_dark_digest(digest(), dark.digest)
