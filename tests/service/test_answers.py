"""What a service may be told to open."""

from __future__ import annotations

import pytest
from documents.conftest import SHAPE
from ponis import write_poni

from bluesky_diffractogram import ReductionCallback
from bluesky_diffractogram.service.answers import answers


@pytest.fixture
def configure(tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for folder in (inside, outside):
        folder.mkdir()
        write_poni(folder / "small.poni", shape=SHAPE)
    (inside / "link.poni").symlink_to(outside / "small.poni")
    with ReductionCallback({"calibration": str(outside / "small.poni")}, background=False) as callback:
        yield answers(callback, dict, [str(inside)])["configure"]


@pytest.mark.parametrize(
    "key", ["calibration", "mask", "dark", "flat", "background", "background_curve", "absorption", "assets_dir"]
)
@pytest.mark.parametrize(
    "path", ["outside/small.poni", "inside/../outside/small.poni", "inside/link.poni", "/etc/passwd"]
)
def test_a_setting_names_no_file_outside_the_roots(configure, tmp_path, key, path):
    with pytest.raises(ValueError, match=rf"{key}: .* lies outside the allowed folders"):
        configure({key: str(tmp_path / path)})
    with pytest.raises(ValueError, match="outside"):
        configure({key: str(tmp_path / path) + "::/entry/data"})
    with pytest.raises(ValueError, match="outside"):  # which is the path of the other file when it is resolved
        configure({key: str(tmp_path / "inside" / "small.poni::" / ".." / ".." / path)})
    inside = {"image_key": "det2", "calibration": str(tmp_path / "inside" / "small.poni")}
    with pytest.raises(ValueError, match="outside"):
        configure({"image_key": "det1", "merge": [inside, {**inside, key: str(tmp_path / path)}]})


def test_one_inside_is_taken_and_so_is_what_names_none(configure, tmp_path):
    path = str(tmp_path / "inside" / "small.poni")
    assert configure({"calibration": path})["calibration"] == path
    assert configure({"npt": 77})["npt"] == 77
    with pytest.raises(ValueError, match="JSON object"):
        configure(["npt"])
