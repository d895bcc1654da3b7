"""The compiled loops made ready before any frame comes: compiled once after an installation, else read."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from ..config import load_config
from .disk_cache import nothing_kept
from .frame import Frame
from .opening import open_geometry
from .reducer import Reducer

SHAPE = (120, 130)
DTYPES = ("uint32", "int32", "uint16")
"""Of most detectors' frames; for others some of the loops are compiled when the first frame comes."""
PONI = f"""poni_version: 2
Detector: Detector
Detector_config: {json.dumps({"pixel1": 6e-4, "pixel2": 5e-4, "max_shape": SHAPE})}
Distance: 0.1
Poni1: 0.036
Poni2: 0.0325
Rot1: 0
Rot2: 0
Rot3: 0
Wavelength: 4e-11
"""

USUAL: tuple[dict[str, Any], ...] = (
    {"peaks": {"fit": "pseudo-voigt"}, "error_model": "poisson", "cake": {"npt_rad": 40, "npt_azim": 2000}},
    {"peaks": False, "error_model": "azimuthal", "cake": {"npt_rad": 40, "npt_azim": 20}},
    {"peaks": False, "statistic": "sigma-clip", "method": "no"},
    {"peaks": False, "statistic": "median"},
)
"""Settings that together need all loops of pixel splittings."""


def make_ready(settings: dict[str, Any]) -> None:
    """Reduce small frames with some of the `USUAL` settings."""
    # A table that was kept would need none of the loops that make one.
    with tempfile.TemporaryDirectory() as folder, nothing_kept.holds():
        poni = Path(folder) / "small.poni"
        poni.write_text(PONI)
        config = load_config({"calibration": str(poni), "diff_units": "2th [deg]", "npt": 300, **settings})
        geometry = open_geometry(config)
        reducer = Reducer(config, geometry, SHAPE)
    image = _crowded(geometry.pixels("center", "2th_deg") * (180.0 / np.pi))
    for dtype in DTYPES:
        reducer.reduce(Frame(_with_bad_pixel(image.astype(dtype)), 0.0))


def _crowded(two_theta: np.ndarray) -> np.ndarray:
    """Counts of lines that stand alone, overlap and hide one another, so that all ways to find them are gone."""
    lines = ((4.0, 300.0), (6.0, 900.0), (6.3, 500.0), (9.0, 600.0), (9.15, 200.0), (9.5, 900.0), (13.0, 50.0))
    expected = 40.0 + sum(height * np.exp(-(((two_theta - at) / 0.12) ** 2)) for at, height in lines)
    return np.random.default_rng(1).poisson(expected)


def _with_bad_pixel(image: np.ndarray) -> np.ndarray:
    image[SHAPE[0] // 3, SHAPE[1] // 3] = np.iinfo(image.dtype).max if image.dtype.kind == "u" else -1
    return image
