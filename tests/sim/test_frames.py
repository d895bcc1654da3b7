"""Images of the simulated detector."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bluesky_diffractogram.reduction.calibration import load_geometry
from bluesky_diffractogram.reduction.geometry import Geometry
from bluesky_diffractogram.sim.frames import DEAD, GAP, PowderFrames
from bluesky_diffractogram.sim.sample import Phase, PowderSample, heated_iron

PONI = """\
poni_version: 2.1
Detector: Detector
Detector_config: {{"pixel1": 2e-4, "pixel2": 3e-4, "max_shape": [300, 260], "orientation": 3}}
Distance: 0.25
Poni1: 0.02
Poni2: 0.03
Rot1: 0.12
Rot2: -0.07
Rot3: 0.2
Wavelength: {wavelength}
"""


def _geometry(tmp_path: Path, wavelength: str = "3e-11") -> Geometry:
    path = tmp_path / "tilted.poni"
    path.write_text(PONI.format(wavelength=wavelength))
    return load_geometry(path)


def _rays(shape: tuple[int, int] = (300, 260)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """2θ, χ and distance of every pixel centre by turning the detector as pyFAI's manual describes it."""
    rot1, rot2, rot3 = 0.12, -0.07, 0.2
    c1, s1, c2, s2, c3, s3 = (f(r) for r in (rot1, rot2, rot3) for f in (np.cos, np.sin))
    about1 = np.array([[1, 0, 0], [0, c1, s1], [0, -s1, c1]])
    about2 = np.array([[c2, 0, -s2], [0, 1, 0], [s2, 0, c2]])
    about3 = np.array([[c3, -s3, 0], [s3, c3, 0], [0, 0, 1]])  # the only right-handed one
    slow, fast = np.mgrid[: shape[0], : shape[1]] + 0.5
    local = np.stack([slow * 2e-4 - 0.02, fast * 3e-4 - 0.03, np.full(shape, 0.25)])
    x1, x2, x3 = np.tensordot(about3 @ about2 @ about1, local, 1)
    return np.arctan2(np.hypot(x1, x2), x3), np.arctan2(x1, x2), np.linalg.norm(local, axis=0)


def _one_line(height: float) -> PowderSample:
    return PowderSample("one line", (Phase("x", (2.0,), (height,), 1e-5),), fwhm=0.2)


def test_rings_are_where_a_ray_traced_by_hand_meets_the_tilted_detector(tmp_path: Path) -> None:
    frames = PowderFrames(_geometry(tmp_path), _one_line(1e6), polarization=0.0)
    two_theta = np.rad2deg(_rays()[0])
    for temperature in (300.0, 1300.0):
        centre = 2 * np.rad2deg(np.arcsin(0.3 / (2 * 2.0 * (1 + 1e-5 * (temperature - 300)))))
        bright = frames.expected(temperature) > 0.8e6
        assert bright.sum() > 200
        assert np.abs(two_theta[bright] - centre).max() < 0.1
        missed = ~bright & (np.abs(two_theta - centre) < 0.03)
        assert not missed.any()


def test_solid_angle_and_polarization_are_in_the_counts(tmp_path: Path) -> None:
    frames = PowderFrames(_geometry(tmp_path), _one_line(0.0), polarization=0.9)
    two_theta, chi, path = _rays()
    solid_angle = (0.25 / path) ** 3
    cosine2 = np.cos(two_theta) ** 2
    polarization = 0.5 * (1 + cosine2 - 0.9 * np.cos(2 * chi) * (1 - cosine2))
    pattern = frames.sample.pattern(np.rad2deg(two_theta), 300.0, 3e-11)
    assert solid_angle.min() < 0.93
    assert polarization.min() < 0.95
    np.testing.assert_allclose(frames.expected(300.0, 2.0), 2 * pattern * solid_angle * polarization, rtol=2e-4)


def test_counts_are_poisson(tmp_path: Path) -> None:
    frames = PowderFrames(_geometry(tmp_path), _one_line(300.0))
    expected = frames.expected(300.0)
    image = frames.frame(1, 300.0).astype(float)
    n = image.size
    # Σ(x − λ)²/λ has mean n and variance n·2 + Σ1/λ; Σ(x − λ) has variance Σλ: both within five sigma
    chi_square = ((image - expected) ** 2 / expected).sum()
    assert abs(chi_square - n) < 5 * np.sqrt(2 * n + (1 / expected).sum())
    assert abs((image - expected).sum()) < 5 * np.sqrt(expected.sum())


def test_few_counts_are_poisson_too(tmp_path: Path) -> None:
    frames = PowderFrames(_geometry(tmp_path), _one_line(300.0))
    expected, image = frames.expected(300.0, 0.02), frames.frame(1, 300.0, 0.02)
    for k, factorial in ((0, 1), (1, 1), (2, 2), (3, 6)):
        chance = np.exp(-expected) * expected**k / factorial
        spread = np.sqrt((chance * (1 - chance)).sum())
        assert abs((image == k).sum() - chance.sum()) < 5 * spread


def test_gaps_dead_and_hot_pixels_are_marked(tmp_path: Path) -> None:
    gaps = np.zeros((300, 260), dtype=bool)
    gaps[100:103] = True
    frames = PowderFrames(
        _geometry(tmp_path), heated_iron(), gaps=gaps, dead=[(5, 6), (101, 7)], hot=[(8, 9)], hot_counts=5e4
    )
    image = frames.frame(1, 300.0)
    assert image.dtype == np.int32
    np.testing.assert_array_equal(image == GAP, gaps)
    assert image[5, 6] == DEAD
    assert (image == DEAD).sum() == 1  # the other one is in the gap
    assert 48_000 < image[8, 9] < 52_000
    rest = image[~gaps & (image != DEAD) & (image < 48_000)]
    assert rest.min() >= 0
    assert rest.size == image.size - gaps.sum() - 2


def test_the_gaps_of_a_known_detector_are_its_own(tmp_path: Path) -> None:
    path = tmp_path / "pilatus.poni"
    path.write_text("poni_version: 2.1\nDetector: Pilatus1M\nDistance: 0.3\nWavelength: 3e-11\n")
    image = PowderFrames(load_geometry(path), heated_iron()).frame(1, 300.0)
    assert image.shape == (1043, 981)
    # 1M: 2 × 5 modules of 487 × 195 pixels, gaps of 7 columns and 17 rows
    assert (image == GAP).sum() == 1043 * 981 - 10 * 487 * 195
    assert (image[:, 487:494] == GAP).all()
    assert (image[195:212] == GAP).all()


def test_the_same_frame_is_the_same_and_others_differ(tmp_path: Path) -> None:
    geometry = _geometry(tmp_path)
    frames = PowderFrames(geometry, heated_iron(), seed=3)
    first = frames.frame(4, 500.0)
    np.testing.assert_array_equal(first, PowderFrames(geometry, heated_iron(), seed=3).frame(4, 500.0))
    for other in (frames.frame(5, 500.0), PowderFrames(geometry, heated_iron(), seed=4).frame(4, 500.0)):
        assert (first != other).mean() > 0.5


def test_a_calibration_without_wavelength_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "none.poni"
    path.write_text("poni_version: 2.1\nDetector: Pilatus1M\nDistance: 0.3\n")
    with pytest.raises(ValueError, match="wavelength"):
        PowderFrames(load_geometry(path), heated_iron())
