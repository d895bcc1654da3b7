"""Frames as the callback offers them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
from ponis import write_poni

from bluesky_diffractogram.config import load_config
from bluesky_diffractogram.reduction.opening import open_geometry
from bluesky_diffractogram.reduction.preview import DetectorView, detector_view
from bluesky_diffractogram.reduction.reducer import Reducer

SHAPE = (120, 160)
RANGES = [[10, 60, 4, 12], [-30, 20, 5, 15]]


@dataclass(frozen=True, eq=False)
class Frame:
    image: np.ndarray
    detector: DetectorView
    config: Any
    seq_num: int = 1
    frame_index: int = 0


def offered(image: np.ndarray | None = None, seq_num: int = 1, frame_index: int = 0, **settings) -> Frame:
    """A frame of a detector whose pixels are 0.6 × 0.5 mm; `settings` go into the configuration."""
    image = np.random.default_rng(3).poisson(100, SHAPE).astype(np.uint32) if image is None else image
    config, view = _view(image.shape, json.dumps(settings))
    return Frame(image, view, config, seq_num, frame_index)


@cache
def _view(shape: tuple[int, int], settings: str) -> tuple[Any, DetectorView]:
    given = {"npt": 20, "diff_ranges": RANGES, **json.loads(settings)}
    poni = write_poni(Path(mkdtemp()) / "a.poni", shape=None, pixel=(6e-4, 5e-4), centre=(shape[0] / 2, shape[1] / 2))
    config = load_config({"calibration": str(poni), "detector_shape": list(shape), **given})
    return config, detector_view(Reducer(config, open_geometry(config), shape))
