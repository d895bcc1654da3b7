"""Diffractograms as columns of text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bluesky_diffractogram.service.xy import XyFiles

DESCRIPTOR: dict[str, Any] = {
    "uid": "d",
    "configuration": {"diffractogram": {"data": {"unit": "q_A^-1", "unit_label": "q [1/A]"}}},
}


def _event(imagename: str = "a_01.tif", **more: Any) -> dict[str, Any]:
    data = {
        "imagename": imagename,
        "unit": "q_A^-1",
        "calibration": "/data/lab6.poni",
        "diff_1": np.array([[0.1, 0.2, 0.3], [10.0, np.nan, 1 / 3]]),
        "radial_range_1": np.array([0.05, 0.35]),
        "azimuth_range_1": np.array([170.0, 190.0]),
        "peaks_1": np.zeros((2, 4)),
        **more,
    }
    return {"descriptor": "d", "data": data}


def test_a_file_holds_the_curve_and_says_what_it_is(tmp_path: Path) -> None:
    files = XyFiles(tmp_path)
    files("descriptor", DESCRIPTOR)
    files("event", _event())
    path = tmp_path / "a_01_range1.xy"
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    np.testing.assert_allclose(np.loadtxt(path), [[0.1, 10.0], [0.3, 1 / 3]], rtol=1e-8)
    header = [line for line in path.read_text().splitlines() if line.startswith("#")]
    assert header == [
        "# frame: a_01.tif",
        "# range 1: azimuth 170 to 190 deg, q [1/A] 0.05 to 0.35",
        "# unit: q_A^-1",
        "# calibration: /data/lab6.poni",
        "# empty bins left out: 1 of 3",
        "# columns: q_[1/A] intensity",
    ]
    assert files.written == 1


def test_uncertainties_are_a_third_column(tmp_path: Path) -> None:
    files = XyFiles(tmp_path)
    files("descriptor", DESCRIPTOR)
    files("event", _event(sigma_1=np.array([1.0, np.nan, 0.5])))
    np.testing.assert_allclose(np.loadtxt(tmp_path / "a_01_range1.xy")[:, 2], [1.0, 0.5])
    assert "# columns: q_[1/A] intensity sigma" in (tmp_path / "a_01_range1.xy").read_text()


def test_every_range_has_a_file(tmp_path: Path) -> None:
    files = XyFiles(tmp_path)
    files("descriptor", DESCRIPTOR)
    second = {"diff_12": np.array([[1.0], [2.0]]), "radial_range_12": [0, 2], "azimuth_range_12": [-180, 180]}
    files("event", _event(**second))
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a_01_range1.xy", "a_01_range12.xy"]


def test_files_of_one_name_in_two_folders_do_not_overwrite_each_other(tmp_path: Path) -> None:
    files = XyFiles(tmp_path)
    files("descriptor", DESCRIPTOR)
    for _ in range(2):
        files("event", _event())
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a_01-2_range1.xy", "a_01_range1.xy"]


def test_events_of_other_streams_are_passed_over(tmp_path: Path) -> None:
    files = XyFiles(tmp_path)
    files("event", _event())
    assert files.written == 0
