"""Runs of two detectors reduced again: in memory and in files, resumed, by workers, and as a derived run says."""

from __future__ import annotations

import logging
import math
import shutil

import numpy as np
import pytest
from derived_documents import assert_same, derived_of
from documents.merged_runs import SECOND, TwoStreams, expected_curves, frames, in_memory, merged_config, second_image
from documents.stream_runs import settle, write_hdf5
from live_runs import live_of

from bluesky_diffractogram import ReplayError, replay
from bluesky_diffractogram.replay import sent_blocks
from bluesky_diffractogram.replay import workers as workers_module
from bluesky_diffractogram.replay.blocks import reduce_block
from bluesky_diffractogram.replay.frame_settings import recorded_settings

N = 8


@pytest.fixture
def two(tmp_path):
    return merged_config(tmp_path, error_model="poisson")


@pytest.fixture
def run(tmp_path):
    """Both detectors in HDF5 files, told of by StreamDatum documents."""
    paths = tmp_path / "first.h5", tmp_path / "second.h5"
    for path, images in zip(paths, frames(N), strict=True):
        write_hdf5(path, images)
    settle()
    return list(TwoStreams(paths).step_scan(N))


def both(n):
    return [{"det1": first, "det2": second} for first, second in zip(*frames(n), strict=True)]


def test_the_documents_are_those_that_were_derived_live(two, run):
    live = live_of(two, run)
    assert len(live.events) == N
    assert_same(derived_of(live.raw, two), live.derived)
    memory = live_of(two, in_memory(both(3)))
    again = derived_of(memory.raw, two)
    assert_same(again, memory.derived)
    np.testing.assert_array_equal([data["diff_1"] for data in memory.events], expected_curves(two, *frames(3)))
    dataset = replay(live.raw, two).to_xarray()
    np.testing.assert_array_equal(dataset["diff_1"].values, [data["diff_1"][1] for data in live.events])


def test_a_resumed_replay_takes_over_what_is_there(two, run, reduced):
    first = derived_of(run, two)
    digests = [doc["data"]["frame_digest"] for doc in first.of("event")]
    assert len(set(digests)) == N
    assert "" not in digests
    reduced.clear()
    cut = [pair for pair in first if pair[0] != "stop"][:-3]
    assert_same(derived_of(run, two, resume=cut), first)
    assert len(reduced) == 4  # the first, to compare, and the last three


def test_frames_of_a_second_file_that_was_rewritten_are_computed_again(two, run, reduced, tmp_path):
    first = derived_of(run, two)
    settle()
    write_hdf5(tmp_path / "second.h5", [second_image(n + 50) for n in range(N)])
    settle()
    reduced.clear()
    again = derived_of(run, two, resume=first)
    assert len(reduced) == N
    curves = [doc["data"]["diff_1"] for doc in again.of("event")]
    np.testing.assert_array_equal(curves, expected_curves(two, frames(N)[0], [second_image(n + 50) for n in range(N)]))


@pytest.mark.parametrize("change", ["calibration", "mask", "scale"])
def test_what_was_computed_with_another_further_detector_is_computed_again(two, run, reduced, caplog, change):
    first = derived_of(run, two)
    entry = dict(two["merge"][0])
    if change == "calibration":
        with open(entry["calibration"]) as file:
            text = file.read().replace("Distance: 0.13", "Distance: 0.135")
        with open(entry["calibration"], "w") as file:
            file.write(text)
    else:
        entry[change] = 2.0 if change == "scale" else np.eye(*SECOND, dtype=bool)
    reduced.clear()
    derived_of(run, {**two, "merge": [entry]}, resume=first)
    assert len(reduced) == N
    told = {"calibration": "calibration of merge", "mask": "merge_0_mask", "scale": "configuration"}[change]
    assert f"computed with another {told}" in caplog.text


