"""Images in files, told of by Resource and Datum documents."""

from __future__ import annotations

import shutil
import time

import bluesky.plans as bp
import numpy as np
import pytest
from bluesky import RunEngine
from event_model import compose_run, pack_datum_page
from ophyd.sim import NumpySeqHandler, SynSignalWithRegistry

from bluesky_diffractogram import ReductionCallback

from .conftest import SHAPE, Collected, image, send
from .test_callback import assert_valid, frames_add_up


class NotYet(NumpySeqHandler):
    """A reader for which a missing file is an IOError, as for most."""


def run_in_files(folder, n=3, *, spec="NPY_SEQ", missing=(), metadata=None):
    """A composed run whose images lie in ``.npy`` files."""
    run = compose_run(metadata=metadata or {})
    yield "start", run.start_doc
    key = {"source": "test", "dtype": "array", "shape": list(SHAPE), "external": "FILESTORE:", "object_name": "det"}
    bundle = run.compose_descriptor(name="primary", data_keys={"image": key}, object_keys={"det": ["image"]})
    yield "descriptor", bundle.descriptor_doc
    resource = run.compose_resource(spec=spec, root=str(folder), resource_path="frame", resource_kwargs={})
    yield "resource", resource.resource_doc
    for i in range(n):
        if i not in missing:
            np.save(folder / f"frame_{i}.npy", image(i))
        datum = resource.compose_datum(datum_kwargs={"index": i})
        yield "datum", datum
        yield (
            "event",
            bundle.compose_event(
                data={"image": datum["datum_id"]}, timestamps={"image": 100.0 + i}, filled={"image": False}
            ),
        )
    yield "stop", run.compose_stop()


def callback(cfg, collected, **options):
    diff = ReductionCallback(cfg, handler_registry={"NPY_SEQ": NumpySeqHandler}, **options)
    diff.subscribe(collected)
    return diff


def reference(cfg, n):
    diff = ReductionCallback(cfg, background=False)
    from .conftest import raw_run

    collected = Collected()
    diff.subscribe(collected)
    send(diff, raw_run([image(i) for i in range(n)]))
    return [doc["data"]["diff_1"][1] for doc in collected.of("event")]


def test_ophyds_own_file_writing_detector(cfg, collected, tmp_path):
    det = SynSignalWithRegistry(func=lambda: image(0), name="det", save_path=str(tmp_path))
    engine = RunEngine({})
    diff = callback(cfg, collected)
    engine.subscribe(diff)
    engine(bp.count([det], 4))
    assert diff.wait(20)
    assert_valid(collected)
    np.testing.assert_array_equal([doc["data"]["diff_1"][1] for doc in collected.of("event")], reference(cfg, 1) * 4)
    assert frames_add_up(collected.of("stop")[0])["reduced"] == 4
    diff.close()


def test_the_readers_of_installed_packages_are_found(cfg, collected, tmp_path):
    """ophyd's own for NPY_SEQ, by its entry point."""
    with ReductionCallback(cfg) as diff:
        diff.subscribe(collected)
        send(diff, run_in_files(tmp_path))
        assert diff.wait(20)
    np.testing.assert_array_equal([doc["data"]["diff_1"][1] for doc in collected.of("event")], reference(cfg, 3))


@pytest.mark.parametrize("background", [True, False])
def test_datums_in_pages(cfg, collected, tmp_path, background):
    documents = list(run_in_files(tmp_path))
    page = ("datum_page", pack_datum_page(*(doc for name, doc in documents if name == "datum")))
    others = [each for each in documents if each[0] != "datum"]
    diff = callback(cfg, collected, background=background)
    send(diff, [*others[:3], page, *others[3:]])
    assert diff.wait(20)
    np.testing.assert_array_equal([doc["data"]["diff_1"][1] for doc in collected.of("event")], reference(cfg, 3))
    assert frames_add_up(collected.of("stop")[0])["reduced"] == 3
    diff.close()


@pytest.mark.parametrize("background", [True, False])
def test_frames_in_files_are_the_frames(cfg, collected, tmp_path, background):
    diff = callback(cfg, collected, background=background)
    send(diff, run_in_files(tmp_path))
    assert diff.wait(20)
    np.testing.assert_array_equal([doc["data"]["diff_1"][1] for doc in collected.of("event")], reference(cfg, 3))
    assert [doc["data"]["imagename"] for doc in collected.of("event")] == ["frame:0", "frame:1", "frame:2"]
    diff.close()


def test_root_map_says_where_the_files_lie_now(cfg, collected, tmp_path):
    (tmp_path / "then").mkdir()
    documents = list(run_in_files(tmp_path / "then"))
    shutil.move(tmp_path / "then", tmp_path / "now")
    diff = callback(cfg, collected, background=False, root_map={str(tmp_path / "then"): str(tmp_path / "now")})
    send(diff, documents)
    assert len(collected.of("event")) == 3


def test_a_file_that_comes_late_is_waited_for_and_the_order_kept(cfg, collected, tmp_path):
    diff = callback(cfg, collected)
    send(diff, run_in_files(tmp_path, missing={1}))
    deadline = time.monotonic() + 20
    while not collected.of("event") and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.3)  # several tries of the missing file
    assert [doc["data"]["raw_seq_num"] for doc in collected.of("event")] == [1]
    assert collected.of("stop") == []
    np.save(tmp_path / "frame_1.npy", image(1))
    assert diff.wait(20)
    assert [doc["data"]["raw_seq_num"] for doc in collected.of("event")] == [1, 2, 3]
    np.testing.assert_array_equal([doc["data"]["diff_1"][1] for doc in collected.of("event")], reference(cfg, 3))
    assert frames_add_up(collected.of("stop")[0])["reduced"] == 3
    diff.close()


