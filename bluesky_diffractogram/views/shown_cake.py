"""What the view of cakes shows of one event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .derived import CakeAxes, Stream, frame_of
from .labels import frame_text
from .raster import equidistant_columns


@dataclass(frozen=True, eq=False, slots=True)
class ShownCake:
    """One event's cake.

    Attributes
    ----------
    stream, axes
        Its stream, and the axes that this describes.
    intensity
        ``(npt_azim, npt_rad)``, NaN in empty bins; as it came, and not to be written to.
    frame
        The frame in words.
    """

    stream: Stream
    axes: CakeAxes
    intensity: NDArray
    frame: str

    def edges(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The outer edges of the cake, radial and azimuthal."""
        return equidistant_columns(self.axes.radial)[0], equidistant_columns(self.axes.azimuthal)[0]


def read_cake(stream: Stream, doc: Mapping[str, Any]) -> ShownCake | None:
    """Read the cake of an event of `stream`; None if there is none.

    Raises
    ------
    ValueError
        It has another shape than the stream says.
    """
    if stream.cake is None or "cake" not in doc["data"]:
        return None
    intensity = np.asarray(doc["data"]["cake"], dtype=np.float32)  # None, as stores give NaN back, becomes NaN
    if intensity.shape != stream.cake.shape:
        raise ValueError(f"a cake of shape {stream.cake.shape} was expected, {intensity.shape} was given")
    return ShownCake(stream, stream.cake, intensity, frame_text(*frame_of(doc)))