def test_a_derived_run_says_enough_to_compute_it_again(two, run, tmp_path):
    mask = np.eye(*SECOND, dtype=bool)
    merge = [{**two["merge"][0], "mask": mask, "scale": 1.5}]
    first = derived_of(run, {**two, "merge": merge, "assets_dir": str(tmp_path / "assets")})
    start = first.of("start")[0]
    folder = tmp_path / "written"
    folder.mkdir()
    (tmp_path / "second.poni").write_text("of another experiment")
    settings = recorded_settings(start, iter(first[1:]), folder).first
    assert settings.merge[0].calibration.startswith(str(folder))
    again = derived_of(run, settings)
    for one, other in zip(again.of("event"), first.of("event"), strict=True):
        np.testing.assert_array_equal(one["data"]["diff_1"], other["data"]["diff_1"])
        np.testing.assert_array_equal(one["data"]["sigma_2"], other["data"]["sigma_2"])


def test_an_array_of_a_further_detector_that_was_not_kept_is_named(two, run, tmp_path):
    merge = [{**two["merge"][0], "mask": np.eye(*SECOND, dtype=bool)}]
    first = derived_of(run, {**two, "merge": merge})
    with pytest.raises(ReplayError, match="its merge_0_mask was given as an array and not kept"):
        recorded_settings(first.of("start")[0], iter(first[1:]), tmp_path)


class Here:
    """Workers that are this process: what a block and its job are made of is what counts."""

    def __init__(self):
        self.blocks = []

    def __len__(self):
        return 2

    def submit(self, job, block):
        self.blocks.append(block)
        done = reduce_block(job, block)
        return type("Task", (), {"result": lambda _: done, "wait": lambda _: None})()

    def close(self):
        pass


@pytest.fixture
def workers(monkeypatch):
    monkeypatch.setattr(sent_blocks, "FIRST_FRAMES", 3)
    monkeypatch.setattr(sent_blocks.SentBlocks, "_fit", lambda *_: None)
    here = Here()
    monkeypatch.setattr(workers_module, "Workers", lambda given: here)
    return here


def frames_of(blocks):
    return sum(piece.frames for block in blocks for piece in block.pieces)


def test_workers_give_the_same_documents(two, run, workers, tmp_path):
    two = {**two, "merge": [{**two["merge"][0], "mask": np.eye(*SECOND, dtype=bool)}]}
    assert_same(derived_of(run, two, workers=2), derived_of(run, two))
    assert frames_of(workers.blocks) == N - 1


def test_frames_in_memory_are_not_given_to_workers(two, workers):
    run = list(in_memory(both(3)))
    assert_same(derived_of(run, two, workers=2), derived_of(run, two))
    assert not workers.blocks


def test_a_missing_second_image_is_told_by_workers_as_without_them(two, run, workers, caplog):
    caplog.set_level(logging.WARNING)
    lacking = [doc for doc in run if "det2" not in doc[1].get("stream_resource", "") or doc[1]["indices"]["start"] != 5]
    found = [derived_of(lacking, two, **options) for options in ({"workers": 2}, {})]
    assert_same(*found)
    assert found[0].of("stop")[0]["frames"]["reasons"] == {"no image": 1}


@pytest.fixture
def lacking(run):
    """The run without the StreamDatum of the third and the sixth image of the second detector."""
    lost = [("det2", 2), ("det2", 5)]
    return [
        (name, doc)
        for name, doc in run
        if name != "stream_datum" or (doc["stream_resource"][:4], doc["indices"]["start"]) not in lost
    ]


@pytest.fixture
def one_optional(two):
    return {**two, "merge": [{**two["merge"][0], "optional": True}]}


def test_events_without_an_optional_detector_again(one_optional, lacking, reduced):
    live = live_of(one_optional, lacking)
    first = derived_of(lacking, one_optional)
    assert_same(first, live.derived)
    assert [data["merged_det2"] for data in live.events] == [1, 1, 0, 1, 1, 0, 1, 1]
    assert first.of("stop")[0]["frames"]["without"]["det2"]["reasons"] == {"no image": 2}
    dataset = replay(lacking, one_optional).to_xarray()
    assert dataset["merged_det2"].values.tolist() == [1, 1, 0, 1, 1, 0, 1, 1]
    assert_same(derived_of(first, raw=lacking), first)
    reduced.clear()
    assert_same(derived_of(lacking, one_optional, resume=first), first)
    assert len(reduced) == 1


