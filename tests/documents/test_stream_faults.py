"""What goes wrong with images in files: late, hostile, stuck, and runs that end meanwhile."""

from __future__ import annotations

import threading
import time

import h5py
import numpy as np
import pytest

from bluesky_diffractogram import ReductionCallback
from bluesky_diffractogram.documents import one_run, worker
from bluesky_diffractogram.files import HDF5Frames

from .conftest import SHAPE, Collected, image, raw_run, send
from .stream_runs import DATASET, StreamRun, images, uri_of, write_hdf5
from .test_callback import assert_valid, frames_add_up
from .test_streams import area_detector_run, curves, reduce, reference


@pytest.fixture
def path(tmp_path):
    return tmp_path / "frames.h5"


@pytest.mark.parametrize("documents", ["datums", "streams"])
def test_a_frame_is_not_forgotten_however_often_it_is_tried(cfg, path, collected, documents, monkeypatch):
    monkeypatch.setattr(worker, "RETRY_EVERY_S", 0.002)
    with ReductionCallback(cfg) as diff:
        diff.subscribe(collected)
        if documents == "datums":
            send(diff, area_detector_run(path.parent, "AD_HDF5", {}, 3))
        else:
            send(diff, StreamRun(uri_of(path)).step_scan(3))
        time.sleep(2)
        write_hdf5(path, images(3))
        assert diff.wait(20)
    assert frames_add_up(collected.of("stop")[0])["reduced"] == 3
    np.testing.assert_array_equal(curves(collected), reference(cfg, images(3)))


def test_readers_of_others_are_not_trusted_to_keep_within_the_roots(cfg, tmp_path, caplog):
    folder, outside = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    outside.mkdir()
    with h5py.File(folder / "frames.h5", "w") as file:
        file["entry"] = h5py.ExternalLink(str(outside / "secret.h5"), "/entry")
    write_hdf5(outside / "secret.h5", images(1))
    collected = reduce(cfg, area_detector_run(folder, "AD_HDF5_SINGLE", {}, 1), roots=[str(folder)])
    assert frames_add_up(collected.of("stop")[0])["reasons"] == {"unreadable": 1}
    assert "handler_registry" in caplog.text


@pytest.mark.parametrize(
    ("start", "stop", "number"), [(0, 10**12, 1), (-3, 0, 1), (5, 2, 1), (0, 2, 10**9), (0, 2, -3), (0, 2, 0)]
)
def test_a_datum_that_announces_too_much_is_refused_at_once(cfg, path, start, stop, number):
    write_hdf5(path, images(3))
    run = StreamRun(uri_of(path), parameters={"dataset": DATASET, "multiplier": number}, shape=[1, *SHAPE])
    hostile = run.datum(start, stop, seq_num=1)
    begin = time.perf_counter()
    collected = reduce(cfg, [*run.begin(), hostile, run.stop()])
    assert time.perf_counter() - begin < 20
    frames = frames_add_up(collected.of("stop")[0])
    assert frames["reasons"] == {"refused": max(1, (stop - start) * number)}


def test_a_long_announcement_of_nothing_does_not_hold_up_another_run(cfg, path, collected):
    with h5py.File(path, "w") as file:
        file.create_dataset(DATASET, (20_000, *SHAPE), np.uint16, chunks=(1, *SHAPE))
    endless = StreamRun(uri_of(path), number=20_000)
    with ReductionCallback(cfg, file_timeout=0) as diff:
        diff.subscribe(collected)
        send(diff, [*endless.begin(), endless.datum(0, 1), endless.event(1), endless.stop()])
        time.sleep(0.3)
        send(diff, raw_run([image(0)]))
        deadline = time.monotonic() + 10
        while not collected.of("event") and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(collected.of("event")) == 1
        diff.close(0.1)
    frames = [frames_add_up(doc) for doc in collected.of("stop")]
    assert sorted(each["received"] for each in frames) == [1, 20_000]


