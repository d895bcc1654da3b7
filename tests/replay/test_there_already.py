"""Runs of which all is there already are not replayed; any other is."""

from __future__ import annotations

import copy
import os
from unittest import mock

import numpy as np
import pytest
from derived_documents import derived_of
from documents.conftest import Collected, raw_run
from documents.dark_runs import run_in_files
from documents.stream_runs import StreamRun, images, settle, uri_of, write_hdf5
from live_runs import run_live

from bluesky_diffractogram.documents.assets import Assets
from bluesky_diffractogram.reduction.reducer import Reducer
from bluesky_diffractogram.replay.replayed import open_replay


def again(run, cfg, *destinations):
    """The documents that are given out, and what is said to be there already."""
    replayed, collected = open_replay(run, cfg, options={}, destinations=destinations), Collected()
    with (
        mock.patch.object(Reducer, "reduce", autospec=True, side_effect=Reducer.reduce) as reduce,
        mock.patch.object(Assets, "images", autospec=True, side_effect=Assets.images) as read,
    ):
        replayed.store(collected)
    if not len(collected):
        assert read.call_count == reduce.call_count == 0
    return collected, replayed.there_already


def uid_of(run):
    return run[0][1]["uid"]


@pytest.fixture
def run(tmp_path):
    write_hdf5(tmp_path / "frames.h5", images(8))
    settle()
    return list(StreamRun(uri_of(tmp_path / "frames.h5"), motor=True).step_scan(8))


def test_nothing_is_read_of_a_run_that_is_there(cfg, run):
    first = derived_of(run, cfg)
    assert again(run, cfg, lambda uid: first) == ([], {uid_of(run): 8})
    assert again(run, cfg, lambda uid: first, lambda uid: [first]) == ([], {uid_of(run): 8})


def test_every_destination_must_have_it(cfg, run):
    first = derived_of(run, cfg)
    documents, there = again(run, cfg, lambda uid: first, lambda uid: None)
    assert len(documents.of("event")) == 8
    assert there == {}


def without_stop(first):
    del first[-1]


def without_an_event(first):
    del first[5]


def with_a_frame_that_was_skipped(first):
    del first[5]
    frames = first[-1][1]["frames"]
    frames["reduced"], frames["skipped"] = 7, 1


def of_an_aborted_run(first):
    first[-1][1]["exit_status"] = "abort"


def without_digest(first):
    first[5][1]["data"]["frame_digest"] = ""


@pytest.mark.parametrize(
    "change", [without_stop, without_an_event, with_a_frame_that_was_skipped, of_an_aborted_run, without_digest]
)
def test_what_is_not_whole_is_replayed(cfg, run, change):
    first = derived_of(run, cfg)
    change(first)
    documents, there = again(run, cfg, lambda uid: first)
    assert len(documents.of("event")) == 8
    assert there == {}


def test_more_or_fewer_frames_are_another_run(cfg, run):
    first = derived_of(run, cfg)
    shorter = [pair for pair in run if pair[1].get("seq_num") != 8 and pair[1].get("indices", {}).get("start") != 7]
    shorter[-1] = ("stop", {**shorter[-1][1], "num_events": {"primary": 7}})
    documents, there = again(shorter, cfg, lambda uid: first)
    assert (len(documents.of("event")), there) == (7, {})
    first = derived_of(shorter, cfg)
    documents, there = again(run, cfg, lambda uid: first)
    assert (len(documents.of("event")), there) == (8, {})


@pytest.mark.parametrize("change", [{"npt": 151}, {"colors": ["red"]}])
def test_another_configuration_is_another_run_or_picture(cfg, run, change):
    first = derived_of(run, cfg)
    documents, there = again(run, {**cfg, **change}, lambda uid: first)
    assert (len(documents.of("event")), there) == (8, {})


def test_a_file_that_was_touched_is_read(cfg, run, tmp_path):
    first = derived_of(run, cfg)
    os.utime(tmp_path / "frames.h5", ns=(1, 1))
    documents, there = again(run, cfg, lambda uid: first)
    assert (len(documents.of("event")), there) == (8, {})


