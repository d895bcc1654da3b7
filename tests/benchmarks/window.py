"""What an open window costs a scan, in time and memory: ``python tests/benchmarks/window.py``.

The same scan, as fast as bluesky goes, is reduced without a window, with one that is drawn into memory by matplotlib's
Agg, and, where PySide6 is installed, with a real Qt window (under Xvfb where that is found, else offscreen). Each scan
has a process of its own, and the kinds take turns, so that whatever else the machine does meets all of them. Prints a
table and writes JSON.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SHAPE = (1043, 981)
IMAGES = 8
BUFFER = 200
SCANS = 3


def measure(kind: str, frames: int, exposure: float, picture: str | None) -> dict[str, Any]:
    """One process: three scans with the same callback, the first of which is timed apart."""
    sys.path[:0] = [str(HERE.parent), str(HERE.parent / "views")]
    backend = {"none": "agg", "agg": "module://fake_live_backend", "qt": "qtagg"}[kind]
    os.environ["MPLBACKEND"] = backend
    import numpy as np
    from bluesky import RunEngine
    from ophyd import Device
    from ophyd.sim import NullStatus
    from ponis import write_poni

    from bluesky_diffractogram import DiffractogramCallback, KeepWindowsAlive

    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    radius = np.hypot(y - SHAPE[0] / 2, x - SHAPE[1] / 2)
    rng = np.random.default_rng(0)
    rings = sum(400 * np.exp(-(((radius - at) / 2) ** 2)) for at in (120, 190, 260, 330, 420))
    images = [rng.poisson(5 + rings * (1 + 0.004 * n)).astype(np.int32) for n in range(IMAGES)]

    class Camera(Device):
        """Gives one image after the other from memory."""

        taken = 0

        def trigger(self):
            if exposure:
                time.sleep(exposure)
            self.taken += 1
            return NullStatus()

        def read(self):
            return {"image": {"value": images[self.taken % IMAGES], "timestamp": time.time()}}

        def describe(self):
            return {"image": {"source": "test", "dtype": "array", "shape": list(SHAPE), "external": ""}}

        def describe_configuration(self):
            return {}

        def read_configuration(self):
            return {}

    camera = Camera(name="camera")
    described = camera.describe
    camera.describe = lambda: {"image": {k: v for k, v in described()["image"].items() if k != "external"}}
    during: dict[str, Any] = {}
    if kind == "agg":
        import fake_live_backend
        from bluesky.utils import DuringTask

        class Turned(DuringTask):
            def block(self, blocking_event: threading.Event) -> None:
                while not blocking_event.wait(0.1):
                    fake_live_backend.fire_timers()

        during = {"during_task": Turned()}
    elif kind == "qt":
        during = {"during_task": KeepWindowsAlive()}
    with tempfile.TemporaryDirectory() as folder:
        poni = write_poni(Path(folder) / "a.poni", shape=SHAPE, pixel=(172e-6, 172e-6), distance=0.2)
        diff = DiffractogramCallback(
            {
                "calibration": str(poni), "diff_ranges": [[10, 20, 0, 10], [-5, 5, 5, 15]],
                "diff_units": "2th [deg]", "buffer_size": BUFFER,
            },
            plot=kind != "none",
        )  # fmt: skip
        drawn: dict[str, list[float]] = {"draw": [], "quick": []}
        if kind != "none":
            count_drawings(diff.figure, drawn)
        engine = RunEngine({}, **during)
        engine.subscribe(diff)
        import bluesky.plans as bp

        engine(bp.count([camera], 30))  # tables, compiled loops, the first drawing
        diff.wait()
        seconds, resident = [], []
        for _ in range(SCANS):
            before, begin = {name: len(took) for name, took in drawn.items()}, time.perf_counter()
            engine(bp.count([camera], frames))
            diff.wait()
            seconds.append(time.perf_counter() - begin)
            gc.collect()
            resident.append(resident_mb())
        result = {
            "kind": kind, "seconds": seconds, "resident_mb": resident, "errors": dict(diff.errors),
            "reduced": len(diff.buffers[0]),
            "drawings_in_last_scan": {name: len(took) - before[name] for name, took in drawn.items()},
            "median_drawing_ms": {name: 1e3 * statistics.median(took or [0.0]) for name, took in drawn.items()},
        }  # fmt: skip
        if picture and kind != "none":
            diff.figure.save(picture)
        diff.close()
    return result


def count_drawings(figure: Any, drawn: dict[str, list[float]]) -> None:
    """Note how long each drawing takes, the complete ones and those of what moves."""

    def timed(draw: Any, took: list[float]) -> Any:
        def drawing() -> None:
            begin = time.perf_counter()
            draw()
            took.append(time.perf_counter() - begin)

        return drawing

    clock = figure._clock
    for name, took in drawn.items():
        setattr(clock, f"_{name}", timed(getattr(clock, f"_{name}"), took))


def resident_mb() -> float:
    """Memory of this process that is in use now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def run_case(kind: str, frames: int, exposure: float, picture: str | None = None) -> dict[str, Any]:
    """`measure` in a process of its own."""
    command = [sys.executable, __file__, "--case", kind, "--frames", str(frames), "--exposure", str(exposure)]
    if picture:
        command += ["--picture", picture]
    environment = dict(os.environ)
    environment.setdefault("BLUESKY_DIFFRACTOGRAM_CACHE", "")
    if kind == "qt":
        xvfb = shutil.which("xvfb-run")
        if xvfb:
            command = [xvfb, "-a", "-s", "-screen 0 1280x900x24", *command]
        else:
            environment["QT_QPA_PLATFORM"] = "offscreen"
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{kind} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--exposure", type=float, default=0.0, help="seconds that each frame takes, beside all else")
    parser.add_argument("--quick", action="store_true", help="few frames, one round, no Qt")
    parser.add_argument("--json", default=None)
    parser.add_argument("--case", choices=("none", "agg", "qt"), help=argparse.SUPPRESS)
    parser.add_argument("--picture", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(measure(options.case, options.frames, options.exposure, options.picture)))
        return
    kinds = ["none", "agg"]
    if options.quick:
        options.frames, options.rounds = 60, 1
    elif importlib.util.find_spec("PySide6"):
        kinds.append("qt")
    found: dict[str, list[dict[str, Any]]] = {kind: [] for kind in kinds}
    for _ in range(options.rounds):
        for kind in kinds:
            found[kind].append(run_case(kind, options.frames, options.exposure))
    cases = [summary(kind, found[kind], found["none"]) for kind in kinds]
    print(f"{options.frames} frames of {SHAPE[0]} × {SHAPE[1]}, {options.exposure:g} s each beside all else")
    print("window   scan (s)   longer   complete drawings (ms)   quick ones (ms)   memory per scan (MB)")
    for case in cases:
        print(
            f"{case['window']:<8} {case['scan_s']:8.2f} {100 * case['longer']:7.1f}%"
            f" {case['drawings']['draw']:17.0f} ({case['drawing_ms']['draw']:3.0f})"
            f" {case['drawings']['quick']:12.0f} ({case['drawing_ms']['quick']:3.0f}) {case['mb_per_scan']:15.1f}"
        )
    if options.json:
        about = {"python": platform.python_version(), "cpus": os.cpu_count(), "machine": platform.machine()}
        settings = {"frames": options.frames, "rounds": options.rounds, "exposure_s": options.exposure}
        text = json.dumps({"about": about, **settings, "cases": cases}, indent=2)
        Path(options.json).write_text(text + "\n", encoding="utf-8")


def summary(kind: str, runs: list[dict[str, Any]], without: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians over rounds and scans; memory from the first scan, in which the buffers fill, to the last."""
    seconds = statistics.median(s for run in runs for s in run["seconds"])
    reference = statistics.median(s for run in without for s in run["seconds"])
    memory = statistics.median((run["resident_mb"][-1] - run["resident_mb"][0]) / (SCANS - 1) for run in runs)
    assert not any(run["errors"] for run in runs), runs
    return {
        "window": kind,
        "scan_s": seconds,
        "longer": seconds / reference - 1,
        "drawings": middle(run["drawings_in_last_scan"] for run in runs),
        "drawing_ms": middle(run["median_drawing_ms"] for run in runs),
        "mb_per_scan": memory,
        "scans": [run["seconds"] for run in runs],
        "resident_mb": [run["resident_mb"] for run in runs],
    }


def middle(of_runs: Iterable[dict[str, float]]) -> dict[str, float]:
    """The median of each entry."""
    every = list(of_runs)
    return {name: statistics.median(each[name] for each in every) for name in every[0]}


if __name__ == "__main__":
    main()
