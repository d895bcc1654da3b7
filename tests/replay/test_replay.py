"""Runs reduced again: the same derived documents, the same numbers."""

from __future__ import annotations

import itertools
import json
import logging
import subprocess
import sys

import bluesky.plans as bp
import numpy as np
import pytest
from derived_documents import without_identity
from documents.conftest import Collected, image, raw_run
from documents.stream_runs import StreamRun, images, uri_of, write_hdf5
from documents.test_callback import assert_valid
from live_runs import assert_same_numbers, live_of, run_live

from bluesky_diffractogram import ConfigError, ReplayError, replay


def test_the_documents_are_those_that_were_derived_live(cfg, motor, detector):
    live = run_live(cfg, bp.scan([detector], motor, 0, 3, 4))
    again = Collected()
    replay(live.raw, cfg).store(again)
    assert_valid(again)
    np.testing.assert_equal(without_identity(again), without_identity(live.derived))
    assert len(again.of("event")) == 4


def test_a_scan_with_images_in_its_events(cfg, motor, detector):
    live = run_live(cfg, bp.scan([detector], motor, 0, 3, 4))
    dataset = replay(live.raw, cfg).to_xarray()
    assert_same_numbers(dataset, live)
    assert dataset.attrs["raw_uid"] == live.uid


def test_a_scan_with_npy_files(cfg, motor, npy_detector):
    live = run_live(cfg, bp.scan([npy_detector], motor, 0, 3, 4))
    assert "resource" in live.raw.names
    assert_same_numbers(replay(live.raw, cfg).to_xarray(), live)


@pytest.mark.parametrize("fly", [True, False])
@pytest.mark.parametrize("number", [1, 2])
def test_a_scan_with_an_hdf5_file(cfg, tmp_path, fly, number):
    path = tmp_path / "frames.h5"
    write_hdf5(path, images(6))
    run = StreamRun(uri_of(path), number=number)
    n = 6 // number
    live = live_of(cfg, run.fly_scan(n) if fly else run.step_scan(n))
    dataset = replay(live.raw, cfg).to_xarray()
    assert_same_numbers(dataset, live)
    assert dataset["frame_index"].values.tolist() == [*range(number)] * n


@pytest.mark.parametrize("peaks", [True, False])
def test_sigma_and_other_settings(cfg, motor, detector, peaks):
    cfg = {**cfg, "error_model": "poisson", "polarization_factor": 0.9, "transformation": "rot-180"}
    live = run_live(cfg, bp.scan([detector], motor, 0, 2, 3))
    dataset = replay(live.raw, cfg).to_xarray()
    assert_same_numbers(dataset, live)
    for i in (1, 2):
        np.testing.assert_array_equal(dataset[f"sigma_{i}"].values, [data[f"sigma_{i}"] for data in live.events])


def test_every_frame_is_reduced_whatever_the_configuration_says(cfg):
    documents = list(raw_run(images(3)))
    live = live_of(cfg, documents)
    again = replay(documents, {**cfg, "show_diff": False, "collect": False, "queue_size": 1, "when_full": "latest"})
    assert_same_numbers(again.to_xarray(), live)


def test_documents_come_as_frames_are_reduced(cfg):
    taken = []

    def documents():
        for name, doc in raw_run(images(5)):
            taken.append(name)
            yield name, doc

    derived = iter(replay(documents(), cfg))
    names = [name for name, _ in itertools.islice(derived, 3)]
    assert names == ["start", "descriptor", "event"]
    assert taken.count("event") == 1
    next(derived)
    assert taken.count("event") == 2


def test_a_list_can_be_replayed_again_and_an_iterator_says_that_it_cannot(cfg):
    documents = list(raw_run(images(2)))
    again = replay(documents, cfg)
    assert len(list(again)) == len(list(again)) == 5
    once = replay(iter(documents), cfg)
    assert len(list(once)) == 5
    with pytest.raises(ReplayError, match="used up"):
        list(once)
    assert len(once.failures) == 1


def test_a_data_set_is_computed_once(cfg):
    once = replay(iter(list(raw_run(images(2)))), cfg)
    first, second = once.to_xarray(), once.to_xarray()
    assert first.identical(second)
    first.attrs["raw_uid"] = "changed"
    assert once.to_xarray().identical(second)


