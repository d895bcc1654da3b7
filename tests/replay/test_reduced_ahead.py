"""What is given to workers and what waits meanwhile; the workers stand in this process."""

from __future__ import annotations

import numpy as np
import pytest
from derived_documents import assert_same, derived_of
from documents.conftest import raw_run
from documents.stream_runs import StreamRun, images, settle, uri_of, write_hdf5

from bluesky_diffractogram import replay
from bluesky_diffractogram.documents.late_turns import LateTurns
from bluesky_diffractogram.replay import reduced_ahead, replayed, sent_blocks
from bluesky_diffractogram.replay.blocks import reduce_block


class _Task:
    def __init__(self, job, block):
        self._job, self._block = job, block

    def result(self):
        return reduce_block(self._job, self._block)

    def wait(self):
        pass


class _Workers(list):
    """Two of them, and the frames of each block that they were given."""

    def __len__(self):
        return 2

    def submit(self, job, block):
        self.append(sum(piece.frames for piece in block.pieces))
        return _Task(job, block)

    def close(self):
        pass


@pytest.fixture
def blocks(monkeypatch):
    given = _Workers()
    monkeypatch.setattr(replayed, "_workers", lambda workers: workers and given)
    monkeypatch.setattr(sent_blocks, "FIRST_FRAMES", 5)
    monkeypatch.setattr(sent_blocks.SentBlocks, "_fit", lambda *_: None)
    return given


@pytest.fixture
def waiting(monkeypatch):
    """How many messages waited at most, and how many of them with an image in memory."""
    most, put = {"messages": 0, "images": 0}, LateTurns.put

    def spy(self, message):
        put(self, message)
        events = [each.event["data"] for each in self._later if hasattr(each, "event")]
        in_memory = sum(isinstance(data.get("image"), np.ndarray) for data in events)
        most.update(messages=max(most["messages"], len(self._later)), images=max(most["images"], in_memory))

    monkeypatch.setattr(LateTurns, "put", spy)
    return most


@pytest.fixture
def run(tmp_path):
    write_hdf5(tmp_path / "frames.h5", images(20))
    settle()
    stream = StreamRun(uri_of(tmp_path / "frames.h5"), motor=True)
    documents = list(stream.begin())
    for n in range(60):
        documents += [stream.datum(n % 20, n % 20 + 1, seq_num=n + 1), stream.event(n + 1, motor=10.0 * n)]
    return [*documents, stream.stop()]


def test_images_in_memory_that_are_passed_over_do_not_wait(cfg, blocks, waiting):
    run = list(raw_run(images(5) * 6))
    first = derived_of(run, cfg)
    again = replay(run, cfg, workers=2, resume=first)
    assert_same(list(again), first)
    assert again.taken_over == 29
    assert waiting["images"] <= 1


def test_frames_that_are_passed_over_wait_for_none(cfg, run, blocks, waiting):
    """Nothing before them is with a worker."""
    first = derived_of(run, cfg)
    assert_same(derived_of(run, cfg, workers=2, resume=first), first)
    assert blocks == []
    assert waiting["messages"] <= 6


def test_no_more_than_so_many_wait_behind_a_frame_that_a_worker_has(cfg, run, blocks, waiting, monkeypatch):
    monkeypatch.setattr(reduced_ahead, "MOST_WAITING", 10)
    first = derived_of(run, cfg)
    lacking = [pair for pair in first if pair[1].get("seq_num") not in (3, 4)]
    assert_same(derived_of(run, cfg, workers=2, resume=lacking), first)
    assert waiting["messages"] <= 2 * 10 + 6


def test_after_a_refusal_blocks_are_as_large_as_ever(cfg, run, blocks):
    first = derived_of(run, cfg)
    first.of("event")[0]["data"]["mean_1"] += 1.0
    again = derived_of(run, cfg, workers=2, resume=first)
    assert_same(again, derived_of(run, cfg))
    assert blocks == [5] * 11 + [4]


def test_a_refusal_while_others_wait_leaves_blocks_as_large(cfg, run, blocks):
    """Frames 2 and 3 are missing, and all behind them followed another peak: that is seen when their turn comes."""
    first = derived_of(run, cfg)
    for doc in first.of("event")[1:]:
        doc["data"]["peak_1_position"] += 1e-9
    lacking = [pair for pair in first if pair[1].get("seq_num") not in (2, 3)]
    again = derived_of(run, cfg, workers=2, resume=lacking)
    assert_same(again, derived_of(run, cfg))
    ones = [size for size in blocks if size < 5]
    assert len(ones) <= 8 + 3
    assert sum(blocks) == 59


def test_frames_that_were_rewritten_go_to_workers(cfg, tmp_path, blocks):
    for n, frame in enumerate(images(30)):
        np.save(tmp_path / f"img_{n:03d}.npy", frame)
    mimetype = "multipart/related;type=application/x-npy"
    run = list(StreamRun(uri_of(tmp_path), mimetype, {"template": "img_{:03d}.npy"}, motor=True).step_scan(30))
    settle()
    first = derived_of(run, cfg)
    for n in range(15, 30):
        np.save(tmp_path / f"img_{n:03d}.npy", images(30)[n])
    again = replay(run, cfg, workers=2, resume=first)
    assert_same(list(again), first)
    assert again.taken_over == 14
    assert blocks == [5, 5, 5]


def test_cakes_that_workers_make_are_those_that_are_made_here(cfg, run, blocks, monkeypatch):
    cfg = {**cfg, "cake": {"npt_rad": 20, "npt_azim": 10}}
    first, done = derived_of(run, cfg), []
    monkeypatch.setattr(sent_blocks.SentBlocks, "_fit", lambda _, each: done.append(each))
    again = derived_of(run, cfg, workers=2)
    assert_same(again, first)
    assert sum(blocks) == 59
    cakes = [doc["data"]["cake"] for doc in again.of("event")]
    assert np.isfinite(cakes).mean() > 0.5
    plain = 5 * sum(first.of("event")[0]["data"][f"diff_{i}"][1].nbytes for i in (1, 2))
    assert {each.nbytes / each.frames for each in done} == {plain + cakes[0].nbytes}
