"""What an open window costs a scan, in time and memory: ``python tests/benchmarks/window.py``.

The same scan, as fast as bluesky goes, is reduced with a window and without, in turns in one process, so that whatever
else the machine does meets both: one callback has a window, another has none, and each pair of scans begins with the
other one. A ratio is the median over the pairs. Beside the time that passes, the processor time of the whole process
is compared, which other programs disturb less. The window is one that matplotlib's Agg draws into memory, and, where
PySide6 is installed, a real Qt window (under Xvfb where that is found, else offscreen); each has a process of its own,
and so has each detector. Prints a table and writes JSON.
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
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
DETECTORS = {"Pilatus 1M": (1043, 981), "Eiger 4M": (2167, 2070)}
IMAGES = 8
BUFFER = 200


def measure(kind: str, detector: str, frames: int, pairs: int, exposure: float, picture: str | None) -> dict[str, Any]:
    """One process: pairs of scans, one without a window and one with it."""
    sys.path[:0] = [str(HERE.parent), str(HERE.parent / "views")]
    os.environ["MPLBACKEND"] = {"agg": "module://fake_live_backend", "qt": "qtagg"}[kind]
    import bluesky.plans as bp
    from bluesky import RunEngine
    from ponis import write_poni

    from bluesky_diffractogram import DiffractogramCallback

    shape = DETECTORS[detector]
    camera = made_camera(shape, exposure)
    engine = RunEngine({}, during_task=turning(kind))
    with tempfile.TemporaryDirectory() as folder:
        poni = write_poni(Path(folder) / "a.poni", shape=shape, pixel=(172e-6, 172e-6), distance=0.2)
        configuration = {
            "calibration": str(poni), "diff_ranges": [[10, 20, 0, 10], [-5, 5, 5, 15]],
            "diff_units": "2th [deg]", "buffer_size": BUFFER,
        }  # fmt: skip
        callbacks = {
            with_window: DiffractogramCallback(configuration, plot=with_window) for with_window in (False, True)
        }
        drawings = count_drawings(callbacks[True].figure)

        def scan(with_window: bool, frames: int) -> dict[str, float]:
            diff, drawn = callbacks[with_window], {name: len(took) for name, took in drawings.items()}
            token = engine.subscribe(diff)
            begin, used = time.perf_counter(), time.process_time()
            engine(bp.count([camera], frames))
            diff.wait()
            took = {"wall_s": time.perf_counter() - begin, "cpu_s": time.process_time() - used}
            new = {name: len(each) - drawn[name] for name, each in drawings.items()}
            engine.unsubscribe(token)
            if with_window:
                diff.figure.draw()  # what is new still, which would be drawn in the next scan
            gc.collect()
            return {**took, "resident_mb": resident_mb(), **new}

        for with_window in (False, True):  # tables, compiled loops, the first drawing
            scan(with_window, 30)
        measured = []
        for pair in range(pairs):
            order = (False, True) if pair % 2 == 0 else (True, False)
            found = {with_window: scan(with_window, frames) for with_window in order}
            measured.append({"without": found[False], "with": found[True]})
        shown = callbacks[True]
        result = {
            "kind": kind, "detector": detector, "pairs": measured, "errors": dict(shown.errors),
            "reduced": len(shown.buffers[0]),
            "drawing_cpu_ms": {name: 1e3 * statistics.median(took or [0.0]) for name, took in drawings.items()},
        }  # fmt: skip
        if picture:
            shown.figure.save(picture)
        for diff in callbacks.values():
            diff.close()
    return result


def made_camera(shape: tuple[int, int], exposure: float) -> Any:
    """A detector that gives one image of rings after the other from memory."""
    import numpy as np
    from ophyd import Device
    from ophyd.sim import NullStatus

    y, x = np.mgrid[: shape[0], : shape[1]]
    radius = np.hypot(y - shape[0] / 2, x - shape[1] / 2)
    rng = np.random.default_rng(0)
    rings = sum(400 * np.exp(-(((radius - at) / 2) ** 2)) for at in (120, 190, 260, 330, 420))
    images = [rng.poisson(5 + rings * (1 + 0.004 * n)).astype(np.int32) for n in range(IMAGES)]

    class Camera(Device):
        taken = 0

        def trigger(self):
            if exposure:
                time.sleep(exposure)
            self.taken += 1
            return NullStatus()

        def read(self):
            return {"image": {"value": images[self.taken % IMAGES], "timestamp": time.time()}}

        def describe(self):
            return {"image": {"source": "test", "dtype": "array", "shape": list(shape)}}

        def describe_configuration(self):
            return {}

        def read_configuration(self):
            return {}

    return Camera(name="camera")


def turning(kind: str) -> Any:
    """What turns the window's event loop while a plan runs."""
    if kind == "qt":
        from bluesky_diffractogram import KeepWindowsAlive

        return KeepWindowsAlive()
    import fake_live_backend
    from bluesky.utils import DuringTask

    class Turned(DuringTask):
        def block(self, blocking_event: threading.Event) -> None:
            while not blocking_event.wait(0.1):
                fake_live_backend.fire_timers()

    return Turned()


