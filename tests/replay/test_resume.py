"""Replays that go on where an earlier one ended: the same documents, and nothing computed twice."""

from __future__ import annotations

import copy
import json
import os
from unittest import mock

import h5py
import numpy as np
import pytest
from derived_documents import assert_same, derived_of
from documents.conftest import Collected, raw_run
from documents.stream_runs import DATASET, StreamRun, images, settle, uri_of, write_hdf5
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from live_runs import live_of, run_live
from ponis import write_poni

from bluesky_diffractogram import replay
from bluesky_diffractogram.reduction.reducer import Reducer
from bluesky_diffractogram.service.jsonlines import JsonLines


def written(path, documents):
    lines = JsonLines(path)
    for name, doc in documents:
        lines(name, doc)
    lines.close()
    return path


@pytest.fixture
def run(tmp_path):
    write_hdf5(tmp_path / "frames.h5", images(8))
    settle()
    return list(StreamRun(uri_of(tmp_path / "frames.h5"), motor=True).step_scan(8))


def test_only_the_first_frame_of_a_complete_run_is_computed_again(cfg, run, reduced):
    first = derived_of(run, cfg)
    reduced.clear()
    assert_same(derived_of(run, cfg, resume=first), first)
    assert len(reduced) == 1


def test_of_an_interrupted_run_the_rest_is_computed(cfg, run, reduced):
    first = derived_of(run, cfg)
    cut = [pair for pair in first if pair[0] != "stop"][:-3]
    reduced.clear()
    assert_same(derived_of(run, cfg, resume=cut), first)
    assert [int(name.rpartition(":")[2]) for name in reduced] == [0, 5, 6, 7]


def test_a_generator_of_documents_is_enough(cfg, run, reduced):
    first = derived_of(run, cfg)
    reduced.clear()
    assert_same(derived_of(run, cfg, resume=iter(first)), first)
    assert len(reduced) == 1


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
def test_a_file_that_is_cut_anywhere(cfg, run, tmp_path, data):
    whole = tmp_path / "whole.jsonl"
    if not whole.exists():
        written(whole, derived_of(run, cfg))
    content = whole.read_bytes()
    part = tmp_path / "part.jsonl"
    end = data.draw(st.integers(0, len(content)), label="bytes")
    part.write_bytes(content[:end])
    with mock.patch.object(Reducer, "reduce", autospec=True, side_effect=Reducer.reduce) as reduce:
        again = derived_of(run, cfg, resume=str(part))
    expected = [json.loads(line) for line in content.splitlines()]
    whole_lines = content[:end].count(b"\n")
    taken = sum(line["name"] == "event" for line in expected[:whole_lines])
    assert 8 - max(taken, 1) <= reduce.call_count - (taken > 0) <= 8 - max(taken, 1) + 1
    copy = written(tmp_path / "again.jsonl", again)
    assert_same(_read(copy), _read(whole))


def _read(path):
    return [(line["name"], line["doc"]) for line in map(json.loads, path.read_text().splitlines())]


def test_nan_comes_back_from_null(cfg, run, tmp_path, reduced):
    """A range that reaches beyond the detector has bins without a pixel."""
    cfg = {**cfg, "diff_ranges": [[10, 60, 4, 60], [-5, 40, 5, 15]], "error_model": "poisson"}
    first = derived_of(run, cfg)
    assert np.isnan(first.of("event")[0]["data"]["diff_1"]).any()
    reduced.clear()
    assert_same(derived_of(run, cfg, resume=written(tmp_path / "d.jsonl", first)), first)
    assert len(reduced) == 1


