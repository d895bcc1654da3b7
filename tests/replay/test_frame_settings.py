"""Runs whose configuration was changed on the way, computed again from what their derived runs say."""

from __future__ import annotations

import numpy as np
import pytest
from derived_documents import without_identity
from documents.conftest import Collected, raw_run
from documents.stream_runs import StreamRun, images, uri_of, write_hdf5

from bluesky_diffractogram import ReductionCallback, ReplayError, load_config, replay
from bluesky_diffractogram.replay.frame_settings import FrameSettings


def reduced(cfg, raw, changes):
    """What is derived of `raw` while it is configured anew after the events that `changes` name."""
    derived = Collected()
    with ReductionCallback(cfg, background=False) as diff:
        diff.subscribe(derived)
        n = 0
        for name, doc in raw:
            diff(name, doc)
            if name in ("event", "stream_datum"):
                n += 1
                change = changes.pop(n, None)
                if change is not None:
                    diff.configure(change() if callable(change) else change)
    return derived


def streams_of(derived):
    return [doc["name"] for doc in derived.of("descriptor")]


def assert_same_again(derived, raw):
    again = Collected()
    replay(derived, raw=raw).store(again)
    np.testing.assert_equal(without_identity(again), without_identity(derived))


def test_every_frame_is_computed_as_it_was(cfg):
    raw = list(raw_run(images(6)))
    derived = reduced(cfg, raw, {2: {"npt": 70}, 3: {"npt": 150}, 5: {"diff_units": "2th [deg]", "peaks": None}})
    assert streams_of(derived) == ["diffractogram", "diffractogram_2", "diffractogram_3", "diffractogram_4"]
    shapes = [doc["data"]["diff_1"].shape[1] for doc in derived.of("event")]
    assert shapes == [150, 150, 70, 150, 150, 150]
    assert_same_again(derived, raw)


def test_the_same_run_twice_and_another_one_after_it(cfg):
    raw, other = list(raw_run(images(3))), list(raw_run(images(2)))
    derived = reduced(cfg, raw, {1: {"npt": 70}})
    plain = reduced(cfg, other, {})
    again = Collected()
    found = {run[0][1]["uid"]: run for run in (raw, other)}
    replay([derived, derived, plain], raw=found).store(again)
    expected = [*without_identity(derived), *without_identity(derived), *without_identity(plain)]
    np.testing.assert_equal(without_identity(again), expected)


def test_a_calibration_that_was_written_anew_in_mid_run(cfg, small_poni):
    raw = list(raw_run(images(4)))

    def move():
        small_poni.write_text(small_poni.read_text().replace("Distance: 0.1", "Distance: 0.11"))
        return {"calibration": str(small_poni)}

    derived = reduced(cfg, raw, {2: move})
    assert streams_of(derived) == ["diffractogram", "diffractogram_2"]
    small_poni.unlink()
    again = replay(derived, raw=raw).to_xarrays()
    events = [doc["data"]["diff_1"][1] for doc in derived.of("event")]
    first, second = again.values()
    np.testing.assert_array_equal(first["diff_1"].values, events[:2])
    np.testing.assert_array_equal(second["diff_1"].values, events[2:])
    assert "Distance: 0.1\n" in first.attrs["calibration"]
    assert "Distance: 0.11\n" in second.attrs["calibration"]


def test_a_mask_that_was_given_in_mid_run(cfg, tmp_path):
    raw = list(raw_run(images(3)))
    mask = np.zeros((120, 130), bool)
    mask[50:60] = True
    np.save(tmp_path / "mask.npy", mask)
    derived = reduced(cfg, raw, {1: {"mask": str(tmp_path / "mask.npy")}})
    assert derived.of("start")[0]["arrays"] == {}
    assert_same_again(derived, raw)
    np.save(tmp_path / "mask.npy", ~mask)
    with pytest.raises(ReplayError, match=r"mask\.npy is not the mask"):
        list(replay(derived, raw=raw))


def test_images_in_a_file(cfg, tmp_path):
    write_hdf5(tmp_path / "frames.h5", images(4))
    raw = list(StreamRun(uri_of(tmp_path / "frames.h5"), motor=True).step_scan(4))
    # The change comes between the datum of a frame and its event, as it may.
    derived = reduced(cfg, raw, {3: {"npt": 70}})
    assert streams_of(derived) == ["diffractogram", "diffractogram_2"]
    assert_same_again(derived, raw)


def test_frames_that_changed_their_shape_under_one_configuration(cfg):
    big, small = images(2), [frame[::2, ::2].copy() for frame in images(2)]
    raw = list(raw_run([*big, *small]))
    derived = reduced(cfg, raw, {})
    assert streams_of(derived) == ["diffractogram", "diffractogram_2"]
    assert_same_again(derived, raw)


def test_settings_that_alter_nothing_make_no_difference(cfg):
    raw = list(raw_run(images(3)))
    derived = reduced(cfg, raw, {1: {"colors": [[255, 0, 0]], "buffer_size": 5}})
    assert streams_of(derived) == ["diffractogram"]
    assert_same_again(derived, raw)


def test_pages_and_other_streams(cfg):
    """Events of other streams have numbers of their own."""
    one, other = load_config(cfg), load_config({**cfg, "npt": 70})
    settings = FrameSettings(one, {2: other, 3: one})
    page = {"descriptor": "d", "uid": ["a", "b", "c"], "seq_num": [1, 2, 3], "time": [1.0, 2.0, 3.0], "data": {},
            "timestamps": {}, "filled": {}}  # fmt: skip
    documents = [
        ("descriptor", {"uid": "d", "name": "primary"}),
        ("descriptor", {"uid": "b", "name": "baseline"}),
        ("event", {"descriptor": "b", "seq_num": 2}),
        ("event_page", page),
        ("event", {"descriptor": "b", "seq_num": 2}),
        ("stream_datum", {"descriptor": "d", "seq_nums": {"start": 2, "stop": 3}}),
        ("stop", {}),
    ]
    used = [config for config, _, _ in settings.along(documents)]
    assert used == [one, one, one, one, other, one, one, other, other]
    assert [name for _, name, _ in FrameSettings(one).along(documents)] == [name for name, _ in documents]
