"""Frames of virtual data sets that are stitched from modules, against HDF5's own reading when all is there."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bluesky_diffractogram.files import (
    HDF5Frames,
    NotReadable,
    Paths,
    Unreadable,
    hdf5_sources,
    hdf5_written,
    virtual,
)

MODULE = (12, 10)
FRAMES = 6


@pytest.fixture
def path(tmp_path):
    return tmp_path / "stitched.h5"


def module(number, frames=FRAMES, shape=MODULE, dtype=np.uint16):
    return np.random.default_rng(number).integers(1, 1000, (frames, *shape)).astype(dtype)


def write(path, stack, **settings):
    with h5py.File(path, "w") as file:
        file.create_dataset("d", data=stack, **settings)


def by_hdf5(path):
    with h5py.File(path, "r") as file:
        return file["d"][...]


def check_all(path):
    expected = by_hdf5(path)
    with HDF5Frames.open(path, "d") as frames:
        for index, image in enumerate(expected):
            read = frames.read(index)
            np.testing.assert_array_equal(read, image)
            assert read.dtype == image.dtype


def stitched(path, gap=3, **settings):
    """Four modules with gaps between them, each in a file of its own."""
    height, width = (2 * n + gap for n in MODULE)
    layout = h5py.VirtualLayout((FRAMES, height, width), np.uint16)
    for number in range(4):
        source = path.parent / f"module_{number}.h5"
        row, column = divmod(number, 2)
        top, left = row * (MODULE[0] + gap), column * (MODULE[1] + gap)
        layout[:, top : top + MODULE[0], left : left + MODULE[1]] = h5py.VirtualSource(
            source.name, "d", (FRAMES, *MODULE)
        )
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("d", layout, fillvalue=65535)


def test_modules_are_stitched_with_their_gaps(path):
    stitched(path)
    for number in range(4):
        write(path.parent / f"module_{number}.h5", module(number), chunks=(1, *MODULE), compression="gzip")
    assert (by_hdf5(path)[0] == 65535).sum() == 27 * 23 - 4 * 12 * 10
    check_all(path)


WRITER = """
    import sys, h5py, numpy as np
    chunks = {"several": (3, 12, 10), "one": (1, 12, 10), "contiguous": None}[sys.argv[2]]
    with h5py.File(sys.argv[1], "w", libver="latest" if chunks else None) as file:
        data = file.create_dataset("d", (6, 12, 10), np.uint16, chunks=chunks)
        if chunks is not None:
            file.swmr_mode = True
        for line in sys.stdin:
            data[int(line)] = int(line) + 1
            file.flush()
            print("written", flush=True)
