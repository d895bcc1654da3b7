"""The command that says what a configuration means."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from matplotlib.image import imread

from bluesky_diffractogram.reduction.calibration import load_geometry
from bluesky_diffractogram.service.examine import beam_centre, examine, two_theta_limits
from bluesky_diffractogram.sim.beamline import SimulatedBeamline

Run = Callable[..., Result]


def _without_shape(beamline: SimulatedBeamline) -> dict[str, Any]:
    """The beamline's configuration with a calibration that has no shape, and without a mask that tells it."""
    text = beamline.calibration.read_text().replace('"max_shape": [209, 197]', '"max_shape": null')
    path = beamline.calibration.with_name("shapeless.poni")
    path.write_text(text)
    return {**beamline.configuration, "calibration": str(path), "mask": None}


def test_it_prints_geometry_ranges_and_corrections(
    run_command: Run, configuration_file: Path, beamline: SimulatedBeamline, tmp_path: Path
) -> None:
    result = run_command("check", configuration_file, "--output", tmp_path / "out")
    assert result.exit_code == 0, result.output
    text = re.sub(r"\s+", " ", result.stdout)
    for expected in (
        str(beamline.calibration),
        "209 rows × 197 columns",
        "300.0000 mm",
        "0.747°",
        "0.31 Å, 39.99 keV",
        "factor 0.99",
        str(beamline.mask),
    ):
        assert expected in text
    assert re.search(r"1 │ 10 … 20 │ 10 │ 0 … 10 │ 250 │ \d+ │", text)
    assert re.search(r"2 │ -5 … 5 │ 10 │ 5 … 15 │ 250 │ \d+ │", text)
    picture = imread(tmp_path / "out" / "ranges.png")
    assert min(picture.shape[:2]) > 300


