"""The settings of the device follow those of the callback, whoever changes them."""

from __future__ import annotations

import gc
import json
import logging
import time

import numpy as np
import pytest
from ophyd import Signal

from bluesky_diffractogram import ConfigError, DiffractogramDevice, ReducedDetector
from bluesky_diffractogram.config import load_config, update_config
from bluesky_diffractogram.devices.settings import flat


class Heard(list):
    """What a signal tells its subscribers."""

    def __init__(self, signal, **options):
        super().__init__()
        signal.subscribe(lambda value, timestamp, **_: self.append((value, timestamp)), **options)

    @property
    def values(self):
        return [value for value, _ in self]


def test_the_signal_of_further_detectors_names_where_their_arrays_are_kept(tmp_path):
    poni = tmp_path / "x.poni"
    poni.touch()
    entry = {"image_key": "b", "calibration": str(poni), "mask": np.eye(3), "dark": np.eye(3), "scale": 2}
    merge = load_config({"calibration": str(poni), "image_key": "a", "merge": [entry]}).merge
    kept = {"merge_0_mask": {"path": "/kept.npy", "sha256": "0"}, "merge_0_dark": {"path": "", "sha256": "12"}}
    told = json.loads(flat("merge", merge, kept)), flat("merge", (), {})
    plain = {"image_key": "b", "calibration": str(poni), "scale": 2.0, "mask": "/kept.npy", "dark": "sha256:12"}
    assert told == ([plain], "[]")


@pytest.mark.parametrize(
    ("change", "attribute", "value"),
    [
        (lambda s: s.diff.configure({"npt": 120}), "npt", 120),
        (lambda s: s.diff.show(False), "show_diff", False),
        (lambda s: s.diff.collect(False), "collecting", False),
        (lambda s: s.diff.configure({"stop_diff": True}), "show_diff", False),
        (lambda s: s.device.npt.set(120), "npt", 120),
        (lambda s: s.device.configure({"npt": 120}), "npt", 120),
        (lambda s: s.diff.configure({"diff_ranges": [[0, 90, 2, 12]]}), "diff_ranges", "[[0, 90, 2, 12]]"),
        (lambda s: s.diff.configure({"diff_ranges": [[0, 90, 2, 12]]}), "diff_number", 1),
    ],
)
def test_subscribers_hear_of_a_change_once_whoever_made_it(steered, change, attribute, value):
    heard, other = Heard(getattr(steered.device, attribute), run=False), Heard(steered.device.queue_size, run=False)
    before = time.time()
    change(steered)
    ((told, timestamp),) = heard
    assert told == value == getattr(steered.device, attribute).get()
    assert before <= timestamp == getattr(steered.device, attribute).timestamp <= time.time()
    assert other == []
    steered.diff.configure({"colors": ["red"]})
    assert len(heard) == 1


def test_who_subscribes_is_told_the_present_value_as_by_any_signal(steered):
    steered.diff.configure({"npt": 130})
    assert Heard(steered.device.npt).values == [130]
    assert "value=130" in repr(steered.device.npt)


def test_a_refused_change_is_not_told(steered):
    heard = Heard(steered.device.npt, run=False)
    with pytest.raises(ConfigError):
        steered.diff.configure({"npt": 0})
    assert heard == []


def test_two_devices_of_a_callback_hear_of_each_other(steered):
    other = DiffractogramDevice("other", callback=steered.diff)
    heard = Heard(other.npt, run=False)
    steered.device.npt.set(140)
    assert heard.values == [140]
    other.destroy()
    steered.device.npt.set(150)
    assert heard.values == [140]


def test_a_subscriber_may_change_settings_itself(steered):
    steered.device.npt.subscribe(lambda value, **_: steered.diff.configure({"buffer_size": value}), run=False)
    heard = Heard(steered.device.buffer_size, run=False)
    steered.diff.configure({"npt": 160})
    assert heard.values == [160]
    assert steered.diff.config.buffer_size == 160


def test_hints_follow_the_configuration_and_what_was_omitted_by_hand_stays(steered):
    steered.device.mean_2.kind = "omitted"
    steered.diff.configure({"hinted": ["mean_1", "diff_1"]})
    assert steered.device.hints == {"fields": ["diffractogram_mean_1"]}
    assert "diffractogram_peak_1_position" in steered.device.read()
    assert "diffractogram_mean_2" not in steered.device.read()
    steered.diff.configure({"hinted": None})
    assert steered.device.hints == {"fields": ["diffractogram_peak_1_position", "diffractogram_peak_2_position"]}


