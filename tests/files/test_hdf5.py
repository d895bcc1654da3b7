"""Frames out of HDF5 files: compressed, virtual, growing, and not written yet."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time

import h5py
import hdf5plugin
import numpy as np
import pytest

from bluesky_diffractogram.files import HDF5Frames, NotReadable, Unreadable, bitshuffle_lz4, hdf5_frame_chunk

STACK = np.random.default_rng(1).poisson(3, (5, 61, 43)).astype(np.uint32)
CHUNK = (1, 61, 43)
FILTERS = {
    "none": {},
    "bitshuffle and LZ4": hdf5plugin.Bitshuffle(cname="lz4"),
    "bitshuffle and zstd": hdf5plugin.Bitshuffle(cname="zstd"),
    "bitshuffle alone": hdf5plugin.Bitshuffle(cname="none"),
    "LZ4": hdf5plugin.LZ4(),
    "zstd": hdf5plugin.Zstd(),
    "blosc": hdf5plugin.Blosc(),
    "gzip": {"compression": "gzip", "shuffle": True},
    "shuffle before bitshuffle and LZ4": {"shuffle": True, **hdf5plugin.Bitshuffle(cname="lz4")},
}
DTYPES = [np.uint8, np.uint16, np.uint32, np.int16, np.int32, np.float32, np.float64, ">u4", ">i2"]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "frames.h5"


def write(path, stack=STACK, **settings):
    with h5py.File(path, "w") as file:
        file.create_dataset("entry/data/data", data=stack, **settings)


def open_(path, dataset="/entry/data/data"):
    return HDF5Frames.open(path, dataset)


@pytest.mark.parametrize("chunks", [CHUNK, (2, 61, 43), (1, 30, 20)], ids=str)
@pytest.mark.parametrize("filters", FILTERS.values(), ids=FILTERS)
def test_every_frame_is_what_was_written(path, filters, chunks):
    write(path, chunks=chunks, **filters)
    with open_(path) as frames:
        assert len(frames) == 5
        for index in (0, 3, 4):
            np.testing.assert_array_equal(frames.read(index), STACK[index])


@pytest.mark.parametrize("dtype", DTYPES)
def test_eigers_chunks_are_decoded_past_hdf5s_filters_in_every_dtype(path, dtype, monkeypatch):
    pytest.importorskip("bitshuffle")
    stack = STACK.astype(dtype)
    write(path, stack, chunks=CHUNK, **FILTERS["bitshuffle and LZ4"])
    decoded = []
    real = hdf5_frame_chunk.decode

    def noted(chunk, shape, dtype):
        decoded.append(shape)
        return real(chunk, shape, dtype)

    monkeypatch.setattr(hdf5_frame_chunk, "decode", noted)
    with open_(path) as frames:
        frame = frames.read(2)
    assert decoded == [(61, 43)]
    assert frame.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(frame, stack[2])


def test_a_chunk_that_was_written_without_its_filter_is_read_through_hdf5(path):
    with h5py.File(path, "w") as file:
        data = file.create_dataset(
            "entry/data/data", (2, 61, 43), np.uint32, chunks=CHUNK, **FILTERS["bitshuffle and LZ4"]
        )
        data[0] = STACK[0]
        data.id.write_direct_chunk((1, 0, 0), STACK[1].tobytes(), filter_mask=1)
    with open_(path) as frames:
        np.testing.assert_array_equal(frames.read(0), STACK[0])
        np.testing.assert_array_equal(frames.read(1), STACK[1])


def test_the_decoder_leaves_half_of_the_cores_to_the_integration(path):
    pytest.importorskip("bitshuffle")
    threadpoolctl = pytest.importorskip("threadpoolctl")
    write(path, chunks=CHUNK, **FILTERS["bitshuffle and LZ4"])
    told = []

    def read():
        with open_(path) as frames:
            frames.read(0)
        for library in threadpoolctl.ThreadpoolController().lib_controllers:
            if "bitshuffle" in library.filepath:
                told.append(library.get_num_threads())

    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    assert told == [max(1, len(os.sched_getaffinity(0)) // 2)] * len(told)


def test_without_bitshuffle_h5py_decodes_the_same(path, monkeypatch):
    monkeypatch.setattr(bitshuffle_lz4, "_library", lambda: None)
    write(path, chunks=CHUNK, **FILTERS["bitshuffle and LZ4"])
    with open_(path) as frames:
        np.testing.assert_array_equal(frames.read(2), STACK[2])


@pytest.mark.parametrize("harm", ["cut", "header", "lengths", "empty", "noise"])
def test_a_damaged_chunk_is_refused(path, harm):
    """Without a look at the lengths, decompressing some of these reads behind the end of the chunk."""
    pytest.importorskip("bitshuffle")
    write(path, chunks=CHUNK, **FILTERS["bitshuffle and LZ4"])
    with h5py.File(path, "r+") as file:
        data = file["entry/data/data"]
        chunk = bytearray(data.id.read_direct_chunk((1, 0, 0))[1])
        match harm:
            case "cut":
                chunk = chunk[: len(chunk) // 2]
            case "header":
                chunk[4] ^= 1
            case "lengths":
                chunk[12:16] = b"\x7f\xff\xff\xff"
            case "empty":
                chunk = chunk[:4]
            case "noise":
                chunk[16:] = np.random.default_rng(0).bytes(len(chunk) - 16)
        data.id.write_direct_chunk((1, 0, 0), bytes(chunk))
    with open_(path) as frames:
        with pytest.raises(Unreadable, match="chunk"):
            frames.read(1)
        np.testing.assert_array_equal(frames.read(2), STACK[2])


def test_a_single_image_and_more_leading_dimensions(path):
    with h5py.File(path, "w") as file:
        file["one"] = STACK[0]
        file["four"] = STACK[:4].reshape(2, 2, 61, 43)
    with open_(path, "one") as one, open_(path, "four") as four:
        assert (len(one), len(four)) == (1, 4)
        np.testing.assert_array_equal(one.read(0), STACK[0])
        np.testing.assert_array_equal([four.read(i) for i in range(4)], STACK[:4])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda file: file.create_dataset("d", data=np.arange(5)), "expected .ny, nx"),
        (lambda file: file.create_group("d"), "no numbers"),
        (lambda file: file.create_dataset("d", data=np.ones((2, 3), complex)), "no numbers"),
        (lambda file: file.create_dataset("d", data=[["a", "b"]]), "no numbers"),
        (lambda file: file.create_dataset("d", (9, 10**8, 10**8), np.uint8, chunks=(1, 100, 100)), "more than"),
    ],
)
def test_what_holds_no_images_is_refused(path, make, message):
    with h5py.File(path, "w") as file:
        make(file)
    with open_(path, "d") as frames, pytest.raises(Unreadable, match=message):
        frames.read(0)


def test_what_is_not_there_may_come(path):
    frames = open_(path)
    with pytest.raises(NotReadable, match="not there"):
        frames.read(0)
    path.write_bytes(b"")
    with pytest.raises(NotReadable, match="cannot be opened"):
        frames.read(0)
    with h5py.File(path, "w"):
        pass
    with pytest.raises(NotReadable, match="it is not there") as missing:
        frames.read(0)
    assert "the file has" not in str(missing.value)
    with h5py.File(path, "w") as file:
        file["entry/other"] = STACK
    with pytest.raises(NotReadable, match="the file has /entry/other"):
        frames.read(0)
    write(path, STACK[:2])
    np.testing.assert_array_equal(frames.read(1), STACK[1])
    with pytest.raises(NotReadable, match="no frame 2"):
        frames.read(2)
    write(path)  # not locked by us meanwhile
    np.testing.assert_array_equal(frames.read(2), STACK[2])
    frames.close()


@pytest.mark.parametrize("filters", [{}, FILTERS["bitshuffle and LZ4"], FILTERS["gzip"]], ids=["", "bslz4", "gzip"])
@pytest.mark.parametrize("chunks", [CHUNK, (1, 30, 20)], ids=str)
def test_a_reserved_place_is_no_frame_of_zeros(path, chunks, filters):
    with h5py.File(path, "w") as file:
        data = file.create_dataset("entry/data/data", (5, 61, 43), np.uint32, chunks=chunks, **filters)
        data[1] = STACK[1]
        data[2, :30] = STACK[2, :30]  # the upper part alone: in tiles, not all are written
    with open_(path) as frames:
        np.testing.assert_array_equal(frames.read(1), STACK[1])
        with pytest.raises(NotReadable):
            frames.read(0)
        if chunks != CHUNK:
            with pytest.raises(NotReadable):
                frames.read(2)


def test_an_unwritten_contiguous_data_set_is_no_zeros(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("entry/data/data", (5, 61, 43), np.uint32)
        file.create_dataset(
            "outside", (5, 61, 43), np.uint32, external=[(str(path.parent / "raw.bin"), 0, h5py.h5f.UNLIMITED)]
        )
    with open_(path) as frames, pytest.raises(NotReadable):
        frames.read(0)
    with open_(path, "outside") as frames:
        with pytest.raises(NotReadable):
            frames.read(0)
        STACK.tofile(path.parent / "raw.bin")
        np.testing.assert_array_equal(frames.read(4), STACK[4])


def _map_numbered_files(file):
    """A data set of blocks of five frames without end, each from a file with its number; h5py has no words for it."""
    end = h5py.h5s.UNLIMITED
    here = h5py.h5s.create_simple((10, 61, 43), (end, 61, 43))
    filters = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    blocks = here.copy()
    blocks.select_hyperslab((0, 0, 0), (end, 1, 1), (5, 1, 1), (5, 61, 43))
    there = h5py.h5s.create_simple((5, 61, 43))
    there.select_hyperslab((0, 0, 0), (1, 1, 1), None, (5, 61, 43))
    filters.set_virtual(blocks, b"%b.h5", b"entry/data/data", there)
    group = file.create_group("entry/data")
    h5py.h5d.create(group.id, b"data", h5py.h5t.NATIVE_UINT32, here, filters)


@pytest.mark.parametrize("kind", ["one after the other", "in turns", "tiles", "open end", "numbered", "cropped"])
def test_a_virtual_data_set_is_read_from_its_sources_and_waits_for_them(path, kind):
    folder = path.parent
    sources = [folder / "a.h5", folder / "b.h5"]
    eiger = {"chunks": CHUNK, **FILTERS["bitshuffle and LZ4"]}
    virtual = [
        h5py.VirtualSource(source.name, "entry/data/data", STACK.shape, maxshape=(None, *CHUNK[1:]))
        for source in sources
    ]
    if kind == "tiles":
        layout = h5py.VirtualLayout((5, 122, 43), np.uint32)
        layout[:, :61], layout[:, 61:] = virtual
        expected = np.concatenate([STACK, STACK[::-1]], axis=1)
    elif kind == "in turns":
        layout = h5py.VirtualLayout((10, 61, 43), np.uint32)
        layout[::2], layout[1::2] = virtual
        expected = np.stack([STACK, STACK[::-1]], axis=1).reshape(10, 61, 43)
    elif kind == "open end":
        layout = h5py.VirtualLayout(STACK.shape, np.uint32, maxshape=(None, 61, 43))
        layout[: h5py.h5s.UNLIMITED] = virtual[0][: h5py.h5s.UNLIMITED]
        expected = STACK
    elif kind == "numbered":
        sources = [folder / "0.h5", folder / "1.h5"]
        layout = h5py.VirtualLayout((10, 61, 43), np.uint32, maxshape=(None, 61, 43))
        expected = np.concatenate([STACK, STACK[::-1]])
    elif kind == "cropped":
        layout = h5py.VirtualLayout((4, 51, 43), np.uint32)
        layout[:] = virtual[0][1:, 10:]
        expected = STACK[1:, 10:]
    else:
        layout = h5py.VirtualLayout((10, 61, 43), np.uint32)
        layout[:5], layout[5:] = virtual
        expected = np.concatenate([STACK, STACK[::-1]])
    with h5py.File(path, "w") as file:
        if kind == "numbered":
            _map_numbered_files(file)
        else:
            file.create_virtual_dataset("entry/data/data", layout)
    with open_(path) as frames:
        with pytest.raises(NotReadable):
            frames.read(0)
        write(sources[0], **eiger)
        if kind in ("tiles", "one after the other"):
            with pytest.raises(NotReadable):
                frames.read(3 if kind == "tiles" else 7)
        write(sources[1], STACK[::-1], **eiger)
        assert len(frames) == len(expected)
        for index in (3, 0, len(expected) - 1):
            np.testing.assert_array_equal(frames.read(index), expected[index])


def test_a_place_without_source_is_no_frame_of_zeros(path):
    layout = h5py.VirtualLayout((5, 61, 43), np.uint32)
    layout[:2] = h5py.VirtualSource(".", "own", (2, 61, 43))
    with h5py.File(path, "w") as file:
        file["own"] = STACK[:2]
        file.create_virtual_dataset("entry/data/data", layout)
    with open_(path) as frames:
        np.testing.assert_array_equal(frames.read(1), STACK[1])
        with pytest.raises(NotReadable, match="where the frame"):
            frames.read(2)


def test_users_of_one_data_set_share_it_until_the_last_has_closed(path):
    write(path)
    one, other = open_(path), open_(path, "entry/data/data")
    assert one is other
    one.close()
    np.testing.assert_array_equal(other.read(0), STACK[0])
    other.close()
    again = open_(path)
    assert again is not one
    again.close()


WRITER = """
    import sys, h5py, hdf5plugin, numpy as np
    path, swmr = sys.argv[1], sys.argv[2] == "swmr"
    with h5py.File(path, "w", libver="latest" if swmr else "earliest") as file:
        data = file.create_dataset("d", (0, 61, 43), np.uint32, maxshape=(None, 61, 43), chunks=(1, 61, 43),
                                   **(hdf5plugin.Bitshuffle(cname="lz4") if sys.argv[3] == "eiger" else {}))
        if swmr:
            file.swmr_mode = True
        for line in sys.stdin:
            data.resize(int(line) + 1, axis=0)
            data[int(line)] = np.full((61, 43), int(line) + 7)
            data.flush()
            file.flush()
            print("written", flush=True)
