"""How many pixels reach each bin is known before the first frame."""

from __future__ import annotations

import numpy as np
import pytest

from bluesky_diffractogram.config import load_config
from bluesky_diffractogram.reduction.frame import Frame
from bluesky_diffractogram.reduction.opening import open_geometry
from bluesky_diffractogram.reduction.reducer import Reducer


@pytest.mark.parametrize("how", [
    {}, {"method": ["bbox", "csr", "cython"]}, {"method": ["no", "histogram", "cython"]}, {"statistic": "median"},
    {"statistic": "sigma-clip", "method": "no"},
], ids=["one pass", "pyFAI", "a histogram", "median", "sigma-clip"])  # fmt: skip
def test_it_is_what_a_frame_without_invalid_pixels_counts(poni, rings, how):
    config = load_config({
        "calibration": str(poni), "npt": [80, 60], "diff_ranges": [[10, 80, 4, 16], [-5, 20, 0, 25]], "peaks": False,
        "mask": rings % 7 == 0, **how,
    })  # fmt: skip
    reducer = Reducer(config, open_geometry(config), rings.shape)
    counted = reducer.reduce(Frame(np.full(rings.shape, 5, dtype=np.uint16), 0.0)).diffractograms
    for known, each in zip(reducer.coverage, counted, strict=True):
        np.testing.assert_array_equal(known, each.count)
        assert known.dtype == np.int64
        assert known.sum() > 1000
