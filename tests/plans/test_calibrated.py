"""A count under a calibration and settings of its own."""

from __future__ import annotations

import shutil
import threading

import numpy as np
import pyFAI
import pytest
from bluesky.simulators import RunEngineSimulator

from bluesky_diffractogram import calibrated_count

READBACK = "diffractogram_readback"


@pytest.fixture
def nearer(steered, tmp_path):
    """A calibration that says that the detector is 5 % nearer than it is."""
    path = tmp_path / "nearer.poni"
    shutil.copy(steered.beamline.calibration, path)
    path.write_text(path.read_text().replace("Distance: 0.3", "Distance: 0.285"))
    return str(path)


def test_it_counts_with_the_calibration_and_puts_the_old_one_back(steered, nearer):
    config = steered.diff.config
    uid = steered.run(calibrated_count([steered.detector], steered.device, 2))
    as_it_is = steered.values(READBACK, "diffractogram_peak_1_position")
    assert steered.of("start")[0]["uid"] == uid
    steered.run(calibrated_count([steered.detector], steered.device, 2, calibration=nearer, md={"sample": "CeO2"}))
    found = steered.values(READBACK, "diffractogram_peak_1_position")
    # where the nearer calibration sees the pixels in which the ring was
    old, new = (pyFAI.load(str(path)) for path in (steered.beamline.calibration, nearer))
    two_theta, chi = np.rad2deg(old.twoThetaArray()), np.rad2deg(old.chiArray())
    ring = (np.abs(two_theta - as_it_is[0]) < 0.1) & (chi > 10) & (chi < 20)
    expected = np.rad2deg(new.twoThetaArray())[ring].mean() - two_theta[ring].mean()
    assert expected > 0.2
    assert found[0] - as_it_is[0] == pytest.approx(expected, abs=0.01)
    (start,) = steered.of("start")
    assert (start["plan_name"], start["calibration"], start["sample"]) == ("calibrated_count", nearer, "CeO2")
    (readback,) = [doc for doc in steered.of("descriptor") if doc["name"] == READBACK]
    assert readback["configuration"]["diffractogram"]["data"]["diffractogram_calibration"] == nearer
    assert steered.diff.config == config


def test_other_settings_are_for_this_count_only(steered):
    config = steered.diff.config
    steered.run(calibrated_count([steered.detector], steered.device, settings={"diff_units": "q [1/A]", "npt": 99}))
    assert steered.values(READBACK, "diffractogram_unit") == ["q_A^-1"]
    assert steered.diff.config == config


def test_the_old_configuration_comes_back_after_a_failure(steered, nearer):
    config = steered.diff.config

    def trigger():
        raise RuntimeError("no beam")

    steered.detector.trigger = trigger
    with pytest.raises(RuntimeError, match="no beam"):
        steered.engine(calibrated_count([steered.detector], steered.device, calibration=nearer))
    assert steered.diff.config == config


@pytest.mark.parametrize(
    ("wrong", "allowed"),
    [
        ({"calibration": "/nowhere.poni"}, "nowhere.poni"),
        ({"settings": {"npts": 3}}, "npts = 3: unknown key; allowed: npt"),
        ({"num": 0}, "num = 0: allowed"),
        ({"detectors": []}, r"detectors = \[\]"),
    ],
)
def test_nonsense_is_refused_before_anything_is_changed(steered, wrong, allowed):
    config = steered.diff.config
    with pytest.raises(ValueError, match=allowed):
        next(calibrated_count(**{"detectors": [steered.detector], "device": steered.device, **wrong}))
    assert steered.diff.config is config


def test_it_can_be_simulated(steered, nearer):
    config = steered.diff.config
    messages = RunEngineSimulator().simulate_plan(
        calibrated_count([steered.detector], steered.device, 2, calibration=nearer)
    )
    commands = [message.command for message in messages]
    assert commands[0] == commands[-1] == "configure"
    assert commands.count("save") == 4
    assert steered.diff.config is config


def test_what_somebody_else_changes_meanwhile_stays(steered):
    """It is paused, as plans are, and somebody changes the configuration at the prompt."""

    def pause(name, doc):
        if doc["seq_num"] == 1:
            steered.engine.unsubscribe(token)
            threading.Thread(target=steered.engine.request_pause).start()

    token = steered.engine.subscribe(pause, "event")
    with pytest.raises(Exception, match="paused"):
        steered.engine(calibrated_count([steered.detector], steered.device, 3, settings={"npt": 99}))
    assert steered.diff.config.npt == 99
    steered.diff.configure({"collect": False, "buffer_size": 55})
    steered.engine.resume()
    config = steered.diff.config
    assert (config.npt, config.collect, config.buffer_size) == (250, False, 55)


def test_the_timeout_comes_back_too(steered):
    steered.run(calibrated_count([steered.detector], steered.device, settings={"trigger_timeout": 5, "npt": 99}))
    assert steered.device.trigger_timeout.get() == 20.0
    assert steered.diff.config.npt == 250
