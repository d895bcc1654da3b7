"""A simulated powder beamline, ready to be scanned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..reduction.calibration import load_geometry
from .detector import SimulatedPowderDetector
from .frames import PowderFrames
from .furnace import Furnace
from .sample import PowderSample, heated_iron

WAVELENGTH_M = 0.31e-10
POLARIZATION = 0.99

RANGES = ((10.0, 20.0, 0.0, 10.0), (-5.0, 5.0, 5.0, 15.0))
"""Azimuth start and end, 2θ start and end, in degrees; both hold several rings."""

_PONI = """\
# Calibration of a simulated beamline
poni_version: 2.1
{detector}
Distance: 0.3
Poni1: 0.0874
Poni2: 0.0705
Rot1: 0.011
Rot2: -0.007
Rot3: 0.0
Wavelength: {wavelength:.12e}
"""

_DETECTORS = {
    "pilatus": 'Detector: Pilatus1M\nDetector_config: {"orientation": 3}',
    # The same field of view with pixels about five times as wide, for tests that need many quick frames.
    "small": "Detector: Detector\nDetector_config: "
    '{"pixel1": 8.6e-4, "pixel2": 8.6e-4, "max_shape": [209, 197], "orientation": 3}',
}


@dataclass(frozen=True, eq=False, slots=True)
class SimulatedBeamline:
    """What a scan and its reduction need.

    Attributes
    ----------
    detector, furnace
        To scan.
    sample
        What is in the furnace; its `~PowderSample.two_theta` tells what a scan must find.
    wavelength
        In m.
    calibration, mask
        Paths of the calibration file and of the mask of hot pixels.
    configuration
        A configuration for `DiffractogramCallback`, with two ranges.
    """

    detector: SimulatedPowderDetector
    furnace: Furnace
    sample: PowderSample
    wavelength: float
    calibration: Path
    mask: Path
    configuration: dict[str, Any]

    def two_theta(self, temperature: float) -> NDArray[np.float64]:
        """``(n_lines,)`` 2θ in degrees of the sample's lines at `temperature` in K, always in one order."""
        return self.sample.two_theta(temperature, self.wavelength)


def simulated_beamline(
    directory: str | Path,
    *,
    detector: Literal["pilatus", "small"] = "pilatus",
    name: str = "detector",
    counts: float = 250.0,
    acquire_time: float = 1.0,
    seed: int = 0,
) -> SimulatedBeamline:
    """Build a beamline: a Pilatus 1M 0.3 m behind a furnace with a powder, at 40 keV (0.31 Å).

    Writes its calibration ``<name>.poni`` and the mask of its hot pixels ``<name>_mask.npy`` into
    `directory`, which is made if needed.

    Parameters
    ----------
    directory
        Where the files go.
    detector
        ``"pilatus"``: 1043 × 981 pixels, about 50 ms a frame. ``"small"``: 209 × 197 pixels on the same area,
        with wider lines, about 3 ms a frame.
    name
        Of the detector.
    counts
        Height of the strongest ring in counts per second and pixel.
    acquire_time
        Exposure in s, which is not waited for.
    seed
        Decides the noise and which pixels are faulty.

    Raises
    ------
    ValueError
        There is no such detector.
    """
    if detector not in _DETECTORS:
        raise ValueError(f"detector {detector!r} is not simulated; there are 'pilatus' and 'small'")
    small = detector == "small"
    folder = Path(directory).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    calibration, mask = folder / f"{name}.poni", folder / f"{name}_mask.npy"
    calibration.write_text(_PONI.format(detector=_DETECTORS[detector], wavelength=WAVELENGTH_M))

    geometry = load_geometry(calibration)
    shape, wavelength = geometry.shape, geometry.wavelength
    assert shape is not None
    assert wavelength is not None
    rng = np.random.default_rng(seed)
    dead, hot = _faults(rng, shape, 4 if small else 60), _faults(rng, shape, 2 if small else 12)
    np.save(mask, _mask(hot, shape))

    sample = heated_iron(counts=counts, fwhm=0.3 if small else 0.09)
    gaps = _cross(shape) if small else None  # a plain detector of pyFAI's has none of its own
    frames = PowderFrames(geometry, sample, gaps=gaps, dead=dead, hot=hot, polarization=POLARIZATION, seed=seed)
    furnace = Furnace()
    device = SimulatedPowderDetector(
        name,
        frames=frames,
        temperature=lambda: furnace.position,
        calibration=str(calibration),
        acquire_time=acquire_time,
    )
    configuration = {
        "calibration": str(calibration),
        "diff_number": len(RANGES),
        "diff_ranges": [list(wanted) for wanted in RANGES],
        "diff_units": "2th [deg]",
        "npt": 250 if small else 1000,
        "buffer_size": 512,
        "polarization_factor": POLARIZATION,
        "mask": str(mask),
    }
    return SimulatedBeamline(device, furnace, sample, wavelength, calibration, mask, configuration)


def _faults(rng: np.random.Generator, shape: tuple[int, int], n: int) -> list[tuple[int, int]]:
    """`n` pixels anywhere, as (row, column)."""
    rows, columns = np.unravel_index(rng.choice(shape[0] * shape[1], n, replace=False), shape)
    return [(int(row), int(column)) for row, column in zip(rows, columns, strict=True)]


def _mask(pixels: Sequence[tuple[int, int]], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """``(ny, nx)``, 1 at `pixels`."""
    mask = np.zeros(shape, dtype=np.uint8)
    for row, column in pixels:
        mask[row, column] = 1
    return mask


def _cross(shape: tuple[int, int]) -> NDArray[np.bool_]:
    """``(ny, nx)``, True in a gap of three rows and one of two columns, as between modules."""
    gaps = np.zeros(shape, dtype=bool)
    gaps[3 * shape[0] // 5 :][:3] = True
    gaps[:, shape[1] // 3 :][:, :2] = True
    return gaps