def test_a_read_that_hangs_ends_nothing_but_its_own_run(cfg, path, collected, monkeypatch):
    """After `close` has given up a run nothing is added to it, whenever the file system answers."""
    write_hdf5(path, images(2))
    monkeypatch.setattr(worker, "GRACE_S", 0.2)
    reading, answer = threading.Event(), threading.Event()
    real = HDF5Frames.read

    def hang(self, *arguments):
        reading.set()
        answer.wait(30)
        return real(self, *arguments)

    monkeypatch.setattr(HDF5Frames, "read", hang)
    run = StreamRun(uri_of(path), motor=True)
    diff = ReductionCallback(cfg)
    diff.subscribe(collected)
    send(diff, [*run.begin(), run.datum(0, 1), run.event(1, motor=1.0)])
    assert reading.wait(10)
    diff.close(0.2)
    names = list(collected.names)
    answer.set()
    time.sleep(0.5)
    assert collected.names == names
    assert names[-1] == "stop"
    assert frames_add_up(collected.of("stop")[0])["received"] == 1


def test_frames_that_wait_for_their_event_are_counted_when_it_is_closed(cfg, path, collected):
    write_hdf5(path, images(3))
    run = StreamRun(uri_of(path), motor=True)
    with ReductionCallback(cfg) as diff:
        diff.subscribe(collected)
        send(diff, [*run.begin(), *(run.datum(i, i + 1) for i in range(3))])
    assert_valid(collected)
    frames = frames_add_up(collected.of("stop")[0])
    assert (frames["received"], frames["reduced"]) == (3, 3)


def test_a_start_that_comes_twice_is_one_run(cfg, path):
    write_hdf5(path, images(2))
    documents = list(StreamRun(uri_of(path)).step_scan(2))
    collected = reduce(cfg, [documents[0], *documents])
    assert collected.names == ["start", "descriptor", "event", "event", "stop"]


def test_datums_of_other_detectors_are_forgotten_too(cfg, tmp_path):
    write_hdf5(tmp_path / "frames.h5", images(1) * 200)
    documents = []
    for name, doc in area_detector_run(tmp_path, "AD_HDF5", {}, 200):
        if name == "datum":
            documents.append((name, {**doc, "datum_id": doc["datum_id"] + " of another"}))
        if name == "event":
            data = {**doc["data"], "other": doc["data"]["image"] + " of another"}
            doc = {**doc, "data": data}
        documents.append((name, doc))
    collected = Collected()
    with ReductionCallback(cfg, background=False) as diff:
        diff.subscribe(collected)
        send(diff, documents[:-1])
        assert len(diff._pipeline._assets._datums._datums) <= 70
        send(diff, documents[-1:])
    assert frames_add_up(collected.of("stop")[0])["reduced"] == 200


def test_a_run_ends_however_long_its_last_frame_took(cfg, path, collected, monkeypatch):
    monkeypatch.setattr(one_run, "RETRY_FOR_S", -1.0)
    with ReductionCallback(cfg) as diff:
        diff.subscribe(collected)
        send(diff, StreamRun(uri_of(path)).step_scan(3))
        time.sleep(0.3)
        write_hdf5(path, images(3))
        assert diff.wait(20)
    assert frames_add_up(collected.of("stop")[0])["reduced"] == 3


def test_a_file_of_an_encoded_uri_that_comes_late(cfg, tmp_path, collected):
    late = tmp_path / "my scan.h5"
    with ReductionCallback(cfg) as diff:
        diff.subscribe(collected)
        send(diff, StreamRun(late.as_uri()).step_scan(3))
        time.sleep(0.3)
        write_hdf5(late, images(3))
        assert diff.wait(20)
        assert not diff.errors
    assert frames_add_up(collected.of("stop")[0])["reduced"] == 3


