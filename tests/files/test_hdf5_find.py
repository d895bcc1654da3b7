"""Data sets of frames in files of which nobody said where they are."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from bluesky_diffractogram.files import Unreadable, find_datasets

STACK = np.zeros((2, 5, 6), np.uint16)


@pytest.mark.parametrize(
    ("contents", "expected"),
    [
        ({"a/b/frames": STACK, "a/mask": STACK[0], "a/time": np.zeros(2)}, ["/a/b/frames"]),
        ({"image": STACK[0], "names": ["a", "b"], "row": np.zeros((1, 9))}, ["/image"]),
        ({"entry/data/data_000002": STACK, "entry/data/data_000001": STACK, "other": STACK}, ["_000001", "_000002"]),
    ],
)
def test_the_data_sets_that_can_be_meant(tmp_path, contents, expected):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        for name, value in contents.items():
            file[name] = value
    found = find_datasets(str(path))
    assert len(found) == len(expected)
    assert all(name.endswith(end) for name, end in zip(found, expected, strict=True))


def test_an_eigers_master_file_links_to_its_series(tmp_path):
    with h5py.File(tmp_path / "data_1.h5", "w") as file:
        file["entry/data/data"] = STACK
    with h5py.File(tmp_path / "master.h5", "w") as file:
        file["entry/data/data_000001"] = h5py.ExternalLink("data_1.h5", "entry/data/data")
    assert find_datasets(str(tmp_path / "master.h5")) == ["/entry/data/data_000001"]


@pytest.mark.parametrize(
    ("contents", "message"),
    [({"a": STACK, "b": STACK}, "several.*::/a"), ({"time": np.zeros(3)}, "no images"), ({}, "no images")],
)
def test_others_are_asked_about(tmp_path, contents, message):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        for name, value in contents.items():
            file[name] = value
    with pytest.raises(Unreadable, match=message):
        find_datasets(str(path))
