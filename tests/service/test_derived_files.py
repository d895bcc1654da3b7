"""What is in the folder of a derived run, whatever was there before and whoever else writes."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from importlib import import_module
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from documents.conftest import image, raw_run
from PIL import Image
from ponis import write_poni

from bluesky_diffractogram.replay import replay
from bluesky_diffractogram.service import column_files
from bluesky_diffractogram.service.derived_files import DerivedFiles
from bluesky_diffractogram.service.folder_lock import LOCK, FolderBusy, FolderLock
from bluesky_diffractogram.service.run_folders import RunFolders

Documents = list[tuple[str, dict[str, Any]]]

RANGES = [[10, 60, 4, 16], [-5, 40, 5, 15]]


@pytest.fixture(scope="module")
def cfg(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    poni = write_poni(tmp_path_factory.mktemp("poni") / "a.poni", shape=(120, 130), pixel=(6e-4, 5e-4))
    return {"calibration": str(poni), "npt": 60, "diff_units": "q [1/A]", "peaks": False}


@pytest.fixture(scope="module")
def raw() -> list[Documents]:
    """Two raw runs, of two frames and of one."""
    return [list(raw_run([image(i) for i in range(n)], metadata={"scan_id": n})) for n in (2, 1)]


@pytest.fixture(scope="module")
def two_ranges(raw: list[Documents], cfg: dict[str, Any]) -> list[Documents]:
    """What is derived of them."""
    return [list(replay(run, {**cfg, "diff_ranges": RANGES})) for run in raw]


@pytest.fixture(scope="module")
def one_range(raw: list[Documents], cfg: dict[str, Any]) -> Documents:
    """What is derived of the first with other settings."""
    return list(replay(raw[0], {**cfg, "diff_ranges": RANGES[:1], "diff_units": "r [mm]"}))


def write(files: DerivedFiles, documents: Documents) -> DerivedFiles:
    for pair in documents:
        files(*pair)
    files.finish()
    return files


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


FRAMES = ("scan2_00001", "scan2_00002")


def test_nothing_of_an_earlier_run_is_left_and_what_is_a_users_own_stays(
    two_ranges: list[Documents], one_range: Documents, tmp_path: Path
) -> None:
    write(DerivedFiles(tmp_path, formats=("xy", "chi", "fxye", "nexus", "png")), two_ranges[0])
    columns = {f"{frame}_range{i}.{suffix}" for frame in FRAMES for i in (1, 2) for suffix in ("xy", "chi", "fxye")}
    assert names(tmp_path) == columns | {"diffractogram.nxs", "diffractograms.png", "derived.jsonl"}
    own = {"notes.txt", "scan2_00001_range1.gpx", "scan2_range.xy", "diffractogram_old.nxs", "background_range1_.xy"}
    for name in own:
        (tmp_path / name).write_text("mine")
    (tmp_path / "diffractogram_2.nxs").write_text("of an earlier run whose frames changed their shape")
    (tmp_path / "derived-0123abcd.part").write_text("of a run that was interrupted")
    (tmp_path / f".{'0' * 32}.part").write_text("of one that was killed while it wrote a file")
    write(DerivedFiles(tmp_path, formats=("xy",)), one_range)
    assert names(tmp_path) == {f"{frame}_range1.xy" for frame in FRAMES} | {"derived.jsonl"} | own
    assert "# unit: r_mm" in (tmp_path / "scan2_00001_range1.xy").read_text()
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_another_format_of_the_same_numbers_leaves_those_that_are_there(
    raw: list[Documents], two_ranges: list[Documents], cfg: dict[str, Any], tmp_path: Path
) -> None:
    """They are deleted where frames, settings or the calibration have changed since."""
    write(DerivedFiles(tmp_path, formats=("xy", "png")), two_ranges[0])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name != "derived.jsonl"}
    again = list(replay(raw[0], {**cfg, "diff_ranges": RANGES}))
    write(DerivedFiles(tmp_path, formats=("nexus",)), again)
    there = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert before.items() <= there.items()
    assert there.keys() - before.keys() == {"derived.jsonl", "diffractogram.nxs"}
    other_counts = [(name, {**doc, "data": {**doc["data"], "diff_1": doc["data"]["diff_1"] + 1}})
                    if name == "event" and doc["seq_num"] == 2 else (name, doc) for name, doc in again]  # fmt: skip
    write(DerivedFiles(tmp_path, formats=("nexus",)), other_counts)
    assert names(tmp_path) == {"derived.jsonl", "diffractogram.nxs"}


def test_files_of_other_settings_do_not_outlive_documents_of_which_no_file_can_be_made(
    two_ranges: list[Documents], one_range: Documents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(DerivedFiles(tmp_path, formats=("xy",)), two_ranges[0])

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(import_module("bluesky_diffractogram.replay.nexus"), "to_nexus", full)
    files = DerivedFiles(tmp_path, formats=("nexus",))
    with pytest.raises(OSError, match="No space left"):
        write(files, one_range)
    files.close()
    assert names(tmp_path) == {"derived.jsonl"}


def test_in_a_shared_folder_the_files_of_other_frames_stay(
    two_ranges: list[Documents], one_range: Documents, tmp_path: Path
) -> None:
    """As where ``integrate`` is called for one file after the other."""
    write(DerivedFiles(tmp_path, formats=("xy",), shared=True), two_ranges[1])
    write(DerivedFiles(tmp_path, formats=("xy",), shared=True), two_ranges[0])
    others = {"scan1_00001_range1.xy", "scan1_00001_range2.xy"}
    assert names(tmp_path) == {f"{frame}_range{i}.xy" for frame in FRAMES for i in (1, 2)} | others | {"derived.jsonl"}
    write(DerivedFiles(tmp_path, formats=("chi",), shared=True), one_range[:0])  # nothing came
    write(DerivedFiles(tmp_path, formats=("xy",), shared=True), one_range)
    assert names(tmp_path) == {f"{frame}_range1.xy" for frame in FRAMES} | others | {"derived.jsonl"}


def test_what_cannot_be_finished_leaves_what_was_there(two_ranges: list[Documents], tmp_path: Path) -> None:
    write(DerivedFiles(tmp_path, formats=("xy",)), two_ranges[0])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    start, stop = two_ranges[0][0], two_ranges[0][-1]
    nothing = {**stop[1], "frames": {**stop[1]["frames"], "reduced": 0, "skipped": 2}}
    write(DerivedFiles(tmp_path, formats=("xy", "png")), [start, ("stop", nothing)])
    write(DerivedFiles(tmp_path), [])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    interrupted = DerivedFiles(tmp_path, formats=())
    for pair in two_ranges[0][:3]:
        interrupted(*pair)
    interrupted.close()
    assert [path.name.partition("-")[0] for path in tmp_path.glob("*.part")] == ["derived"]
    assert before.items() <= {path.name: path.read_bytes() for path in tmp_path.iterdir()}.items()


def test_nothing_written_leaves_no_folder(tmp_path: Path) -> None:
    write(DerivedFiles(tmp_path / "new"), [])
    assert not (tmp_path / "new").exists()


def test_files_are_readable_by_whom_the_umask_says(two_ranges: list[Documents], tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write(DerivedFiles(tmp_path, formats=("xy", "nexus", "png")), two_ranges[1])
    finally:
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o640}


def test_files_are_whole_and_what_they_say(two_ranges: list[Documents], tmp_path: Path) -> None:
    write(DerivedFiles(tmp_path, formats=("nexus", "png")), two_ranges[0])
    with h5py.File(tmp_path / "diffractogram.nxs") as file:
        assert file.attrs["file_name"] == "diffractogram.nxs"
        expected = [doc["data"]["diff_1"][1] for name, doc in two_ranges[0] if name == "event"]
        np.testing.assert_array_equal(file["entry/range_1/I"][()], expected)
    with Image.open(tmp_path / "diffractograms.png") as picture:
        picture.load()
        assert picture.format == "PNG"


# -- two commands at once -----------------------------------------------------------------------------------------


def test_one_folder_is_written_by_one_command_at_a_time(two_ranges: list[Documents], tmp_path: Path) -> None:
    first = DerivedFiles(tmp_path, formats=("xy",))
    first(*two_ranges[0][0])
    with pytest.raises(FolderBusy, match=f"another command is writing to {tmp_path}"):
        DerivedFiles(tmp_path)
    for pair in two_ranges[0][1:]:
        first(*pair)
    first.finish()
    assert LOCK not in names(tmp_path)
    write(DerivedFiles(tmp_path, formats=("xy",)), two_ranges[0])


def test_a_lock_is_let_go_of_once(tmp_path: Path) -> None:
    first = FolderLock(tmp_path)
    first.release()
    second = FolderLock(tmp_path)
    first.release()
    with pytest.raises(FolderBusy):
        FolderLock(tmp_path)
    second.release()


def test_where_the_file_system_has_no_locks_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("bluesky_diffractogram.service.folder_lock.FileLock.acquire", refuse)
    FolderLock(tmp_path).release()
    monkeypatch.undo()
    FolderLock(tmp_path).release()


def test_a_folder_that_another_command_writes_to_costs_its_run_only(
    two_ranges: list[Documents], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = two_ranges
    folders, others = RunFolders(tmp_path, formats=["xy"]), RunFolders(tmp_path, formats=["xy"])
    assert all(folders(*pair) for pair in first[:3])
    stored = [[others(*pair) for pair in documents] for documents in (first, second)]
    assert not any(stored[0])
    assert all(stored[1])
    raw_uid = first[0][1]["raw_uid"]
    assert caplog.text.count(f"derived run of raw run {raw_uid} cannot be written to {tmp_path / raw_uid[:8]}: ") == 1
    assert "another command is writing" in caplog.text
    assert all(folders(*pair) for pair in first[3:])
    assert len(list(tmp_path.glob("*/derived.jsonl"))) == 2


# -- disks --------------------------------------------------------------------------------------------------------


def interleaved(first: Documents, second: Documents) -> Documents:
    return [*first[:3], *second[:2], *first[3:], *second[2:]]


def test_a_folder_that_vanishes_ends_its_run_only(
    two_ranges: list[Documents], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folders = RunFolders(tmp_path, formats=["xy", "nexus"])
    first, second = two_ranges
    folder = folders.folder(first[0][1]["raw_uid"])
    for n, pair in enumerate(interleaved(first, second)):
        folders(*pair)
        if n == 2:
            shutil.rmtree(folder)
    assert not folder.exists()
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 1
    assert f"cannot be written to {folder}: [Errno 2]" in caplog.text
    assert len(list(tmp_path.glob("*/derived.jsonl"))) == 1


def test_a_full_disk_ends_its_run_only_and_what_there_is_of_it_can_be_gone_on_with(
    two_ranges: list[Documents], tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = RunFolders(tmp_path, formats=["xy"])
    first, second = two_ranges
    folder = folders.folder(first[0][1]["raw_uid"])

    def full(path: Path, text: str, write_text: Any = column_files.write_text) -> None:
        if path.name.startswith(FRAMES[1]):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        write_text(path, text)

    monkeypatch.setattr(column_files, "write_text", full)
    told = [folders(*pair) for pair in interleaved(first, second)]
    assert told == [True] * 5 + [False] * 2 + [True] * 2
    assert f"cannot be written to {folder}: [Errno {errno.ENOSPC}] No space left on device" in caplog.text
    assert not (folder / "derived.jsonl").exists()
    assert folders.earlier(first[0][1]["raw_uid"]) == list(folder.glob("derived-*.part"))
    monkeypatch.undo()
    again = RunFolders(tmp_path, formats=["xy"])
    assert all(again(*pair) for pair in first)
    assert names(folder) == {f"{frame}_range{i}.xy" for frame in FRAMES for i in (1, 2)} | {"derived.jsonl"}
