"""Diffractograms as columns of text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bluesky.plans as bp
import numpy as np
import pytest
from bluesky import RunEngine

from bluesky_diffractogram import ReductionCallback
from bluesky_diffractogram.replay.columns import to_chi, to_fxye, to_xy
from bluesky_diffractogram.replay.read_derived import read_derived
from bluesky_diffractogram.service.column_files import ColumnFiles
from bluesky_diffractogram.sim.beamline import SimulatedBeamline

START = {"uid": "s", "raw_uid": "r"}
DESCRIPTOR: dict[str, Any] = {
    "uid": "d",
    "data_keys": {},
    "configuration": {"diffractogram": {"data": {"unit": "q_A^-1", "unit_label": "q [1/A]"}}},
}


def _event(imagename: str = "a_01.tif", seq_num: int = 1, **more: Any) -> dict[str, Any]:
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
    return {"descriptor": "d", "seq_num": seq_num, "data": data}


def test_a_file_holds_the_curve_and_says_what_it_is(tmp_path: Path) -> None:
    files = ColumnFiles(tmp_path)
    files("start", START)
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
    files = ColumnFiles(tmp_path)
    files("start", START)
    files("descriptor", DESCRIPTOR)
    files("event", _event(sigma_1=np.array([1.0, np.nan, 0.5])))
    np.testing.assert_allclose(np.loadtxt(tmp_path / "a_01_range1.xy")[:, 2], [1.0, 0.5])
    assert "# columns: q_[1/A] intensity sigma" in (tmp_path / "a_01_range1.xy").read_text()


def test_every_range_has_a_file(tmp_path: Path) -> None:
    files = ColumnFiles(tmp_path)
    files("start", START)
    files("descriptor", DESCRIPTOR)
    second = {"diff_12": np.array([[1.0], [2.0]]), "radial_range_12": [0, 2], "azimuth_range_12": [-180, 180]}
    files("event", _event(**second))
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a_01_range1.xy", "a_01_range12.xy"]


def test_files_of_one_name_in_two_folders_do_not_overwrite_each_other(tmp_path: Path) -> None:
    files = ColumnFiles(tmp_path)
    files("start", START)
    files("descriptor", DESCRIPTOR)
    for seq_num in (1, 2):
        files("event", _event(seq_num=seq_num))
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a_01-2_range1.xy", "a_01_range1.xy"]


def test_an_event_in_the_place_of_an_earlier_one_replaces_its_file(tmp_path: Path) -> None:
    files = ColumnFiles(tmp_path)
    files("start", START)
    files("descriptor", DESCRIPTOR)
    files("event", _event())
    files("event", _event(diff_1=np.array([[0.1, 0.2], [7.0, 8.0]])))
    assert [each.name for each in tmp_path.iterdir()] == ["a_01_range1.xy"]
    np.testing.assert_allclose(np.loadtxt(tmp_path / "a_01_range1.xy")[:, 1], [7, 8])


def test_events_of_other_streams_are_passed_over(tmp_path: Path) -> None:
    files = ColumnFiles(tmp_path)
    files("event", _event())
    assert files.written == 0


def test_a_curve_without_a_filled_bin_gives_no_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = ColumnFiles(tmp_path)
    files("start", START)
    files("descriptor", DESCRIPTOR)
    files("event", _event(diff_1=np.array([[0.1, 0.2], [np.nan, np.nan]])))
    files("stop", {"run_start": "s"})
    assert list(tmp_path.iterdir()) == []
    assert "raw run r: 1 diffractograms without a filled bin give no file, the first is a_01_range1" in caplog.text


@pytest.fixture(params=["q [1/A]", "2th [deg]"])
def derived(request: pytest.FixtureRequest, beamline: SimulatedBeamline) -> list[tuple[str, dict[str, Any]]]:
    """The documents that are derived from a scan whose images are in no file."""
    documents: list[tuple[str, dict[str, Any]]] = []
    engine = RunEngine({})
    engine.waiting_hook = None
    configuration = {**beamline.configuration, "diff_units": request.param, "error_model": "poisson"}
    with ReductionCallback({**configuration, "carry": ["furnace", "detector_total"]}) as diff:
        diff.subscribe(lambda name, doc: documents.append((name, doc)))
        engine.subscribe(diff)
        engine(bp.scan([beamline.detector], beamline.furnace, 300, 500, 3))
        assert diff.wait(30)
    return documents


def test_the_files_are_those_of_the_data_set(derived: list[tuple[str, dict[str, Any]]], tmp_path: Path) -> None:
    (tmp_path / "live").mkdir()
    files = ColumnFiles(tmp_path / "live", ["xy", "chi", "fxye"])
    for name, doc in derived:
        files(name, doc)
    dataset = read_derived(derived)
    expected = [*to_xy(dataset, tmp_path), *to_chi(dataset, tmp_path), *to_fxye(dataset, tmp_path)]
    assert len(expected) == files.written == 18
    assert {path.name for path in (tmp_path / "live").iterdir()} == {path.name for path in expected}
    for path in expected:
        assert (tmp_path / "live" / path.name).read_bytes() == path.read_bytes(), path.name
    assert "# furnace: 300 K" in (tmp_path / "live" / "scan1_00001_range1.xy").read_text()


def test_a_format_that_cannot_hold_the_axis_is_given_up(
    derived: list[tuple[str, dict[str, Any]]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = ColumnFiles(tmp_path, ["xy", "fxye"])
    for name, doc in derived:
        if name == "event":
            doc = {**doc, "data": {**doc["data"], "unit": "r_mm"}}
        files(name, doc)
    assert files.written == len(list(tmp_path.glob("*.xy"))) == 6
    assert caplog.text.count("no .fxye files can be written") == 1