def test_gaps_are_filled_and_the_followed_peak_is_the_same(cfg, run, reduced):
    """Where the peak was last seen depends on the frame before: one more is computed behind a gap."""
    first = derived_of(run, cfg)
    lacking = [pair for pair in first if pair[0] != "event" or pair[1]["seq_num"] not in (1, 4)]
    reduced.clear()
    assert_same(derived_of(run, cfg, resume=lacking), first)
    assert {int(name.rpartition(":")[2]) for name in reduced} <= {0, 1, 2, 3, 4}
    assert {0, 1, 3} <= {int(name.rpartition(":")[2]) for name in reduced}


def test_a_live_run_can_be_gone_on_with(cfg, run, reduced):
    live = live_of(cfg, run)
    reduced.clear()
    assert_same(derived_of(live.raw, cfg, resume=live.derived), live.derived)
    assert len(reduced) == 1


def test_several_frames_to_an_event_cut_in_their_midst(cfg, tmp_path, reduced):
    write_hdf5(tmp_path / "frames.h5", images(9))
    settle()
    run = list(StreamRun(uri_of(tmp_path / "frames.h5"), number=3).fly_scan(3))
    first = derived_of(run, cfg)
    reduced.clear()
    assert_same(derived_of(run, cfg, resume=first[:7]), first)  # start, descriptor, five events
    assert sorted(int(name.rpartition(":")[2].split("[")[0]) for name in reduced) == [0, 5, 6, 7, 8]
    added = {**cfg, "frames_per_event": "sum"}
    first = derived_of(run, added)
    reduced.clear()
    assert_same(derived_of(run, added, resume=first), first)
    assert len(reduced) == 1


def test_images_in_memory_and_a_rewind(cfg, reduced):
    run = list(raw_run(images(6), seq_nums=[1, 2, 3, 2, 3, 4]))
    first = derived_of(run, cfg)
    reduced.clear()
    assert_same(derived_of(run, cfg, resume=first), first)
    assert len(reduced) == 1
    reduced.clear()
    assert_same(derived_of(run, cfg, resume=first[:6]), first)
    assert len(reduced) == 3


def test_a_frame_that_was_skipped_is_tried_again(cfg, reduced):
    frames = images(5)
    run = list(raw_run([*frames[:2], np.ones((9, 9), "u2"), *frames[3:]]))
    first = derived_of(run, cfg)
    assert first.of("stop")[0]["frames"]["skipped"] == 1
    reduced.clear()
    assert_same(derived_of(run, cfg, resume=first), first)
    assert len(reduced) == 1


def test_frames_of_a_second_shape_are_computed_again(cfg, reduced):
    binned = [frame.reshape(60, 2, 65, 2).sum(axis=(1, 3), dtype="u4") for frame in images(3)]
    run = list(raw_run([*images(3), *binned]))
    first = derived_of(run, cfg)
    reduced.clear()
    assert_same(derived_of(run, cfg, resume=first), first)
    assert len(reduced) == 4


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"npt": 151}, "configuration"),
        ({"peaks": {"max_peaks": 3}}, "configuration"),
        ({"mask": np.eye(120, 130, dtype="i1")}, "mask"),
    ],
)
def test_what_was_computed_otherwise_is_computed_again(cfg, run, reduced, change, what, caplog):
    first = derived_of(run, cfg)
    reduced.clear()
    changed = derived_of(run, {**cfg, **change}, resume=first)
    assert_same(changed, derived_of(run, {**cfg, **change}))
    assert f"another {what}" in caplog.text
    assert len(reduced) == 16


def test_another_calibration_or_version_is_told(cfg, run, reduced, caplog, small_poni):
    first = derived_of(run, cfg)
    start = first.of("start")[0]
    start["versions"]["numpy"] = "1.0"
    derived_of(run, cfg, resume=first)
    assert "another version of numpy" in caplog.text
    small_poni.write_text(small_poni.read_text().replace("Distance: 0.1", "Distance: 0.1001"))
    derived_of(run, cfg, resume=first)
    assert "another calibration" in caplog.text
    assert len(reduced) == 3 * 8


