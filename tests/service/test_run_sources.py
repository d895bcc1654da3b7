"""Which runs a command line means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bluesky_diffractogram.replay.errors import ReplayError
from bluesky_diffractogram.service import run_sources
from bluesky_diffractogram.service.run_sources import find_runs


@pytest.fixture
def catalog(monkeypatch: pytest.MonkeyPatch) -> dict[Any, str]:
    runs = {7: "by scan id", -1: "the latest", "12345678": "by digits of a uid", "8a3f41": "by uid", "12": "not meant"}
    monkeypatch.setattr(run_sources, "open_catalogue", lambda name: runs)
    return runs


def test_runs_are_called_by_scan_id_from_the_end_and_by_how_a_uid_begins(catalog: dict[Any, str]) -> None:
    found = find_runs(["some catalogue", "7", "-1", "8a3f41", "12345678"])
    assert found.runs == ["by scan id", "the latest", "by uid", "by digits of a uid"]
    assert (found.catalog, found.missing) == (catalog, ())


def test_a_scan_id_that_is_not_there_is_not_taken_for_a_uid(catalog: dict[Any, str]) -> None:
    found = find_runs(["some catalogue", "7", "12", "nobody"])
    assert found.runs == ["by scan id"]
    assert [message.partition(" ")[0] for message in found.missing] == ["12", "'nobody'"]
    with pytest.raises(ReplayError, match=r"12 is not in the catalogue .*; 'nobody' is not"):
        find_runs(["some catalogue", "12", "nobody"])


def test_a_catalogue_alone_is_all_its_runs_and_files_are_files(catalog: dict[Any, str], tmp_path: Path) -> None:
    assert find_runs(["some catalogue"]).runs is catalog
    assert find_runs([str(tmp_path)]).runs is catalog  # a profile may be called as a folder is
    paths = [str(tmp_path / name) for name in "ab"]
    for path in paths:
        Path(path).write_text("")
    assert find_runs(paths).runs == paths
    with pytest.raises(ReplayError, match="c is no file: after"):
        find_runs([*paths, "c"])
