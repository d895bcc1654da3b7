"""File names of frames."""

from __future__ import annotations

import pytest

from bluesky_diffractogram.replay.names import FreeNames, file_stem, frame_stem


@pytest.mark.parametrize(
    ("imagename", "stem"),
    [
        ("a_01.tif", "a_01"),
        ("/data/x y/a.0001.cbf", "a.0001"),
        ("scan.h5[3]", "scan_00003"),
        ("/data/scan.h5:12", "scan_00012"),
        ("0f3a/detector_image/12", "12"),
        ("we:ird*name?.edf", "we_ird_name_"),
        ("", "frame"),
        (".hidden", ".hidden"),
    ],
)
def test_file_names_are_made_of_what_a_frame_is_called(imagename: str, stem: str) -> None:
    assert file_stem(imagename) == stem


@pytest.mark.parametrize(
    ("imagename", "stem"),
    [
        ("0f3ab1c2/detector_image/12", "scan7_00012"),
        ("0f3ab1c2/det/image/12[3]", "scan7_00012_00003"),
        ("5", "scan7_00005"),
        ("0001.tif", "0001"),
        ("/data/0001.tif", "0001"),
        ("12.h5[3]", "12_00003"),
    ],
)
def test_frames_in_no_file_are_called_by_the_scan_and_a_number(imagename: str, stem: str) -> None:
    assert frame_stem(imagename, 7) == stem
    assert frame_stem(imagename) == stem.replace("scan7", "frame")


def test_a_name_that_was_given_out_is_numbered() -> None:
    names = FreeNames()
    assert [names.free("a") for _ in range(3)] == ["a", "a-2", "a-3"]
    assert names.free("a-2") == "a-2-2"
