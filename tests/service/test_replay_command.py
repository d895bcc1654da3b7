"""The command that reduces stored runs."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from bluesky_tiled_plugins import TiledWriter
from click.testing import Result
from documents.stream_runs import StreamRun, images, uri_of, write_hdf5
from event_model import NumpyEncoder
from ponis import write_poni
from tiled.client import from_uri

from bluesky_diffractogram import ReductionCallback
from bluesky_diffractogram.service.folder_lock import FolderLock
from bluesky_diffractogram.sim.beamline import SimulatedBeamline

Run = Callable[..., Result]
Documents = list[tuple[str, dict[str, Any]]]

pytestmark = pytest.mark.xdist_group("tiled")  # one tiled server


@pytest.fixture(scope="module")
def texts(runs: list[Documents]) -> list[str]:
    """Their documents as JSON lines."""
    return ["".join(json.dumps(pair, cls=NumpyEncoder) + "\n" for pair in run) for run in runs]


@pytest.fixture
def files(texts: list[str], tmp_path: Path) -> list[Path]:
    """The same in files."""
    paths = [tmp_path / f"{n}.jsonl" for n in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    return paths


NO_PICTURE = ("--to", "xy,jsonl")


def expected_curves(beamline: SimulatedBeamline, run: Documents) -> list[Any]:
    """``(2, npt)`` of range 1 for each frame, as they are computed live."""
    found: list[Any] = []
    with ReductionCallback(beamline.configuration, background=False) as diff:
        diff.subscribe(lambda name, doc: found.append(doc["data"]["diff_1"]) if name == "event" else None)
        for name, doc in run:
            diff(name, doc)
    return found


def check_folder(folder: Path, beamline: SimulatedBeamline, run: Documents, *, picture: bool = False) -> None:
    lines = [json.loads(line) for line in (folder / "derived.jsonl").read_text().splitlines()]
    events = [line["doc"]["data"]["diff_1"] for line in lines if line["name"] == "event"]
    np.testing.assert_array_equal(np.array(events, dtype=float), expected_curves(beamline, run))
    assert len(list(folder.glob("*_range1.xy"))) == len(events)
    assert (folder / "diffractograms.png").exists() == picture
    if picture:
        assert (folder / "diffractograms.png").stat().st_size > 10_000


def test_files_of_documents_become_a_folder_for_each_run(
    run_command: Run,
    beamline: SimulatedBeamline,
    configuration_file: Path,
    runs: list[Documents],
    files: list[Path],
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    result = run_command("replay", *files, "--config", configuration_file, "--output", out)
    assert result.exit_code == 0, result.output
    assert "3 received, 3 reduced" in result.stdout
    assert {path.name for path in out.iterdir()} == {run[0][1]["uid"][:8] for run in runs}
    for run in runs:
        check_folder(out / run[0][1]["uid"][:8], beamline, run, picture=True)


def test_a_run_that_cannot_be_replayed_is_reported_and_the_other_is_reduced(
    run_command: Run, configuration_file: Path, runs: list[Documents], files: list[Path], tmp_path: Path
) -> None:
    files[0].write_text("rubbish\n")
    result = run_command("replay", *files, "--config", configuration_file, "--output", tmp_path / "out", *NO_PICTURE)
    assert result.exit_code == 1
    assert "no JSON" in result.stderr
    assert "1 of 2 runs failed" in result.stderr
    assert (tmp_path / "out" / runs[1][0][1]["uid"][:8] / "derived.jsonl").exists()


def test_if_nothing_can_be_replayed_nothing_is_written(
    run_command: Run, configuration_file: Path, files: list[Path], tmp_path: Path
) -> None:
    files[0].write_text("rubbish\n")
    result = run_command("replay", files[0], "--config", configuration_file, "--output", tmp_path / "out")
    assert result.exit_code == 1
    assert result.stderr.count("no JSON") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.jsonl"], "no file, no URI, and no tiled profile"),
        (["http://127.0.0.1:9/"], "cannot be opened"),
        (["FILE", "--root-map", "here"], "THERE=HERE"),
    ],
)
def test_bad_input_ends_with_code_2(
    run_command: Run,
    configuration_file: Path,
    files: list[Path],
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tiled.client.utils.TILED_RETRY_ATTEMPTS", 1)
    given = [str(files[0]) if each == "FILE" else each for each in arguments]
    result = run_command("replay", *given, "--config", configuration_file)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


@pytest.fixture(scope="module")
def node(runs: list[Documents], tiled: Any) -> str:
    """The URI of a node of a tiled server with both runs."""
    container = from_uri(tiled.uri).create_container("two runs")
    write = TiledWriter(container)
    for run in runs:
        for name, doc in run:
            write(name, doc)
    key = tiled.uri.partition("?")[2]
    return f"{container.uri}?{key}"


def test_runs_that_are_not_there_are_said_before_any_is_reduced(
    run_command: Run, configuration_file: Path, runs: list[Documents], node: str, tmp_path: Path, reduced: list[str]
) -> None:
    options = ["--config", configuration_file, "--to", "jsonl", "--output", tmp_path / "out"]
    nothing = run_command("replay", node, "99", "nobody", *options)
    assert nothing.exit_code == 2
    assert "99 is not in the catalogue" in nothing.stderr
    assert "'nobody' is not in the catalogue" in nothing.stderr
    assert reduced == []
    some = run_command("replay", node, "99", runs[1][0][1]["uid"], *options)
    assert some.exit_code == 1
    assert some.stderr.startswith("error: 99 is not in the catalogue")
    assert "1 of 2 runs failed" in some.stderr
    assert len(reduced) == 2


def test_after_a_file_there_are_files(
    run_command: Run, configuration_file: Path, files: list[Path], tmp_path: Path, reduced: list[str]
) -> None:
    result = run_command("replay", files[0], "99", "--config", configuration_file, "--output", tmp_path / "out")
    assert result.exit_code == 2
    assert f"99 is no file: after {files[0]} there may be more files" in result.stderr
    assert reduced == []
    folder = run_command("replay", tmp_path, "--config", configuration_file)
    assert f"{tmp_path} is no file, no URI" in folder.stderr


# -- destinations that fail ---------------------------------------------------------------------------------------


def test_a_folder_in_use_costs_its_run_only(
    run_command: Run, configuration_file: Path, runs: list[Documents], files: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    in_use, other = (out / run[0][1]["uid"][:8] for run in runs)
    in_use.mkdir(parents=True)
    lock = FolderLock(in_use)
    arguments = ["replay", *files, "--config", configuration_file, "--output", out, "--to", "jsonl"]
    result = run_command(*arguments)
    assert result.exit_code == 1
    assert f"another command is writing to {in_use}" in result.stderr
    assert "3 received, 3 reduced: stored nowhere" in result.stdout
    assert f"2 received, 2 reduced: {other}" in result.stdout
    lock.release()
    assert run_command(*arguments).exit_code == 0
    assert {path.name for path in in_use.iterdir()} == {"derived.jsonl"}


def test_where_nothing_can_be_written_nothing_is_reduced(
    run_command: Run, configuration_file: Path, files: list[Path], tmp_path: Path, reduced: list[str]
) -> None:
    (tmp_path / "file").write_text("")
    result = run_command("replay", files[0], "--config", configuration_file, "--output", tmp_path / "file" / "out")
    assert result.exit_code == 2
    assert f"nothing can be written to {tmp_path / 'file'}" in result.stderr
    assert reduced == []


@pytest.mark.parametrize("chosen", [[0, 1], [1]])
def test_runs_in_tiled(
    run_command: Run,
    beamline: SimulatedBeamline,
    configuration_file: Path,
    runs: list[Documents],
    node: str,
    chosen: list[int],
    tmp_path: Path,
) -> None:
    uids = [] if len(chosen) == 2 else [runs[n][0][1]["uid"] for n in chosen]
    out = tmp_path / "out"
    result = run_command("replay", node, *uids, "--config", configuration_file, "--output", out, *NO_PICTURE)
    assert result.exit_code == 0, result.output
    assert len(list(out.iterdir())) == len(chosen)
    for n in chosen:
        check_folder(out / runs[n][0][1]["uid"][:8], beamline, runs[n])


def test_derived_runs_are_not_reduced_again_without_a_word(
    run_command: Run, configuration_file: Path, files: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert run_command("replay", *files, "-c", configuration_file, "-o", out, "--to", "jsonl").exit_code == 0
    derived = sorted(out.glob("*/derived.jsonl"))
    for given in (derived, derived[:1]):
        result = run_command("replay", *given, "--config", configuration_file, "--output", tmp_path / "again")
        assert result.exit_code == 1
        assert "derived" in result.stderr


def test_an_interrupted_replay_is_gone_on_with(
    run_command: Run,
    beamline: SimulatedBeamline,
    configuration_file: Path,
    runs: list[Documents],
    files: list[Path],
    tmp_path: Path,
    reduced: list[str],
) -> None:
    out = tmp_path / "out"
    arguments = ["replay", files[0], "--config", configuration_file, "--output", out, *NO_PICTURE]
    assert run_command(*arguments).exit_code == 0
    folder = out / runs[0][0][1]["uid"][:8]
    whole = (folder / "derived.jsonl").read_bytes()
    third = whole.index(b'{"name": "event"', whole.index(b'{"name": "event"', whole.index(b'"event"')) + 1)
    (folder / "derived.jsonl").unlink()
    (folder / "derived-0123.part").write_bytes(whole[: third + 500])  # killed while it wrote the third event
    reduced.clear()
    result = run_command(*arguments)
    assert result.exit_code == 0, result.output
    assert "1 frames were taken over" in result.stdout
    assert len(reduced) == 2
    check_folder(folder, beamline, runs[0])
    assert not list(folder.glob("*.part*"))
    reduced.clear()
    result = run_command(*arguments, "--again")
    assert "taken over" not in result.stdout
    assert len(reduced) == 3
    check_folder(folder, beamline, runs[0])


def test_a_finished_replay_said_again_says_that_all_is_there(
    run_command: Run,
    beamline: SimulatedBeamline,
    configuration_file: Path,
    runs: list[Documents],
    files: list[Path],
    tmp_path: Path,
    reduced: list[str],
) -> None:
    out = tmp_path / "out"
    arguments = ["replay", *files, "--config", configuration_file, "--output", out, "--to", "xy,png,nexus"]
    assert run_command(*arguments).exit_code == 0
    folders = [out / run[0][1]["uid"][:8] for run in runs]
    before = [{path: path.stat().st_mtime_ns for path in folder.iterdir()} for folder in folders]
    reduced.clear()
    result = run_command(*arguments)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        f"run {run[0][1]['uid']}: all {number} frames are there already: {folder} (--again computes them anew)"
        for run, number, folder in zip(runs, (3, 2), folders, strict=True)
    ]
    assert reduced == []
    assert before == [{path: path.stat().st_mtime_ns for path in folder.iterdir()} for folder in folders]

    next(folders[0].glob("*_range2.xy")).unlink()  # of this one something is wanted, and taken over
    result = run_command(*arguments)
    assert "2 frames were taken over" in result.stdout
    assert f"run {runs[1][0][1]['uid']}: all 2 frames are there already" in result.stdout
    assert {path.name for path in before[0]} == {path.name for path in folders[0].iterdir()}
    check_folder(folders[0], beamline, runs[0], picture=True)


@pytest.mark.parametrize("change", [["--log"], ["--to", "chi"], ["--to", "nexus"]])
def test_what_is_wanted_and_not_there_is_written(
    run_command: Run, configuration_file: Path, runs: list[Documents], files: list[Path], tmp_path: Path,
    reduced: list[str], change: list[str],
) -> None:  # fmt: skip
    arguments = ["replay", files[0], "--config", configuration_file, "--output", tmp_path / "out"]
    assert run_command(*arguments).exit_code == 0
    folder = tmp_path / "out" / runs[0][0][1]["uid"][:8]
    picture = (folder / "diffractograms.png").read_bytes()
    result = run_command(*arguments, *change)
    assert "2 frames were taken over" in result.stdout
    assert ((folder / "diffractograms.png").read_bytes() != picture) == (change == ["--log"])
    assert "all 3 frames are there already" in run_command(*arguments, *change).stdout


def test_what_was_there_stays_if_a_replay_is_interrupted(
    run_command: Run,
    configuration_file: Path,
    runs: list[Documents],
    files: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from bluesky_diffractogram.reduction.reducer import Reducer

    out = tmp_path / "out"
    arguments = ["replay", files[0], "--config", configuration_file, "--output", out, "--again", *NO_PICTURE]
    assert run_command(*arguments).exit_code == 0
    folder = out / runs[0][0][1]["uid"][:8]
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    frames: list[Any] = []

    def interrupted(self: Reducer, frame: Any, reduce: Any = Reducer.reduce) -> Any:
        frames.append(frame)
        if len(frames) == 2:
            raise KeyboardInterrupt
        return reduce(self, frame)

    monkeypatch.setattr(Reducer, "reduce", interrupted)
    assert run_command(*arguments).exit_code != 0
    assert before.items() <= {path.name: path.read_bytes() for path in folder.iterdir()}.items()
    assert len(list(folder.glob("derived-*.part"))) == 1


@pytest.fixture
def long_run(tmp_path: Path) -> tuple[Path, Path]:
    """The documents of a run of 3000 points whose frames lie in a file, and the configuration."""
    write_hdf5(tmp_path / "frames.h5", images(20))
    stream = StreamRun(uri_of(tmp_path / "frames.h5"), motor=True)
    documents = list(stream.begin())
    for n in range(3000):
        documents += [stream.datum(n % 20, n % 20 + 1, seq_num=n + 1), stream.event(n + 1, motor=float(n))]
    raw, config = tmp_path / "raw.jsonl", tmp_path / "configuration.json"
    raw.write_text("".join(json.dumps(pair) + "\n" for pair in [*documents, stream.stop()]))
    poni = write_poni(tmp_path / "small.poni", shape=(120, 130), pixel=(6e-4, 5e-4))
    config.write_text(json.dumps({"calibration": str(poni), "npt": 50, "peaks": None}))
    return raw, config


@pytest.mark.slow
def test_an_interrupt_from_the_keyboard_ends_workers_and_is_gone_on_with(
    run_command: Run, long_run: tuple[Path, Path], tmp_path: Path
) -> None:
    """As a terminal does it: all processes get the signal."""
    raw, config = long_run
    command = ["replay", str(raw), "--config", str(config), "--to", "jsonl", "--output"]
    out = tmp_path / "out"
    code = "import sys; from bluesky_diffractogram.service.cli import main; sys.exit(main())"
    with (tmp_path / "told").open("w+") as told:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *command, str(out), "--workers", "2"],
            stdout=told, stderr=told, start_new_session=True, cwd=tmp_path,
        )  # fmt: skip
        workers: list[psutil.Process] = []
        try:
            end = time.monotonic() + 120
            while not sum(path.stat().st_size for path in out.glob("*/derived-*.part")) > 300_000:
                assert process.poll() is None
                assert time.monotonic() < end
                time.sleep(0.02)
            workers = psutil.Process(process.pid).children(recursive=True)
            os.killpg(process.pid, signal.SIGINT)
            assert process.wait(60) == 130
        finally:
            if process.poll() is None:
                process.kill()
                process.wait(10)
        told.seek(0)
        said = " ".join(told.read().split())
    assert "Traceback" not in said
    found = re.search(r"interrupted: at frame (\d+) of run (\S+); start the same command again to go on", said)
    assert found is not None, said
    assert found[2] == json.loads(raw.read_text().partition("\n")[0])[1]["uid"]
    assert len(workers) >= 2
    assert psutil.wait_procs(workers, timeout=20)[1] == []
    result = run_command(*command, out)
    assert result.exit_code == 0, result.output
    taken = re.search(r"(\d+) frames were taken over", result.stdout)
    assert taken is not None
    assert 50 < int(taken[1]) <= int(found[1])
    (folder,) = out.iterdir()
    assert [path.name for path in folder.iterdir()] == ["derived.jsonl"]
    with (folder / "derived.jsonl").open() as lines:
        events = [line["doc"]["data"] for line in map(json.loads, lines) if line["name"] == "event"]
    assert [event["raw_seq_num"] for event in events] == list(range(1, 3001))
    assert all(event["diff_1"] == events[n % 20]["diff_1"] for n, event in enumerate(events))


@pytest.mark.parametrize("when", ["before", "during"])
def test_an_interrupt_is_one_line(
    run_command: Run, configuration_file: Path, runs: list[Documents], files: list[Path], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, when: str,
) -> None:  # fmt: skip
    from bluesky_diffractogram.reduction.reducer import Reducer

    frames: list[Any] = []

    def interrupted(self: Reducer, frame: Any, reduce: Any = Reducer.reduce) -> Any:
        frames.append(frame)
        if len(frames) == (1 if when == "before" else 3):
            raise KeyboardInterrupt
        return reduce(self, frame)

    monkeypatch.setattr(Reducer, "reduce", interrupted)
    result = run_command("replay", files[0], "--config", configuration_file, "--output", tmp_path / "out")
    assert result.exit_code == 130
    where = "before the first frame" if when == "before" else f"at frame 2 of run {runs[0][0][1]['uid']}"
    assert f"interrupted: {where}; start the same command again to go on" in " ".join(result.stderr.split())
    assert "Traceback" not in result.output
