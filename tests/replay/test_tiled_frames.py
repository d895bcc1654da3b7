"""Files that tiled lists, as StreamResource and StreamDatum documents."""

from __future__ import annotations

import pytest

from bluesky_diffractogram.files import FileSequence
from bluesky_diffractogram.replay.tiled_frames import RowsInFiles, _numbered


@pytest.mark.parametrize(
    "path",
    [
        "/data/img_000012.tif",
        "/data/scan 7/9.npy",
        "/data/f06600_0.npy",
        "/data/a1b2_0100.tiff",
        "/0000000000000001.tif",
    ],
)
def test_a_template_and_a_number_name_the_file_that_they_are_made_from(path):
    folder, parameters, index = _numbered(path)
    assert FileSequence(folder, parameters["template"]).path(index) == path


@pytest.mark.parametrize("path", ["/data/frame.tif", "/data/100%1.tif", "/data/{0}1.tif", "/data/1{.tif"])
def test_names_that_are_no_template_are_left_to_the_server(path):
    assert _numbered(path) is None


def test_files_of_one_name_share_a_resource():
    places = [_numbered(f"/data/img_{n}.tif") for n in (8, 9, 10)]
    rows = RowsInFiles("det", "run", "multipart/related;type=image/tiff", places)
    assert [doc["parameters"]["template"] for doc in rows.resources] == ["img_{:01d}.tif", "img_{:02d}.tif"]
    assert [rows.datum(row, "d", row + 1)["indices"]["start"] for row in range(3)] == [8, 9, 10]
    assert rows.datum(2, "d", 3)["stream_resource"] == rows.resources[1]["uid"]
