"""A frame as it is shown: oriented, invalid pixels out, and no larger than the screen; never what is reduced."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .geometry import Geometry
from .moved import Moved
from .outlines import Outline, outline
from .projection import Projection
from .reducer import Reducer
from .transformation import transform
from .validity import Validity

STRIP_PIXELS = 100_000


@dataclass(frozen=True, eq=False, slots=True)
class DetectorView:
    """What is needed to show frames of one shape under one configuration, computed once.

    Attributes
    ----------
    transformation
        Applied to stored frames before they are shown.
    mask
        ``(ny, nx)`` of the shown frame, True where a pixel is never used.
    validity
        The rules by which the other pixels are tested.
    projection
        From angles to pixels of the shown frame.
    outlines
        Of all ranges, in the order of their numbers.
    calibrated
        The calibration's own geometry, in which limits are what they are written as.
    """

    transformation: str
    mask: NDArray[np.bool_]
    validity: Validity
    projection: Projection
    outlines: tuple[Outline, ...]
    calibrated: Geometry

    @property
    def shape(self) -> tuple[int, int]:
        """``(ny, nx)`` of the shown frame."""
        return self.projection.shape


def detector_view(reducer: Reducer, moved: Moved | None = None) -> DetectorView:
    """What is needed to show the frames that `reducer` reduces.

    Parameters
    ----------
    reducer
        That of the calibration's own geometry.
    moved
        What is told of the frame's.
    """
    projection = Projection(reducer.geometry if moved is None else moved.of(reducer.geometry))
    outlines = tuple(outline(wanted, projection) for wanted in reducer.ranges)
    return DetectorView(
        reducer.config.transformation, reducer.mask, reducer.validity, projection, outlines, reducer.geometry
    )


def preview(
    image: NDArray, view: DetectorView, by: int = 1, window: tuple[slice, slice] = (slice(None), slice(None))
) -> NDArray[np.float32]:
    """A stored frame as the detector view shows it, `by` × `by` pixels in one.

    The largest valid value of each block is taken: thin rings and single peaks stay visible, which a mean would
    thin out and leaving pixels out would lose.

    Parameters
    ----------
    image
        ``(ny, nx)`` as stored.
    view
        How it is shown.
    by
        The size of the blocks.
    window
        The rows and columns of the shown frame that are wanted.

    Returns
    -------
    numpy.ndarray
        ``(ceil(ny / by), ceil(nx / by))`` of the window; NaN where no pixel is valid.
    """
    shown, mask = transform(image, view.transformation)[window], view.mask[window]
    ny, nx = shown.shape
    out = np.empty((-(-ny // by), -(-nx // by)), np.float32)
    # in strips that the processor's cache holds: the frame is read once, and nothing of its size is made of it
    strip = by * max(1, STRIP_PIXELS // max(by * nx, 1))
    for top in range(0, ny, strip):
        part, bad = shown[top : top + strip], mask[top : top + strip]
        invalid = view.validity.invalid(part)
        values = part.astype(np.float32)
        values[bad if invalid is None else bad | invalid] = -np.inf
        best = _largest(_largest(values, by).T, by).T
        out[top // by : top // by + len(best)] = best
    out[np.isneginf(out)] = np.nan
    return out


def _largest(values: NDArray[np.float32], by: int) -> NDArray[np.float32]:
    """``(ceil(n / by), m)`` the largest of `by` rows each of ``(n, m)`` values."""
    best = values[::by].copy() if by > 1 else values
    for offset in range(1, by):
        rows = values[offset::by]
        np.maximum(best[: len(rows)], rows, out=best[: len(rows)])
    return best
