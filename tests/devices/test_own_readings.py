"""A detector that is reduced by itself: a geometry that its own readings tell, and what it cannot know is refused."""

from __future__ import annotations

import math

import numpy as np
import pyFAI
import pytest
from ophyd import Component, Device, DeviceStatus, Signal
from ponis import write_poni

from bluesky_diffractogram import ConfigError, ReducedDetector, ReductionCallback

SHAPE = (120, 130)
RANGE = (2.0, 12.0)
RING = 6.0
"""Where the sample has its line, in degrees of 2θ."""


class Millimetres(Signal):
    """A position in mm."""

    def describe(self):
        described = super().describe()
        described[self.name]["units"] = "mm"
        return described


class Moving(Device):
    """A detector on a stage, which sees the ring where it truly is, `distance` in m from the sample."""

    distance = 0.1

    image = Component(Signal, value=np.zeros(SHAPE, "u2"), kind="omitted")
    z = Component(Millimetres, value=100.0)
    bench = Component(Millimetres, value=100.0, kind="config")
    away = Component(Signal, value=0.1, kind="omitted")

    def trigger(self):
        y, x = np.indices(SHAPE) + 0.5
        radius = np.hypot((y - SHAPE[0] / 2) * 0.6, (x - SHAPE[1] / 2) * 0.5)
        self.image.put(
            (50 + 800 * np.exp(-(((radius - self.distance * 1e3 * math.tan(math.radians(RING))) / 0.6) ** 2))).astype(
                "u2"
            )
        )
        status = DeviceStatus(self)
        status.set_finished()
        return status


@pytest.fixture
def detector():
    return Moving(name="det")


@pytest.fixture
def config(tmp_path):
    poni = write_poni(tmp_path / "a.poni", shape=SHAPE, pixel=(6e-4, 5e-4), distance=0.1)
    return {"diff_units": "2th [deg]", "npt": 200, "diff_ranges": [[None, None, *RANGE]], "calibration": str(poni)}


def taken(reduced):
    reduced.trigger().wait(120)
    return {key.removeprefix("det_reduced_"): reading["value"] for key, reading in reduced.read().items()}


def expected(config, image, distance):
    """The diffractogram, by pyFAI at that distance."""
    integrator = pyFAI.load(config["calibration"])
    integrator.dist = distance
    return integrator.integrate1d(
        image, 200, unit="2th_deg", radial_range=RANGE, method=("bbox", "csr", "cython"), correctSolidAngle=False
    )


@pytest.mark.parametrize("source", ["z", "bench"])
def test_the_detectors_own_readings_and_configuration_tell_its_geometry(detector, config, source, tmp_path):
    """In their own unit, and the numbers are those of a calibration at that distance, by this package and pyFAI."""
    reduced = ReducedDetector(
        detector, image=detector.image, config={**config, "geometry": {"distance": f"det_{source}"}}
    )
    for distance in (0.1, 0.2, 0.15):
        detector.distance = distance
        getattr(detector, source).put(distance * 1e3)
        found = taken(reduced)
        pattern = expected(config, detector.image.get(), distance)
        assert found["valid"] == 1
        assert found["peak_1_position"] == pytest.approx(RING, abs=0.03)
        strongest = pattern.radial[np.argmax(pattern.intensity)]
        assert found["peak_1_position"] == pytest.approx(strongest, abs=0.05)  # a bin
        fixed = write_poni(tmp_path / "fixed.poni", shape=SHAPE, pixel=(6e-4, 5e-4), distance=distance)
        still = taken(ReducedDetector(detector, image=detector.image, config={**config, "calibration": str(fixed)}))
        for name in ("peak_1_position", "peak_1_height", "peak_1_fwhm", "mean_1", "total_1"):
            assert found[name] == pytest.approx(still[name], rel=1e-4), name


def test_a_reading_that_tells_nothing_is_nan_with_one_warning(detector, config, caplog):
    reduced = ReducedDetector(detector, image=detector.image, config={**config, "geometry": {"distance": "det_z"}})
    detector.z.put(math.nan)
    for _ in range(2):
        found = taken(reduced)
        assert found["valid"] == 0
        assert math.isnan(found["mean_1"])
    assert caplog.text.count("cannot be reduced") == 1
    assert "geometry.distance is told by 'det_z'" in caplog.text


@pytest.mark.parametrize("connected", [True, False])
def test_a_geometry_that_the_detector_does_not_read_is_refused_if_it_can_be_asked(
    detector, config, caplog, monkeypatch, connected
):
    moving = {**config, "geometry": {"distance": "det_away"}}
    if connected:
        with pytest.raises(ConfigError, match=r"geometry.distance = 'det_away': allowed: a reading of det .*: .*det_z"):
            ReducedDetector(detector, image=detector.image, config=moving)
        return
    monkeypatch.setattr(Moving, "connected", False)
    reduced = ReducedDetector(detector, image=detector.image, config=moving)
    assert [taken(reduced)["valid"] for _ in range(2)] == [0, 0]
    assert caplog.text.count("cannot be reduced") == 1
    assert "'det_away'" in caplog.text


REFUSED = {
    "stream": ({"dark": {"stream": "dark"}}, r"^dark = .*no darks of the run; allowed: a file, an array or null"),
    "optional": ({"dark": {"key": "det_z", "value": 1, "optional": True}}, r"^dark = .*allowed: a file"),
    "merge": ({"image_key": "det_image", "merge": [{"image_key": "b"}]}, r"^merge = \['b'\]: .*allowed: an empty list"),
    "geometry": ({"geometry": {"distance": "motor"}}, r"^geometry.distance = 'motor': allowed: a reading of det"),
}


def refused(which, config):
    changes, words = REFUSED[which]
    if "merge" in changes:
        changes = {
            **changes,
            "diff_units": "q [1/A]",
            "merge": [{"image_key": "b", "calibration": config["calibration"]}],
        }
    return changes, words


@pytest.mark.parametrize("which", REFUSED)
@pytest.mark.parametrize("callback", [False, True])
def test_what_needs_more_than_the_detector_is_refused_when_it_is_given(detector, config, which, callback):
    changes, words = refused(which, config)

    def make(settings):
        source = ReductionCallback(settings, background=False) if callback else settings
        return ReducedDetector(detector, image=detector.image, config=source)

    with pytest.raises(ConfigError, match=words):
        make({**config, **changes})
    reduced = make(config)
    before = reduced.config
    for attempt in (reduced.configuration.put, reduced.configuration.check_value, reduced.configuration.set):
        with pytest.raises(ConfigError, match=words):
            attempt(changes)
    with pytest.raises(ConfigError, match=words):
        reduced.configure({"configuration": changes})
    assert reduced.config is before
    assert taken(reduced)["valid"] == 1


def test_a_callback_that_is_given_it_by_others_makes_nan_with_one_warning(detector, config, caplog):
    callback = ReductionCallback(config, background=False)
    reduced = ReducedDetector(detector, image=detector.image, config=callback)
    callback.configure({"dark": {"stream": "dark", "optional": True}})
    assert [taken(reduced)["valid"] for _ in range(2)] == [0, 0]
    assert caplog.text.count("cannot be reduced: dark = ") == 1
    callback.configure({"dark": None})
    assert taken(reduced)["valid"] == 1
