"""What happens to queued frames and open runs when the interpreter ends."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap


def test_the_queue_is_drained_and_open_runs_are_closed(cfg, tmp_path):
    out = tmp_path / "out.json"
    script = f"""
        import json, sys, time
        sys.path.insert(0, {str(__file__.rsplit("/", 2)[0])!r})
        import numpy as np
        from bluesky_diffractogram import ReductionCallback
        from documents.conftest import image, raw_run
        from bluesky_diffractogram.reduction.reducer import Reducer
        reduce = Reducer.reduce
        def slowly(self, frame):
            time.sleep(0.05)
            return reduce(self, frame)
        Reducer.reduce = slowly
        kept = []
        def keep(name, doc):
            kept.append([name, doc.get("exit_status"), doc.get("reason"), doc.get("frames")])
            open({str(out)!r}, "w").write(json.dumps(kept))
        diff = ReductionCallback({json.dumps(cfg)})
        diff.subscribe(keep)
        for name, doc in list(raw_run([image(n) for n in range(8)]))[:-1]:
            diff(name, doc)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    kept = json.loads(out.read_text())
    assert [entry[0] for entry in kept] == ["start", "descriptor", *["event"] * 8, "stop"]
    assert kept[-1][1:3] == ["abort", "interpreter exit"]
    assert kept[-1][3]["reduced"] == 8


def test_large_frames_are_drained_too(tmp_path):
    """They are shared out among threads, which no executor begins any more when the interpreter ends."""
    script = f"""
        import sys
        sys.path.insert(0, {str(__file__.rsplit("/", 2)[0])!r})
        import numpy as np
        from pathlib import Path
        from ponis import write_poni
        from bluesky_diffractogram import ReductionCallback
        from documents.conftest import raw_run
        poni = write_poni(Path({str(tmp_path)!r}) / "large.poni", shape=(1000, 1000), pixel=(2e-4, 2e-4))
        diff = ReductionCallback({{"calibration": str(poni), "npt": 200}})
        diff.subscribe(lambda name, doc: name == "stop" and print(doc["frames"], flush=True))
        for name, doc in raw_run([np.ones((1000, 1000), "u2")] * 6):
            diff(name, doc)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60)
    assert "'reduced': 6" in done.stdout, done.stdout + done.stderr


def test_importing_the_package_is_quick_and_opens_nothing_heavy():
    code = (
        "import sys, time; t = time.perf_counter(); import bluesky_diffractogram; "
        "print(time.perf_counter() - t, *sorted({'pyFAI', 'matplotlib', 'ophyd', 'numba'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert float(out[0]) < 1.5
    assert out[1:] == []