def test_ranges_that_it_does_not_read_are_told_once(steered, caplog):
    three = {"diff_ranges": [[0, 90, 2, 12], [0, 50, 2, 12], [0, 20, 2, 12]]}
    with caplog.at_level(logging.WARNING):
        steered.diff.configure(three)
        steered.diff.configure({"npt": 120})
    assert caplog.text.count("diffractogram reads 2 of now 3 ranges, and would read all if it was made with") == 1


def test_settings_are_changed_without_collecting_garbage(steered, monkeypatch):
    """pyFAI does with each calibration, for 0.2 s among all that a session imports, in the RunEngine's thread."""
    monkeypatch.setattr(gc, "collect", lambda *_: pytest.fail("garbage is collected"))
    steered.device.npt.set(120)
    steered.device.configure({"calibration": str(steered.beamline.calibration), "energy": 41.0})


def test_a_buffer_that_no_memory_can_hold_is_refused_when_it_is_set(steered):
    config = steered.diff.config
    for attempt in (
        lambda: steered.device.buffer_size.set(10**12),
        lambda: steered.diff.configure({"buffer_size": 10**17}),
        lambda: steered.device.check_configuration({"buffer_size": 10**12}),
    ):
        with pytest.raises(ConfigError, match=r"buffer_size = 10+: .*allowed: as many rows of"):
            attempt()
    assert steered.diff.config is config
    assert steered.diff.errors == {}


@pytest.mark.parametrize("value", [None, [1], "5", True, np.bool_(True), float("nan"), float("inf"), 0, -1, 1j])
def test_nonsense_for_the_timeout_is_refused(steered, value):
    for attempt in (steered.device.trigger_timeout.set, steered.device.trigger_timeout.put):
        with pytest.raises(ValueError, match=r"trigger_timeout = .*allowed: seconds above 0"):
            attempt(value)
    assert steered.device.trigger_timeout.get() == 20.0


def test_a_timeout_may_be_one_of_numpys_numbers(steered):
    steered.device.configure({"trigger_timeout": np.int64(3)})
    assert steered.device.trigger_timeout.get() == 3.0


@pytest.mark.parametrize(
    ("before", "changes"),
    [
        ({}, {"npt": 99, "diffractogram_collecting": False, "trigger_timeout": 3}),
        ({}, {"diff_ranges": [[0, 90, 2, 12]]}),
        ({"diff_number": 1}, {"diff_ranges": [[0, 90, 2, 12]]}),
        ({"wavelength": 0.3e-10}, {"energy": 41.0}),
        ({"mask": np.zeros((209, 197), bool)}, {"mask": None, "peaks": False, "stop_diff": True}),
    ],
)
def test_what_undoes_a_change_undoes_it_and_no_other(steered, before, changes):
    steered.diff.configure(before)
    config, timeout = steered.diff.config, steered.device.trigger_timeout.get()
    undoing = steered.device.undoing(changes)
    assert steered.diff.config is config
    steered.device.configure(changes)
    steered.diff.configure({"buffer_size": 77})
    steered.device.configure(undoing)
    assert steered.diff.config == update_config(config, {"buffer_size": 77})
    assert steered.device.trigger_timeout.get() == timeout


def test_a_reduced_detector_follows_the_callback_too(steered):
    reduced = ReducedDetector(steered.detector, image=steered.detector.image, config=steered.diff, name="r")
    heard = Heard(reduced.configuration, run=False)
    steered.diff.configure({"npt": 120, "hinted": ["mean_1"]})
    ((text, timestamp),) = heard
    assert '"npt": 120' in text == reduced.configuration.get()
    assert timestamp == reduced.read_configuration()["r_configuration"]["timestamp"]
    assert "r_mean_1" in reduced.hints["fields"]
    assert "r_peak_1_position" not in reduced.hints["fields"]
    reduced.destroy()
    steered.diff.configure({"npt": 130})
    assert len(heard) == 1


def test_nothing_is_done_with_a_frame_for_a_device_that_nobody_listens_to(steered, monkeypatch):
    """Neither lavue's dictionary nor a signal's value is made for it; both are there when they are asked for."""
    from bluesky_diffractogram.devices import snapshot

    made, put = [], []
    results, original = snapshot.tool_results, Signal.put
    monkeypatch.setattr(snapshot, "tool_results", lambda *a: made.append(a) or results(*a))
    monkeypatch.setattr(Signal, "put", lambda self, *a, **k: put.append(self.name) or original(self, *a, **k))
    images = steered.take(3)
    assert made == []
    assert not [name for name in put if name.startswith("diffractogram")]
    assert steered.device.raw_seq_num.get() == images == 3
    heard = Heard(steered.device.mean_1)
    assert heard.values == [steered.device.mean_1.get()]
    steered.take(2)
    assert len(heard) == 3
    assert {name for name in put if name.startswith("diffractogram")} == {"diffractogram_mean_1"}
