"""Detectors whose runs are replayed."""

from __future__ import annotations

import pytest
from documents.conftest import cfg, small_poni
from live_runs import with_bad_pixels
from ophyd.sim import SynAxis, SynSignal, SynSignalWithRegistry

__all__ = ["cfg", "small_poni"]


@pytest.fixture(scope="package")
def pool():
    """Two worker processes for all tests of the group "workers", as `replay(…, workers=2)` starts them."""
    from bluesky_diffractogram.replay import workers

    cluster, client = workers._start(2)
    yield client
    client.close()
    cluster.close()


@pytest.fixture
def motor():
    return SynAxis(name="motor")


@pytest.fixture
def detector(motor):
    """Its image follows the motor, and lies in the events; bad pixels have the top value of uint16."""
    return SynSignal(func=lambda: with_bad_pixels(motor), name="det", labels={"detectors"})


@pytest.fixture
def npy_detector(motor, tmp_path):
    """The same, with NPY files."""
    return SynSignalWithRegistry(
        func=lambda: with_bad_pixels(motor), name="det", labels={"detectors"}, save_path=str(tmp_path)
    )
