"""How long the callback holds up the scan at each event: ``python tests/benchmarks/delay.py``.

A RunEngine counts with a detector whose image is in the event, or whose documents name an HDF5 file, at a steady pace
and as fast as it can. Measured are what the RunEngine's thread spends in the callback for the documents of one point,
and how long each point takes from its trigger to its end, with the callback and in the same scan without it. The window
is one that matplotlib's Agg draws into memory, while the RunEngine works, as a toolkit does. Prints a table and writes
JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
import h5py
import hdf5plugin
import matplotlib as mpl
import numpy as np
from bluesky import RunEngine
from rich.console import Console
from rich.table import Table

from bluesky_diffractogram import DiffractogramCallback

HERE = Path(__file__).parent
SIZES = {"1 Mpx": (1043, 981), "4 Mpx": (2167, 2070)}
QUICK = "0.05 Mpx"
PACE_S = 0.05
PONI = """poni_version: 2.1
Detector: Detector
Detector_config: {{"pixel1": 1e-4, "pixel2": 1e-4, "max_shape": [{0}, {1}], "orientation": 3}}
Distance: 0.2
Poni1: {2}
Poni2: {3}
Rot1: 0.01
Rot2: -0.01
Rot3: 0
Wavelength: 1e-10
"""


class InMemory:
    """A detector that gives its image."""

    name, parent = "det", None

    def __init__(self, image: np.ndarray) -> None:
        self._image = image

    def trigger(self):
        from ophyd.status import Status

        status = Status()
        status.set_finished()
        return status

    def read(self) -> dict:
        return {"det": {"value": self._image, "timestamp": time.time()}}

    def describe(self) -> dict:
        return {"det": {"source": "sim", "dtype": "array", "shape": list(self._image.shape)}}

    def read_configuration(self) -> dict:
        return {}

    def describe_configuration(self) -> dict:
        return {}


class InFile(InMemory):
    """A detector that writes one HDF5 file, and says where as ophyd-async's do."""

    def __init__(self, image: np.ndarray, path: Path) -> None:
        super().__init__(image)
        self._path, self._taken, self._told = path, 0, 0

    def read(self) -> dict:
        return {}

    def describe(self) -> dict:
        key = {"source": "sim", "dtype": "array", "shape": [1, *self._image.shape], "external": "STREAM:"}
        return {"det": {**key, "dtype_numpy": self._image.dtype.str}}

    def trigger(self):
        self._taken += 1
        return super().trigger()

    def get_index(self) -> int:
        return self._taken

    def collect_asset_docs(self, index: int | None = None) -> Iterator[tuple[str, dict]]:
        if not self._told:
            yield "stream_resource", {
                "uid": f"resource {id(self)}", "data_key": "det", "mimetype": "application/x-hdf5",
                "uri": f"file://localhost{self._path}", "parameters": {"dataset": "/entry/data/data"},
            }  # fmt: skip
        if self._taken > self._told:
            yield "stream_datum", {
                "uid": f"resource {id(self)}/{self._told}", "stream_resource": f"resource {id(self)}", "descriptor": "",
                "indices": {"start": self._told, "stop": self._taken},
                "seq_nums": {"start": 0, "stop": 0},
            }  # fmt: skip
            self._told = self._taken


def scan(detector: InMemory, points: int, pace: float, took: list[float] | None = None):
    """A run of so many points; `took` gets the milliseconds of each, without the waiting for its turn."""

    @bpp.run_decorator()
    def inner():
        due = time.monotonic()
        for _ in range(points):
            due += pace
            yield from bps.sleep(max(0.0, due - time.monotonic()))
            begin = time.perf_counter()
            yield from bps.trigger_and_read([detector])
            if took is not None:
                took.append(1e3 * (time.perf_counter() - begin))

    yield from inner()


class Timed:
    """Calls a callback, and adds up what it took for each point."""

    def __init__(self, callback) -> None:
        self._callback = callback
        self.milliseconds: list[float] = []
        self._point = 0.0

    def __call__(self, name: str, doc: dict) -> None:
        begin = time.perf_counter()
        if self._callback is not None:
            self._callback(name, doc)
        self._point += time.perf_counter() - begin
        if name in ("descriptor", "event"):
            if name == "event":
                self.milliseconds.append(1e3 * self._point)
            self._point = 0.0


