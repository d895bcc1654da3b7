"""What of a frame is shown: nothing invalid, and of every block its brightest pixel."""

from __future__ import annotations

import numpy as np
import pytest
from ponis import write_poni

from bluesky_diffractogram.config import load_config
from bluesky_diffractogram.reduction.opening import open_geometry
from bluesky_diffractogram.reduction.preview import DetectorView, detector_view, preview
from bluesky_diffractogram.reduction.reducer import Reducer
from bluesky_diffractogram.reduction.transformation import transform


def view_of(tmp_path, shape=(47, 65), **settings) -> DetectorView:
    poni = write_poni(tmp_path / "a.poni", shape=None)
    config = load_config({"calibration": str(poni), "detector_shape": list(shape), "npt": 20, **settings})
    return detector_view(Reducer(config, open_geometry(config), shape))


def brightest(image: np.ndarray, by: int) -> np.ndarray:
    """Block by block, in plain loops."""
    ny, nx = image.shape
    out = np.full((-(-ny // by), -(-nx // by)), np.nan)
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            block = image[row * by : (row + 1) * by, column * by : (column + 1) * by]
            if np.isfinite(block).any():
                out[row, column] = np.nanmax(block)
    return out


@pytest.mark.parametrize("by", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("transformation", ["none", "transpose", "rot-90", "flip-up-down"])
@pytest.mark.parametrize("strip", [1, 300, 10_000])
def test_blocks_show_their_brightest_valid_pixel(tmp_path, monkeypatch, by, transformation, strip):
    monkeypatch.setattr("bluesky_diffractogram.reduction.preview.STRIP_PIXELS", strip)
    rng = np.random.default_rng(1)
    stored = rng.integers(0, 1000, (47, 65)).astype(np.uint32)
    stored[rng.random(stored.shape) < 0.3] = 2**32 - 1
    mask = rng.random(stored.shape) < 0.3
    mask[:14, :14] = True
    view = view_of(tmp_path, transformation=transformation, mask=mask)
    expected = np.where(mask | (stored == 2**32 - 1), np.nan, stored)
    np.testing.assert_array_equal(preview(stored, view, by), brightest(transform(expected, transformation), by))


def test_dummies_and_what_is_not_finite_are_not_shown(tmp_path):
    view = view_of(tmp_path, (20, 30), dummy=7, valid_range=[None, 500])
    image = np.full((20, 30), 5.0)
    image[0, :4] = (7, 501, np.nan, np.inf)
    np.testing.assert_array_equal(np.isnan(preview(image, view)[0, :5]), [True, True, True, True, False])


def test_a_window_shows_a_part(tmp_path):
    view = view_of(tmp_path, (20, 30), transformation="transpose")
    image = np.arange(600, dtype=np.int32).reshape(20, 30)
    np.testing.assert_array_equal(preview(image, view, 1, (slice(3, 9), slice(5, 7))), image.T[3:9, 5:7])


def test_the_frame_itself_is_left_as_it_is(tmp_path):
    image = np.arange(600, dtype=np.int32).reshape(20, 30) - 3
    before = image.copy()
    image.flags.writeable = False
    preview(image, view_of(tmp_path, (20, 30)), 2)
    np.testing.assert_array_equal(image, before)