def count_drawings(figure: Any) -> dict[str, list[float]]:
    """Processor seconds of each drawing from now on, of the complete ones and of those of what moves."""
    drawn: dict[str, list[float]] = {"draw": [], "quick": []}

    def timed(draw: Any, took: list[float]) -> Any:
        def drawing() -> None:
            begin = time.thread_time()
            draw()
            took.append(time.thread_time() - begin)

        return drawing

    clock = figure._clock
    for name, took in drawn.items():
        setattr(clock, f"_{name}", timed(getattr(clock, f"_{name}"), took))
    return drawn


def resident_mb() -> float:
    """Memory of this process that is in use now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def run_case(kind: str, detector: str, options: argparse.Namespace) -> dict[str, Any]:
    """`measure` in a process of its own."""
    command = [
        sys.executable, __file__, "--case", kind, "--detector", detector, "--frames", str(options.frames),
        "--pairs", str(options.pairs), "--exposure", str(options.exposure),
    ]  # fmt: skip
    if options.picture:
        command += ["--picture", options.picture]
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


def summary(case: dict[str, Any]) -> dict[str, Any]:
    """Medians over the pairs, with the quartiles of the ratios; memory from the first scan to the last."""
    assert not case["errors"], case
    pairs = case["pairs"]

    def ratio(key: str) -> dict[str, float]:
        ratios = [pair["with"][key] / pair["without"][key] for pair in pairs]
        low, middle, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
        return {"median": middle, "quartiles": [low, high]}

    def median(which: str, key: str) -> float:
        return statistics.median(pair[which][key] for pair in pairs)

    resident = [pair["with"]["resident_mb"] for pair in pairs]
    return {
        "window": case["kind"], "detector": case["detector"],
        "without": {key: median("without", key) for key in ("wall_s", "cpu_s")},
        "with": {key: median("with", key) for key in ("wall_s", "cpu_s")},
        "wall": ratio("wall_s"), "cpu": ratio("cpu_s"),
        "drawings": {key: median("with", key) for key in ("draw", "quick")},
        "drawing_cpu_ms": case["drawing_cpu_ms"],
        # from the second scan on: in the first one the buffers fill
        "mb_per_scan": (resident[-1] - resident[1]) / (len(resident) - 2) if len(resident) > 2 else None,
        "pairs": pairs,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--pairs", type=int, default=8, help="of scans, one with a window and one without")
    parser.add_argument("--exposure", type=float, default=0.0, help="seconds that each frame takes, beside all else")
    parser.add_argument("--detector", choices=DETECTORS, help="one only")
    parser.add_argument("--window", choices=("agg", "qt"), help="one kind only")
    parser.add_argument("--quick", action="store_true", help="few frames of one detector, one pair, no Qt")
    parser.add_argument("--json", default=None)
    parser.add_argument("--case", choices=("agg", "qt"), help=argparse.SUPPRESS)
    parser.add_argument("--picture", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(measure(options.case, options.detector, options.frames, options.pairs, options.exposure,
                                 options.picture)))  # fmt: skip
        return
    kinds = ["agg"]
    if options.quick:
        options.frames, options.pairs, options.detector = 200, 1, "Pilatus 1M"
    elif importlib.util.find_spec("PySide6"):
        kinds.append("qt")
    if options.window:
        kinds = [options.window]
    detectors = [options.detector] if options.detector else list(DETECTORS)
    cases = [summary(run_case(kind, detector, options)) for detector in detectors for kind in kinds]
    print(f"{options.frames} frames, {options.exposure:g} s each beside all else; {options.pairs} pairs of scans;")
    print("ratios with window / without (quartiles); drawings in one scan (processor ms each)")
    print("detector    window  without (s)  time passed          processor time       complete  quick     MB per scan")
    for case in cases:
        wall, cpu = (
            "{median:.3f} ({quartiles[0]:.3f}…{quartiles[1]:.3f})".format(**case[key]) for key in ("wall", "cpu")
        )
        complete, quick = (
            f"{case['drawings'][key]:.0f} ({case['drawing_cpu_ms'][key]:.0f})" for key in ("draw", "quick")
        )
        memory = "–" if case["mb_per_scan"] is None else f"{case['mb_per_scan']:+.2f}"
        print(
            f"{case['detector']:<12}{case['window']:<8}{case['without']['wall_s']:11.2f}  {wall:<21}{cpu:<21}"
            f"{complete:<10}{quick:<10}{memory}"
        )
    if options.json:
        about = {"python": platform.python_version(), "cpus": os.cpu_count(), "machine": platform.machine()}
        settings = {"frames": options.frames, "pairs": options.pairs, "exposure_s": options.exposure}
        text = json.dumps({"about": about, **settings, "cases": cases}, indent=2)
        Path(options.json).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
