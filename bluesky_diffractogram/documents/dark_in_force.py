"""The dark that is in force among the frames of a run: reading it, and which one a frame is reduced with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from numpy.typing import NDArray

from ..config import DarkConfig
from ..files import NotReadable
from ..reduction.dark import AnyDark, Dark, MergedDark, check_dark, mean_dark
from ..reduction.frame import Frame, FrameError
from ..reduction.validity import Validity
from .assets import Assets
from .digests import state_of_pixels, with_dark_digest
from .images import frames_in
from .merged_frames import image_under, no_image
from .messages import ImagesReceived
from .readings import readings
from .setting import Setting

Lack = tuple[int, str, FrameError]
"""Which of the further detectors, its data key, and why it is done without."""


@dataclass(frozen=True, eq=False, slots=True)
class DarkInForce:
    """The latest dark of each detector, and why they are darks.

    Attributes
    ----------
    darks
        By the data keys that they came under.
    source
        Which events they are.
    """

    darks: Mapping[str, Dark]
    source: DarkConfig
    _together: dict[tuple[str | None, ...], MergedDark] = field(default_factory=dict)

    def together(self, keys: tuple[str | None, ...]) -> MergedDark:
        """Those under data keys, as one: the same object each time, as tables are kept for it; None is for none."""
        if keys not in self._together:
            self._together[keys] = MergedDark(tuple(None if key is None else self.darks.get(key) for key in keys))
        return self._together[keys]


def _first_key(images: ImagesReceived, setting: Setting) -> str:
    """The data key of the darks of the first detector."""
    config = setting.config
    dark = config.dark_of_run
    named = None if dark is None else dark.image_key
    return named or (config.image_key if setting.others else None) or images.image_key


def _of_detectors(images: ImagesReceived) -> Iterator[tuple[ImagesReceived, tuple[int, int] | None]]:
    """The images of a dark's event on each detector that has darks of the run, and the shape of its frames if known."""
    setting = images.setting
    if not setting.others:
        yield images, None
        return
    yield image_under(images, _first_key(images, setting), setting), None
    for detector in setting.others:
        if detector.config.dark_of_run is not None:
            yield image_under(images, detector.data_key, setting.of(detector)), detector.shape


def dark_in_force(
    images: ImagesReceived, assets: Assets, before: DarkInForce | None, *, waits: bool = True
) -> tuple[DarkInForce, list[FrameError]]:
    """What is in force from the event of a dark on: of each detector the mean of its images there.

    Parameters
    ----------
    images
        The event.
    assets
        Reads its files.
    before
        What was in force, and is so still for detectors of which there is no image.
    waits
        Whether files may still become readable; if not, what can be had of several detectors is taken.

    Returns
    -------
    in_force
        From now on.
    wrong
        What is wrong with the images of several detectors that are none, beside others.

    Raises
    ------
    NotReadable
        Not all of them are readable yet, or none.
    FrameError
        There is none, and there will never be.
    """
    source = images.setting.config.dark_of_run
    assert source is not None
    found: dict[str, Dark] = {}
    wrong: list[FrameError | NotReadable] = []
    wanted = []
    for each, shape in _of_detectors(images):
        key = each.image_key
        wanted.append(key)
        if images.setting.others and not each.is_told and key not in images.descriptor["data_keys"]:
            continue
        try:
            found[key] = _dark_of(each, assets, shape)
        except NotReadable as error:
            if waits or not images.setting.others:
                raise
            wrong.append(error)
        except FrameError as error:
            wrong.append(_naming(key, error) if images.setting.others else error)
    if not found:
        raise next((e for e in wrong if isinstance(e, NotReadable)), wrong[0] if wrong else no_image(images.image_key))
    kept = before.darks if before is not None and before.source.same_source(source) else {}
    darks = {key: found.get(key) or kept[key] for key in wanted if key in found or key in kept}
    reasons = [each if isinstance(each, FrameError) else FrameError("file", str(each)) for each in wrong]
    return DarkInForce(darks, source), reasons


