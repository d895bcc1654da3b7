"""Raw events become frames."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from numpy.typing import NDArray

from ..config import ConfigError
from ..files import NotReadable, Unreadable
from ..reduction.diffractogram import Reduction
from ..reduction.frame import Frame, FrameError, add_frames, check_image
from ..reduction.reducer import Reducer
from ..reduction.validity import Validity
from .assets import Assets
from .dark_in_force import DarkInForce, dark_for, frame_with_dark, lacks_dark
from .digests import frame_digest, state_of_pixels
from .images import ReadImage, as_read, frames_in
from .merged_frames import ABSENT, further_frames, images_of_others, merged_digest, merged_frames, no_image
from .messages import ImagesReceived, OriginOfFrame
from .moving import moved_geometry
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


def read_frames(
    images: ImagesReceived,
    setting: Setting,
    assets: Assets,
    begin: int = 0,
    end: int | None = None,
    *,
    waits: bool = True,
) -> tuple[int, Iterator[Callable[[], Frame]]]:
    """The frames of one event, added up if the configuration says so.

    Parameters
    ----------
    images, setting, assets
        What to read, under which configuration, and from where.
    begin, end
        The first one wanted, and the first one behind that is not; None are all.
    waits
        Whether files of optional detectors may still become readable; if not, their images are not there.

    Returns
    -------
    total
        How many there are, with those before `begin`.
    frames : iterator of callables
        Each gives a frame, or raises `NotReadable` where its file is not readable yet, and `FrameError` where
        it cannot be used.

    Raises
    ------
    NotReadable
        None of them is readable yet.
    FrameError
        There are none, or they cannot be used.
    """
    total, frames = _own_frames(images, setting, assets, begin, end)
    if not setting.others:
        return total, frames
    others = [
        further_frames(detector, partial(_own_frames, each, each.setting, assets, begin, end), waits=waits)
        for detector, each in images_of_others(images, setting)
    ]
    return total, merged_frames(images.image_key, total, frames, others)


def _own_frames(
    images: ImagesReceived, setting: Setting, assets: Assets, begin: int, end: int | None
) -> tuple[int, Iterator[Callable[[], Frame]]]:
    """The frames of one detector; see `read_frames`."""
    event, key, config = images.event, images.image_key, setting.config
    if not images.is_told:
        raise no_image(key)
    named = event["data"].get("imagename")
    if not isinstance(named, str):
        named = None
    timestamp = float(event.get("timestamps", {}).get(key, event["time"]))
    monitor = _monitor(images, config.normalization)
    moved = moved_geometry(images, setting, assets)
    each = config.frames_per_event == "each"
    if not each:
        begin, end = 0, None
    if images.in_file:
        total, found = assets.images(images, begin, end, whole=not each)
    else:
        arrays = frames_in(event["data"][key], images.descriptor["data_keys"].get(key))
        state = state_of_pixels if assets.pixel_digests else _unknown
        total, found = len(arrays), ((None, as_read(array, state)) for array in arrays[begin:end])
    default = f"{images.run_uid[:8]}/{key}/{event['seq_num']}"

    states: list[str | None] = []

    def frame(index: int, name: str | None, image: Callable[[], ReadImage]) -> Frame:
        if named is not None or name is None:
            name = (named or default) + (f"[{index}]" if total > 1 else "")
        read = image()
        if not each:
            states.append(read.state)
        digest = frame_digest([read.state], monitor, moved)
        return Frame(read.image, timestamp, name, monitor, digest=digest, moved=moved)

    if each or total == 1:
        return total, (partial(frame, i, *named_image) for i, named_image in enumerate(found, begin))
    validity = Validity.from_config(config, setting.geometry.detector_dummy())
    frames = (frame(i, *named_image) for i, named_image in enumerate(found))

    def added() -> Frame:
        frame = add_frames(frames, config.frames_per_event, validity.invalid)
        return replace(frame, digest=frame_digest(states, monitor, moved), moved=moved)

    return 1, iter([added])


def digest_now(images: ImagesReceived, setting: Setting, assets: Assets, index: int) -> str:
    """The digest that the frame `index` of an event would have if it was read now; empty where that cannot be told.

    Files are looked at, not read.
    """
    if setting.others:
        own = _own_digest(images, setting, assets, index)
        others = (
            ABSENT if detector.optional and not each.is_told else _own_digest(each, each.setting, assets, index)
            for detector, each in images_of_others(images, setting)
        )
        return merged_digest(iter([own, *others]))
    return _own_digest(images, setting, assets, index)


def _own_digest(images: ImagesReceived, setting: Setting, assets: Assets, index: int) -> str:
    each = setting.config.frames_per_event == "each"
    try:
        monitor = _monitor(images, setting.config.normalization)
        moved = moved_geometry(images, setting, assets)
        if images.in_file:
            return frame_digest(assets.states(images, index if each else None), monitor, moved)
        if not assets.pixel_digests:
            return ""
        arrays = frames_in(images.event["data"][images.image_key], images.descriptor["data_keys"].get(images.image_key))
        return frame_digest(map(state_of_pixels, arrays[index : index + 1] if each else arrays), monitor, moved)
    except (NotReadable, Unreadable, FrameError, KeyError):
        return ""


def _unknown(image: NDArray) -> None:
    """What is known of images in memory without a look at all their pixels."""


def _monitor(images: ImagesReceived, data_key: str | None) -> float | None:
    if data_key is None:
        return None
    data, descriptor = images.event["data"], images.descriptor
    if data_key not in data:
        there = ", ".join(sorted(key for key in descriptor["data_keys"] if key != images.image_key)) or "nothing"
        why = "lies in files, not in the events" if data_key in descriptor["data_keys"] else "is no data key"
        message = f"normalization = {data_key!r} {why} of the stream {descriptor['name']!r}; "
        raise FrameError("normalization", message + f"beside the image that has {there}")
    value = data[data_key]
    try:
        return float(value)
    except (TypeError, ValueError):
        raise FrameError("normalization", f"the normalization {data_key!r} is {value!r}, expected a number") from None


def reduce_aside(
    images: ImagesReceived,
    setting: Setting,
    reducers: Reducers,
    assets: Assets,
    announce: Announce,
    in_force: DarkInForce | None = None,
    *,
    waits: bool = True,
) -> None:
    """Reduce an image into results and buffers only: its run is over, or counts it already."""
    try:
        dark = dark_for(in_force, images, setting)
        lacks = lacks_dark(dark, images, setting)
        for index, read in enumerate(read_frames(images, setting, assets, waits=waits)[1]):
            frame = frame_with_dark(read(), dark, lacks)
            shape = frame_shape_of(frame)
            reduction = reducers.at(setting, shape, frame.moved).reduce(frame)
            announce(reduction, reducers.get(setting, shape), setting, origin_of(images, index), images.run_uid)
    except (NotReadable, FrameError, ConfigError) as error:
        logger.warning("the current frame cannot be reduced: %s", error)