def test_lists_become_frames_of_the_dtype_that_was_measured(cfg):
    """65535 marks a dead pixel in uint16, and is a number in the int64 that a list becomes."""
    frames = images(2)
    frames[0][30:90, 70] = 2**16 - 1
    key = {
        "source": "test", "dtype": "array", "dtype_numpy": "<u2", "shape": list(frames[0].shape), "object_name": "det",
    }  # fmt: skip
    live = live_of(cfg, list(raw_run(frames, data_key=key)))
    as_lists = [
        (name, {**doc, "data": {"image": doc["data"]["image"].tolist()}} if name == "event" else doc)
        for name, doc in live.raw
    ]
    assert_same_numbers(replay(as_lists, cfg).to_xarray(), live)
    del key["dtype_numpy"]
    lost = replay([(n, {**d, "data_keys": {"image": key}} if n == "descriptor" else d) for n, d in as_lists], cfg)
    assert not np.array_equal(lost.to_xarray()["diff_1"][0], live.events[0]["diff_1"][1], equal_nan=True)


def test_nulls_in_lists_of_floats_are_nan(cfg):
    frames = [frame.astype("f4") for frame in images(2)]
    frames[0][30:90, 70] = np.nan
    live = live_of(cfg, list(raw_run(frames)))
    as_lists = []
    for name, doc in live.raw:
        if name == "event":
            values = [[None if value != value else value for value in row] for row in doc["data"]["image"].tolist()]
            doc = {**doc, "data": {"image": values}}
        as_lists.append((name, doc))
    assert_same_numbers(replay(as_lists, cfg).to_xarray(), live)


# -- what cannot be replayed ---------------------------------------------------------------------------------


def test_a_run_without_images_says_what_it_has(cfg):
    documents = [(name, doc) for name, doc in raw_run([np.zeros(3)])]
    with pytest.raises(ReplayError, match=r"no images in its stream 'primary' \(primary: image\)"):
        replay(documents, cfg).to_xarray()


def test_images_under_another_name(cfg):
    with pytest.raises(ReplayError, match="no images under 'eiger'"):
        list(replay(list(raw_run(images(1))), {**cfg, "image_key": "eiger"}))


def test_moved_files_are_named_with_what_mends_it(cfg, tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "here").mkdir()
    path = tmp_path / "there" / "frames.h5"
    write_hdf5(path, images(3))
    live = live_of(cfg, StreamRun(uri_of(path), motor=True).step_scan(3))
    path.rename(tmp_path / "here" / "frames.h5")
    again = replay(live.raw, cfg)
    with pytest.raises(ReplayError, match=r"there/frames\.h5.*root_map=\{there: here\}"):
        list(again)
    mended = replay(live.raw, cfg, root_map={str(tmp_path / "there"): str(tmp_path / "here")})
    assert_same_numbers(mended.to_xarray(), live)
    shut = replay(
        live.raw, cfg, root_map={str(tmp_path / "there"): str(tmp_path / "here")}, roots=[str(tmp_path / "x")]
    )
    with pytest.raises(ReplayError, match="outside the allowed folders"):
        list(shut)


def test_a_calibration_that_does_not_fit_the_frames(cfg):
    with pytest.raises(ReplayError, match=r"of 2 frames 2 could not be reduced \(2 for shape: .*\(50, 60\)"):
        replay(list(raw_run([np.ones((50, 60), "u2")] * 2)), cfg).to_xarray()


def test_nothing_of_a_run_that_failed_reaches_a_sink(cfg):
    collected = Collected()
    with pytest.raises(ReplayError):
        replay(list(raw_run([np.ones((50, 60), "u2")])), cfg).store(collected)
    assert collected == []


def test_a_run_that_was_stored_by_half(cfg, caplog):
    documents = list(raw_run(images(4)))[:-3]
    collected = Collected()
    replay(documents, cfg).store(collected)
    (stop,) = collected.of("stop")
    assert (stop["exit_status"], stop["reason"]) == ("abort", "the raw run has no stop document")
    assert stop["frames"]["reduced"] == 2
    assert_valid(collected)


def test_some_frames_that_cannot_be_reduced_are_told_of(cfg, caplog):
    frames = [*images(2), np.ones((50, 60), "u2")]
    dataset = replay(list(raw_run(frames)), cfg).to_xarray()
    assert dataset.sizes["frame"] == 2
    assert json.loads(dataset.attrs["frames"])["skipped"] == 1
    assert "of 3 frames 1 could not be reduced (1 for shape" in caplog.text


@pytest.mark.parametrize("run", [3.5, None, [], 7], ids=str)
def test_what_is_no_run_is_refused_at_once(cfg, run):
    with pytest.raises(ReplayError):
        replay(run, cfg)