def test_events_without_an_optional_detector_with_workers(one_optional, lacking, workers):
    assert_same(derived_of(lacking, one_optional, workers=2), derived_of(lacking, one_optional))
    assert frames_of(workers.blocks) == N - 1


def test_an_optional_file_that_ends_early_with_workers_and_resumed(one_optional, run, workers, reduced, tmp_path):
    write_hdf5(tmp_path / "second.h5", [second_image(n) for n in range(N - 2)])
    settle()
    first = derived_of(run, one_optional)
    assert [doc["data"]["merged_det2"] for doc in first.of("event")] == [1] * (N - 2) + [0, 0]
    assert_same(derived_of(run, one_optional, workers=2), first)
    assert workers.blocks
    reduced.clear()
    assert_same(derived_of(run, one_optional, resume=first), first)
    assert len(reduced) == 3  # the first, and those of which the file may be whole now
    write_hdf5(tmp_path / "second.h5", [second_image(n) for n in range(N)])
    settle()
    again = derived_of(run, one_optional, resume=first)
    np.testing.assert_array_equal(
        [doc["data"]["diff_1"] for doc in again.of("event")], expected_curves(one_optional, *frames(N))
    )


@pytest.fixture
def two_that_move(two):
    """Where they are is told by the motor, which goes from 0 by 10."""
    own = {"rot1": {"key": "motor", "scale": 1e-3, "offset": 0.6}}
    return {
        **two, "geometry": {"distance": {"key": "motor", "scale": 5e-4, "offset": 0.1}},
        "merge": [{**two["merge"][0], "geometry": own, "optional": True}],
    }  # fmt: skip


def test_detectors_that_move_again(two_that_move, lacking, workers, reduced):
    live = live_of(two_that_move, lacking)
    first = derived_of(lacking, two_that_move)
    assert_same(first, live.derived)
    told = [(data["geometry_distance"], data["geometry_det2_rot1"]) for data in live.events]
    expected = [(0.1 + 5e-3 * n, 0.6 + 1e-2 * n if n not in (2, 5) else math.nan) for n in range(N)]
    np.testing.assert_allclose(told, expected, rtol=1e-11)
    assert_same(derived_of(first, raw=lacking), first)
    assert_same(derived_of(lacking, two_that_move, workers=2), first)
    assert frames_of(workers.blocks) == N - 1
    reduced.clear()
    assert_same(derived_of(lacking, two_that_move, resume=first), first)
    assert len(reduced) == 1
    moved = [(name, {**doc, "data": {"motor": 1.0}} if name == "event" else doc) for name, doc in lacking]
    reduced.clear()
    derived_of(moved, two_that_move, resume=first)
    assert len(reduced) == N


@pytest.mark.timeout(180)
@pytest.mark.xdist_group("workers")
def test_real_worker_processes(two, run, pool, reduced):
    expected = derived_of(run, two)
    reduced.clear()
    assert_same(derived_of(run, two, workers=pool), expected)
    assert len(reduced) < N


def test_a_calibration_that_is_another_where_a_worker_runs_is_sent(two, run, workers, tmp_path, monkeypatch):
    """As on another machine: the worker finds another file under the name."""
    expected = derived_of(run, two)
    from bluesky_diffractogram.replay import blocks

    opened = blocks._setting

    def elsewhere(job):
        shutil.copy(two["calibration"], tmp_path / "kept.poni")
        kept = (tmp_path / "second.poni").read_text()
        (tmp_path / "second.poni").write_text("of another experiment")
        try:
            return opened(job)
        finally:
            (tmp_path / "second.poni").write_text(kept)

    monkeypatch.setattr(blocks, "_setting", elsewhere)
    found = derived_of(run, two, workers=2)
    assert frames_of(workers.blocks) == N - 1
    np.testing.assert_array_equal(
        [doc["data"]["diff_1"] for doc in found.of("event")], [doc["data"]["diff_1"] for doc in expected.of("event")]
    )
