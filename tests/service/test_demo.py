"""The demonstration."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from matplotlib.image import imread

from bluesky_diffractogram import views
from bluesky_diffractogram.config import load_config
from bluesky_diffractogram.reduction.opening import open_geometry
from bluesky_diffractogram.service import demonstration
from bluesky_diffractogram.service.demonstration import line_positions
from bluesky_diffractogram.sim.beamline import simulated_beamline
from bluesky_diffractogram.views import windows

Run = Callable[..., Result]


def test_it_finds_the_simulated_lines_and_leaves_everything_to_go_on_with(run_command: Run, tmp_path: Path) -> None:
    out = tmp_path / "demo"
    result = run_command("demo", "--frames", 12, "--no-window", "--detector", "small", "--output", out)
    assert result.exit_code == 0, result.output
    assert "12 received, 12 reduced" in result.stdout
    assert {path.name for path in out.iterdir()} == {
        "configuration.json",
        "derived.jsonl",
        "detector.poni",
        "detector_mask.npy",
        "diffractograms.png",
    }
    config = load_config(out / "configuration.json")  # usable as it is
    open_geometry(config)
    assert imread(out / "diffractograms.png").shape[0] > 300

    beamline = simulated_beamline(tmp_path / "again", detector="small")
    lines = [json.loads(line) for line in (out / "derived.jsonl").read_text().splitlines()]
    events = [line["doc"]["data"] for line in lines if line["name"] == "event"]
    temperatures = [data["furnace"] for data in events]
    assert temperatures == pytest.approx(np.linspace(300, 1500, 12))
    for data in events:
        first = beamline.two_theta(data["furnace"])[0]  # CeO2 111
        assert data["peak_1_position"] == pytest.approx(first, abs=0.05)
        assert data["peak_2_position"] == pytest.approx(first, abs=0.05)

    row = re.search(r"│\s+10 │\s+1282 │\s+([\d.]+) │\s+([\d.]+) │\s+([\d.]+) │\s+([\d.]+) │", result.stdout)
    assert row is not None, result.stdout
    assert float(row[1]) == pytest.approx(events[9]["peak_1_position"], abs=1e-4)
    assert float(row[2]) == pytest.approx(beamline.two_theta(temperatures[9])[0], abs=1e-4)


def test_on_the_full_detector_peaks_are_within_a_fraction_of_a_pixel_of_the_truth(
    run_command: Run, tmp_path: Path
) -> None:
    result = run_command("demo", "--frames", 4, "--no-window", "-o", tmp_path)
    assert result.exit_code == 0, result.output
    largest = re.search(r"largest difference │\s+([\d.]+) │\s+│\s+([\d.]+) │", result.stdout)
    assert largest is not None, result.stdout
    pixel = np.rad2deg(0.172 / 300)
    assert max(float(largest[1]), float(largest[2])) < 0.3 * pixel


def test_a_configuration_replaces_settings_but_not_the_calibration(run_command: Run, tmp_path: Path) -> None:
    given = {
        "calibration": "/not/there.poni",
        "diff_ranges": [[0, 90, 4, 12]],
        "diff_units": "q [1/A]",
        "show_diff": False,
    }
    result = run_command(
        "demo", "--frames", 2, "--no-window", "--log", "--detector", "small", "-o", tmp_path,
        "--tool-configuration", json.dumps(given),
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    written = json.loads((tmp_path / "configuration.json").read_text())
    assert written["calibration"] == "detector.poni"
    assert written["diff_number"] == 1
    assert "q [1/A]" in result.stdout
    start, descriptor = (json.loads(line)["doc"] for line in (tmp_path / "derived.jsonl").read_text().splitlines()[:2])
    assert start["purpose"] == "diffractogram"
    assert "diff_2" not in descriptor["data_keys"]


def test_the_truth_is_in_the_configured_unit(tmp_path: Path) -> None:
    beamline = simulated_beamline(tmp_path, detector="small")
    config = load_config({**beamline.configuration, "diff_units": "d [A]"})
    spacings = line_positions(beamline, config)(1, 1000.0)
    expected = np.concatenate([phase.spacings_at(1000.0) for phase in beamline.sample.phases])
    np.testing.assert_allclose(spacings, expected, rtol=1e-9)


def test_a_bad_configuration_is_one_line_and_exit_code_2(run_command: Run, tmp_path: Path) -> None:
    result = run_command(
        "demo", "--no-window", "--detector", "small", "-o", tmp_path, "--tool-configuration", '{"npt": 0}'
    )
    assert result.exit_code == 2
    assert [line for line in result.stderr.splitlines() if line.startswith("error: npt = 0")]
    assert "Traceback" not in result.output


def test_a_window_is_kept_alive_and_waited_for_where_there_is_a_display(
    run_command: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turned, waited = [], []
    keep_alive = windows.KeepWindowsAlive.block
    monkeypatch.setattr(views, "display_available", lambda: True)
    monkeypatch.setattr(windows, "wait_until_closed", waited.append)
    monkeypatch.setattr(windows.KeepWindowsAlive, "block", lambda self, event: turned.append(keep_alive(self, event)))
    result = run_command("demo", "--frames", 2, "--detector", "small", "-o", tmp_path)
    assert result.exit_code == 0, result.output
    assert "close the window to end" in result.stdout
    assert turned
    assert len(waited) == 1


def test_an_interrupted_scan_is_written_as_far_as_it_came(
    run_command: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = demonstration.heating_scan

    def interrupted(detector, furnace, num):  # type: ignore[no-untyped-def]
        for number, message in enumerate(scan(detector, furnace, num=num)):
            if message.command == "save" and number > 25:
                yield from pause()
            yield message

    def pause():  # type: ignore[no-untyped-def]
        from bluesky.plan_stubs import pause as pause_plan

        yield from pause_plan()

    monkeypatch.setattr(demonstration, "heating_scan", interrupted)
    result = run_command("demo", "--frames", 8, "--no-window", "--detector", "small", "-o", tmp_path)
    assert result.exit_code == 130
    lines = [json.loads(line) for line in (tmp_path / "derived.jsonl").read_text().splitlines()]
    assert lines[-1]["name"] == "stop"
    assert lines[-1]["doc"]["exit_status"] == "abort"
    assert 0 < lines[-1]["doc"]["frames"]["reduced"] < 8
    assert (tmp_path / "diffractograms.png").exists()