def test_it_says_which_events_bring_darks(run_command: Run, beamline: SimulatedBeamline, tmp_path: Path) -> None:
    settings = {**beamline.configuration, "dark": {"key": "shutter", "value": "closed"}}
    result = run_command("check", json.dumps(settings), "--output", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "the latest before the frame: an event whose 'shutter' is 'closed'" in re.sub(r"\s+", " ", result.stdout)


def test_it_says_what_is_searched_for_and_where(run_command: Run, beamline: SimulatedBeamline, tmp_path: Path) -> None:
    wanted = {
        **beamline.configuration,
        "cake": {"npt_rad": 70, "npt_azim": 36},
        "peaks": {"fit": "pseudo-voigt", "phases": [{"name": "CeO2", "calibrant": "CeO2", "most": 2}], "auto": 1},
    }
    result = run_command("check", json.dumps(wanted), "--output", tmp_path / "out")
    assert result.exit_code == 0, result.output
    said = re.sub(r"\s+", " ", result.stdout)
    assert "default finder, fitted with pseudo-voigt" in said
    assert "36 azimuths × 70 radial bins" in said
    assert "followed in 1 CeO2_111 (" in said
    assert "p1" in said


@pytest.mark.parametrize("how", ["argument", "--config", "--tool-configuration", "JSON argument"])
def test_a_configuration_can_be_given_in_every_way(
    run_command: Run, configuration_file: Path, beamline: SimulatedBeamline, tmp_path: Path, how: str
) -> None:
    lavue = {
        "calibration": str(beamline.calibration),
        "diff_number": 2,
        "diff_ranges": [[10, 20, 0, 10], [-5, 5, 5, 15]],
        "diff_units": "r [mm]",
        "buffering": True,
        "buffer_size": 512,
    }
    given = {
        "argument": [configuration_file],
        "--config": ["--config", configuration_file],
        "--tool-configuration": ["--tool-configuration", json.dumps(lavue)],
        "JSON argument": [json.dumps(lavue)],
    }[how]
    result = run_command("check", *given, "-o", tmp_path)
    assert result.exit_code == 0, result.output
    assert ("r [mm]" in result.stdout) == (given[-1] == json.dumps(lavue))


def test_limits_are_in_two_theta_and_in_the_unit(beamline: SimulatedBeamline) -> None:
    examined = examine(json.dumps({**beamline.configuration, "diff_units": "q [1/nm]"}))
    assert examined.reducer is not None
    second = examined.reducer.ranges[1]
    expected = [4 * np.pi / 0.031 * np.sin(np.deg2rad(angle / 2)) for angle in (5.0, 15.0)]
    assert second.radial_range == pytest.approx(expected)
    assert two_theta_limits(second, examined.reducer.geometry) == pytest.approx((5.0, 15.0))


def test_limits_in_d_are_told_as_ascending_two_theta(beamline: SimulatedBeamline) -> None:
    examined = examine(json.dumps({**beamline.configuration, "diff_units": "d [A]"}))
    assert examined.reducer is not None
    second = examined.reducer.ranges[1]
    assert second.radial_range[0] == pytest.approx(0.31 / (2 * np.sin(np.deg2rad(7.5))))
    assert two_theta_limits(second, examined.reducer.geometry) == pytest.approx((5.0, 15.0))


def test_the_beam_centre_is_that_of_the_poni(beamline: SimulatedBeamline, tmp_path: Path) -> None:
    # A flat detector turned by rot1 and rot2: the beam is at poni + L·(tan rot2, −tan rot1 / cos rot2) in metres
    rot1, rot2 = 0.011, -0.007
    slow = 0.0874 + 0.3 * np.tan(rot2) / np.cos(rot1)
    fast = 0.0705 - 0.3 * np.tan(rot1)
    column, row = beam_centre(load_geometry(beamline.calibration))
    assert (column, row) == pytest.approx((fast / 8.6e-4 - 0.5, slow / 8.6e-4 - 0.5), abs=1e-6)


def test_without_a_shape_it_says_what_is_missing(run_command: Run, beamline: SimulatedBeamline, tmp_path: Path) -> None:
    result = run_command("check", json.dumps(_without_shape(beamline)), "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "not known" in result.stdout
    assert "--frame" in result.stdout
    assert not (tmp_path / "out").exists()


def test_a_frame_tells_the_shape_and_its_invalid_pixels(
    run_command: Run, beamline: SimulatedBeamline, tmp_path: Path, write_edf: Callable[..., Path]
) -> None:
    image = beamline.detector.frames.frame(1, 300.0)
    frame = write_edf(tmp_path / "frame.edf", image)
    result = run_command("check", json.dumps(_without_shape(beamline)), "--frame", frame, "-o", tmp_path)
    assert result.exit_code == 0, result.output
    assert f"{(image < 0).sum()} more pixels of the frame" in result.stdout
    assert "209 rows × 197 columns" in result.stdout
    assert (tmp_path / "ranges.png").exists()


def test_a_picture_of_ones_own_is_not_drawn_over(
    run_command: Run, configuration_file: Path, beamline: SimulatedBeamline, tmp_path: Path
) -> None:
    picture = tmp_path / "ranges.png"
    assert f"ranges drawn in {picture}\n" in run_command("check", configuration_file, "-o", tmp_path).stdout
    first = picture.read_bytes()
    other = json.dumps({**beamline.configuration, "diff_ranges": [[0, 40, 5, 10]]})
    again = run_command("check", other, "-o", tmp_path)
    assert f"ranges drawn in {picture}, in the place of an earlier one" in again.stdout
    assert picture.read_bytes() != first
    for mine in (b"no picture at all", first.replace(b"bluesky-diffractogram check", b"somebody else's program    ")):
        picture.write_bytes(mine)
        refused = run_command("check", configuration_file, "-o", tmp_path)
        assert refused.exit_code == 2
        assert f"{picture} is there and is none of this command's: say with --output where to draw" in refused.stderr
        assert picture.read_bytes() == mine
    assert sorted(path.name for path in tmp_path.glob("*.png*")) == ["ranges.png"]


def test_a_frame_of_another_detector_is_refused(
    run_command: Run, configuration_file: Path, tmp_path: Path, write_edf: Callable[..., Path]
) -> None:
    frame = write_edf(tmp_path / "other.edf", np.zeros((50, 60), dtype=np.int32))
    result = run_command("check", configuration_file, "--frame", frame)
    assert result.exit_code == 2
    assert "(50, 60)" in result.stderr
    assert "(209, 197)" in result.stderr
    assert result.stderr.count("\n") == 1


def test_an_empty_range_is_warned_of_and_drawn_without_it(
    run_command: Run, beamline: SimulatedBeamline, tmp_path: Path
) -> None:
    settings = {**beamline.configuration, "diff_ranges": [[0, 10, 5, 10], [0, 10, 60, 70]]}
    result = run_command("check", json.dumps(settings), "-o", tmp_path)
    assert result.exit_code == 0, result.output
    assert "warning: range 2" in result.stdout
    assert "none" in result.stdout
    assert (tmp_path / "ranges.png").exists()


def test_a_limit_that_leaves_no_pixel_is_refused_when_a_frame_tells_the_shape(
    run_command: Run, beamline: SimulatedBeamline, tmp_path: Path, write_edf: Callable[..., Path]
) -> None:
    frame = write_edf(tmp_path / "frame.edf", beamline.detector.frames.frame(1, 300.0))
    settings = {**_without_shape(beamline), "diff_ranges": [[0, 10, 60, None]], "diff_units": "q [1/A]"}
    assert run_command("check", json.dumps(settings)).exit_code == 0
    for result in (
        run_command("check", json.dumps(settings), "--frame", frame, "-o", tmp_path),
        run_command("check", json.dumps({**beamline.configuration, "diff_ranges": [[0, 10, 60, None]]})),
    ):
        assert result.exit_code == 2
        assert "diff_ranges[0] = 60.0: 60 leaves no pixel; allowed: a limit that the detector reaches" in result.stderr
        assert re.search(r"the detector covers 0 to 2\d\.\d+ deg", result.stderr)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"diff_units": "q [1/furlong]"}, ["diff_units", "q [1/furlong]", "q [1/nm]"]),
        ({"calibration": "/not/there.poni"}, ["calibration", "/not/there.poni"]),
        ({"diff_ranges": [[0, 10, 5]]}, ["diff_ranges[0]", "four"]),
        ({"bufer_size": 3}, ["bufer_size", "buffer_size"]),
    ],
)
def test_a_bad_configuration_is_one_line_and_exit_code_2(
    run_command: Run, beamline: SimulatedBeamline, change: dict[str, Any], expected: list[str]
) -> None:
    result = run_command("check", json.dumps({**beamline.configuration, **change}))
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    for word in expected:
        assert word in result.stderr


