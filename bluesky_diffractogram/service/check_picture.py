"""The picture that ``check`` draws."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from ..reduction.outlines import outline
from ..reduction.projection import Projection
from ..reduction.reducer import Reducer
from ..replay.whole_file import whole_file
from ..views.ranges import DrawnRange, draw_ranges
from .examine import Examined, beam_centre

PROGRAM = "bluesky-diffractogram check"


def drawn_earlier(path: Path) -> bool:
    """Whether a picture is one that `draw` wrote."""
    try:
        with Image.open(path) as picture:
            return picture.info.get("Software") == PROGRAM
    except (OSError, SyntaxError):  # what Pillow raises for what is no picture, or a broken one
        return False


def draw(examined: Examined, reducer: Reducer, path: Path) -> None:
    """Write the picture of the ranges on the detector, or on the frame that was given."""
    unit = examined.config.unit
    quantity = unit.label.split()[0].replace("2th", "2θ")
    projection = Projection(reducer.geometry)
    drawn = []
    for wanted in reducer.ranges:
        azimuth = "full ring" if wanted.arc.full else f"χ {wanted.arc.start:g}…{wanted.arc.end:g}°"
        low, high = wanted.radial_range
        text = f"{wanted.number}: {azimuth}, {quantity} {low:.4g}…{high:.4g} {unit.symbol}"
        drawn.append(DrawnRange(wanted.number, text, outline(wanted, projection)))
    with whole_file(path) as part:
        draw_ranges(
            part,
            drawn,
            reducer.mask,
            image=examined.image,
            colors=examined.config.colors,
            beam_centre=beam_centre(reducer.geometry),
            title=Path(reducer.geometry.path).name,
            format="png",
            metadata={"Software": PROGRAM},
        )