def test_a_dark_that_can_be_read_only_now_is_read(cfg, tmp_path):
    cfg = {**cfg, "dark": {"stream": "dark", "optional": True}}
    run = run_in_files(tmp_path)
    (tmp_path / "darks.h5").rename(tmp_path / "elsewhere.h5")
    first = derived_of(run, cfg)
    assert [doc["data"]["dark_seq_num"] for doc in first.of("event")] == [0] * 6
    (tmp_path / "elsewhere.h5").rename(tmp_path / "darks.h5")
    documents, there = again(run, cfg, lambda uid: first)
    assert [doc["data"]["dark_seq_num"] for doc in documents.of("event")] == [1] * 3 + [2] * 3
    assert there == {}


def test_a_run_without_darks_of_its_own_is_there_though_some_are_configured(cfg, run):
    cfg = {**cfg, "dark": {"stream": "dark", "optional": True}}
    first = derived_of(run, cfg)
    assert again(run, cfg, lambda uid: first) == ([], {uid_of(run): 8})


def test_images_in_events_are_known_by_their_pixels(cfg):
    run = list(raw_run(images(6), seq_nums=[1, 2, 3, 2, 3, 4]))
    first = derived_of(run, cfg)
    assert again(run, cfg, lambda uid: first) == ([], {uid_of(run): 6})
    other = copy.deepcopy(run)
    other[2 + 3][1]["data"]["image"] = images(6)[3] * 2
    documents, there = again(other, cfg, lambda uid: first)
    assert (len(documents.of("event")), there) == (6, {})


@pytest.mark.parametrize("how", ["each", "sum"])
def test_several_frames_to_an_event(cfg, tmp_path, how):
    cfg = {**cfg, "frames_per_event": how}
    write_hdf5(tmp_path / "frames.h5", images(9))
    settle()
    run = list(StreamRun(uri_of(tmp_path / "frames.h5"), number=3).fly_scan(3))
    first = derived_of(run, cfg)
    assert again(run, cfg, lambda uid: first) == ([], {uid_of(run): 9 if how == "each" else 3})


def test_files_that_a_reader_names(cfg, motor, npy_detector, tmp_path):
    import bluesky.plans as bp

    live = run_live(cfg, bp.scan([npy_detector], motor, 0, 3, 6))
    settle()
    first = derived_of(live.raw, cfg)
    assert again(live.raw, cfg, lambda uid: first) == ([], {uid_of(live.raw): 6})
    rewritten = sorted(tmp_path.glob("*_3.npy"))
    np.save(rewritten[0], np.load(rewritten[0]) // 2)
    documents, there = again(live.raw, cfg, lambda uid: first)
    assert (len(documents.of("event")), there) == (6, {})


def test_of_several_runs_those_behind_the_first_that_is_not_there_are_replayed(cfg, run, tmp_path):
    runs = [run, list(raw_run(images(3))), list(raw_run(images(2)))]
    derived = {uid_of(each): derived_of(each, cfg) for each in runs}
    one_source = [pair for each in runs for pair in each]
    numbers = {uid_of(each): number for each, number in zip(runs, (8, 3, 2), strict=True)}
    assert again(one_source, cfg, derived.get) == ([], numbers)
    del derived[uid_of(runs[1])]
    documents, there = again(one_source, cfg, derived.get)
    assert there == {uid_of(runs[0]): 8}
    assert [doc["raw_uid"] for doc in documents.of("start")] == [uid_of(each) for each in runs[1:]]
    documents, there = again(runs, cfg, derived.get)  # each a source of its own
    assert there == {uid_of(runs[0]): 8, uid_of(runs[2]): 2}


def test_documents_that_cannot_be_read_to_their_end_are_left_to_the_replay(cfg, run):
    class Broken:
        def __iter__(self):
            yield from run[:7]
            raise OSError("the disk is gone")

    first = derived_of(run, cfg)
    replayed = open_replay(Broken(), cfg, options={}, destinations=[lambda uid: first])
    assert [name for name, _ in replayed][-1] == "stop"
    assert "the disk is gone" in str(replayed.failures)
    assert replayed.there_already == {}
