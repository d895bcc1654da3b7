"""Files that are not what they seem: blank, replaced, endless, circular, or leading elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from bluesky_diffractogram.files import FileSequence, HDF5Frames, NotReadable, Paths, Unreadable, hdf5_written

STACK = np.random.default_rng(1).poisson(3, (6, 61, 43)).astype(np.uint16)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "frames.h5"


def write(path, stack=STACK, dataset="d", **settings):
    with h5py.File(path, "w") as file:
        file.create_dataset(dataset, data=stack, **settings)


PARTLY = """
    import sys, h5py, numpy as np
    with h5py.File(sys.argv[1], "w", libver="latest") as file:
        data = file.create_dataset("d", (6, 61, 43), np.uint16, chunks=(3, 61, 43))
        file.swmr_mode = True
        for line in sys.stdin:
            data[int(line)] = 0 if line.strip() == "1" else int(line) + 7
            data.flush()
            print("written", flush=True)
"""


def test_a_frame_in_a_chunk_of_several_is_waited_for_while_its_chunk_is_partly_written(path):
    """areaDetector's NumFramesChunks and NumFramesFlush: HDF5 has the chunk, and zeros for what is still to come."""
    command = [sys.executable, "-c", textwrap.dedent(PARTLY), str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:

        def put(index):
            writer.stdin.write(f"{index}\n")
            writer.stdin.flush()
            assert writer.stdout.readline() == "written\n"

        put(0)
        with HDF5Frames.open(path, "d") as frames:
            assert frames.read(0)[0, 0] == 7
            for index in (1, 2):
                with pytest.raises(NotReadable, match="nothing yet"):
                    frames.read(index)
            put(1)  # a frame that is all zeros: nothing tells so far
            with pytest.raises(NotReadable):
                frames.read(1)
            put(2)
            assert not frames.read(1).any()  # the one behind it is there
            assert frames.read(2)[0, 0] == 9
        writer.stdin.close()


def test_what_a_swmr_writer_has_not_flushed_is_no_zeros_however_long_it_takes(path, monkeypatch):
    """Exposures of minutes, with a flush after every third: the file is at rest between them, and not finished."""
    monkeypatch.setattr(hdf5_written, "SETTLED_S", -1.0)
    monkeypatch.setattr(hdf5_written, "OLD_S", -1.0)
    command = [sys.executable, "-c", textwrap.dedent(PARTLY), str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        writer.stdin.write("0\n")
        writer.stdin.flush()
        assert writer.stdout.readline() == "written\n"
        with HDF5Frames.open(path, "d") as frames:
            for _ in range(3):
                with pytest.raises(NotReadable):
                    frames.read(1)
            writer.stdin.close()
            assert writer.wait(20) == 0
            assert not frames.read(1).any()  # the writer has left it so
            assert frames.read(0)[0, 0] == 7


@pytest.mark.parametrize("clock", ["of this machine", "of the file server"])
@pytest.mark.parametrize("layout", ["contiguous", "early", "several in a chunk"])
def test_a_last_frame_of_zeros_is_one_when_the_file_has_come_to_rest(path, layout, clock, monkeypatch):
    with h5py.File(path, "w") as file:
        if layout == "early":
            filters = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            filters.set_chunk((1, 61, 43))
            filters.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
            space = h5py.h5s.create_simple((2, 61, 43))
            data = h5py.Dataset(h5py.h5d.create(file.id, b"d", h5py.h5t.NATIVE_UINT16, space, filters))
        else:
            data = file.create_dataset(
                "d", (2, 61, 43), np.uint16, chunks=None if layout == "contiguous" else (2, 61, 43)
            )
        data[0] = STACK[0]
    with HDF5Frames.open(path, "d") as frames:
        np.testing.assert_array_equal(frames.read(0), STACK[0])
        with pytest.raises(NotReadable):
            frames.read(1)
        rests = 2 * hdf5_written.SETTLED_S
        if clock == "of this machine":
            now = time.monotonic()
            later = SimpleNamespace(monotonic=lambda: now + rests, time=time.time)  # for this module alone
            monkeypatch.setattr(hdf5_written, "time", later)
        else:  # which may be slow by so much
            os.utime(path, (time.time() - rests,) * 2)
            with pytest.raises(NotReadable):
                frames.read(1)
            long_ago = time.time() - 2 * hdf5_written.OLD_S
            os.utime(path, (long_ago, long_ago))
        assert not frames.read(1).any()


@pytest.mark.parametrize("writer", ["closed", "SWMR"])
@pytest.mark.parametrize("userblock", [0, 1024])
def test_half_a_file_stops_nobody(path, userblock, writer):
    """Opened for SWMR, HDF5 would wait for the rest of one that is being copied, with the lock on all of Python."""
    with h5py.File(path, "w", libver="latest", userblock_size=userblock) as file:
        file["d"] = STACK
        if writer == "SWMR":
            file.swmr_mode = True
            flagged = path.read_bytes()
    whole = path.read_bytes()
    path.write_bytes((flagged if writer == "SWMR" else whole)[: userblock + 100])
    reading = "Frames.open(sys.argv[1], 'd').read(0)"
    program = f"""
        import sys
        from bluesky_diffractogram.files import HDF5Frames as Frames, NotReadable
        try:
            {reading}
        except NotReadable:
            print("waits", flush=True)
        sys.stdin.readline()
        print({reading}.sum())
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader:
        killer = threading.Timer(30, reader.kill)
        killer.start()
        assert reader.stdout.readline() == "waits\n"
        path.write_bytes(whole)
        assert int(reader.communicate("\n")[0]) == STACK[0].sum()
        killer.cancel()


@pytest.mark.parametrize("userblock", [0, 1024])
def test_a_swmr_writers_file_is_read_whatever_stands_before_it(path, userblock):
    program = """
        import sys, h5py
        with h5py.File(sys.argv[1], "w", libver="latest", userblock_size=int(sys.argv[2])) as file:
            data = file.create_dataset("d", (1, 61, 43), "u2", chunks=(1, 61, 43))
            file.swmr_mode = True
            data[0] = 7
            data.flush()
            print("written", flush=True)
            sys.stdin.readline()
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(path), str(userblock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout.readline() == "written\n"
        with HDF5Frames.open(path, "d") as frames:
            assert (frames.read(0) == 7).all()
            assert frames._file.swmr
        writer.communicate("\n")


def test_external_storage_that_is_shorter_than_declared(path, tmp_path):
    raw = tmp_path / "raw"
    STACK[:2].tofile(raw)
    with h5py.File(path, "w") as file:
        file.create_dataset("d", STACK.shape, np.uint16, external=[(str(raw), 0, STACK.nbytes)])
    with HDF5Frames.open(path, "d") as frames:
        np.testing.assert_array_equal(frames.read(1), STACK[1])
        with pytest.raises(NotReadable):
            frames.read(2)


@pytest.mark.parametrize("source_dimensions", [4, 3])
def test_a_virtual_data_set_of_four_dimensions(path, tmp_path, source_dimensions):
    source = tmp_path / "source.h5"
    shape = (2, 3, 61, 43) if source_dimensions == 4 else (6, 61, 43)
    with h5py.File(source, "w") as file:
        data = file.create_dataset("d", shape, np.uint16, chunks=(*(1,) * (len(shape) - 2), 61, 43))
        for i in (0, 1, 4):
            data[np.unravel_index(i, shape[:-2])] = STACK[i]
    layout = h5py.VirtualLayout((2, 3, 61, 43), np.uint16)
    if source_dimensions == 4:
        layout[:] = h5py.VirtualSource(source, "d", shape)
    else:
        layout[0], layout[1] = (h5py.VirtualSource(source, "d", shape)[3 * k : 3 * k + 3] for k in range(2))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("d", layout)
    with HDF5Frames.open(path, "d") as frames:
        for i in range(6):
            if i in (0, 1, 4):
                np.testing.assert_array_equal(frames.read(i), STACK[i])
            else:
                with pytest.raises(NotReadable):
                    frames.read(i)


def test_a_virtual_data_set_over_rows_of_images(path, tmp_path):
    write(tmp_path / "source.h5", STACK[0])
    layout = h5py.VirtualLayout((2, 30, 43), np.uint16)
    for k in range(2):
        layout[k] = h5py.VirtualSource(tmp_path / "source.h5", "d", (61, 43))[30 * k : 30 * k + 30]
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("d", layout)
    with HDF5Frames.open(path, "d") as frames:
        np.testing.assert_array_equal(frames.read(1), STACK[0][30:60])


@pytest.mark.parametrize("how", ["removed", "renamed over", "in place"])
def test_a_file_that_is_replaced_under_its_name(path, tmp_path, how):
    write(path, STACK, chunks=(1, 61, 43))
    with HDF5Frames.open(path, "d") as frames:
        np.testing.assert_array_equal(frames.read(3), STACK[3])
        new = tmp_path / "new.h5" if how == "renamed over" else path
        if how == "removed":
            path.unlink()
        if how == "in place":
            program = "import h5py, sys, numpy; h5py.File(sys.argv[1], 'w')['d'] = numpy.full((2, 61, 43), 20, 'u2')"
            subprocess.run([sys.executable, "-c", program, str(path)], check=True)
        else:
            write(new, np.full((2, 61, 43), 20, np.uint16), chunks=(1, 61, 43))
            os.replace(new, path)
        assert (frames.read(1) == 20).all()
        with pytest.raises(NotReadable):
            frames.read(3)


def test_what_is_no_file_is_not_opened(tmp_path):
    """To open a FIFO would stop every thread of the process for ever."""
    fifo = tmp_path / "fifo.h5"
    os.mkfifo(fifo)
    with HDF5Frames.open(fifo, "d") as frames, pytest.raises(Unreadable, match="no file"):
        frames.read(0)
    os.mkfifo(tmp_path / "0.tif")
    with pytest.raises(Unreadable, match="no file"):
        FileSequence(str(tmp_path), "{}.tif").read(0)


def test_after_closing_nothing_is_opened_again(path, tmp_path):
    layout = h5py.VirtualLayout(STACK.shape, np.uint16)
    layout[:] = h5py.VirtualSource(tmp_path / "source.h5", "d", STACK.shape)
    write(tmp_path / "source.h5")
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("d", layout)
    frames = HDF5Frames.open(path, "d")
    frames.read(0)
    frames.close()
    with pytest.raises(NotReadable, match="closed"):
        frames.read(1)
    assert not [key for key in HDF5Frames._shared if str(tmp_path) in key[0]]


def test_two_virtual_data_sets_that_name_each_other_hold_nobody_up(tmp_path):
    for name, other in ("ab", "ba"):
        layout = h5py.VirtualLayout(STACK.shape, np.uint16)
        layout[:] = h5py.VirtualSource(tmp_path / f"{other}.h5", "d", STACK.shape)
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file.create_virtual_dataset("d", layout)
    refused = []

    def read(name):
        for _ in range(20):
            with HDF5Frames.open(tmp_path / f"{name}.h5", "d") as frames:
                try:
                    frames.read(0)
                except (NotReadable, Unreadable):
                    refused.append(name)

    threads = [threading.Thread(target=read, args=(name,), daemon=True) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(refused) == 40


def test_sizes_are_looked_at_before_anything_is_read(path, tmp_path):
    with h5py.File(path, "w") as file:
        file.create_dataset("d", (1, 100, 100), np.uint8, chunks=(1, 100, 100), maxshape=(None, None, None))
        file.create_dataset("chunk", (1, 100, 100), np.uint8, chunks=(300_000, 100, 100), maxshape=(None, 100, 100))
        file.create_dataset("pixels", (1, 300, 300), np.uint8, chunks=(1, 1, 1))[0, 0, 0] = 1
    for dataset, message in (("chunk", "more than"), ("pixels", "cut into 90000")):
        with HDF5Frames.open(path, dataset) as frames, pytest.raises(Unreadable, match=message):
            frames.read(0)
    with open(tmp_path / "0.npy", "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": (20000, 20000)})
        file.truncate(20000 * 20000 * 8 + 200)
    with pytest.raises(Unreadable, match="more than"):
        FileSequence(str(tmp_path), "{}.npy").read(0)


@pytest.mark.parametrize(
    "template", ["{:>999999999}", "{0.__class__}", "%s.tif", "a.tif", "{}{}.tif", "%999d.tif", "{:500d}", ""]
)
def test_templates_are_numbers_in_names_and_nothing_else(template):
    with pytest.raises(Unreadable, match="template"):
        FileSequence("/tmp", template).path(0)


@pytest.mark.parametrize(
    "template", ["img_{:06d}.tif", "img_{}.tif", "img_%06d.tif", "img_%6.6d.tif", "100%%_%d.tif", "{0:03d}.tif"]
)
def test_templates_of_detectors(template):
    expected = template % 7 if "%" in template else template.format(7)
    assert FileSequence("/tmp", template).path(7) == f"/tmp/{expected}"


def test_a_twelve_bit_type_is_converted_as_hdf5_does(path):
    kind = h5py.h5t.STD_U16LE.copy()
    kind.set_precision(12)
    kind.set_offset(4)
    with h5py.File(path, "w") as file:
        filters = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        filters.set_chunk((1, 61, 43))
        space = h5py.h5s.create_simple(STACK.shape)
        h5py.Dataset(h5py.h5d.create(file.id, b"d", kind, space, filters))[...] = STACK
    with HDF5Frames.open(path, "d") as frames:
        np.testing.assert_array_equal(frames.read(2), STACK[2])


def test_more_frames_than_numpy_can_count(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("d", (2**31, 2**31, 2**31, 20, 30), np.uint16, chunks=(1, 1, 1, 20, 30))
    with HDF5Frames.open(path, "d") as frames:
        for index in (0, 2**31 + 2, 2**93, 2**94):
            with pytest.raises(NotReadable):
                frames.read(index)


def test_there_is_no_frame_before_the_first(path):
    write(path, STACK[0])
    with HDF5Frames.open(path, "d") as frames, pytest.raises(Unreadable):
        frames.read(-1)


class TestRoots:
    """Nothing outside may be read by whatever way."""

    @pytest.fixture
    def inside(self, tmp_path):
        folder = tmp_path / "in"
        folder.mkdir()
        (tmp_path / "out").mkdir()
        write(tmp_path / "out" / "secret.h5")
        return folder

    @pytest.fixture
    def paths(self, inside):
        return Paths(roots=[str(inside)])

    def test_a_link_that_is_made_after_the_file_was_asked_for(self, inside, paths):
        frames = HDF5Frames.open(paths.resolve(str(inside / "late.h5")), "d")
        with pytest.raises(NotReadable):
            frames.read(0, paths)
        (inside / "late.h5").symlink_to(inside.parent / "out" / "secret.h5")
        with pytest.raises(Unreadable, match="outside"):
            frames.read(0, paths)
        frames.close()

    def test_numbered_sources_of_a_virtual_data_set(self, inside, paths):
        (inside / "0.h5").symlink_to(inside.parent / "out" / "secret.h5")
        end = h5py.h5s.UNLIMITED
        here = h5py.h5s.create_simple(STACK.shape, (end, 61, 43))
        blocks, there = here.copy(), h5py.h5s.create_simple(STACK.shape)
        blocks.select_hyperslab((0, 0, 0), (end, 1, 1), (6, 1, 1), (6, 61, 43))
        there.select_hyperslab((0, 0, 0), (1, 1, 1), None, STACK.shape)
        filters = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        filters.set_virtual(blocks, b"%b.h5", b"d", there)
        with h5py.File(inside / "v.h5", "w") as file:
            h5py.h5d.create(file.id, b"d", h5py.h5t.NATIVE_UINT16, here, filters)
        with HDF5Frames.open(inside / "v.h5", "d") as frames, pytest.raises(Unreadable, match="cannot be checked"):
            frames.read(0, paths)

    def test_an_hdf5_file_that_is_called_an_image(self, inside, paths):
        with h5py.File(inside / "0.tif", "w") as file:
            file["d"] = h5py.ExternalLink(str(inside.parent / "out" / "secret.h5"), "d")
        with pytest.raises((NotReadable, Unreadable)):
            FileSequence(str(inside), "{}.tif").read(0, paths)
        with pytest.raises((NotReadable, Unreadable)):
            FileSequence(str(inside), "{}.tif::/d").read(0, paths)

    def test_a_source_that_is_missing_does_not_keep_the_others_from_being_read(self, inside, paths):
        write(inside / "a.h5", STACK[:3])
        layout = h5py.VirtualLayout(STACK.shape, np.uint16)
        layout[:3] = h5py.VirtualSource("a.h5", "d", (3, 61, 43))
        layout[3:] = h5py.VirtualSource("b.h5", "d", (3, 61, 43))
        with h5py.File(inside / "v.h5", "w") as file:
            file.create_virtual_dataset("d", layout)
        with HDF5Frames.open(inside / "v.h5", "d") as frames:
            np.testing.assert_array_equal(frames.read(2, paths), STACK[2])
            with pytest.raises(NotReadable):
                frames.read(3, paths)

    @pytest.mark.parametrize("target", ["none/secret.h5", "secret.h5"])
    def test_a_link_to_nowhere_for_which_hdf5_would_look_elsewhere(self, inside, paths, target, monkeypatch):
        (inside / "secret.h5").symlink_to(inside.parent / "out" / "secret.h5")
        monkeypatch.chdir(inside.parent / "out")
        (inside / "links").mkdir()
        with h5py.File(inside / "links" / "a.h5", "w") as file:
            file["d"] = h5py.ExternalLink(str(inside / target) if "/" in target else target, "d")
        with HDF5Frames.open(inside / "links" / "a.h5", "d") as frames, pytest.raises((NotReadable, Unreadable)):
            frames.read(0, paths)

    @pytest.mark.parametrize("lead", ["external storage", "external link"])
    def test_a_root_map_does_not_hide_where_hdf5_itself_goes(self, inside, lead):
        """What a map says of files is not what HDF5 opens for a link or for raw data."""
        outside = inside.parent / "out"
        STACK.tofile(outside / "raw")
        STACK.tofile(inside / "raw")
        with h5py.File(inside / "a.h5", "w") as file:
            if lead == "external link":
                write(inside / "secret.h5")
                file["d"] = h5py.ExternalLink(str(outside / "secret.h5"), "d")
            else:
                file.create_dataset("d", STACK.shape, np.uint16, external=[(str(outside / "raw"), 0, STACK.nbytes)])
        paths = Paths({str(outside): str(inside)}, [str(inside)])
        with HDF5Frames.open(inside / "a.h5", "d") as frames, pytest.raises(Unreadable, match="outside"):
            frames.read(0, paths)

    def test_points_in_the_names_of_groups(self, inside, paths):
        write(inside / "a.h5", dataset="entry/data")
        with h5py.File(inside / "a.h5", "a") as file:
            file["soft"] = h5py.SoftLink("/entry/./data")
        for name in ("./entry/data", "entry/./data", "soft"):
            with HDF5Frames.open(inside / "a.h5", name) as frames:
                np.testing.assert_array_equal(frames.read(1, paths), STACK[1])