def test_settings_that_alter_no_number_may_differ(cfg, run, reduced):
    first = derived_of(run, cfg)
    reduced.clear()
    derived_of(run, {**cfg, "buffer_size": 7, "queue_size": 3, "main_plot": "buffer 1"}, resume=first)
    assert len(reduced) == 1


def test_an_earlier_run_with_other_numbers_is_refused(cfg, run, reduced, caplog):
    first = derived_of(run, cfg)
    first.of("event")[0]["data"]["diff_1"][1, 70] += 1.0
    reduced.clear()
    again = derived_of(run, cfg, resume=first)
    assert "another diff_1 there" in caplog.text
    assert len(reduced) == 8
    first.of("event")[0]["data"]["diff_1"][1, 70] -= 1.0
    assert_same(again, derived_of(run, cfg))


def test_an_event_that_is_damaged_is_computed_again(cfg, run, reduced, caplog):
    first = derived_of(run, cfg)
    damaged = first.of("event")
    damaged[3]["data"]["diff_1"] = [[1.0, 2.0], [3.0]]
    damaged[5]["data"]["sigma_1"] = 1
    del damaged[6]["data"]["mean_1"]
    reduced.clear()
    expected = derived_of(run, cfg)
    reduced.clear()
    assert_same(derived_of(run, cfg, resume=first), expected)
    assert 3 <= len(reduced) <= 5


@pytest.mark.parametrize("content", ["", "rubbish\n", '{"name": "start"', None])
def test_what_is_no_earlier_run_costs_nothing_but_a_warning(cfg, run, tmp_path, content, caplog):
    path = tmp_path / "d.jsonl"
    if content is not None:
        path.write_text(content)
    assert len(derived_of(run, cfg, resume=path).of("event")) == 8
    assert "taken over" in caplog.text


def test_a_function_gives_the_earlier_run_of_each_raw_one(cfg, reduced):
    runs = [list(raw_run(images(n))) for n in (2, 3)]
    earlier = {run[0][1]["uid"]: derived_of(run, cfg) for run in runs}
    del earlier[runs[0][0][1]["uid"]]
    reduced.clear()
    assert_same(derived_of(runs, cfg, resume=lambda uid: earlier.get(uid)), derived_of(runs, cfg))
    assert len(reduced) == 2 + 1 + 5


# -- what was rewritten since -----------------------------------------------------------------------------------------


def numbers_of(names):
    return sorted(int(name.rpartition(":")[2]) for name in names)


