"""Frames in files of one each, whole and cut."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tifffile
from PIL import Image

from bluesky_diffractogram.files import FileSequence, NotReadable, Unreadable

IMAGE = np.random.default_rng(0).integers(1, 60000, (40, 30)).astype(np.uint16)
WRITERS = {
    "plain.tiff": lambda path: tifffile.imwrite(path, IMAGE, photometric="minisblack"),
    "strips.tiff": lambda path: tifffile.imwrite(path, IMAGE, photometric="minisblack", rowsperstrip=8),
    "tiles.tiff": lambda path: tifffile.imwrite(path, IMAGE, photometric="minisblack", tile=(16, 16)),
    "pillow.tif": lambda path: Image.fromarray(IMAGE).save(path),
    "lzw.tiff": lambda path: Image.fromarray(IMAGE).save(path, compression="tiff_lzw"),
    "packbits.tiff": lambda path: Image.fromarray(IMAGE).save(path, compression="packbits"),
    "deflate.tiff": lambda path: tifffile.imwrite(
        path, IMAGE, photometric="minisblack", compression="zlib", rowsperstrip=8
    ),
    "deflated tiles.tiff": lambda path: tifffile.imwrite(
        path, IMAGE, photometric="minisblack", compression="zlib", tile=(16, 16)
    ),
    "array.npy": lambda path: np.save(path, IMAGE),
    "picture.jpg": lambda path: Image.fromarray((IMAGE // 256).astype(np.uint8)).save(path),
}


@pytest.mark.parametrize("name", WRITERS)
def test_half_a_file_is_waited_for_and_its_other_half_never_zeros(tmp_path, name):
    path = tmp_path / f"0 {name}"
    WRITERS[name](path)
    whole, frames = path.read_bytes(), FileSequence(str(tmp_path), f"{{}} {name}")
    expected = np.asarray(Image.open(path)) if name.endswith("jpg") else IMAGE
    for size in (0, 1, 7, 100, len(whole) // 2, len(whole) - 600, len(whole) - 40, len(whole) - 2):
        path.write_bytes(whole[:size])
        try:
            read = frames.read(0)
        except NotReadable:
            continue
        np.testing.assert_array_equal(read, expected)  # it was only the directory's end that was missing
    path.write_bytes(whole)
    np.testing.assert_array_equal(frames.read(0), expected)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_of_a_file_with_several_images_the_first_is_not_taken_for_all(tmp_path, compression):
    tifffile.imwrite(
        tmp_path / "0.tiff", np.stack([IMAGE, IMAGE + 1]), photometric="minisblack", compression=compression
    )
    np.save(tmp_path / "0.npy", np.stack([IMAGE, IMAGE + 1]))
    with pytest.raises(Unreadable, match="holds 2 images"):
        FileSequence(str(tmp_path), "{}.tiff").read(0)
    with pytest.raises(Unreadable, match="shape"):
        FileSequence(str(tmp_path), "{}.npy").read(0)


@pytest.mark.parametrize(
    ("dtype", "compression"),
    [*itertools.product(("u1", "u2", "u4", "i4", "f4", ">u2"), (None, "zlib")), ("f8", None), ("i2", None)],
)
def test_tiff_files_of_detectors_keep_their_dtype(tmp_path, compression, dtype):
    """Also the mark of a dead pixel in 32 unsigned bits."""
    expected = (IMAGE % 200).astype(dtype)
    if dtype == "u4":
        expected[0, 0] = 2**32 - 1
    tifffile.imwrite(tmp_path / "0.tiff", expected, photometric="minisblack", compression=compression)
    read = FileSequence(str(tmp_path), "{}.tiff").read(0)
    assert read.dtype.newbyteorder("=") == expected.dtype.newbyteorder("=")
    np.testing.assert_array_equal(read, expected)