def test_a_bad_configuration_is_refused_at_once(cfg):
    with pytest.raises(ConfigError, match="npt"):
        replay(list(raw_run(images(1))), {**cfg, "npt": -3})
    with pytest.raises(ReplayError, match="a configuration is needed"):
        list(replay(list(raw_run(images(1)))))


# -- several runs -----------------------------------------------------------------------------------------------


def test_of_several_runs_one_that_fails_leaves_the_others(cfg, caplog):
    good, shaped, late = list(raw_run(images(2))), list(raw_run([np.ones((9, 9))])), list(raw_run(images(3)))
    again = replay([good, shaped, "nowhere.jsonl", late], cfg)
    with caplog.at_level(logging.ERROR):
        found = again.to_xarrays()
    assert list(found) == [(run[0][1]["uid"], "diffractogram") for run in (good, late)]
    assert set(again.failures) == {shaped[0][1]["uid"], "nowhere.jsonl"}
    assert "No such file" in str(again.failures["nowhere.jsonl"])
    assert "(9, 9)" in caplog.text
    with pytest.raises(ValueError, match="several data sets.*" + good[0][1]["uid"]):
        again.to_xarray()
    assert_same_numbers(again.to_xarray(run=late[0][1]["uid"][:8]), live_of(cfg, late))


def test_if_none_of_several_runs_can_be_replayed_all_reasons_are_given(cfg):
    with pytest.raises(ReplayError, match=r"none of 2 runs(.|\n)*nowhere(.|\n)*\(9, 9\)"):
        list(replay(["nowhere.jsonl", list(raw_run([np.ones((9, 9))]))], cfg))


def test_uids_and_scan_ids_are_looked_up_in_a_catalogue(cfg):
    runs = {run[0][1]["uid"]: run for run in (list(raw_run(images(n))) for n in (1, 2, 3))}
    uids = list(runs)
    again = replay([uids[0], uids[2], "nobody"], cfg, catalog=runs)
    assert {uid for uid, _ in again.to_xarrays()} == {uids[0], uids[2]}
    assert "'nobody' is not in the catalogue" in str(again.failures["nobody"])
    assert len(replay(uids[1], cfg, catalog=runs).to_xarray()["time"]) == 2
    assert len(replay(runs, cfg).to_xarrays()) == 3


def test_interleaved_runs_in_one_stream_of_documents(cfg):
    one, other = list(raw_run(images(3))), list(raw_run(images(2)))
    mixed = [pair for both in itertools.zip_longest(one, other) for pair in both if pair is not None]
    found = replay(mixed, cfg)
    for run in (one, other):
        assert_same_numbers(found.to_xarray(run=run[0][1]["uid"]), live_of(cfg, run))


def test_derived_runs_among_others_are_passed_over(cfg):
    live = live_of(cfg, list(raw_run(images(2))))
    again = replay([live.raw, live.derived], cfg)
    assert len(again.to_xarrays()) == 1
    assert again.failures == {}
    with pytest.raises(ReplayError, match=r"derived from .*raw="):
        list(replay(live.derived, cfg))


# -- the name -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "before", ["", "import bluesky_diffractogram.replay.dataset", "from bluesky_diffractogram.replay import stored"]
)
def test_replay_is_the_function_whatever_was_imported_before(before):
    code = f"{before}\nimport sys, bluesky_diffractogram as b\nassert callable(b.replay), b.replay\n"
    code += "from bluesky_diffractogram import replay; assert replay is b.replay"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_importing_the_package_imports_nothing_of_replay():
    code = (
        "import sys, bluesky_diffractogram; print([m for m in sys.modules if m.split('.')[0] in ('numpy', 'xarray')])"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert out.strip() == "[]"


def test_frames_of_another_shape_are_a_data_set_of_their_own(cfg):
    binned = [frame.reshape(60, 2, 65, 2).sum(axis=(1, 3), dtype="u4") for frame in images(3)]
    again = replay(list(raw_run([image(0), *binned])), cfg)
    assert again.to_xarray(stream="diffractogram").sizes["frame"] == 1
    second = again.to_xarray(stream="diffractogram_2")
    assert second.sizes["frame"] == 3
    assert second.attrs["stream"] == "diffractogram_2"
    with pytest.raises(ValueError, match="diffractogram_2"):
        again.to_xarray()
    with pytest.raises(ReplayError, match="no such data set"):
        again.to_xarray(stream="primary")
