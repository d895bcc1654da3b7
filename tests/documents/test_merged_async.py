"""Two detectors of ophyd-async in one stream, merged while they write."""

from __future__ import annotations

import bluesky.plans as bp
import numpy as np
import pytest
from ponis import write_poni

from .conftest import SHAPE
from .merged_runs import expected_curves

pytest.importorskip("ophyd_async.sim", reason="ophyd-async[sim] is not installed")

from .async_detector import fly
from .test_ophyd_async import session

__all__ = ["session"]


@pytest.fixture
def config(tmp_path):
    first = write_poni(tmp_path / "first.poni", shape=SHAPE, pixel=(4e-4, 4e-4))
    second = write_poni(tmp_path / "second.poni", shape=SHAPE, pixel=(3e-4, 3e-4), distance=0.12, rot=(0.3, 0.0, 0.0))
    return {
        "calibration": str(first), "image_key": "det1", "npt": 120,
        "merge": [{"image_key": "det2", "calibration": str(second)}],
    }  # fmt: skip


@pytest.mark.parametrize("how", ["step", "fly"])
def test_both_images_of_each_point_are_merged(session, config, how):
    scan = session()
    detectors = scan.detector("swmr", "det1"), scan.detector("tiff", "det2")
    detectors[1].camera.taken = 100  # its frames are others
    number = 4 if how == "step" else 7
    plan = bp.scan(detectors, scan.motor(), 0, 3, number) if how == "step" else fly(*detectors, events=number)
    events, frames = scan.run(plan)
    assert frames["reduced"] == len(events) == number
    firsts, seconds = (scan.images(data_key=key) for key in ("det1", "det2"))
    assert len(firsts) == len(seconds) == number
    curves = [event["data"]["diff_1"] for event in events]
    np.testing.assert_array_equal(curves, expected_curves(config, firsts, seconds))
    assert len({curve.tobytes() for curve in curves}) == number
