"""PONI files that tests write."""

from __future__ import annotations

from pathlib import Path

PONI = """\
poni_version: 2
Detector: Detector
Detector_config: {{"pixel1": {pixel1}, "pixel2": {pixel2}, "max_shape": {shape}}}
Distance: {distance}
Poni1: {poni1}
Poni2: {poni2}
Rot1: {rot1}
Rot2: {rot2}
Rot3: {rot3}
{wavelength}"""


def write_poni(
    path: Path, *, shape=(240, 260), pixel=(3e-4, 2.5e-4), distance=0.1, centre=None,
    rot=(0.0, 0.0, 0.0), wavelength: float | None = 4e-11,
) -> Path:  # fmt: skip
    """Write a PONI file of a plain detector, by default with the beam in its middle."""
    ny, nx = shape or (240, 260)
    row, column = centre or (ny / 2, nx / 2)
    path.write_text(
        PONI.format(
            pixel1=pixel[0], pixel2=pixel[1], shape="null" if shape is None else list(shape), distance=distance,
            poni1=row * pixel[0], poni2=column * pixel[1], rot1=rot[0], rot2=rot[1], rot3=rot[2],
            wavelength="" if wavelength is None else f"Wavelength: {wavelength}\n",
        )
    )  # fmt: skip
    return path
