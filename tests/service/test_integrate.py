"""The command that reduces files."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from click.testing import Result
from event_model import DocumentNames, schema_validators
from matplotlib.image import imread

from bluesky_diffractogram.config import load_config
from bluesky_diffractogram.reduction.frame import Frame
from bluesky_diffractogram.reduction.opening import open_geometry
from bluesky_diffractogram.reduction.reducer import Reducer
from bluesky_diffractogram.service import column_files
from bluesky_diffractogram.service.folder_lock import FolderLock
from bluesky_diffractogram.sim.beamline import SimulatedBeamline

Run = Callable[..., Result]
LIGHTFORM = Path(__file__).parents[2].parent / "shared" / "data" / "lightform"


def _documents(path: Path) -> list[tuple[str, dict[str, Any]]]:
    return [(line["name"], line["doc"]) for line in map(json.loads, path.read_text().splitlines())]


@pytest.fixture
def frame_files(beamline: SimulatedBeamline, tmp_path: Path, write_edf: Callable[..., Path]) -> list[Path]:
    """Two files with one frame, and one with two."""
    frames = [beamline.detector.frames.frame(n, 300.0 + 200.0 * n) for n in range(4)]
    return [
        write_edf(tmp_path / "a_0.edf", frames[0]),
        write_edf(tmp_path / "a_1.edf", frames[1]),
        write_edf(tmp_path / "b.edf", frames[2], frames[3]),
    ]


def test_every_frame_becomes_curves_documents_and_a_row_of_the_picture(
    run_command: Run,
    beamline: SimulatedBeamline,
    configuration_file: Path,
    frame_files: list[Path],
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    result = run_command("integrate", *frame_files, "--config", configuration_file, "--output", out)
    assert result.exit_code == 0, result.output
    assert "4 received, 4 reduced" in result.stdout

    stems = ["a_0", "a_1", "b_00000", "b_00001"]
    written = {path.name for path in out.iterdir()}
    curves = {f"{stem}_range{i}.xy" for stem in stems for i in (1, 2)}
    assert written == curves | {"derived.jsonl", "diffractograms.png"}

    config = load_config(beamline.configuration)
    reducer = Reducer(config, open_geometry(config), (209, 197))
    for number, stem in enumerate(stems):
        image = beamline.detector.frames.frame(number, 300.0 + 200.0 * number)
        reduction = reducer.reduce(Frame(image, 0.0))
        for i, expected in enumerate(reduction.diffractograms, 1):
            radial, intensity = np.loadtxt(out / f"{stem}_range{i}.xy", unpack=True)
            filled = np.isfinite(expected.intensity)
            np.testing.assert_allclose(radial, expected.radial[filled], rtol=1e-7)
            np.testing.assert_allclose(intensity, expected.intensity[filled], rtol=1e-7)

    documents = _documents(out / "derived.jsonl")
    for name, doc in documents:
        schema_validators[DocumentNames[name]].validate(doc)
    assert [name for name, _ in documents] == ["start", "descriptor", *["event"] * 4, "stop"]
    events = [doc["data"] for name, doc in documents if name == "event"]
    assert [data["imagename"] for data in events] == ["a_0.edf", "a_1.edf", "b.edf[0]", "b.edf[1]"]
    assert events[0]["timestamp"] == pytest.approx(frame_files[0].stat().st_mtime)
    assert documents[-1][1]["frames"]["reduced"] == 4
    assert imread(out / "diffractograms.png").shape[0] > 300


def test_a_file_that_cannot_be_read_is_reported_and_the_others_go_on(
    run_command: Run, configuration_file: Path, frame_files: list[Path], tmp_path: Path
) -> None:
    bad, absent = tmp_path / "bad.tif", tmp_path / "absent.tif"
    bad.write_text("no image")
    out = tmp_path / "out"
    result = run_command("integrate", frame_files[0], bad, absent, frame_files[1], "-c", configuration_file, "-o", out)
    assert result.exit_code == 1
    assert result.stderr.count(bad.name) == 1
    assert result.stderr.count(absent.name) == 1
    assert "2 of 4 files could not be read" in result.stderr
    assert "2 received, 2 reduced" in result.stdout
    assert len(list(out.glob("*.xy"))) == 4
    assert "Traceback" not in result.output


def test_a_frame_of_the_wrong_shape_is_counted_with_its_reason(
    run_command: Run,
    configuration_file: Path,
    frame_files: list[Path],
    tmp_path: Path,
    write_edf: Callable[..., Path],
) -> None:
    wrong = write_edf(tmp_path / "wrong.edf", np.zeros((20, 30), dtype=np.int32))
    out = tmp_path / "out"
    result = run_command("integrate", wrong, frame_files[0], "-c", configuration_file, "-o", out)
    assert result.exit_code == 1
    assert "2 received, 1 reduced, 1 skipped (shape: 1)" in result.stdout
    assert "(20, 30)" in result.stderr
    assert "(209, 197)" in result.stderr
    assert len(list(out.glob("*.xy"))) == 2


def test_nothing_readable_gives_no_picture_and_exit_code_1(
    run_command: Run, configuration_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.tif").write_text("no image")
    with h5py.File(tmp_path / "empty.h5", "w") as file:
        file["entry/data"] = np.zeros((0, 209, 197), "u2")
    files = tmp_path / "bad.tif", tmp_path / "empty.h5"
    result = run_command("integrate", *files, "-c", configuration_file, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert f"Fabio could not identify {files[0]}" in result.stderr
    assert f"{files[1]}: there is no frame in it" in result.stderr
    assert "error: there is no frame to reduce: 2 of 2 files could not be read" in result.stderr
    assert "0/0" not in result.output
    assert result.stdout == ""
    assert not (tmp_path / "out").exists()


def test_what_fails_leaves_earlier_results(
    run_command: Run, configuration_file: Path, frame_files: list[Path], tmp_path: Path, write_edf: Callable[..., Path]
) -> None:
    out = tmp_path / "out"
    assert run_command("integrate", frame_files[0], "-c", configuration_file, "-o", out).exit_code == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    (tmp_path / "bad.tif").write_text("no image")
    wrong = write_edf(tmp_path / "wrong.edf", np.zeros((20, 30), dtype=np.int32))
    for files in ([tmp_path / "bad.tif"], [wrong]):
        assert run_command("integrate", *files, "-c", configuration_file, "-o", out).exit_code == 1
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_a_folder_that_another_command_writes_to_is_left_alone(
    run_command: Run, configuration_file: Path, frame_files: list[Path], tmp_path: Path
) -> None:
    lock = FolderLock(tmp_path)
    result = run_command("integrate", frame_files[0], "-c", configuration_file, "-o", tmp_path)
    lock.release()
    assert result.exit_code == 2
    assert f"another command is writing to {tmp_path}" in result.stderr
    assert not list(tmp_path.glob("*.xy"))


def test_a_full_disk_is_said_and_ends_the_command(
    run_command: Run, configuration_file: Path, frame_files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, text: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(column_files, "write_text", full)
    out = tmp_path / "out"
    result = run_command("integrate", *frame_files, "-c", configuration_file, "-o", out)
    assert result.exit_code == 2
    assert f"error: [Errno {errno.ENOSPC}] No space left on device: '{out}/a_0_range1.xy'" in result.stderr
    assert not out.exists()  # nothing could go on with the documents up to there


def test_an_interrupt_leaves_no_documents_that_nothing_goes_on_with(
    run_command: Run, configuration_file: Path, frame_files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reduced: list[Any] = []

    def interrupted(self: Reducer, frame: Any, reduce: Any = Reducer.reduce) -> Any:
        if reduced:
            raise KeyboardInterrupt
        reduced.append(frame)
        return reduce(self, frame)

    monkeypatch.setattr(Reducer, "reduce", interrupted)
    out = tmp_path / "out"
    assert run_command("integrate", *frame_files, "-c", configuration_file, "-o", out).exit_code != 0
    assert {path.suffix for path in out.iterdir()} == {".xy"}  # of the first frame


def test_a_lavue_configuration_is_taken_although_it_shows_nothing_by_itself(
    run_command: Run, beamline: SimulatedBeamline, frame_files: list[Path], tmp_path: Path
) -> None:
    lavue = {
        "calibration": str(beamline.calibration),
        "diff_number": 2,
        "diff_ranges": [[10, 20, 0, 10], [-5, 5, 5, 15]],
        "diff_units": "r [mm]",
        "show_diff": False,
        "collect": False,
    }
    out = tmp_path / "out"
    result = run_command("integrate", frame_files[0], "--tool-configuration", json.dumps(lavue), "-o", out)
    assert result.exit_code == 0, result.output
    assert "# unit: r_mm" in (out / "a_0_range1.xy").read_text()


def test_a_bad_configuration_is_one_line_and_exit_code_2(
    run_command: Run, beamline: SimulatedBeamline, frame_files: list[Path], tmp_path: Path
) -> None:
    bad = json.dumps({**beamline.configuration, "npt": 0})
    result = run_command("integrate", frame_files[0], "--tool-configuration", bad, "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert [line for line in result.stderr.splitlines() if line.startswith("error: npt = 0")]
    assert not (tmp_path / "out").exists()


def test_the_command_works_as_a_process_of_its_own(
    configuration_file: Path, frame_files: list[Path], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "bluesky_diffractogram", "integrate", str(frame_files[0])]
    command += ["--config", str(configuration_file), "--output", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], timeout=120)
    assert done.returncode == 0, done.stderr
    assert "1 received, 1 reduced" in done.stdout
    assert "Traceback" not in done.stderr
    assert (tmp_path / "out" / "a_0_range2.xy").exists()


@pytest.mark.slow
@pytest.mark.skipif(not LIGHTFORM.is_dir(), reason="the real frames are not there")
def test_it_reproduces_the_published_table_of_a_real_frame(run_command: Run, tmp_path: Path) -> None:
    settings = {
        "calibration": str(LIGHTFORM / "DLS_CeO2_1200mm_pyFAI.poni"),
        "diff_ranges": [[-175 + 10 * k, -165 + 10 * k, 2, 8] for k in range(36)],
        "diff_units": "2th [deg]",
        "npt": 5000,
        "polarization_factor": 0.99,
    }
    path = tmp_path / "lightform.json"
    path.write_text(json.dumps(settings))
    out = tmp_path / "out"
    result = run_command("integrate", LIGHTFORM / "pixium_03150.tif", "--config", path, "-o", out)
    assert result.exit_code == 0, result.output
    table = np.loadtxt(LIGHTFORM / "pixium_03150_36sectors.dat")
    two_theta, sectors = table[:, 0], table[:, 1:].T
    for number, published in enumerate(sectors, 1):
        radial, intensity = np.loadtxt(out / f"pixium_03150_range{number}.xy", unpack=True)
        bins = np.searchsorted(two_theta, radial - 1e-6)
        np.testing.assert_allclose(radial, two_theta[bins], atol=1e-6)
        assert len(bins) > 0.99 * len(two_theta)
        relative = np.abs(intensity - published[bins]) / np.maximum(published[bins], 1.0)
        assert np.median(relative) < 0.01, f"sector {number}"
        assert np.percentile(relative, 99) < 0.1, f"sector {number}"


def test_further_detectors_are_refused_as_files_hold_the_frames_of_one(
    run_command: Run, beamline: SimulatedBeamline, frame_files: list[Path], tmp_path: Path
) -> None:
    merge = [{"image_key": "other_image", "calibration": str(beamline.calibration)}]
    settings = tmp_path / "two.json"
    settings.write_text(json.dumps({**beamline.configuration, "image_key": "image", "merge": merge}, default=str))
    result = run_command("integrate", "--config", settings, "--output", tmp_path / "out", *frame_files)
    assert result.exit_code == 2
    assert "merge = ['other_image']: a file holds the frames of one detector" in result.stderr


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"dark": {"stream": "dark"}}, "dark = {'stream': 'dark'}: files hold no darks of a run; allowed: here"),
        ({"geometry": {"distance": "z"}}, "geometry = {'distance': {'key': 'z'}}: files hold no readings"),
        ({"normalization": "i0"}, "normalization = 'i0': files hold no readings; allowed: null here"),
    ],
)  # fmt: skip
def test_what_only_a_run_tells_is_refused_at_once(
    run_command: Run, beamline: SimulatedBeamline, frame_files: list[Path], tmp_path: Path, wanted: dict, said: str
) -> None:
    settings = tmp_path / "of_run.json"
    settings.write_text(json.dumps({**beamline.configuration, **wanted}, default=str))
    result = run_command("integrate", "--config", settings, "--output", tmp_path / "out", *frame_files)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())
    assert not (tmp_path / "out").exists()


def test_a_profiles_data_key_and_stream_do_not_matter_to_files(
    run_command: Run, beamline: SimulatedBeamline, frame_files: list[Path], tmp_path: Path
) -> None:
    settings = tmp_path / "profile.json"
    config = {
        **beamline.configuration,
        "image_key": "pilatus_image",
        "stream": "fly",
        "dark": {"stream": "darks", "optional": True},
    }
    settings.write_text(json.dumps(config, default=str))
    result = run_command("integrate", "--config", settings, "--output", tmp_path / "out", *frame_files)
    assert result.exit_code == 0, result.output
    assert "4 received, 4 reduced" in result.stdout
