"""By what a file is known again."""

from __future__ import annotations

import os
import time
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from bluesky_diffractogram.files import FileSequence, HDF5Frames, file_state, joined_states
from bluesky_diffractogram.files import state as state_module
from bluesky_diffractogram.files.state import TICK_S, WHOLE_SECONDS_S


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"0123")
    time.sleep(2 * TICK_S)
    return path


def test_a_file_that_nobody_touches_stays_the_same(path, monkeypatch):
    state = file_state(str(path))
    assert state is not None
    path.read_bytes()
    assert file_state(str(path)) == state
    monkeypatch.chdir(path.parent)
    assert file_state(path.name) == state


@pytest.mark.parametrize("content", [b"4567", b"01234"])
def test_what_is_written_again_is_another_even_with_its_old_time(path, content):
    state, before = file_state(str(path)), path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    time.sleep(2 * TICK_S)
    assert file_state(str(path)) not in (None, state)


def test_a_file_of_just_now_may_be_written_again_unseen(path):
    path.write_bytes(b"4567")
    assert file_state(str(path)) is None


def test_where_times_are_whole_seconds_it_takes_longer(path, monkeypatch):
    os.utime(path, (time.time() // 1 - 10, time.time() // 1 - 10))
    assert file_state(str(path)) is None  # its entry was changed just now
    now = time.time()
    monkeypatch.setattr(state_module, "time", SimpleNamespace(time=lambda: now + WHOLE_SECONDS_S + 0.1))
    assert file_state(str(path)) is not None


@pytest.mark.parametrize("name", ["nowhere", "", "a\0b"])
def test_what_is_no_file_has_no_state(tmp_path, name):
    assert file_state(str(tmp_path / name)) is None


def test_of_several_all_have_to_be_known():
    assert joined_states() == ""
    assert joined_states("a", "b") != joined_states("b", "a")
    assert joined_states("a", None) is None


def test_frames_of_an_hdf5_file(tmp_path):
    path = tmp_path / "f.h5"
    with h5py.File(path, "w") as file:
        file["data"] = np.arange(24).reshape(2, 3, 4)
        with HDF5Frames.open(path, "data") as frames:
            assert frames.state(0) is None  # it is open for writing in this process
    time.sleep(2 * TICK_S)
    with HDF5Frames.open(path, "data") as frames:
        states = [frames.state(n) for n in range(3)]
        assert states[2] is None
        assert states[0] not in (None, states[1])
        assert [frames.state(n) for n in range(2)] == states[:2]
        with h5py.File(path, "r+") as file:
            file["data"][1] = 0
        time.sleep(2 * TICK_S)
        assert frames.state(0) not in (None, states[0])


def test_a_frame_in_a_file_of_its_own(tmp_path):
    np.save(tmp_path / "img_3.npy", np.ones((3, 4)))
    time.sleep(2 * TICK_S)
    frames = FileSequence(str(tmp_path), "img_{:d}.npy")
    assert frames.state(3) == file_state(str(tmp_path / "img_3.npy")) is not None
    assert frames.state(4) is None
    assert FileSequence(str(tmp_path), "{:d}{").state(3) is None