def _naming(key: str, error: FrameError) -> FrameError:
    return FrameError(error.kind, f"{key!r}: {error}")


def _dark_of(images: ImagesReceived, assets: Assets, shape: tuple[int, int] | None) -> Dark:
    setting, key = images.setting, images.image_key
    if not images.is_told:
        raise no_image(key)
    arrays: Iterable[NDArray]
    if images.in_file:
        _, found = assets.images(images, whole=True)
        arrays = (read().image for _, read in found)
    else:
        arrays = frames_in(images.event["data"][key], images.descriptor["data_keys"].get(key))
    validity = Validity.from_config(setting.config, setting.geometry.detector_dummy())
    mean = mean_dark(arrays, validity)
    dark = Dark(mean, int(images.event["seq_num"]), state_of_pixels(mean))
    if shape is not None:
        check_dark(dark, shape)
    return dark


def dark_for(in_force: DarkInForce | None, images: ImagesReceived, setting: Setting) -> AnyDark | None:
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
    if in_force is not None and not in_force.source.same_source(wanted):
        in_force = None
    first = _first_key(images, setting)
    if in_force is not None and not setting.others and first not in in_force.darks:
        came = ", ".join(repr(key) for key in in_force.darks)
        raise FrameError(
            "dark",
            f"the darks came under {came}, the frames under {images.image_key!r}: dark.image_key and image_key say "
            "which belong together",
        )
    there = {} if in_force is None else in_force.darks
    if not wanted.optional:
        needed = [each.data_key for each in setting.others if each.config.dark_of_run and not each.optional]
        for key in (first, *needed):
            if key not in there:
                raise _no_dark(wanted, images, key if setting.others else None)
    if in_force is None:
        return None
    if not setting.others:
        return in_force.darks[first]
    return in_force.together((first, *(each.data_key if each.config.dark_of_run else None for each in setting.others)))


def _no_dark(wanted: DarkConfig, images: ImagesReceived, key: str | None) -> FrameError:
    under = "" if key is None else f" under {key!r}"
    message = f"no dark came before it in its run{under}, {wanted.meaning}"
    if wanted.key is not None:
        here = readings(images, wanted.key)
        message += f"; here it is {here[0][0]!r}" if here else f"; it has no reading {wanted.key!r}"
    return FrameError("no dark", message)


def lacks_dark(dark: AnyDark | None, images: ImagesReceived, setting: Setting) -> list[Lack]:
    """The optional detectors whose images count for nothing, as there is no dark of theirs."""
    wanted = setting.config.dark_of_run
    if wanted is None or wanted.optional or not isinstance(dark, MergedDark):
        return []
    return [
        (i, each.data_key, _no_dark(wanted, images, each.data_key))
        for i, (each, part) in enumerate(zip(setting.others, dark.parts[1:], strict=True))
        if part is None and each.config.dark_of_run is not None
    ]


def frame_with_dark(frame: Frame, dark: AnyDark | None, lacks: Iterable[Lack] = ()) -> Frame:
    """A frame as it is reduced with a dark, which its digest tells of.

    Parameters
    ----------
    frame
        As it was read.
    dark
        See `dark_for`.
    lacks
        What its event lacks of darks (`lacks_dark`).
    """
    if dark is None:
        return frame
    without = [(i, key, why) for i, key, why in lacks if frame.others[i] is not None]
    if without:
        left_out = {i for i, *_ in without}
        others = tuple(None if i in left_out else image for i, image in enumerate(frame.others))
        frame = replace(frame, others=others, lacks=(*frame.lacks, *((key, why) for _, key, why in without)))
    return replace(frame, dark=dark, digest=digest_with_dark(lambda: frame.digest, dark)())


def digest_with_dark(digest: Callable[[], str], dark: AnyDark | None) -> Callable[[], str]:
    """What gives the digest of a frame from which a dark is taken away, for what gives that of its images."""
    return digest if dark is None else lambda: with_dark_digest(digest(), dark.digest)
