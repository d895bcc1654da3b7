"""From the derived run alone it can be computed again."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from bluesky_diffractogram import ConfigError, ReductionCallback, replay
from bluesky_diffractogram.documents import provenance

from .conftest import SHAPE, Collected, image, raw_run, send


def derived(cfg, documents):
    collected = Collected()
    diff = ReductionCallback(cfg, background=False)
    diff.subscribe(collected)
    send(diff, documents)
    return collected


def test_the_recorded_configuration_gives_the_same_numbers(cfg, tmp_path):
    rng = np.random.default_rng(0)
    arrays = {"mask": rng.random(SHAPE) < 0.1, "dark": rng.uniform(0, 3, SHAPE), "flat": rng.uniform(0.5, 2, SHAPE)}
    documents = list(raw_run([image(0), image(1)]))
    first = derived({**cfg, **arrays, "assets_dir": str(tmp_path / "assets"), "polarization_factor": 0.9}, documents)
    start = json.loads(json.dumps(first.of("start")[0]))  # as a store gives it back
    again = derived(start["configuration"], documents)
    for one, other in zip(first.of("event"), again.of("event"), strict=True):
        np.testing.assert_array_equal(one["data"]["diff_1"], other["data"]["diff_1"])
    for key, array in arrays.items():
        np.testing.assert_array_equal(np.load(start["arrays"][key]["path"]), array)
    assert again.of("start")[0]["arrays"] == start["arrays"]


def test_the_calibration_is_recorded_as_it_was(cfg):
    (start,) = derived(cfg, raw_run([image(0)])).of("start")
    text = start["calibration"]["text"]
    assert start["calibration"]["sha256"] == hashlib.sha256(text.encode()).hexdigest()
    with open(cfg["calibration"]) as file:
        assert file.read() == text


@pytest.fixture(autouse=True)
def _nothing_said_before():
    provenance._say_not_kept.cache_clear()


def test_arrays_without_a_place_to_keep_them_are_named_by_their_digest_and_reported(cfg, caplog):
    (start,) = derived({**cfg, "mask": np.eye(*SHAPE)}, raw_run([image(0)])).of("start")
    assert start["arrays"]["mask"]["path"] == ""
    assert len(start["arrays"]["mask"]["sha256"]) == 64
    assert "assets_dir is not set" in caplog.text


def test_an_array_that_is_not_kept_is_reported_once(cfg, caplog):
    cfg = {**cfg, "mask": np.tri(*SHAPE)}
    documents = list(raw_run([image(0)]))
    with ReductionCallback(cfg, background=False) as diff:
        send(diff, documents)
        diff.configure({"npt": 60})
        diff.check({"npt": 70})
    replay(documents, cfg).to_xarray()
    assert caplog.text.count("assets_dir is not set") == 1
    ReductionCallback({**cfg, "mask": 1 - np.tri(*SHAPE)}, background=False).close()
    assert caplog.text.count("assets_dir is not set") == 2


def test_a_place_that_cannot_be_written_to_is_refused_when_it_is_given(cfg, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(ConfigError, match="assets_dir"):
        ReductionCallback({**cfg, "mask": np.eye(*SHAPE), "assets_dir": str(file / "below")})
