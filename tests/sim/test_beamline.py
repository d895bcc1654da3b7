"""The simulated beamline, ready-made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bluesky_diffractogram.config import load_config
from bluesky_diffractogram.reduction.calibration import load_geometry
from bluesky_diffractogram.reduction.frame import Frame
from bluesky_diffractogram.reduction.opening import open_geometry
from bluesky_diffractogram.reduction.reducer import Reducer
from bluesky_diffractogram.sim.beamline import RANGES, simulated_beamline

SHAPES = {"pilatus": (1043, 981), "small": (209, 197)}


@pytest.mark.parametrize("detector", ["pilatus", "small"])
def test_its_files_belong_together(tmp_path: Path, detector: str) -> None:
    beamline = simulated_beamline(tmp_path / "new" / "folder", detector=detector, name="eye")
    geometry = load_geometry(beamline.calibration)
    assert geometry.shape == SHAPES[detector] == beamline.detector.frames.shape
    assert geometry.wavelength == pytest.approx(beamline.wavelength) == 0.31e-10
    mask = np.load(beamline.mask)
    assert mask.shape == SHAPES[detector]
    assert 0 < mask.sum() < 20
    image = beamline.detector.frames.frame(1, 300.0)
    assert image[mask == 0].max() < 10_000
    config = load_config(beamline.configuration)
    assert config.diff_ranges == RANGES
    open_geometry(config)


@pytest.mark.parametrize("wanted", RANGES)
def test_both_ranges_hold_several_rings_on_the_detector(tmp_path: Path, wanted: tuple[float, ...]) -> None:
    beamline = simulated_beamline(tmp_path)
    geometry = load_geometry(beamline.calibration)
    two_theta = np.rad2deg(geometry.pixels("center", "2th_deg"))
    chi = np.rad2deg(geometry.pixels("center", "chi_deg"))
    in_arc = (chi >= wanted[0]) & (chi <= wanted[1]) & ~geometry.detector_mask()
    assert two_theta[in_arc].max() > wanted[3]
    for temperature in (300.0, 1500.0):
        lines = beamline.two_theta(temperature)
        strong = lines[beamline.sample.heights(temperature) > 20.0]
        seen = [
            line for line in strong if wanted[2] < line < wanted[3] and (np.abs(two_theta[in_arc] - line) < 0.02).any()
        ]
        assert len(seen) >= 4


def test_the_reduction_finds_the_lines_where_the_sample_has_them(tmp_path: Path) -> None:
    beamline = simulated_beamline(tmp_path)
    config = load_config({**beamline.configuration, "peaks": False})
    reducer = Reducer(config, open_geometry(config), SHAPES["pilatus"])
    for temperature in (300.0, 1450.0):
        reduction = reducer.reduce(Frame(beamline.detector.frames.frame(1, temperature), 0.0))
        ceria = beamline.two_theta(temperature)[:4]
        for curve, lines in zip(reduction.diffractograms, (ceria[[0, 1, 2]], ceria), strict=True):
            for line in lines:
                near = np.abs(curve.radial - line) < 0.08
                net = curve.intensity[near] - curve.intensity[near].min()
                found = (curve.radial[near] * net).sum() / net.sum()
                assert found == pytest.approx(line, abs=0.006)


def test_an_unknown_detector_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'pilatus' and 'small'"):
        simulated_beamline(tmp_path, detector="eiger")  # type: ignore[arg-type]
