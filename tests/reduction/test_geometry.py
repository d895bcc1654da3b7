"""Calibrations: what is read, and what is refused."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace

import numpy as np
import pyFAI
import pyFAI.geometry.core
import pytest
from ponis import write_poni

from bluesky_diffractogram.config import ConfigError
from bluesky_diffractogram.reduction.calibration import load_geometry
from bluesky_diffractogram.reduction.pyfai_library import calibrant_lines

BAD = {
    "an empty file": "",
    "prose": "This is no calibration.\n",
    "binary": "\x00\x01\x02\xff" * 50,
    "a table": "1 2 3\n4 5 6\n",
    "json of something else": '{"a": 1}',
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD.keys())
def test_what_is_no_calibration_is_refused_by_name(tmp_path, content):
    path = tmp_path / "bad.poni"
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"calibration = '.*bad\.poni': is no") as caught:
        load_geometry(path)
    assert caught.value.key == "calibration"
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({"distance": "nan"}, "the distance is nan m"),
        ({"distance": -0.1}, r"the distance is -0\.1 m"),
        ({"distance": 0.0}, r"the distance is 0\.0 m"),
        ({"wavelength": 0.4}, "the wavelength is 0.4 m"),
        ({"pixel": (0.0, 1e-4)}, "pixel1 is"),
        ({"rot": ("inf", 0, 0)}, "rot1 is inf"),
    ],
)
def test_values_that_no_geometry_has_are_refused(tmp_path, broken, reason):
    path = write_poni(tmp_path / "bad.poni", **broken)
    with pytest.raises(ConfigError, match=reason):
        load_geometry(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load_geometry(tmp_path / "none.poni")


def test_text_and_digest_are_the_files(poni):
    geometry = load_geometry(poni)
    assert geometry.text == poni.read_text()
    assert geometry.sha256 == hashlib.sha256(poni.read_bytes()).hexdigest()


def test_for_shape_leaves_the_original_alone(tmp_path):
    geometry = load_geometry(write_poni(tmp_path / "x.poni", shape=None))
    assert geometry.shape is None
    assert geometry.for_shape((10, 12)).shape == (10, 12)
    assert geometry.shape is None


def test_binning_keeps_distance_and_centre(poni):
    geometry = load_geometry(poni)
    binned = geometry.for_shape((120, 130))
    assert binned.binning == (2, 2)
    assert binned.pixel_size == pytest.approx((6e-4, 5e-4))
    fine, coarse = geometry.pixels("center", "2th_deg"), binned.pixels("center", "2th_deg")
    mean = fine.reshape(120, 2, 130, 2).mean(axis=(1, 3))
    far = mean > 0.02
    np.testing.assert_allclose(coarse[far], mean[far], rtol=3e-3)


def test_known_detectors_bring_gaps_and_dummies(tmp_path):
    path = tmp_path / "pilatus.poni"
    path.write_text("poni_version: 2\nDetector: Pilatus1M\nDetector_config: {}\nDistance: 0.2\nPoni1: 0.09\n"
                    "Poni2: 0.08\nRot1: 0\nRot2: 0\nRot3: 0\nWavelength: 1e-10\n")  # fmt: skip
    geometry = load_geometry(path)
    assert geometry.shape == (1043, 981)
    assert geometry.detector_mask()[195:212].all()
    assert geometry.detector_dummy() == (-2.0, 1.5)


def test_a_wavelength_given_twice_is_no_difference(poni, caplog):
    load_geometry(poni, wavelength=4e-11)
    assert not caplog.records


def test_calibrants():
    assert calibrant_lines("CeO2")[0] == pytest.approx(5.4115 / np.sqrt(3), rel=1e-3)
    with pytest.raises(ValueError, match=r"'CeO3' is not known; near to it are CeO2.*; all [0-9]+ names are "):
        calibrant_lines("CeO3")
    with pytest.raises(ValueError, match=r"all that pyFAI knows: .*LaB6"):
        calibrant_lines("xyzzy plugh")


def test_a_calibration_is_opened_and_binned_without_collecting_all_garbage(tmp_path, monkeypatch):
    """As pyFAI does with each value that is set, which takes a tenth of a second and more in a large process."""
    poni, collected = write_poni(tmp_path / "a.poni"), []
    monkeypatch.setattr(pyFAI.geometry.core, "gc", SimpleNamespace(collect=lambda: collected.append(1)))
    geometry = load_geometry(poni, wavelength=2e-11).for_shape((120, 130))
    assert collected == []
    assert (geometry.binning, geometry.wavelength) == ((2, 2), 2e-11)
    pyFAI.load(str(poni))
    assert collected  # else it is no longer this that has to be prevented
