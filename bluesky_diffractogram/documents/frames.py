"""Raw events become frames."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ..config import ConfigError
from ..reduction.diffractogram import Reduction
from ..reduction.frame import Frame, FrameError, add_frames, check_image
from ..reduction.reducer import Reducer
from ..reduction.validity import Validity
from .assets import Assets, NotReadable
from .images import Document, frames_in
from .messages import ImagesReceived, OriginOfFrame
from .setting import Reducers, Setting

logger = logging.getLogger(__name__)

Announce = Callable[[Reduction, Reducer, Setting, OriginOfFrame, str], None]


def origin_of(images: ImagesReceived, index: int) -> OriginOfFrame:
    """Where the frame `index` of an event came from."""
    event = images.event
    return OriginOfFrame(
        event["uid"], images.descriptor["name"], event["seq_num"], index, event["data"], event.get("timestamps", {})
    )


def frame_shape_of(frame: Frame) -> tuple[int, int]:
    """``(ny, nx)``; refuses what has not two dimensions."""
    check_image(frame.image, None)
    return frame.image.shape[0], frame.image.shape[1]


def read_frames(images: ImagesReceived, setting: Setting, assets: Assets) -> list[Frame]:
    """The frames of one event, added up if the configuration says so.

    Raises
    ------
    NotReadable
        Their file is not readable yet.
    FrameError
        There are none, or they cannot be used.
    """
    event, key, config = images.event, images.image_key, setting.config
    if key not in event["data"]:
        raise FrameError("no image", f"the event has no value for {key!r}")
    name = event["data"].get("imagename")
    if images.in_file:
        name = name or assets.imagename(event, key)
        value = assets.read(event, key)
    else:
        value = event["data"][key]
    arrays = frames_in(value)
    timestamp = float(event.get("timestamps", {}).get(key, event["time"]))
    monitor = _monitor(event, config.normalization)
    if not isinstance(name, str):
        name = f"{images.run_uid[:8]}/{key}/{event['seq_num']}"
    several = len(arrays) > 1
    frames = [Frame(array, timestamp, f"{name}[{i}]" if several else name, monitor) for i, array in enumerate(arrays)]
    if several and config.frames_per_event != "each":
        validity = Validity.from_config(config, setting.geometry.detector_dummy())
        return [add_frames(frames, config.frames_per_event, validity.invalid)]
    return frames


def _monitor(event: Document, data_key: str | None) -> float | None:
    if data_key is None:
        return None
    value = event["data"].get(data_key)
    try:
        return float(value)
    except (TypeError, ValueError):
        raise FrameError("normalization", f"the normalization {data_key!r} is {value!r}, expected a number") from None


def reduce_aside(
    images: ImagesReceived, setting: Setting, reducers: Reducers, assets: Assets, announce: Announce
) -> None:
    """Reduce an image into results and buffers only: its run is over, or counts it already."""
    try:
        for index, frame in enumerate(read_frames(images, setting, assets)):
            reducer = reducers.get(setting, frame_shape_of(frame))
            announce(reducer.reduce(frame), reducer, setting, origin_of(images, index), images.run_uid)
    except (NotReadable, FrameError, ConfigError) as error:
        logger.warning("the current frame cannot be reduced: %s", error)
