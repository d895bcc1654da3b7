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


def test_importing_the_package_is_quick_and_opens_nothing_heavy():
    code = (
        "import sys, time; t = time.perf_counter(); import bluesky_diffractogram; "
        "print(time.perf_counter() - t, *sorted({'pyFAI', 'matplotlib', 'ophyd', 'numba'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert float(out[0]) < 1.5
    assert out[1:] == []