"""


@pytest.mark.parametrize("compression", ["none", "eiger"])
@pytest.mark.parametrize("mode", ["swmr", "plain"])
def test_frames_are_read_while_another_process_writes_them(path, mode, compression):
    command = [sys.executable, "-c", textwrap.dedent(WRITER), str(path), mode, compression]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        first, second = open_(path, "d"), open_(path, "d")
        for index in range(6):
            writer.stdin.write(f"{index}\n")
            writer.stdin.flush()
            assert writer.stdout.readline() == "written\n"
            for frames in (first, second):
                assert frames.read(index)[5, 5] == index + 7
            with pytest.raises(NotReadable):
                first.read(index + 1)
        writer.stdin.close()
        assert writer.wait(20) == 0
    assert [first.read(index)[0, 0] for index in range(6)] == list(range(7, 13))
    first.close()
    second.close()


@pytest.mark.parametrize("swmr", [True, False])
def test_frames_of_a_writer_in_this_process_which_can_close_and_make_anew_its_file(path, swmr):
    with open_(path, "d") as frames:
        for _ in range(2):
            with h5py.File(path, "w", libver="latest") as file:
                data = file.create_dataset("d", (0, 61, 43), np.uint32, maxshape=(None, 61, 43), chunks=CHUNK)
                if swmr:
                    file.swmr_mode = True
                for index in range(3):
                    data.resize(index + 1, axis=0)
                    data[index] = STACK[index]
                    data.flush()
                    np.testing.assert_array_equal(frames.read(index), STACK[index])
                    with pytest.raises(NotReadable):
                        frames.read(index + 1)
                    assert len(frames) == index + 1


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_a_file_that_is_open_for_reading_can_be_made_anew_in_this_process(path, libver):
    """Simulated detectors write in the process that reads, perhaps under the same name again."""
    with open_(path, "d") as frames:
        for index in range(3):
            with h5py.File(path, "w", libver=libver) as file:
                file["d"] = STACK[index : index + 1]
            with open_(path, "d") as another_scans:
                np.testing.assert_array_equal(another_scans.read(0), STACK[index])
            np.testing.assert_array_equal(frames.read(0), STACK[index])
        assert frames._file is not None  # else this test is about nothing


def test_reading_never_comes_between_a_writers_closing_a_file_and_making_it_anew(path):
    scans, over, read, failed = 150, threading.Event(), [], []

    def keep_reading():
        while not over.is_set():
            try:
                with open_(path, "d") as frames:
                    read.append(frames.read(0)[0, 0])
            except NotReadable:
                pass
            except Exception as error:
                failed.append(error)

    reader = threading.Thread(target=keep_reading)
    reader.start()
    try:
        for number in range(scans):
            with h5py.File(path, "w", libver="latest") as file:
                data = file.create_dataset("d", (1, 61, 43), np.uint32, chunks=CHUNK)
                file.swmr_mode = True
                data[0] = number + 1
                data.flush()
                time.sleep(0.002)
    finally:
        over.set()
        reader.join()
    assert not failed
    assert len(set(read)) > 10
    assert set(read) <= set(range(1, scans + 1))


def test_a_frame_whose_file_was_cut_under_its_reader_is_not_zeros(path):
    """As it is while somebody makes it anew, and where a writer has put down the place of a frame before the frame."""
    for number, settings in enumerate(({"chunks": CHUNK}, {"chunks": CHUNK, **FILTERS["gzip"]}, {})):
        own = path.with_name(f"{number}.h5")
        write(own, **settings)
        with open_(own) as frames:
            np.testing.assert_array_equal(frames.read(1), STACK[1])
            with h5py.File(own) as file:
                data = file["entry/data/data"]
                end = (
                    data.id.get_chunk_info(3).byte_offset if data.chunks else data.id.get_offset() + 3 * STACK[0].nbytes
                )
            with own.open("r+b") as file:
                file.truncate(end + 100)
            for index in (2, 3):  # a file that shrinks is being made anew: nothing of it is what it was
                with pytest.raises(NotReadable):
                    frames.read(index)


def test_somebody_elses_old_view_of_a_growing_file_is_not_ours(path):
    """A file that is open for reading in a notebook shows no new frames there."""
    command = [sys.executable, "-c", textwrap.dedent(WRITER), str(path), "plain", "none"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        for index in range(3):
            writer.stdin.write(f"{index}\n")
            writer.stdin.flush()
            assert writer.stdout.readline() == "written\n"
            if index == 0:
                theirs = h5py.File(path, locking=False)["d"]
            with open_(path, "d") as frames:
                assert frames.read(index)[5, 5] == index + 7
        assert len(theirs) == 1
        theirs.file.close()
        writer.stdin.close()


@pytest.mark.parametrize("compression", ["none", "eiger"])
def test_places_reserved_in_a_growing_file_are_waited_for(path, compression):
    filters = FILTERS["bitshuffle and LZ4"] if compression == "eiger" else {}
    with h5py.File(path, "w", libver="latest") as file:
        data = file.create_dataset("entry/data/data", (3, 61, 43), np.uint32, chunks=CHUNK, **filters)
        file.swmr_mode = True
        command = [sys.executable, "-c", textwrap.dedent(READER), str(path)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader:
            for index in range(3):
                for written in (False, True):
                    if written:
                        data[index] = index + 7
                        data.flush()
                    reader.stdin.write(f"{index}\n")
                    reader.stdin.flush()
                    assert reader.stdout.readline().strip() == (str(index + 7) if written else "NotReadable")
            reader.stdin.close()


READER = """
    import sys
    from bluesky_diffractogram.files import HDF5Frames, NotReadable
    frames = HDF5Frames.open(sys.argv[1], "entry/data/data")
    for line in sys.stdin:
        try:
            print(frames.read(int(line))[5, 5], flush=True)
        except NotReadable:
            print("NotReadable", flush=True)
"""


def test_our_reading_does_not_keep_a_writer_from_opening_the_file(path):
    write(path)
    with open_(path) as frames:
        frames.read(0)
        appending = "import h5py, sys; h5py.File(sys.argv[1], 'r+')['entry/data/data'][0] = 5"
        done = subprocess.run([sys.executable, "-c", appending, str(path)], capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr


def test_reading_is_quick_where_nothing_is_there(path):
    """A missing file is asked for ten times a second and more: it must not cost a retry inside."""
    frames = open_(path)
    begin = time.perf_counter()
    for _ in range(100):
        with pytest.raises(NotReadable):
            frames.read(0)
    assert time.perf_counter() - begin < 5
    frames.close()