def test_no_frame_is_read_twice_because_it_was_read_ahead(cfg, path, collected, monkeypatch):
    write_hdf5(path, images(10))
    read, go_on = [], threading.Event()
    real = HDF5Frames.read

    def noted(self, index, *arguments):
        read.append(index)
        return real(self, index, *arguments)

    monkeypatch.setattr(HDF5Frames, "read", noted)
    with ReductionCallback(cfg) as diff:
        diff.subscribe(collected)
        diff.subscribe(lambda name, doc: go_on.wait(10) if name == "start" else None)
        send(diff, StreamRun(uri_of(path), motor=True).step_scan(10))
        go_on.set()
        assert diff.wait(20)
    assert sorted(read) == list(range(10))
    assert frames_add_up(collected.of("stop")[0])["reduced"] == 10


@pytest.mark.parametrize("documents", ["datums", "streams"])
def test_a_file_that_never_comes_is_not_looked_for_once_for_every_frame(cfg, path, collected, documents, caplog):
    number = 5000
    if documents == "datums":
        documents = list(area_detector_run(path.parent, "AD_HDF5", {}, number))
    else:
        documents = list(StreamRun(uri_of(path)).step_scan(number))
    with ReductionCallback(cfg, file_timeout=0.1) as diff:
        diff.subscribe(collected)
        send(diff, documents)
        begin = time.perf_counter()
        assert diff.wait(20)
        assert time.perf_counter() - begin < 3  # it took 15 s
    assert frames_add_up(collected.of("stop")[0])["reasons"] == {"file": number}
    assert caplog.text.count("root_map") == 1


@pytest.mark.parametrize("kind", ["HDF5", "TIFF", "reader"])
def test_a_folder_that_is_not_there_is_said_during_the_scan_with_what_helps(cfg, tmp_path, collected, kind, caplog):
    folder = tmp_path / "of the detector's machine"
    if kind == "reader":
        documents = list(area_detector_run(folder, "somebody's", {}, 3))
    elif kind == "TIFF":
        mimetype = "multipart/related;type=image/tiff"
        documents = list(StreamRun(uri_of(folder), mimetype, {"template": "img_{:03d}.tiff"}).step_scan(3))
    else:
        documents = list(StreamRun(uri_of(folder / "frames.h5")).step_scan(3))

    class Reader:
        def __init__(self, path, **kwargs):
            self.file = open(f"{path}frame.raw", "rb")  # noqa: SIM115

    options = {"background": False, "file_timeout": 0.1, "handler_registry": {"somebody's": Reader}}
    with ReductionCallback(cfg, **options) as diff:
        diff.subscribe(collected)
        send(diff, documents[:-1])
        (said,) = [record.getMessage() for record in caplog.records if "root_map" in record.getMessage()]
        assert "seq_num 1" in said
        assert str(folder) in said
        assert "neither is its folder" in said
        send(diff, documents[-1:])
        assert diff.wait(20)
    assert frames_add_up(collected.of("stop")[0])["reasons"] == {"file": 3}
    assert caplog.text.count("root_map") == 1


def test_a_file_that_is_missing_in_its_folder_is_said_with_what_helps_when_it_was_waited_for(
    cfg, tmp_path, collected, caplog
):
    caplog.set_level("INFO")
    mimetype = "multipart/related;type=image/tiff"
    documents = list(StreamRun(uri_of(tmp_path), mimetype, {"template": "img_{:03d}.tiff"}).step_scan(3))
    with ReductionCallback(cfg, background=False, file_timeout=0.1) as diff:
        diff.subscribe(collected)
        send(diff, documents[:-1])
        assert f"{tmp_path / 'img_000.tiff'} is not there yet; it is waited for" in caplog.text
        assert "root_map" not in caplog.text
        send(diff, documents[-1:])
        assert diff.wait(20)
    said = [record.getMessage() for record in caplog.records if "root_map" in record.getMessage()]
    assert len(said) == 1
    assert f"{tmp_path / 'img_000.tiff'} is not there; if its files lie in another folder" in said[0]