def test_no_configuration_or_two_are_refused(run_command: Run, configuration_file: Path) -> None:
    assert run_command("check").exit_code == 2
    twice = run_command("check", configuration_file, "--config", configuration_file)
    assert twice.exit_code == 2
    assert "one configuration" in twice.stderr


def test_it_says_what_moves(run_command: Run, beamline: SimulatedBeamline, tmp_path: Path) -> None:
    path = tmp_path / "moving.json"
    path.write_text(json.dumps({**beamline.configuration, "geometry": {"distance": "det_z", "energy": "mono"}}))
    result = run_command("check", path, "--output", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "distance by 'det_z', energy by 'mono'" in result.stdout


def test_further_detectors_are_told_with_what_is_their_own(
    run_command: Run, beamline: SimulatedBeamline, tmp_path: Path
) -> None:
    second = beamline.calibration.with_name("second.poni")
    second.write_text(beamline.calibration.read_text().replace("Distance: 0.3", "Distance: 0.25"))
    merge = [{"image_key": "other_image", "calibration": str(second), "scale": 1.5, "transformation": "rot-90"}]
    settings = {**beamline.configuration, "image_key": "det_image", "merge": merge}
    result = run_command("check", json.dumps(settings), "--output", tmp_path / "out")
    assert result.exit_code == 0, result.output
    text = re.sub(r"\s+", " ", result.stdout)
    for expected in ("Merged: other_image", str(second), "197 rows × 209 columns", "250.0000 mm", "scale 1.5"):
        assert expected in text
    pixels = []
    for each in (settings, {**settings, "merge": []}):
        reducer = examine(json.dumps(each)).reducer
        assert reducer is not None
        pixels.append(reducer.integrator.pixels[0])
    assert str(pixels[0]) in text
    assert pixels[0] > 1.5 * pixels[1]
