"""A small simulated beamline and the command line, for the service's tests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bluesky.plans as bp
import numpy as np
import pytest
from bluesky import RunEngine
from click.testing import Result
from documents.conftest import SHAPE
from numpy.typing import NDArray
from ponis import write_poni
from tiled_servers import tiled_server_here
from typer.testing import CliRunner

from bluesky_diffractogram.service.cli import app
from bluesky_diffractogram.sim.beamline import SimulatedBeamline, simulated_beamline


@pytest.fixture(autouse=True)
def _no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    """No window opens, and what the commands put into the environment does not stay there."""
    monkeypatch.setenv("MPLBACKEND", "agg")


@pytest.fixture
def run_command() -> Callable[..., Result]:
    """Runs the command line in this process."""
    return lambda *arguments: CliRunner().invoke(app, [str(each) for each in arguments])


@pytest.fixture
def cfg(tmp_path: Path) -> dict[str, Any]:
    """Two ranges on the detector of `documents.conftest`."""
    poni = write_poni(tmp_path / "small.poni", shape=SHAPE, pixel=(6e-4, 5e-4), rot=(0.02, -0.03, 0.0))
    return {"calibration": str(poni), "diff_ranges": [[10, 60, 4, 16], [-5, 40, 5, 15]], "npt": 150}


@pytest.fixture(scope="session")
def beamline(tmp_path_factory: pytest.TempPathFactory) -> SimulatedBeamline:
    """A beamline with few pixels, of all tests; they change none of its files."""
    return simulated_beamline(tmp_path_factory.mktemp("beamline"), detector="small")


@pytest.fixture(scope="session")
def configuration_file(beamline: SimulatedBeamline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The beamline's configuration in a file."""
    path = tmp_path_factory.mktemp("configuration") / "configuration.json"
    path.write_text(json.dumps(beamline.configuration))
    return path


@pytest.fixture
def write_edf() -> Callable[[Path, NDArray[Any]], Path]:
    """Writes a frame as fabio reads it."""

    def write(path: Path, *images: NDArray[Any]) -> Path:
        from fabio.edfimage import EdfImage

        file = EdfImage(data=np.asarray(images[0]))
        for image in images[1:]:
            file.append_frame(data=np.asarray(image))
        file.write(str(path))
        return path

    return write


@pytest.fixture(scope="session")
def readable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of which `tiled` may read files."""
    return tmp_path_factory.mktemp("detectors")


@pytest.fixture(scope="session")
def tiled(readable: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A tiled server in this process."""
    with tiled_server_here(tmp_path_factory.mktemp("server"), readable_storage=str(readable)) as server:
        yield server


@pytest.fixture(scope="session")
def runs(beamline: SimulatedBeamline) -> list[list[tuple[str, dict[str, Any]]]]:
    """The documents of two raw runs of a heated sample, of three points and of two."""
    engine = RunEngine({})
    engine.waiting_hook = None
    taken: list[list[tuple[str, dict[str, Any]]]] = []

    def keep(name: str, doc: dict[str, Any]) -> None:
        if name == "start":
            taken.append([])
        taken[-1].append((name, doc))

    engine.subscribe(keep)
    for points in (3, 2):
        engine(bp.scan([beamline.detector], beamline.furnace, 300, 500, points))
    return taken
