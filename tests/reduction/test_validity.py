"""Which pixels count, for every dtype."""

from __future__ import annotations

import numpy as np
import pytest

from bluesky_diffractogram.reduction.validity import Validity

PILATUS = (-2.0, 1.5)


def invalid(values, dtype, **rules):
    bad = Validity(**rules).invalid(np.array([values], dtype=dtype))
    return [] if bad is None else np.array(values)[bad[0]].tolist()


@pytest.mark.parametrize(
    ("dtype", "values", "expected"),
    [
        ("u2", [0, 1, 65534, 65535], [65535]),
        ("u4", [0, 1, 2**32 - 2, 2**32 - 1], [2**32 - 1]),
        ("u1", [0, 254, 255], []),
        ("i2", [-3, -2, -1, 0, 32767], [-2, -1]),
        ("i4", [-3, -2, -1, 0, 2**31 - 1], [-2, -1]),
        ("f8", [-2.0, -1.0, -0.5, 0.0, 65535.0], []),
    ],
)
def test_what_detectors_mark_by_convention(dtype, values, expected):
    assert invalid(values, dtype) == expected


@pytest.mark.parametrize(
    ("dtype", "values", "expected"),
    [
        ("i4", [-4, -3, -2, -1, 0], [-2, -1]),
        ("f4", [-4.0, -3.0, -2.5, -2.0, -1.3, -1.0, 0.0], [-2.0, -1.0]),
        ("u4", [0, 2**32 - 4, 2**32 - 3, 2**32 - 2, 2**32 - 1], [2**32 - 2, 2**32 - 1]),
        ("u2", [0, 65532, 65533, 65534, 65535], [65534, 65535]),
        ("u1", [0, 253, 254, 255], []),
    ],
)
def test_the_detectors_own_dummy_with_its_tolerance(dtype, values, expected):
    assert invalid(values, dtype, detector_dummy=PILATUS) == expected


def test_dark_subtracted_frames_keep_their_honest_negatives():
    frame = np.random.default_rng(0).normal(0.5, 3.0, (50, 50))
    assert Validity(detector_dummy=PILATUS).invalid(frame) is None


def test_nan_and_infinity_never_count():
    bad = Validity(mask_invalid=False).invalid(np.array([[1.0, np.nan, np.inf, -np.inf]]))
    assert bad.tolist() == [[False, True, True, True]]


def test_mask_invalid_off_leaves_the_conventions_alone():
    assert invalid([-2, -1, 0], "i4", mask_invalid=False, detector_dummy=PILATUS) == []


def test_limits_are_inclusive():
    assert invalid([0, 1, 5, 9, 10], "u2", limits=(1, 9)) == [0, 10]
    assert invalid([0, 1, 5, 9, 10], "u2", limits=(-np.inf, 9)) == [10]


def test_dummy_and_its_tolerance_on_raw_counts():
    assert invalid([0, 1, 2, 3], "u2", excluded=((1, 1),)) == [1]
    assert invalid([0, 1, 2, 3], "u2", excluded=((0.5, 2.5),)) == [1, 2]
    assert invalid([0, 1, 2, 3], "u2", excluded=((-1, -1),)) == []


def test_all_valid_is_none_so_that_nothing_is_copied():
    assert Validity().invalid(np.ones((3, 3), "u2")) is None


@pytest.mark.parametrize("dtype", ["i8", "u8", "f8", "f4"])
def test_the_mark_of_a_32_bit_frame_stays_one_in_a_wider_type(dtype):
    frame = np.array([[0, 7, 2**32 - 1]], np.uint32).astype(dtype)
    assert Validity().invalid(frame).tolist() == [[False, False, True]]


def test_a_detectors_dummy_of_zero_is_no_mark(tmp_path):
    """pyFAI's Lambda detectors have one; a pixel that counted nothing reads 0 as well."""
    from bluesky_diffractogram.reduction.calibration import load_geometry

    path = tmp_path / "lambda.poni"
    path.write_text("poni_version: 2\nDetector: Lambda750k\nDetector_config: {}\nDistance: 0.2\nPoni1: 0.01\n"
                    "Poni2: 0.01\nRot1: 0\nRot2: 0\nRot3: 0\nWavelength: 1e-10\n")  # fmt: skip
    assert load_geometry(path).detector_dummy() is None


def test_a_dummy_that_float32_cannot_hold_masks_float32_frames():
    frame = np.array([[1.0, -0.1, -999.9]], np.float32)
    assert Validity(excluded=((-0.1, -0.1),)).invalid(frame).tolist() == [[False, True, False]]