BAD_FILES = {
    "another shape": lambda path: write_hdf5(path, np.ones((2, 7, 9), np.uint16)),
    "complex numbers": lambda path: write_hdf5(path, np.ones((2, *SHAPE), complex)),
    "no image": lambda path: write_hdf5(path, np.arange(5)),
    "petabytes": lambda path: h5py.File(path, "w").create_dataset(
        DATASET, (2, 10**8, 10**8), np.uint16, chunks=(1, 100, 100)
    ).file.close(),
    "not HDF5": lambda path: path.write_bytes(b"not HDF5" * 1000),
    "half": lambda path: (write_hdf5(path, images(2)), path.write_bytes(path.read_bytes()[:500])),
    "a folder": lambda path: path.mkdir(),
    "nothing": lambda path: None,
}  # fmt: skip


@pytest.mark.parametrize("make", BAD_FILES.values(), ids=BAD_FILES)
def test_after_a_bad_file_the_next_good_frame_is_reduced(cfg, path, tmp_path, make):
    make(tmp_path / "bad.h5")
    write_hdf5(path, images(2))
    bad, good = StreamRun(uri_of(tmp_path / "bad.h5")), StreamRun(uri_of(path))
    collected = reduce(cfg, [*bad.step_scan(2), *good.step_scan(2)], file_timeout=0.3)
    frames = {doc["run_start"]: frames_add_up(doc) for doc in collected.of("stop")}
    by_run = {doc["raw_uid"]: frames[doc["uid"]] for doc in collected.of("start")}
    refused, reduced = (by_run[run.run.start_doc["uid"]] for run in (bad, good))
    assert (refused["received"], refused["skipped"]) == (2, 2)
    assert reduced["reduced"] == 2
    np.testing.assert_array_equal(curves(collected), reference(cfg, images(2)))


@pytest.mark.parametrize("wrong", [{"root_map": ["/there"]}, {"roots": "/data"}], ids=str)
def test_folders_that_are_none_are_refused_when_they_are_given(cfg, wrong):
    with pytest.raises(TypeError, match=next(iter(wrong))):
        ReductionCallback(cfg, **wrong)


def test_stitched_modules_of_a_live_run_are_never_zeros(cfg, path, collected):
    """Two modules with a file each, the second of which is written later, with two frames in a chunk."""
    half = SHAPE[0] // 2
    layout = h5py.VirtualLayout((4, *SHAPE), np.uint16)
    for number in range(2):
        rows = slice(number * half, (number + 1) * half)
        layout[:, rows] = h5py.VirtualSource(f"module_{number}.h5", "d", (4, half, SHAPE[1]))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset(DATASET, layout)
    frames = np.stack(images(4)).astype(np.uint16)

    def write(number, upto):
        with h5py.File(path.parent / f"module_{number}.h5", "w") as file:
            data = file.create_dataset("d", (4, half, SHAPE[1]), np.uint16, chunks=(2, half, SHAPE[1]))
            data[:upto] = frames[:upto, number * half : (number + 1) * half]

    write(0, 4)
    with ReductionCallback(cfg) as diff:
        diff.subscribe(collected)
        write(1, 3)  # the fourth is zeros in the file
        send(diff, StreamRun(uri_of(path)).step_scan(4))
        deadline = time.monotonic() + 10
        while len(collected.of("event")) < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.3)
        assert len(collected.of("event")) == 3
        write(1, 4)
        assert diff.wait(20)
    assert frames_add_up(collected.of("stop")[0])["reduced"] == 4
    np.testing.assert_array_equal(curves(collected), reference(cfg, frames))


def test_no_more_images_wait_for_their_files_than_may(cfg, path, collected, monkeypatch):
    monkeypatch.setattr(one_run, "MOST_PARKED", 5)
    run = StreamRun(uri_of(path))
    *documents, stop = run.step_scan(8)
    with ReductionCallback(cfg) as diff:
        diff.subscribe(collected)
        send(diff, documents)
        deadline = time.monotonic() + 10
        while diff._turns._worker.busy and time.monotonic() < deadline:
            time.sleep(0.02)
        write_hdf5(path, images(8))
        diff(*stop)
        assert diff.wait(20)
    frames = frames_add_up(collected.of("stop")[0])
    assert (frames["reduced"], frames["dropped"]) == (5, 3)
