"""Frames out of files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tifffile
from event_model import DocumentNames, schema_validators

from bluesky_diffractogram.service.frame_files import FrameFile, RawRun

STACK = np.random.default_rng(1).integers(0, 1000, (3, 40, 30)).astype(np.uint16)


def _write_tif(path: Path) -> None:
    tifffile.imwrite(path, STACK, photometric="minisblack")


def _write_h5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["/entry/data/data"] = STACK


def _write_npy(path: Path) -> None:
    np.save(path, STACK)


@pytest.mark.parametrize(
    ("name", "inside", "write"),
    [
        ("stack.tif", "", _write_tif),
        ("stack.h5", "::/entry/data/data", _write_h5),
        ("stack.npy", "", _write_npy),
    ],
)
def test_a_file_with_several_frames_gives_each(
    tmp_path: Path, name: str, inside: str, write: Callable[[Path], None]
) -> None:
    write(tmp_path / name)
    with FrameFile(f"{tmp_path / name}{inside}") as file:
        assert len(file) == 3
        frames = list(file)
        assert file.timestamp == pytest.approx((tmp_path / name).stat().st_mtime)
    assert [imagename for imagename, _ in frames] == [f"{name}[{index}]" for index in range(3)]
    np.testing.assert_array_equal([image for _, image in frames], STACK)


def test_a_file_with_one_frame_has_its_name(tmp_path: Path, write_edf: Callable[..., Path]) -> None:
    path = write_edf(tmp_path / "one.edf", STACK[0].astype(np.int32) - 2)
    with FrameFile(path) as file:
        ((imagename, image),) = list(file)
    assert imagename == "one.edf"
    assert image.dtype == np.int32
    np.testing.assert_array_equal(image, STACK[0].astype(np.int32) - 2)


def test_a_file_that_is_no_image_raises(tmp_path: Path) -> None:
    (tmp_path / "text.tif").write_text("no image")
    with pytest.raises(OSError, match="identify"):
        FrameFile(tmp_path / "text.tif")
    with pytest.raises(FileNotFoundError):
        FrameFile(tmp_path / "absent.tif")


def test_the_run_is_valid_and_describes_each_kind_of_frame_once() -> None:
    documents: list[tuple[str, dict[str, Any]]] = []
    run = RawRun(lambda name, doc: documents.append((name, doc)), {"plan_name": "integrate", "files": ["a"]})
    run.start()
    run.frame("a[0]", STACK[0], 10.0)
    run.frame("a[1]", STACK[1], 11.0)
    run.frame("b", STACK[2].astype(float)[:20], 12.0)
    run.stop()
    for name, doc in documents:
        schema_validators[DocumentNames[name]].validate(doc)
    assert [name for name, _ in documents] == [
        "start",
        "descriptor",
        "event",
        "event",
        "descriptor",
        "event",
        "stop",
    ]
    events = [doc for name, doc in documents if name == "event"]
    assert [doc["seq_num"] for doc in events] == [1, 2, 3]
    assert [doc["data"]["imagename"] for doc in events] == ["a[0]", "a[1]", "b"]
    assert [doc["time"] for doc in events] == [10.0, 11.0, 12.0]
    assert documents[1][1]["data_keys"]["image"]["shape"] == [40, 30]
    assert documents[4][1]["data_keys"]["image"]["dtype_numpy"] == "<f8"
    assert events[2]["descriptor"] == documents[4][1]["uid"]
    assert documents[-1][1]["num_events"] == {"primary": 3}