@pytest.mark.parametrize("background", [True, False])
def test_a_file_that_never_comes_is_skipped_with_the_reason(cfg, collected, tmp_path, caplog, background):
    diff = callback(cfg, collected, background=background, file_timeout=0.5)
    send(diff, run_in_files(tmp_path, missing={1}))
    assert diff.wait(20)
    assert [doc["data"]["raw_seq_num"] for doc in collected.of("event")] == [1, 3]
    assert frames_add_up(collected.of("stop")[0])["reasons"] == {"file": 1}
    assert "seq_num 2: frame skipped (file): not readable 0.5 s after the run's end" in caplog.text
    diff.close()


def test_a_parked_run_does_not_delay_another(cfg, collected, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    diff = callback(cfg, collected, file_timeout=60)
    send(diff, run_in_files(tmp_path / "a", missing={0}, metadata={"scan_id": 1}))
    send(diff, run_in_files(tmp_path / "b", metadata={"scan_id": 2}))
    deadline = time.monotonic() + 20
    while not collected.of("stop") and time.monotonic() < deadline:
        time.sleep(0.02)
    derived_of_b = collected.of("start")[1]
    assert collected.of("stop")[0]["run_start"] == derived_of_b["uid"]
    assert len(collected.of("event")) == 3
    diff.close(timeout=0.2, reason="test ends")
    assert collected.of("stop")[1]["exit_status"] == "success"
    assert frames_add_up(collected.of("stop")[1])["reasons"] == {"file": 3}


def test_frames_without_a_reader_are_skipped_at_once(cfg, collected, tmp_path):
    diff = callback(cfg, collected, background=False)
    send(diff, run_in_files(tmp_path, spec="NOBODY_READS_THIS"))
    assert frames_add_up(collected.of("stop")[0])["reasons"] == {"no file reader": 3}
    send(diff, run_in_files(tmp_path))
    np.testing.assert_array_equal([doc["data"]["diff_1"][1] for doc in collected.of("event")], reference(cfg, 3))


def test_frames_whose_documents_were_not_seen_are_skipped_and_other_runs_go_on(cfg, collected, tmp_path):
    diff = callback(cfg, collected, background=False)
    send(diff, [(name, doc) for name, doc in run_in_files(tmp_path) if name != "resource"])
    assert frames_add_up(collected.of("stop")[0])["reasons"] == {"unknown datum": 3}
    send(diff, run_in_files(tmp_path))
    assert frames_add_up(collected.of("stop")[1])["reduced"] == 3


def test_nothing_is_kept_of_runs_that_are_over(cfg, collected, tmp_path):
    diff = callback(cfg, collected, background=False)
    for _ in range(3):
        send(diff, run_in_files(tmp_path))
    datums = diff._pipeline._assets._datums
    assert not datums._handlers
    for kept in (datums._datums, datums._resources, datums._descriptors):
        assert len(kept) == 1  # those of the latest image, for `next`
    assert not diff._pipeline._runs
    assert not diff._arrivals.intake._runs
    assert not diff._arrivals.intake._run_of_descriptor


def test_interleaved_runs_share_a_resource(cfg, collected, tmp_path):
    """One detector, one file series, two open runs: the resource names the first run only."""
    first = list(run_in_files(tmp_path, n=2))
    run = compose_run()
    key = first[1][1]["data_keys"]["image"]
    bundle = run.compose_descriptor(name="primary", data_keys={"image": key})
    datum = next(doc for name, doc in first if name == "datum")
    event = bundle.compose_event(data={"image": datum["datum_id"]}, timestamps={"image": 1.0}, filled={"image": False})
    diff = callback(cfg, collected, background=False)
    send(diff, first[:-1])
    send(diff, [("start", run.start_doc), ("descriptor", bundle.descriptor_doc), ("event", event)])
    send(diff, [first[-1], ("stop", run.compose_stop())])
    assert [frames_add_up(doc)["reduced"] for doc in collected.of("stop")] == [2, 1]


def test_next_after_a_run_in_files(cfg, collected, tmp_path):
    diff = callback(cfg, collected, background=False)
    diff.show(False)
    send(diff, run_in_files(tmp_path))
    assert frames_add_up(collected.of("stop")[0])["not_requested"] == 3
    diff.next()
    assert diff.results["imagename"] == "frame:2"


def test_next_on_a_frame_whose_file_is_not_there_leaves_it_not_requested(cfg, collected, tmp_path):
    diff = callback(cfg, collected, background=False)
    diff.show(False)
    documents = list(run_in_files(tmp_path, n=1, missing={0}))
    send(diff, documents[:-1])
    diff.next()
    send(diff, documents[-1:])
    frames = frames_add_up(collected.of("stop")[0])
    assert (frames["not_requested"], frames["skipped"]) == (1, 0)


def test_readers_do_not_pile_up_while_some_run_is_always_open(cfg, collected, tmp_path):
    diff = callback(cfg, collected, background=False)
    endless = list(run_in_files(tmp_path, n=1))
    send(diff, endless[:-1])
    for _ in range(40):
        send(diff, run_in_files(tmp_path, n=1))
    datums = diff._pipeline._assets._datums
    assert len(datums._handlers) <= 33
    assert len(datums._datums) <= 65
    send(diff, endless[-1:])
    assert sum(frames_add_up(doc)["reduced"] for doc in collected.of("stop")) == 41
