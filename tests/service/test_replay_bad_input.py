"""Stored runs that cannot be replayed, or not as a whole: each is an error of its own, and the others go on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from bluesky_tiled_plugins import TiledWriter
from click.testing import Result
from documents.conftest import raw_run
from documents.stream_runs import DATASET, StreamRun, images, uri_of, write_hdf5
from event_model import NumpyEncoder
from ponis import write_poni
from tiled.client import from_uri

from bluesky_diffractogram import replay

Run = Callable[..., Result]
Documents = list[tuple[str, dict[str, Any]]]

pytestmark = pytest.mark.xdist_group("tiled")  # one tiled server


@pytest.fixture
def cfg(tmp_path: Path) -> dict[str, Any]:
    poni = write_poni(tmp_path / "small.poni", shape=(120, 130), pixel=(6e-4, 5e-4), rot=(0.02, -0.03, 0.0))
    return {"calibration": str(poni), "diff_ranges": [[10, 60, 4, 16]], "diff_units": "q [1/A]", "npt": 150}


@pytest.fixture
def folder(readable: Path, tmp_path: Path) -> Path:
    """Where the detector wrote its files."""
    folder = readable / tmp_path.name
    folder.mkdir()
    return folder


def arrays(frames: list[Any], **metadata: Any) -> Documents:
    key = {
        "source": "test", "dtype": "array", "dtype_numpy": frames[0].dtype.str, "shape": list(frames[0].shape),
        "object_name": "det",
    }  # fmt: skip
    return list(raw_run(frames, data_key=key, metadata=metadata))


@pytest.fixture
def good() -> Documents:
    return arrays(images(2))


@pytest.fixture
def bad(folder: Path) -> dict[str, Documents]:
    for name in ("moved", "short"):
        write_hdf5(folder / f"{name}.h5", images(4))
    parameters = {"dataset": DATASET, "chunk_shape": (1, 120, 130)}
    in_files = {
        name: StreamRun(uri_of(folder / f"{name}.h5"), parameters=parameters, motor=True) for name in ("moved", "short")
    }
    return {
        "no images": arrays([np.zeros(3)]),
        "shape": arrays([np.ones((50, 60), "u2")] * 2),
        "no stop": arrays(images(3))[:-1],
        **{name: list(run.step_scan(4)) for name, run in in_files.items()},
    }


def spoil(folder: Path) -> None:
    """What happened to the files since the runs were stored."""
    (folder / "elsewhere").mkdir()
    (folder / "moved.h5").rename(folder / "elsewhere" / "moved.h5")
    with h5py.File(folder / "short.h5", "w") as file:
        file.create_dataset(DATASET, data=np.asarray(images(2)))


def uid_of(documents: Documents) -> str:
    return documents[0][1]["uid"]


class Stored:
    """Where runs are stored, as the command line calls it."""

    def __init__(self, tmp_path: Path, server: Any = None) -> None:
        self.folder, self.server = tmp_path, server
        self.called: list[str] = [] if server is None else [server.uri]

    def store(self, documents: Documents) -> None:
        if self.server is not None:
            write = TiledWriter(from_uri(self.server.uri), max_array_size=0)
            for name, doc in documents:
                write(name, doc)
            self.called.append(uid_of(documents))
            return
        path = self.folder / f"{len(self.called)}.jsonl"
        path.write_text("".join(json.dumps(pair, cls=NumpyEncoder) + "\n" for pair in documents))
        self.called.append(str(path))


@pytest.fixture(params=["files", "tiled"])
def stored(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stored:
    if request.param == "files":
        return Stored(tmp_path)
    monkeypatch.setattr("tiled.client.utils.TILED_RETRY_ATTEMPTS", 2)  # of ten, which take half a minute
    return Stored(tmp_path, request.getfixturevalue("tiled"))


def test_each_has_an_error_of_its_own_and_the_good_ones_are_reduced(
    run_command: Run, stored: Stored, good: Documents, bad: dict[str, Documents], cfg: dict[str, Any], folder: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    late = arrays(images(1))
    for documents in (good, *bad.values(), late):
        stored.store(documents)
    spoil(folder)
    out = tmp_path / "out"
    options = ["--tool-configuration", json.dumps(cfg), "--to", "jsonl", "--output", out]
    result = run_command("replay", *stored.called, *options)
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    told = {
        name: "\n".join(line for line in lines if uid_of(run) in line and line.startswith("error: "))
        for name, run in bad.items()
    }
    assert "no images in its stream 'primary' (primary: image): image_key and stream say where" in told["no images"]
    assert "of 2 frames 2 could not be reduced (2 for shape: the frame has shape (50, 60), the" in told["shape"]
    assert "is there by half: the raw run has no stop document" in told["no stop"]
    assert f"{folder}/moved.h5" in told["moved"]
    assert "if the files were moved, say where they are now with --root-map THERE=HERE" in told["moved"]
    assert f"warning: raw run {uid_of(bad['short'])}: of 4 frames 2 could not be reduced (2 for file: " in result.stderr
    assert "short.h5::/entry/data/data has no frame 2 yet" in result.stderr
    assert "3 of 7 runs failed" in result.stderr
    reduced = {uid_of(run) for run in (good, late, bad["no stop"], bad["short"])}
    assert {path.name for path in out.iterdir()} == {uid[:8] for uid in reduced}
    expected = [doc["data"]["diff_1"] for name, doc in replay(good, cfg) if name == "event"]
    lines = (out / uid_of(good)[:8] / "derived.jsonl").read_text().splitlines()
    events = [each["doc"]["data"]["diff_1"] for each in map(json.loads, lines) if each["name"] == "event"]
    np.testing.assert_array_equal(np.array(events, dtype=float), expected)


def test_what_the_error_says_to_do_mends_moved_files(
    run_command: Run, stored: Stored, bad: dict[str, Documents], cfg: dict[str, Any], folder: Path, tmp_path: Path
) -> None:
    stored.store(bad["moved"])
    expected = [doc["data"]["diff_1"] for name, doc in replay(bad["moved"], cfg) if name == "event"]
    spoil(folder)
    out = tmp_path / "out"
    options = ["--tool-configuration", json.dumps(cfg), "--to", "jsonl", "--output", out]
    options += ["--root-map", f"{folder}={folder}/elsewhere"]
    result = run_command("replay", *stored.called, *options)
    assert result.exit_code == 0, result.stderr
    lines = (out / uid_of(bad["moved"])[:8] / "derived.jsonl").read_text().splitlines()
    events = [each["doc"]["data"]["diff_1"] for each in map(json.loads, lines) if each["name"] == "event"]
    np.testing.assert_array_equal(np.array(events, dtype=float), expected)


def test_a_file_of_documents_that_ends_in_the_middle_of_one(
    run_command: Run, good: Documents, cfg: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "torn.jsonl"
    text = "".join(json.dumps(pair, cls=NumpyEncoder) + "\n" for pair in good)
    path.write_text(text[: -len(text) // 3])
    out = tmp_path / "out"
    options = ["--tool-configuration", json.dumps(cfg), "--to", "jsonl", "--output", out]
    result = run_command("replay", path, *options)
    assert result.exit_code == 1
    assert f"{path} ends in the middle of a document, in line 4" in result.stderr
    assert f"error: raw run {uid_of(good)} is there by half" in result.stderr
    lines = (out / uid_of(good)[:8] / "derived.jsonl").read_text().splitlines()
    stop = json.loads(lines[-1])["doc"]
    assert (stop["exit_status"], stop["frames"]["reduced"]) == ("abort", 1)