"""


@pytest.mark.parametrize("chunks", ["one", "several", "contiguous"])
def test_a_module_that_is_behind_is_waited_for_and_never_zeros(path, chunks):
    stitched(path)
    for number in range(3):
        write(path.parent / f"module_{number}.h5", module(number))
    command = [sys.executable, "-c", textwrap.dedent(WRITER), str(path.parent / "module_3.h5"), chunks]
    with (
        HDF5Frames.open(path, "d") as frames,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer,
    ):
        for index in range(FRAMES):
            with pytest.raises(NotReadable):
                frames.read(index)
            with pytest.raises(NotReadable):
                frames.read(FRAMES - 1)
            writer.stdin.write(f"{index}\n")
            writer.stdin.flush()
            assert writer.stdout.readline() == "written\n"
            image = frames.read(index)
            assert (image[15:, 13:] == index + 1).all()
            np.testing.assert_array_equal(image[:12, 13:], module(1)[index])
        writer.stdin.close()


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_whatever_is_taken_of_a_source_is_what_hdf5_takes(tmp_path_factory, data):
    """Blocks with steps between them, of rows, columns and frames, into others."""
    folder = tmp_path_factory.mktemp("steps")
    frames, height, width = 3, 7, 6
    source = module(1, frames=12, shape=(15, 13))
    write(folder / "source.h5", source)

    def slab(n, room):
        step = data.draw(st.integers(1, (room - 1) // n if n > 1 else 1))
        start = data.draw(st.integers(0, room - (n - 1) * step - 1))
        return slice(start, start + (n - 1) * step + 1, step)

    taken = tuple(slab(n, room) for n, room in zip((frames, height, width), source.shape, strict=True))
    shape = (9, 20, 18)
    into = tuple(slab(n, room) for n, room in zip((frames, height, width), shape, strict=True))
    layout = h5py.VirtualLayout(shape, np.uint16)
    layout[into] = h5py.VirtualSource(folder / "source.h5", "d", source.shape)[taken]
    path = folder / "v.h5"
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("d", layout)
    expected = by_hdf5(path)
    with HDF5Frames.open(path, "d") as read:
        for index in range(shape[0]):
            if expected[index].any():
                np.testing.assert_array_equal(read.read(index), expected[index])
            else:
                with pytest.raises(NotReadable):
                    read.read(index)


def test_what_is_not_made_up_of_frames_is_left_to_hdf5_when_it_is_at_rest(path, monkeypatch):
    source = path.parent / "source.h5"
    layout = h5py.VirtualLayout((3, *MODULE), np.uint16)
    layout[:] = h5py.VirtualSource(source.name, "d", (FRAMES, *MODULE))[[0, 1, 4]]  # no regular steps
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("d", layout)
    with HDF5Frames.open(path, "d") as frames:
        with pytest.raises(NotReadable, match="not there"):
            frames.read(1)
        write(source, module(1))
        with pytest.raises(NotReadable, match="being written"):
            frames.read(1)
        monkeypatch.setattr(hdf5_written, "SETTLED_S", -1)
        check_all(path)
        with pytest.raises(Unreadable, match="roots"):
            frames.read(1, Paths(roots=[str(path.parent)]))


def test_sources_that_were_moved_are_found_by_the_root_map(path, tmp_path):
    here = tmp_path / "here"
    here.mkdir()
    write(here / "source.h5", module(1))
    layout = h5py.VirtualLayout((FRAMES, *MODULE), np.uint16)
    layout[:] = h5py.VirtualSource("/there/source.h5", "d", (FRAMES, *MODULE))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("d", layout)
    for roots in (None, [str(tmp_path)]):
        with HDF5Frames.open(path, "d") as frames:
            np.testing.assert_array_equal(frames.read(2, Paths({"/there": str(here)}, roots)), module(1)[2])
    with HDF5Frames.open(path, "d") as frames, pytest.raises(Unreadable, match="outside"):
        frames.read(2, Paths({"/there": str(here)}, [str(here)]))


@pytest.mark.parametrize("limited", [True, False])
def test_sources_that_were_moved_together_with_their_virtual_data_set_are_found_beside_it(path, limited):
    """As HDF5 finds them."""
    layout = h5py.VirtualLayout((FRAMES, *MODULE), np.uint16)
    layout[:] = h5py.VirtualSource("/where/it/was/taken/source.h5", "d", (FRAMES, *MODULE))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("d", layout)
    paths = Paths(roots=[str(path.parent)] if limited else None)
    with HDF5Frames.open(path, "d") as frames:
        with pytest.raises(Unreadable if limited else NotReadable):
            frames.read(0, paths)
        write(path.parent / "source.h5", module(1))
        for index in range(FRAMES):
            np.testing.assert_array_equal(frames.read(index, paths), by_hdf5(path)[index])
    np.testing.assert_array_equal(by_hdf5(path), module(1))


@pytest.mark.parametrize(("dtype", "refused"), [(np.uint8, False), (np.uint32, False), (np.float32, True)])
def test_modules_of_another_type_are_converted_where_that_can_be(path, dtype, refused):
    stitched(path)
    for number in range(4):
        write(path.parent / f"module_{number}.h5", (module(number) // 4).astype(dtype))
    if refused:
        with HDF5Frames.open(path, "d") as frames, pytest.raises(Unreadable, match="float32"):
            frames.read(0)
    else:
        check_all(path)


def test_looking_a_chunk_up_does_not_go_through_all_of_them(path):
    """Which took a millisecond a frame with 30 000 chunks, and 250 with 3000 frames in 32 tiles."""
    write(path, module(1), chunks=(1, 6, 10), compression="gzip")
    with h5py.File(path, "r") as file:
        data = file["d"]

        class WithoutPlaces:
            def read_direct_chunk(self, corner):
                return data.id.read_direct_chunk(corner)

        class Seen:
            id, shape, chunks, external = WithoutPlaces(), data.shape, data.chunks, None

        assert hdf5_written.is_there(Seen(), (3,))
        with pytest.raises(AttributeError):
            hdf5_written.is_there(Seen(), (3,), end=1e9)


def test_of_thousands_of_sources_few_are_open_and_none_is_looked_for_twice(path, monkeypatch):
    number = 300
    layout = h5py.VirtualLayout((number, *MODULE), np.uint16)
    for index in range(number):
        write(path.parent / f"{index}.h5", np.full((1, *MODULE), index + 1, np.uint16))
        layout[index] = h5py.VirtualSource(f"{index}.h5", "d", (1, *MODULE))[0]
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("d", layout)
    asked = []

    def mappings(data):
        asked.append(data)
        return virtual.mappings(data)

    monkeypatch.setattr(hdf5_sources, "mappings", mappings)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(2):
        with HDF5Frames.open(path, "d") as frames:
            for index in range(number):
                assert (frames.read(index) == index + 1).all()
            assert len(os.listdir("/proc/self/fd")) - before <= hdf5_sources.MOST_OPEN + 5
    assert len(asked) == 1
