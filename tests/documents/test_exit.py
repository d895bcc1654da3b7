"""What happens to queued frames and open runs when the interpreter ends."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.xdist_group("interpreter exit")  # one process that ends, for all

SCRIPT = """
    import json, sys, time
    sys.path.insert(0, {tests!r})
    import numpy as np
    from pathlib import Path
    from ponis import write_poni
    from bluesky_diffractogram import ReductionCallback
    from documents.conftest import image, raw_run
    from bluesky_diffractogram.reduction.reducer import Reducer
    reduce = Reducer.reduce
    def slowly(self, frame):
        time.sleep(0.05)
        return reduce(self, frame)
    Reducer.reduce = slowly
    folder = Path({folder!r})

    def queued(which, cfg, images, end):
        kept = []
        def keep(name, doc):
            kept.append([name, doc.get("exit_status"), doc.get("reason"), doc.get("frames")])
            (folder / which).write_text(json.dumps(kept))
        diff = ReductionCallback(cfg)
        diff.subscribe(keep)
        for name, doc in list(raw_run(images))[:end]:
            diff(name, doc)
        return diff

    small = queued("small", {cfg}, [image(n) for n in range(8)], -1)  # its stop does not come
    poni = write_poni(folder / "large.poni", shape=(1000, 1000), pixel=(2e-4, 2e-4))
    large = queued("large", {{"calibration": str(poni), "npt": 200}}, [np.ones((1000, 1000), "u2")] * 6, None)
"""


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """What two callbacks had sent when their process had ended, each ``[name, exit_status, reason, frames]``."""
    from ponis import write_poni

    from .conftest import SHAPE

    folder = tmp_path_factory.mktemp("exit")
    poni = write_poni(folder / "small.poni", shape=SHAPE, pixel=(6e-4, 5e-4), rot=(0.02, -0.03, 0.0))
    cfg = {"calibration": str(poni), "diff_ranges": [[10, 60, 4, 16], [-5, 40, 5, 15]], "npt": 150}
    script = textwrap.dedent(SCRIPT).format(tests=__file__.rsplit("/", 2)[0], folder=str(folder), cfg=json.dumps(cfg))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return lambda which: json.loads((folder / which).read_text())


def test_the_queue_is_drained_and_open_runs_are_closed(kept):
    small = kept("small")
    assert [entry[0] for entry in small] == ["start", "descriptor", *["event"] * 8, "stop"]
    assert small[-1][1:3] == ["abort", "interpreter exit"]
    assert small[-1][3]["reduced"] == 8


def test_large_frames_are_drained_too(kept):
    """They are shared out among threads, which no executor begins any more when the interpreter ends."""
    large = kept("large")
    assert large[-1][:2] == ["stop", "success"]
    assert large[-1][3]["reduced"] == 6


def test_importing_the_package_is_quick_and_opens_nothing_heavy():
    code = (
        "import sys, time; t = time.perf_counter(); import bluesky_diffractogram; "
        "print(time.perf_counter() - t, *sorted({'pyFAI', 'matplotlib', 'ophyd', 'numba'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert float(out[0]) < 1.5
    assert out[1:] == []
