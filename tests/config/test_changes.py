"""Which changes empty the buffers and which need a new stream."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bluesky_diffractogram.config import (
    NUMBERS,
    DiffractogramConfig,
    alters_stream,
    changed_keys,
    empties_buffers,
    load_config,
    update_config,
)

BOTH = {
    "diff_ranges": [[0, 10, 0, 5]],
    "diff_number": 2,
    "diff_units": "r [mm]",
    "range_unit": "same",
    "npt": 5,
    "mask": np.eye(3),
    "dark": np.eye(3),
    "flat": np.eye(3),
    "background": np.eye(3),
    "background_unit": "2th_deg",
    "background_scale": 0.5,
    "absorption": np.eye(3),
    "transformation": "rot-90",
    "mask_transformed": True,
    "mask_invalid": False,
    "dummy": -1,
    "delta_dummy": 0.5,
    "valid_range": [0, 5],
    "correct_solid_angle": False,
    "polarization_factor": 0.99,
    "error_model": "poisson",
    "method": "no",
    "wavelength": 1e-10,
    "energy": 80,
    "geometry": {"distance": "det_z"},
    "normalization": "i0",
    "detector_shape": [5, 5],
    "binning": 2,
    "image_key": "det_image",
    "stream": "flying",
    "frames_per_event": "sum",
}
BUFFERS_ONLY = {"buffer_size": 5}
STREAM_ONLY = {"peaks": False, "cake": True, "count": True, "carry": ["motor"], "hinted": []}
NEITHER = {
    "buffering": False,
    "collect": False,
    "show_diff": False,
    "main_plot": "buffer 1",
    "colors": ["red"],
    "queue_size": 3,
    "when_full": "latest",
    "reset_on_start": True,
    "assets_dir": "/tmp",
}


def test_every_key_is_sorted_into_one_of_the_four_kinds() -> None:
    apart = ["calibration", "statistic", "background_curve", "merge"]  # which need other settings, or have their tests
    sorted_keys = [*BOTH, *BUFFERS_ONLY, *STREAM_ONLY, *NEITHER, *apart]
    assert sorted(sorted_keys) == sorted(DiffractogramConfig.model_fields)
    assert {*BOTH, *apart} == NUMBERS


@pytest.mark.parametrize("key", [*BOTH, *BUFFERS_ONLY, *STREAM_ONLY, *NEITHER])
def test_a_change_has_the_consequences_of_its_kind(poni: Path, key: str) -> None:
    value = {**BOTH, **BUFFERS_ONLY, **STREAM_ONLY, **NEITHER}[key]
    old = load_config({"calibration": poni})
    new = update_config(old, {key: value})
    assert changed_keys(old, new) == {key}
    assert empties_buffers(old, new) == (key in BOTH or key in BUFFERS_ONLY)
    assert alters_stream(old, new) == (key in BOTH or key in STREAM_ONLY)


def test_another_calibration_changes_both(poni: Path) -> None:
    other = poni.with_name("other.poni")
    other.touch()
    old = load_config({"calibration": poni})
    new = update_config(old, {"calibration": str(other)})
    assert empties_buffers(old, new)
    assert alters_stream(old, new)


def test_the_same_in_other_words_is_no_change(poni: Path) -> None:
    old = load_config({"calibration": poni, "diff_units": "q [1/A]", "diff_ranges": [[10, 20, 0, 5]], "mask": [[1, 0]]})
    new = load_config(
        {
            "calibration": str(poni), "diff_units": "q_A^-1", "diff_ranges": ((10.0, 20.0, 0.0, 5.0),),
            "diff_number": 1, "mask": np.array([[1, 0]]), "npt": 1000, "peaks": {"max_peaks": 20},
        }
    )  # fmt: skip
    assert changed_keys(old, new) == frozenset()
    assert not empties_buffers(old, new)
    assert not alters_stream(old, new)
