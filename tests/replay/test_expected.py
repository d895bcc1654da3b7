"""How many frames a progress bar is told to expect."""

from __future__ import annotations

import json

import numpy as np
import pytest
from documents.conftest import raw_run
from documents.stream_runs import StreamRun, images, uri_of, write_hdf5

from bluesky_diffractogram import replay
from bluesky_diffractogram.replay.document_files import last_stop


def told(run, cfg, **options):
    """What `progress` was called with from the first frame on, in order and each once."""
    calls = []
    replay(run, cfg, progress=lambda *numbers: calls.append(numbers), **options).store()
    return [numbers for numbers in dict.fromkeys(calls) if numbers[0]]


def test_a_list_of_documents_has_its_stop_in_it(cfg):
    run = list(raw_run(images(4)))
    assert "num_points" not in run[0][1]
    assert told(run, cfg) == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_the_start_says_it_where_the_stop_is_not_known(cfg):
    assert told(iter(raw_run(images(3), metadata={"num_points": 3})), cfg) == [(1, 3), (2, 3), (3, 3)]


def test_nothing_says_it_before_the_end(cfg):
    assert told(iter(raw_run(images(3))), cfg) == [(1, None), (2, None), (3, None), (3, 3)]


def test_a_scan_that_was_ended_early_has_the_frames_that_it_has(cfg):
    run = list(raw_run(images(3), metadata={"num_points": 50}))
    assert told(run, cfg)[0] == (1, 3)
    assert told(iter(run), cfg)[-1] == (3, 3)


@pytest.mark.parametrize(("how", "total"), [("each", 9), ("sum", 3)])
def test_several_frames_to_a_point(cfg, tmp_path, how, total):
    write_hdf5(tmp_path / "frames.h5", images(9))
    run = list(StreamRun(uri_of(tmp_path / "frames.h5"), number=3, motor=True).step_scan(3))
    assert run[-1][1]["num_events"] == {"primary": 3}
    assert told(run, {**cfg, "frames_per_event": how})[0] == (1, total)


def test_several_runs_add_up(cfg):
    runs = [list(raw_run(images(2))), list(raw_run(images(3)))]
    calls = told(runs, cfg)
    assert calls[0] == (1, 2)
    assert calls[-1] == (5, 5)
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)


def test_frames_that_are_skipped_are_not_waited_for(cfg):
    run = list(raw_run([*images(3), np.ones((9, 9), "u2")]))
    assert told(run, cfg)[0] == (1, 4)
    assert told(run, cfg)[-1] == (3, 3)


def test_the_stop_at_the_end_of_a_file(cfg, tmp_path):
    run, path = list(raw_run(images(3))), tmp_path / "run.jsonl"
    lines = [json.dumps([name, json.loads(json.dumps(doc, default=np.ndarray.tolist))]) + "\n" for name, doc in run]
    path.write_text("".join(lines))
    assert last_stop(path) == run[-1][1]
    assert told(path, cfg)[0] == (1, 3)
    path.write_text("".join(lines[:-1]))
    assert last_stop(path) is None
    other = list(raw_run(images(1)))[-1]
    path.write_text("".join([*lines[:-1], json.dumps(other) + "\n"]))
    assert last_stop(path) is None
    for content in (b"", b"rubbish\n", b"\x92\xa5start"):
        path.write_bytes(content)
        assert last_stop(path) is None