def in_a_window(plot: bool) -> dict:
    """How a RunEngine is made that turns the loop of the window while it works; with and without the callback."""
    if not plot:
        return {}
    from window import turning

    return {"during_task": turning("agg")}


def measure(folder: Path, size: str, where: str, points: int, pace: float, plot: bool) -> dict:
    shape = {**SIZES, QUICK: (240, 210)}[size]
    image = np.random.default_rng(1).poisson(20, shape).astype(np.uint32)
    poni = folder / f"{size}.poni"
    poni.write_text(PONI.format(*shape, shape[0] * 5e-5, shape[1] * 5e-5))
    config = {
        "calibration": str(poni), "diff_ranges": [[a, a + 30, None, None] for a in (0, 90, 180, 270)],
        "diff_units": "2th [deg]",
    }  # fmt: skip
    if where == "file":
        path = folder / f"{size}.h5"
        with h5py.File(path, "w") as file:
            data = file.create_dataset(
                "entry/data/data", (points, *shape), np.uint32, chunks=(1, *shape), **hdf5plugin.Bitshuffle(cname="lz4")
            )
            data[0] = image
            _, chunk = data.id.read_direct_chunk((0, 0, 0))
            for index in range(1, points):
                data.id.write_direct_chunk((index, 0, 0), chunk)
    figures: dict[str, tuple[list[float], float, list[float]]] = {}
    drawn = 0
    for what in ("without", "with"):
        diff = DiffractogramCallback(config, plot=plot) if what == "with" else None
        if diff is not None:  # the table is built before the scan, as at a beamline from the second scan on
            RunEngine({})(scan(InMemory(image), 2, 0.0), diff)
            diff.wait(60)
            stops: list[dict] = []
            diff.subscribe(lambda name, doc, kept=stops: kept.append(doc) if name == "stop" else None)
        detector = InMemory(image) if where == "event" else InFile(image, path)
        timed, engine = Timed(diff), RunEngine({}, **in_a_window(plot))
        engine.subscribe(timed)
        took: list[float] = []
        begin = time.perf_counter()
        engine(scan(detector, points, pace, took))
        figures[what] = (timed.milliseconds, time.perf_counter() - begin, took)
        if diff is not None:
            assert diff.wait(300)
            (stop,) = stops
            assert stop["frames"]["reduced"] == points, stop["frames"]
            if plot:
                drawn = diff.figure.figure.canvas.drawn
                assert drawn, "the window was never drawn"
            diff.close()
            assert not diff.errors, diff.errors
    added = figures["with"][0]
    return {
        "frames": size, "image in": where, "pace, s": pace, "points": points,
        "p50 ms": float(np.percentile(added, 50)), "p99 ms": float(np.percentile(added, 99)), "max ms": max(added),
        **{
            f"point, {what}, p{part} ms": float(np.percentile(figures[what][2], part))
            for what in ("without", "with") for part in (50, 99)
        },
        "scan s, without": figures["without"][1], "scan s, with": figures["with"][1], "drawn": drawn,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--quick", action="store_true", help="small frames and few points, to see that it works")
    parser.add_argument("--size", choices=SIZES, help="of one size only")
    parser.add_argument("--paced", action="store_true", help=f"one point each {PACE_S} s only, not as fast as it can")
    parser.add_argument("--window", action="store_true", help="with the window")
    parser.add_argument("--json", type=Path, default=Path("docs/benchmark-delay.json"))
    options = parser.parse_args()
    cases = [
        (size, where, options.points, pace)
        for size in ([options.size] if options.size else SIZES)
        for where in ("event", "file")
        for pace in ((PACE_S,) if options.paced else (PACE_S, 0.0))
    ]
    if options.quick:
        cases = [(QUICK, where, 5, PACE_S) for where in ("event", "file")]
    if options.window:
        sys.path.append(str(HERE.parent / "views"))
        mpl.use("module://fake_live_backend")
    with tempfile.TemporaryDirectory() as name:
        results = [measure(Path(name), *case, options.window) for case in cases]
    table = Table(*results[0])
    for result in results:
        table.add_row(*(f"{value:.2f}" if isinstance(value, float) else str(value) for value in result.values()))
    Console(width=200).print(table)
    known = json.loads(options.json.read_text()) if options.json.exists() else {}
    known["window open" if options.window else "without a window"] = results
    options.json.write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main()
