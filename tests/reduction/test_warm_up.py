"""Loops that are ready before the first frame."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys

import pytest

from bluesky_diffractogram.reduction import compiled

SCRIPT = """
import json, logging, sys
import numpy as np
from numba.core.dispatcher import Dispatcher
from bluesky_diffractogram.config import load_config
from bluesky_diffractogram.reduction import warm_up
from bluesky_diffractogram.reduction.frame import Frame
from bluesky_diffractogram.reduction.opening import open_geometry
from bluesky_diffractogram.reduction.reducer import Reducer

logging.basicConfig(level=logging.WARNING, stream=sys.stdout)

def ready():
    found = {}
    for name, module in list(sys.modules.items()):
        if name.startswith("bluesky_diffractogram"):
            for each in vars(module).values():
                if isinstance(each, Dispatcher):
                    found[each.py_func.__qualname__] = len(each.overloads)
    return found

config = load_config(json.loads(sys.argv[1]))
for usual in warm_up.USUAL:
    warm_up.make_ready(usual)
before = ready()
geometry = open_geometry(config)
reducer = Reducer(config, geometry, geometry.shape)
two_theta = np.rad2deg(geometry.pixels("center", "2th_deg"))
lines = sum(h * np.exp(-(((two_theta - at) / 0.1) ** 2)) for at, h in ((5, 300), (7, 900), (7.2, 300), (11, 100)))
for dtype in warm_up.DTYPES:
    image = np.random.default_rng(3).poisson(30 + lines).astype(dtype)
    image[5, 5] = -1 if dtype == "int32" else np.iinfo(dtype).max
    reducer.reduce(Frame(image, 0.0, monitor=2.0))
print(json.dumps({name: n for name, n in ready().items() if n > before.get(name, 0)}))
print(sum(before.values()))
"""


@pytest.mark.parametrize(
    "settings",
    [
        {"peaks": {"fit": "pseudo-voigt"}, "error_model": "poisson", "cake": True},
        {"peaks": {}, "error_model": "azimuthal", "cake": {"npt_rad": 100, "npt_azim": 90}},
        {"peaks": {}, "error_model": "poisson", "method": "no", "statistic": "sigma-clip"},
        {"error_model": "poisson", "method": "full", "statistic": "median"},
    ],
)
def test_a_frame_needs_no_further_loops(poni, settings):
    config = {"calibration": str(poni), "diff_ranges": [[0, 360, 4, 16], [10, 60, 5, None]], **settings}
    command = [sys.executable, "-c", SCRIPT, json.dumps(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=True)
    *said, further, ready = done.stdout.splitlines()
    assert json.loads(further) == {}
    assert int(ready) > 10
    assert all("loops are compiled" in line for line in said if "bluesky_diffractogram" in line)


def test_that_loops_are_compiled_is_said_once(monkeypatch, caplog, tmp_path):
    monkeypatch.setattr(compiled.compiling_said, "said", False)
    name = compiled.OURS + ".of_this_test"
    source = f"__name__ = {name!r}\ndef twice(x):\n    return 2 * x\ndef thrice(x):\n    return 3 * x\n"
    functions: dict = {}
    exec(compile(source, str(tmp_path / "loops.py"), "exec"), functions)
    with caplog.at_level(logging.WARNING):
        assert compiled.njit(functions["twice"])(21) == 42
        assert compiled.njit(functions["thrice"])(7) == 21
    (record,) = [each for each in caplog.records if "loops are compiled" in each.message]
    assert record.levelname == "WARNING"
    assert os.path.basename(record.pathname) == "compiled.py"
