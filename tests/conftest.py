"""What tests of several rooms share: geometries small enough to be quick, and the real frames."""

from __future__ import annotations

import gc
import signal
import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from ponis import write_poni

# Whoever starts pytest in the background has it deaf to the keyboard, and with it all that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

LIGHTFORM = Path(__file__).parents[2] / "shared" / "data" / "lightform"


def pytest_collection_modifyitems(config, items):
    """Of several processes none waits for the others in the end: what takes long, and what one does alone, is first."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: not (item.get_closest_marker("xdist_group") or item.get_closest_marker("slow")))


@pytest.fixture(autouse=True, scope="session")
def _tables_of_this_session_only(tmp_path_factory):
    """Tables are kept in a folder of the session: none is left behind, and none from before is used."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BLUESKY_DIFFRACTOGRAM_CACHE", str(tmp_path_factory.mktemp("tables")))
        yield


@pytest.fixture(autouse=True, scope="session")
def _that_loops_are_compiled_is_not_said():
    """By whichever test is the first in its process that needs new ones."""
    from bluesky_diffractogram.reduction.compiled import compiling_said

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiling_said, "said", True)
        yield


@pytest.fixture(autouse=True, scope="session")
def _no_garbage_collection_with_every_calibration():
    """pyFAI collects garbage whenever it loads one: 0.3 s each time among all that these tests import."""
    import pyFAI.geometry.core

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pyFAI.geometry.core, "gc", SimpleNamespace(collect=lambda: 0))
        yield


@pytest.fixture(autouse=True, scope="module")
def _garbage_is_collected_once_a_module():
    """What is imported is none: it is not looked at again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _no_figures_of_earlier_tests():
    """bluesky's own callbacks leave theirs open."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture(autouse=True)
def _clients_of_tiled_as_they_were():
    """`.v2` of one run or catalogue changes what all that come later in this process give."""
    yield
    if "bluesky_tiled_plugins" in sys.modules:
        from bluesky_tiled_plugins.clients.bluesky_run import BlueskyRun
        from tiled.client.container import DEFAULT_STRUCTURE_CLIENT_DISPATCH

        for clients in DEFAULT_STRUCTURE_CLIENT_DISPATCH.values():
            if "BlueskyRun" in clients and clients["BlueskyRun"] is not BlueskyRun:
                clients.set("BlueskyRun", lambda: BlueskyRun)


@pytest.fixture
def free_port():
    """A function that gives a port of this machine that nobody uses."""

    def find():
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return probe.getsockname()[1]

    return find


@pytest.fixture
def reduced(monkeypatch):
    """The names of the frames that are computed."""
    from bluesky_diffractogram.reduction.reducer import Reducer

    names, reduce = [], Reducer.reduce

    def spy(self, frame):
        names.append(frame.imagename)
        return reduce(self, frame)

    monkeypatch.setattr(Reducer, "reduce", spy)
    return names


@pytest.fixture
def poni(tmp_path):
    """A PONI file of a 240 × 260 detector, tilted by a few degrees."""
    return write_poni(tmp_path / "tilted.poni", rot=(0.03, -0.05, 0.4))


@pytest.fixture
def flat_poni(tmp_path):
    """A PONI file of a 240 × 260 detector that faces the beam."""
    return write_poni(tmp_path / "flat.poni")


@pytest.fixture
def rings():
    """``(240, 260)`` uint16: noise on rings about the middle, from a fixed seed."""
    y, x = np.mgrid[:240, :260]
    radius = np.hypot((y - 120) * 0.3, (x - 130) * 0.25)
    expected = 50 + 400 * np.exp(-(((radius - 12) / 0.5) ** 2)) + 900 * np.exp(-(((radius - 22) / 0.4) ** 2))
    return np.random.default_rng(7).poisson(expected).astype(np.uint16)


@pytest.fixture
def steered(tmp_path):
    """A RunEngine with a simulated beamline, the callback subscribed, and the device."""
    from steered import Steered

    session = Steered(tmp_path)
    yield session
    session.close()


@pytest.fixture
def undrawn(monkeypatch):
    """bluesky's plots have their lines, and do not spend seconds on drawing each."""
    from matplotlib.backend_bases import FigureCanvasBase

    monkeypatch.setattr(FigureCanvasBase, "draw_idle", lambda self, *_, **__: None)


@pytest.fixture(scope="session")
def lightform():
    """The folder of the real frames; tests that need it are skipped where it is absent."""
    if not LIGHTFORM.is_dir():
        pytest.skip(f"the real frames are not at {LIGHTFORM}")
    return LIGHTFORM


@pytest.fixture(scope="session")
def real_frame(lightform):
    """The first real frame, ``(1441, 1440)`` uint16."""
    import fabio

    return fabio.open(str(lightform / "pixium_03150.tif")).data
