"""The transformations that lavue offers for a stored image, as views without a copy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

_OPERATIONS: dict[str, Callable[[NDArray], NDArray]] = {
    "none": lambda image: image,
    "flip-up-down": lambda image: image[::-1],
    "flip-left-right": lambda image: image[:, ::-1],
    "transpose": lambda image: image.T,
    "rot-90": lambda image: np.rot90(image, -1),
    "rot-180": lambda image: image[::-1, ::-1],
    "rot-270": lambda image: np.rot90(image, 1),
    "rot-180+transpose": lambda image: image[::-1, ::-1].T,
}


def transform(image: NDArray, transformation: str) -> NDArray:
    """A stored image as the calibration sees it.

    Parameters
    ----------
    image
        ``(ny, nx)``.
    transformation
        One of the names of the configuration; ``rot-90`` turns clockwise as the image is printed (row 0 on top).

    Returns
    -------
    numpy.ndarray
        A view, ``(ny, nx)`` or ``(nx, ny)``.
    """
    return _OPERATIONS[transformation](image)


def transformed_shape(shape: tuple[int, int], transformation: str) -> tuple[int, int]:
    """The shape that an image of `shape` has after the transformation; it is its own inverse."""
    turns = transformation in ("transpose", "rot-90", "rot-270", "rot-180+transpose")
    return (shape[1], shape[0]) if turns else shape
