"""The simulated detector and furnace as bluesky sees them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bluesky import protocols

from bluesky_diffractogram.sim.beamline import SimulatedBeamline, simulated_beamline


@pytest.fixture
def beamline(tmp_path: Path) -> SimulatedBeamline:
    return simulated_beamline(tmp_path, detector="small")


def test_the_detector_is_what_bluesky_calls_one(beamline: SimulatedBeamline) -> None:
    for protocol in (
        protocols.Readable,
        protocols.Triggerable,
        protocols.Stageable,
        protocols.Configurable,
        protocols.HasHints,
    ):
        assert isinstance(beamline.detector, protocol)


def test_the_furnace_is_what_bluesky_calls_a_motor(beamline: SimulatedBeamline) -> None:
    for protocol in (protocols.Readable, protocols.Movable, protocols.HasHints):
        assert isinstance(beamline.furnace, protocol)


def test_the_furnace_settles_at_once(beamline: SimulatedBeamline) -> None:
    status = beamline.furnace.set(777.0)
    assert status.done
    assert status.success
    assert beamline.furnace.read()["furnace"]["value"] == 777.0
    assert beamline.furnace.describe()["furnace"]["units"] == "K"
    assert beamline.furnace.hints == {"fields": ["furnace"]}


def test_what_is_read_is_what_was_described(beamline: SimulatedBeamline) -> None:
    detector = beamline.detector
    before = detector.describe()
    detector.trigger().wait(5)
    read = detector.read()
    assert set(read) == set(before) == {"detector_image", "detector_total"}
    assert detector.describe() == before  # known before there is a frame
    image, key = read["detector_image"]["value"], before["detector_image"]
    assert (key["dtype"], key["shape"]) == ("array", list(image.shape))
    assert key["dtype_numpy"] == image.dtype.str
    assert read["detector_total"]["value"] == image[image > 0].sum()
    assert detector.hints == {"fields": ["detector_total"]}


def test_the_image_is_that_of_the_furnace_temperature(beamline: SimulatedBeamline) -> None:
    detector = beamline.detector
    beamline.furnace.set(1400.0).wait(5)
    detector.trigger().wait(5)
    np.testing.assert_array_equal(detector.image.get(), detector.frames.frame(1, 1400.0))


def test_the_exposure_scales_the_counts_and_is_in_the_configuration(beamline: SimulatedBeamline) -> None:
    detector = beamline.detector
    detector.acquire_time.set(4.0).wait(5)
    detector.trigger().wait(5)
    np.testing.assert_array_equal(detector.image.get(), detector.frames.frame(1, 300.0, 4.0))
    assert detector.read_configuration()["detector_acquire_time"]["value"] == 4.0
    assert detector.read_configuration()["detector_calibration"]["value"] == str(beamline.calibration)


def test_every_frame_is_an_array_of_its_own(beamline: SimulatedBeamline) -> None:
    detector = beamline.detector
    detector.trigger().wait(5)
    first = detector.read()["detector_image"]["value"]
    kept = first.copy()
    detector.trigger().wait(5)
    assert detector.image.get() is not first
    np.testing.assert_array_equal(first, kept)
    assert (detector.image.get() != kept).any()


def test_frames_are_numbered_from_one_when_staged(beamline: SimulatedBeamline) -> None:
    detector = beamline.detector
    images = []
    for _ in range(2):
        detector.stage()
        detector.trigger().wait(5)
        images.append(detector.image.get())
        detector.unstage()
    np.testing.assert_array_equal(*images)


def test_a_frame_that_cannot_be_made_fails_the_trigger(
    beamline: SimulatedBeamline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no beam")

    monkeypatch.setattr(beamline.detector.frames, "frame", broken)
    with pytest.raises(RuntimeError, match="no beam"):
        beamline.detector.trigger().wait(5)
