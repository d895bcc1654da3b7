"""What tests of several rooms share: geometries small enough to be quick, and the real frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

LIGHTFORM = Path(__file__).parents[2] / "shared" / "data" / "lightform"

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


@pytest.fixture
def poni(tmp_path):
    """A PONI file of a 240 × 260 detector, tilted by a few degrees."""
    return write_poni(tmp_path / "tilted.poni", rot=(0.03, -0.05, 0.4))


@pytest.fixture
def flat_poni(tmp_path):
    """A PONI file of a 240 × 260 detector that faces the beam."""
    return write_poni(tmp_path / "flat.poni")


@pytest.fixture
def rings():
    """``(240, 260)`` uint16: noise on rings about the middle, from a fixed seed."""
    y, x = np.mgrid[:240, :260]
    radius = np.hypot((y - 120) * 0.3, (x - 130) * 0.25)
    expected = 50 + 400 * np.exp(-(((radius - 12) / 0.5) ** 2)) + 900 * np.exp(-(((radius - 22) / 0.4) ** 2))
    return np.random.default_rng(7).poisson(expected).astype(np.uint16)


@pytest.fixture(scope="session")
def lightform():
    """The folder of the real frames; tests that need it are skipped where it is absent."""
    if not LIGHTFORM.is_dir():
        pytest.skip(f"the real frames are not at {LIGHTFORM}")
    return LIGHTFORM


@pytest.fixture(scope="session")
def real_frame(lightform):
    """The first real frame, ``(1441, 1440)`` uint16."""
    import fabio

    return fabio.open(str(lightform / "pixium_03150.tif")).data