@pytest.fixture
def spoiled_run(tmp_path):
    """A run of which frames 4 to 7 were no good when it was first replayed, and a function that writes them anew."""
    path, right = tmp_path / "frames.h5", images(8)
    wrong = [frame if n < 4 else frame // 2 for n, frame in enumerate(right)]
    write_hdf5(path, wrong)
    settle()

    def mend():
        with h5py.File(path, "r+") as file:
            file[DATASET][...] = np.asarray(right)

    return list(StreamRun(uri_of(path), motor=True).step_scan(8)), mend


@pytest.mark.parametrize("cut", [None, 8])
def test_frames_that_were_rewritten_under_their_name_are_computed_again(cfg, spoiled_run, reduced, cut):
    """The first frames, which could be compared, are the same."""
    run, mend = spoiled_run
    first = derived_of(run, cfg)[:cut]
    mend()
    reduced.clear()
    again = replay(run, cfg, resume=first)
    collected = Collected()
    again.store(collected)
    assert again.taken_over == 0
    assert numbers_of(reduced) == list(range(8))
    assert_same(collected, derived_of(run, cfg))


def test_a_time_that_was_set_back_deceives_nobody(cfg, spoiled_run, reduced, tmp_path):
    run, mend = spoiled_run
    first = derived_of(run, cfg)
    before = os.stat(tmp_path / "frames.h5")
    mend()
    os.utime(tmp_path / "frames.h5", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert os.stat(tmp_path / "frames.h5").st_size == before.st_size
    assert_same(derived_of(run, cfg, resume=first), derived_of(run, cfg))


def test_of_files_of_a_frame_each_those_that_were_rewritten_are_computed_again(cfg, tmp_path, reduced):
    for n, frame in enumerate(images(8)):
        np.save(tmp_path / f"img_{n:03d}.npy", frame)
    settle()
    mimetype = "multipart/related;type=application/x-npy"
    run = list(StreamRun(uri_of(tmp_path), mimetype, {"template": "img_{:03d}.npy"}, motor=True).step_scan(8))
    first = derived_of(run, cfg)
    np.save(tmp_path / "img_005.npy", images(8)[5] // 2)
    reduced.clear()
    again = derived_of(run, cfg, resume=first)
    assert {0, 5} <= {int(name[-7:-4]) for name in reduced} <= {0, 5, 6, 7}
    assert_same(again, derived_of(run, cfg))


def test_the_sources_of_a_virtual_data_set_are_looked_at(cfg, tmp_path, reduced):
    layout = h5py.VirtualLayout((8, 120, 130), "u2")
    for part in range(2):
        write_hdf5(tmp_path / f"part{part}.h5", images(8)[4 * part : 4 * part + 4])
        layout[4 * part : 4 * part + 4] = h5py.VirtualSource(f"part{part}.h5", DATASET, (4, 120, 130))
    with h5py.File(tmp_path / "all.h5", "w") as file:
        file.create_virtual_dataset(DATASET, layout)
    run = list(StreamRun(uri_of(tmp_path / "all.h5"), motor=True).step_scan(8))
    settle()
    first = derived_of(run, cfg)
    reduced.clear()
    assert_same(derived_of(run, cfg, resume=first), first)
    assert numbers_of(reduced) == [0]
    with h5py.File(tmp_path / "part1.h5", "r+") as file:
        file[DATASET][2] = images(8)[2]
    reduced.clear()
    again = derived_of(run, cfg, resume=first)
    assert numbers_of(reduced) == [0, 4, 5, 6, 7]
    assert_same(again, derived_of(run, cfg))


def test_the_file_behind_a_link_is_looked_at(cfg, tmp_path, reduced):
    write_hdf5(tmp_path / "data.h5", images(6))
    with h5py.File(tmp_path / "master.h5", "w") as file:
        file["entry/data/data"] = h5py.ExternalLink("data.h5", DATASET)
    run = list(StreamRun(uri_of(tmp_path / "master.h5"), motor=True).step_scan(6))
    settle()
    first = derived_of(run, cfg)
    reduced.clear()
    assert_same(derived_of(run, cfg, resume=first), first)
    assert len(reduced) == 1
    with h5py.File(tmp_path / "data.h5", "r+") as file:
        file[DATASET][3:] = np.asarray(images(3))
    assert_same(derived_of(run, cfg, resume=first), derived_of(run, cfg))


def test_images_in_events_are_known_by_their_pixels(cfg, reduced):
    run = list(raw_run(images(6)))
    first = derived_of(run, cfg)
    other = copy.deepcopy(run)
    other[2 + 3][1]["data"]["image"] = images(6)[3] * 2
    reduced.clear()
    again = derived_of(other, cfg, resume=first)
    assert 2 <= len(reduced) <= 4
    assert_same(again, derived_of(other, cfg))


def test_another_monitor_is_another_frame(cfg, run, reduced):
    cfg = {**cfg, "normalization": "motor"}
    run = [(name, {**doc, "data": {"motor": 2.0}} if name == "event" else doc) for name, doc in run]
    first = derived_of(run, cfg)
    other = [(name, {**doc, "data": {"motor": 4.0}} if doc.get("seq_num") == 6 else doc) for name, doc in run]
    again = derived_of(other, cfg, resume=first)
    assert_same(again, derived_of(other, cfg))


def test_files_that_a_reader_names_are_looked_at(cfg, motor, npy_detector, tmp_path, reduced):
    import bluesky.plans as bp

    live = run_live(cfg, bp.scan([npy_detector], motor, 0, 3, 6))
    settle()
    first = derived_of(live.raw, cfg)
    reduced.clear()
    assert_same(derived_of(live.raw, cfg, resume=first), first)
    assert len(reduced) == 1
    rewritten = sorted(tmp_path.glob("*_3.npy"))
    np.save(rewritten[0], np.load(rewritten[0]) // 2)
    assert_same(derived_of(live.raw, cfg, resume=first), derived_of(live.raw, cfg))


def test_what_does_not_say_which_frame_it_was_is_computed_again(cfg, run, reduced):
    first = derived_of(run, cfg)
    for doc in first.of("event")[1:]:
        doc["data"]["frame_digest"] = ""
    reduced.clear()
    derived_of(run, cfg, resume=first)
    assert len(reduced) == 8


# -- calibrations that were changed -----------------------------------------------------------------------------------


def test_a_calibration_that_was_loaded_before_the_first_frame_is_the_streams(cfg, run, tmp_path, reduced, caplog):
    """The start document, which is out by then, tells of the one before; the numbers agree by chance."""
    first = derived_of(run, cfg)
    other = write_poni(tmp_path / "other.poni", shape=(120, 130), pixel=(6e-4, 5e-4), rot=(0.02, -0.03, 0.1))
    told = copy.deepcopy(first)
    told.of("start")[0]["calibration"] = {**told.of("start")[0]["calibration"], "sha256": "0" * 64}
    reduced.clear()
    assert_same(derived_of(run, cfg, resume=told), first)
    assert len(reduced) == 1  # the stream was computed with the one that is given now
    settings = first.of("descriptor")[0]["configuration"]["diffractogram"]["data"]
    settings["provenance"] = json.dumps({**json.loads(settings["provenance"]), "calibration": {"sha256": "0" * 64}})
    reduced.clear()
    derived_of(run, cfg, resume=first)
    assert len(reduced) == 8
    assert "another calibration" in caplog.text
    assert other.exists()


def test_a_live_run_with_a_calibration_loaded_in_its_midst(cfg, run, tmp_path, reduced):
    from bluesky_diffractogram import ReductionCallback

    other = write_poni(tmp_path / "other.poni", shape=(120, 130), pixel=(6e-4, 5e-4), rot=(0.02, -0.03, 0.1))
    derived = Collected()
    with ReductionCallback(cfg, background=False) as diff:
        diff.subscribe(derived)
        for name, doc in run:
            if name == "stream_datum" and doc["indices"]["start"] == 3:
                diff.configure({"calibration": str(other)})
            diff(name, doc)
    assert [doc["name"] for doc in derived.of("descriptor")] == ["diffractogram", "diffractogram_2"]
    for calibration in (cfg["calibration"], str(other)):
        wanted = {**cfg, "calibration": calibration}
        assert_same(derived_of(run, wanted, resume=derived), derived_of(run, wanted))


def test_frames_behind_another_followed_peak_are_not_tried_for_ever(cfg, tmp_path, reduced, caplog):
    """The second frame is computed again, and is another one by now: all behind it followed another peak then."""
    write_hdf5(tmp_path / "frames.h5", images(14))
    settle()
    run = list(StreamRun(uri_of(tmp_path / "frames.h5"), motor=True).step_scan(14))
    first = derived_of(run, cfg)
    events = first.of("event")
    events[1]["data"]["frame_digest"] = "another"
    for doc in events[1:]:
        doc["data"]["peak_1_position"] += 1e-9
    reduced.clear()
    assert_same(derived_of(run, cfg, resume=first), derived_of(run, cfg))
    assert numbers_of(reduced[:14]) == list(range(14))
    assert "other peaks are followed" in caplog.text
