"""Images in documents: which data key holds them, and the frames in its value."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config.keys import MOST_PIXELS
from ..reduction.frame import FrameError

Document = Mapping[str, Any]

MOST_FRAMES_OF_AN_EVENT = 100_000
"""In one array; a view of each of its frames may take more memory than the pixels."""


def find_image_key(descriptor: Document, wanted: str | None = None) -> str | None:
    """The data key of a descriptor that holds images.

    Parameters
    ----------
    descriptor
        A raw descriptor.
    wanted
        The configured key, or None to look for one: of the keys whose values are external or arrays, and that
        have two or three dimensions, the largest.

    Returns
    -------
    str or None
        None where there is none.
    """
    if wanted is not None:
        return wanted if wanted in descriptor.get("data_keys", {}) else None
    return next(iter(image_keys(descriptor)), None)


def image_keys(descriptor: Document) -> list[str]:
    """The data keys of a descriptor that may hold images, the largest first."""
    sizes = {name: _image_size(key) for name, key in descriptor.get("data_keys", {}).items()}
    return sorted((name for name in sizes if sizes[name] >= 0), key=lambda name: -sizes[name])


def _image_size(data_key: Document) -> float:
    """How many values a data key of images holds; −1 for one that holds none."""
    shape: list[int] = [n for n in data_key.get("shape", ()) or () if n is not None]
    if not ("external" in data_key or data_key.get("dtype") == "array") or len(shape) < 2:
        return -1.0
    if len(shape) > 3 and any(n != 1 for n in shape[:-3]):
        return -1.0
    if "external" not in data_key and min(shape[-2:]) < 2:
        return -1.0
    # areaDetector may say 0 before its first acquisition.
    return float(math.prod(max(int(n), 0) for n in shape))


def frame_shape(descriptor: Document, image_key: str) -> tuple[int, int] | None:
    """``(ny, nx)`` as a descriptor says it, which areaDetector does not always say rightly; None if it does not."""
    shape: list[Any] = list(descriptor["data_keys"][image_key].get("shape") or ())
    if len(shape) < 2 or not all(isinstance(n, int) and n > 0 for n in shape[-2:]):
        return None
    if math.prod(shape[-2:]) > MOST_PIXELS:  # a table built ahead for them would take all memory there is
        return None
    return int(shape[-2]), int(shape[-1])


def is_in_file(descriptor: Document, event: Document, image_key: str) -> bool:
    """Whether an event refers to its image by a datum id."""
    filled = event.get("filled") or {}
    if image_key in filled:
        return filled[image_key] is False
    return "external" in descriptor["data_keys"][image_key] and isinstance(event["data"][image_key], str)


def count_frames(value: Any) -> int:
    """How many frames a value in memory holds, without converting it; 1 if that is not clear."""
    shape = getattr(value, "shape", None)
    if shape is None:
        nested = isinstance(value, list) and value and isinstance(value[0], list) and value[0]
        return len(value) if nested and isinstance(value[0][0], (list, np.ndarray)) else 1
    number = math.prod(shape[:-2])
    return number if 0 not in shape and number <= MOST_FRAMES_OF_AN_EVENT else 1


def frames_in(value: Any, data_key: Document | None = None) -> list[NDArray]:
    """The frames in the value of an image key, ``(ny, nx)`` each, as views where it is an array.

    Parameters
    ----------
    value
        An array or nested lists, ``(ny, nx)`` or ``(n, ny, nx)``; further leading dimensions are run through in order.
    data_key
        Of the image: lists, of which nothing else tells it, become the ``dtype_numpy`` that it names, if that holds
        their numbers. What marks a dead pixel depends on it.

    Raises
    ------
    FrameError
        There is no frame in it.
    """
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise FrameError("shape", f"the image is no array ({error})") from error
    if isinstance(value, (list, tuple)):
        array = _as_described(array, (data_key or {}).get("dtype_numpy"))
    if array.dtype.kind not in "uifb":
        raise FrameError("dtype", f"the image has dtype {array.dtype}, expected real numbers")
    if array.ndim < 2 or array.size == 0:
        raise FrameError("shape", f"the image has shape {array.shape}, expected (ny, nx) or (n, ny, nx)")
    if math.prod(array.shape[:-2]) > MOST_FRAMES_OF_AN_EVENT:
        raise FrameError("shape", f"the image has shape {array.shape}, more than {MOST_FRAMES_OF_AN_EVENT} frames")
    return list(array.reshape((-1, *array.shape[-2:])))


def _as_described(array: NDArray, dtype_numpy: Any) -> NDArray:
    """What was a list, in the dtype that its data key names; stores that have no NaN write null for it."""
    if array.dtype == object:
        try:
            array = array.astype(np.float64)
        except (TypeError, ValueError):
            return array
    if not isinstance(dtype_numpy, str) or array.dtype.kind not in "uifb":
        return array
    try:
        described = np.dtype(dtype_numpy)
    except TypeError:
        return array
    if described.kind not in "uif" or described == array.dtype:
        return array
    with np.errstate(invalid="ignore", over="ignore"):
        cast = array.astype(described)
    return cast if np.array_equal(cast, array, equal_nan=True) else array


@dataclass(frozen=True, eq=False, slots=True)
class ReadImage:
    """An image, and what is the same as long as it is (`files.file_state`), or None."""

    image: NDArray
    state: str | None


def as_read(image: NDArray, state: Callable[[NDArray], str | None] = lambda image: None) -> Callable[[], ReadImage]:
    """An image in memory in the place of one that is still to be read; `state` gives its own."""
    return lambda: ReadImage(image, state(image))
