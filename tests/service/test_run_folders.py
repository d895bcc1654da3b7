"""Which folder a run gets."""

from __future__ import annotations

from documents.conftest import image, raw_run
from ponis import write_poni

from bluesky_diffractogram.replay import replay
from bluesky_diffractogram.service.run_folders import RunFolders


def run_called(uid, frames):
    """A run with a uid of somebody's own."""
    for name, doc in raw_run([image(i) for i in range(frames)]):
        changed = dict(doc)
        if name == "start":
            changed["uid"] = uid
        elif "run_start" in changed:
            changed["run_start"] = uid
        yield name, changed


def test_runs_whose_uids_begin_alike_get_folders_of_their_own(tmp_path):
    poni = write_poni(tmp_path / "a.poni", shape=(120, 130), pixel=(6e-4, 5e-4))
    cfg = {"calibration": str(poni), "npt": 50}
    runs = [list(run_called(uid, n)) for uid, n in (("scan_2024-001", 3), ("scan_2024-002", 2), ("../../evil", 1))]
    for _ in range(2):  # the second time their files are there
        folders = RunFolders(tmp_path / "out", formats=["xy"])
        for run in runs:
            for name, doc in replay(run, cfg):
                folders(name, doc)
        made = {path.name: len(list(path.glob("*.xy"))) for path in (tmp_path / "out").iterdir()}
        assert made == {"scan_202": 3, "scan_2024-002": 2, ".._.._ev": 1}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.poni", "out"]
