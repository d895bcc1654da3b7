"""How long the integration of a frame takes, against pyFAI in the same run: ``python tests/benchmarks/integration.py``.

Prints a table and writes JSON. All contestants take turns, so that whatever else the machine does meets all of
them; medians and quartiles are over the rounds. Seconds are this machine's; the ratios are what to look at.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import textwrap
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("BLUESKY_DIFFRACTOGRAM_CACHE", "")

import h5py
import hdf5plugin
import numpy as np
import pyFAI
from event_model import compose_run
from rich.console import Console
from rich.table import Table

from bluesky_diffractogram import ReductionCallback
from bluesky_diffractogram.config import load_config
from bluesky_diffractogram.files import HDF5Frames, read_ahead
from bluesky_diffractogram.reduction.corrections import make_corrections
from bluesky_diffractogram.reduction.disk_cache import wait_until_written
from bluesky_diffractogram.reduction.frame import Frame
from bluesky_diffractogram.reduction.limits import integration_ranges
from bluesky_diffractogram.reduction.onepass import OnePassIntegrator
from bluesky_diffractogram.reduction.opening import open_geometry
from bluesky_diffractogram.reduction.preparation import prepare
from bluesky_diffractogram.reduction.reducer import Reducer
from bluesky_diffractogram.reduction.table import Prepared
from bluesky_diffractogram.reduction.validity import Validity

DETECTORS = {
    "Pilatus 100k": ("Pilatus100k", 172e-6), "Pilatus 1M": ("Pilatus1M", 172e-6), "Eiger 4M": ("Eiger4M", 75e-6),
    "Eiger 16M": ("Eiger16M", 75e-6),
}  # fmt: skip
PONI = """poni_version: 2.1
Detector: {name}
Detector_config: {{"orientation": 3}}
Distance: 0.2
Poni1: {poni1}
Poni2: {poni2}
Rot1: 0.01
Rot2: -0.01
Rot3: 0
Wavelength: 1e-10
"""


@dataclass
class Case:
    """One detector with one set of ranges, and the frame that everybody integrates."""

    detector: str
    ranges: list
    what: str
    npt: int = 1000
    dynamic: float = 1e-4
    poni: Path = field(default_factory=Path)
    frame: np.ndarray = field(default_factory=lambda: np.zeros(0))

    @property
    def name(self) -> str:
        return f"{self.detector}, {self.what}"


def sectors(n: int) -> list:
    """`n` sectors of 30° at equal distances, none across ±180°, so that pyFAI alone does them rightly."""
    return [[-175 + 350 / n * k, -145 + 350 / n * k, None, None] for k in range(n)]


def tiling(n: int) -> list:
    return [[-180 + 360 / n * k, -180 + 360 / n * (k + 1), None, None] for k in range(n)]


def make(case: Case, folder: Path) -> Case:
    name, pixel = DETECTORS[case.detector]
    shape = pyFAI.detector_factory(name).shape
    case.poni = folder / f"{name}.poni"
    case.poni.write_text(PONI.format(name=name, poni1=shape[0] / 2 * pixel, poni2=shape[1] / 2 * pixel))
    rng = np.random.default_rng(0)
    signed = name.startswith("Pilatus")
    case.frame = rng.poisson(20, shape).astype(np.int32 if signed else np.uint32)
    bad = -2 if signed else np.iinfo(np.uint32).max
    case.frame[pyFAI.detector_factory(name).mask != 0] = bad
    case.frame[rng.random(shape) < case.dynamic] = bad
    return case


def config_of(case: Case, **settings: object):
    base = {"calibration": str(case.poni), "diff_ranges": case.ranges, "npt": case.npt, "peaks": False}
    return load_config({**base, **settings})


def prepared_of(case: Case) -> Prepared:
    config = config_of(case)
    geometry = open_geometry(config)
    corrections = make_corrections(config, geometry, {})
    return prepare(config, integration_ranges(config, geometry, corrections.mask), geometry, corrections)


def azimuths(case: Case) -> list:
    return [None if wanted[0] is None else (wanted[0], wanted[1]) for wanted in case.ranges]


def per_range(case: Case, algorithm: str) -> Callable[[], object]:
    """pyFAI's best standard use: an integrator of its own for every range, warm."""
    integrators = [pyFAI.load(str(case.poni)) for _ in case.ranges]
    dummy = float(case.frame.min()) if case.frame.dtype.kind == "i" else float(case.frame.max())

    def run() -> object:
        return [
            ai.integrate1d(
                case.frame, case.npt, unit="q_nm^-1", azimuth_range=azimuth, dummy=dummy, delta_dummy=1.5,
                method=("bbox", algorithm, "cython"),
            )
            for ai, azimuth in zip(integrators, azimuths(case), strict=True)
        ]  # fmt: skip

    return run


def lavues_way(case: Case) -> Callable[[], object]:
    """One integrator for all ranges in turn, whose table is built anew at each."""
    ai = pyFAI.load(str(case.poni))

    def run() -> object:
        return [ai.integrate1d(case.frame, case.npt, unit="q_nm^-1", azimuth_range=a) for a in azimuths(case)]

    return run


def callback(
    case: Case, more: Callable[[], Mapping[str, np.ndarray | float]] = dict, **settings: object
) -> Callable[[], dict[str, Any]]:
    """The whole callback for one event: documents in, buffers, derived documents out.

    `more` gives what each event has besides the image of the case, under the same data keys. What is returned gives the
    data of the derived event.
    """
    diff = ReductionCallback(config_of(case, **settings), background=False, strict=True)
    derived: dict[str, Any] = {}
    diff.subscribe(lambda name, doc: derived.update(doc["data"]) if name == "event" else None)
    run = compose_run()
    keys = {
        name: {"source": "s", "dtype": "array" if np.ndim(value) else "number", "shape": list(np.shape(value))}
        for name, value in {"image": case.frame, **more()}.items()
    }
    bundle = run.compose_descriptor(name="primary", data_keys=keys)
    diff("start", run.start_doc)
    diff("descriptor", bundle.descriptor_doc)

    def one() -> dict[str, Any]:
        derived.clear()
        data = {"image": case.frame, **more()}
        diff("event", bundle.compose_event(data=data, timestamps=dict.fromkeys(data, 0.0), validate=False))
        return derived

    return one


def take_turns(contestants: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each contestant in each round, all warm."""
    for run in contestants.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            begin = time.perf_counter()
            run()
            times[name].append(1e3 * (time.perf_counter() - begin))
    return times


def bandwidth() -> float:
    """Bytes per second that one thread streams over 480 MB, the best of five."""
    big = np.ones(60_000_000)
    best = min(_seconds(big.sum) for _ in range(5))
    return big.nbytes / best


def _seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def measure(case: Case, rounds: int, stream: float) -> dict:
    prepared = prepared_of(case)
    one, two = (OnePassIntegrator(prepared, threads=n) for n in (1, 2))
    config = config_of(case)
    reduce = Reducer(config, open_geometry(config), case.frame.shape)
    validity = reduce.validity
    contestants = {
        "ours, 1 thread": lambda: one.integrate(case.frame, validity),
        "ours, 2 threads": lambda: two.integrate(case.frame, validity),
        "reducer alone": lambda: reduce.reduce(Frame(case.frame, 0.0)),
        "whole callback, an event": callback(case),
        "whole callback, peaks searched": callback(case, peaks={}),
        "pyFAI per range, csr": per_range(case, "csr"),
        "pyFAI per range, csc": per_range(case, "csc"),
        "lavue's way": lavues_way(case),
        "frame read once": case.frame.sum,
    }
    times = take_turns(contestants, rounds)
    table = prepared.table
    floor = 1e3 * (case.frame.nbytes + table.nbytes) / stream
    result = {
        name: dict(zip(("lower", "median", "upper"), np.percentile(t, [25, 50, 75]).tolist(), strict=True))
        for name, t in times.items()
    }
    ours = result["ours, 1 thread"]["median"]
    best = min(result[f"pyFAI per range, {a}"]["median"] for a in ("csr", "csc"))
    added = np.median(np.subtract(times["whole callback, an event"], times["reducer alone"]))
    return {
        "case": case.name,
        "rounds": rounds,
        "milliseconds": result,
        "floor": floor,
        "rows": len(table.pixel),
        "table_megabytes": table.nbytes / 1e6,
        "ratios": {
            "lavue's way / ours": result["lavue's way"]["median"] / ours,
            "pyFAI's best / ours": best / ours,
            "ours / floor": ours / floor,
            "1 thread / 2 threads": ours / result["ours, 2 threads"]["median"],
        },
        "callback_adds_ms": float(added),
    }


def first_frame(case: Case) -> dict:
    """Seconds to the first curve: kernel compiled, modules imported, the table cold, then kept on disk.

    And to the first curve after one range has changed, with nothing kept on disk and with the geometry's arrays.
    """

    def theirs() -> None:
        for azimuth in azimuths(case):
            pyFAI.load(str(case.poni)).integrate1d(case.frame, case.npt, unit="q_nm^-1", azimuth_range=azimuth)

    def ours(ranges: list = case.ranges, earlier: tuple[Reducer, ...] = ()) -> Reducer:
        config = config_of(replace(case, ranges=ranges))
        reducer = Reducer(config, open_geometry(config), case.frame.shape, earlier=earlier)
        reducer.reduce(Frame(case.frame, 0.0))
        return reducer

    def one_changed(n: int) -> list:
        return [*case.ranges[:-1], [case.ranges[-1][0], case.ranges[-1][1] - n, None, None]]

    with tempfile.TemporaryDirectory() as folder:
        os.environ["BLUESKY_DIFFRACTOGRAM_CACHE"] = ""
        cold, reference, changed, arrays_kept = [], [], [], []
        before = ours()
        for n in range(1, 4):
            cold.append(_seconds(ours))
            reference.append(_seconds(theirs))
            gc.collect()  # what they leave behind is not for the next to clear away
            changed.append(_seconds(lambda n=n: ours(one_changed(n), (before,))))
        os.environ["BLUESKY_DIFFRACTOGRAM_CACHE"] = folder
        ours()
        wait_until_written()
        kept = [_seconds(ours) for _ in range(3)]
        for n in range(1, 4):
            arrays_kept.append(_seconds(lambda n=n: ours(one_changed(n), (before,))))
            wait_until_written()
        os.environ["BLUESKY_DIFFRACTOGRAM_CACHE"] = ""
    one_per_range = float(np.median(reference))
    return {
        "case": case.name,
        "seconds": {
            "one integrator per range": one_per_range,
            "ours": float(np.median(cold)),
            "ours, table kept": float(np.median(kept)),
            "one range changed": float(np.median(changed)),
            "one range changed, arrays kept": float(np.median(arrays_kept)),
        },
        "ratios": {
            "cold / per range": float(np.median(cold)) / one_per_range,
            "kept / per range": float(np.median(kept)) / one_per_range,
        },
    }  # fmt: skip


def from_file(case: Case, rounds: int, folder: Path) -> dict:
    """Milliseconds a frame, from a bitshuffle/LZ4 file of several in the page cache: decoding, and integrating too."""
    n = 4 if rounds < 5 else 16
    path = folder / "frames.h5"
    with h5py.File(path, "w") as file:
        settings = {"chunks": (1, *case.frame.shape), **hdf5plugin.Bitshuffle(cname="lz4")}
        data = file.create_dataset("data", (n, *case.frame.shape), case.frame.dtype, **settings)
        for index in range(n):
            data[index] = np.roll(case.frame, index, axis=1)
        stored = data.id.get_storage_size() / n
    prepared, config = prepared_of(case), config_of(case)
    validity = Validity.from_config(config, open_geometry(config).detector_dummy())
    ours, two = (OnePassIntegrator(prepared, threads=k) for k in (1, 2))
    frames = HDF5Frames.open(path, "data")
    with h5py.File(path) as file:
        data = file["data"]

        def one_after_the_other() -> None:
            for index in range(n):
                two.integrate(frames.read(index), validity)

        def overlapped() -> None:
            for frame in read_ahead(frames.read, range(n)):
                ours.integrate(frame(), validity)

        def all_of(read: Callable[[int], np.ndarray]) -> Callable[[], object]:
            return lambda: deque((read(index) for index in range(n)), maxlen=0)  # no frame is kept

        times = take_turns(
            {
                "through h5py": all_of(data.__getitem__),
                "decoded here": all_of(frames.read),
                "decoded here, then integrated": one_after_the_other,
                "decoded here while the last one is integrated": overlapped,
            },
            rounds,
        )
    frames.close()
    path.unlink()
    return {
        "case": case.name,
        "decoder": "bitshuffle" if is_bitshuffle_here() else "h5py",
        "megabytes_compressed": stored / 1e6,
        "milliseconds": {name: float(np.median(t)) / n for name, t in times.items()},
    }


def is_bitshuffle_here() -> bool:
    return importlib.util.find_spec("bitshuffle") is not None


def from_a_cold_process(case: Case) -> dict:
    """Seconds from the start of Python to the first curve, and of that what importing takes; the kernels compiled."""
    program = textwrap.dedent(
        f"""
        import time
        begin = time.perf_counter()
        import numpy as np
        from bluesky_diffractogram.config import load_config
        from bluesky_diffractogram.reduction.frame import Frame
        from bluesky_diffractogram.reduction.opening import open_geometry
        from bluesky_diffractogram.reduction.reducer import Reducer
        imported = time.perf_counter() - begin
        frame = np.zeros({case.frame.shape}, np.{case.frame.dtype})
        config = load_config({{"calibration": {str(case.poni)!r}, "diff_ranges": {case.ranges}, "npt": {case.npt}}})
        Reducer(config, open_geometry(config), frame.shape).reduce(Frame(frame, 0.0))
        print(imported)
        """
    )

    def run() -> tuple[float, float]:
        begin = time.perf_counter()
        out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        return time.perf_counter() - begin, float(out.stdout)

    with tempfile.TemporaryDirectory() as folder:
        cold = [run() for _ in range(3)]
        os.environ["BLUESKY_DIFFRACTOGRAM_CACHE"] = folder
        run()
        kept = [run() for _ in range(3)]
        os.environ["BLUESKY_DIFFRACTOGRAM_CACHE"] = ""
    return {
        "table cold": float(np.median([total for total, _ in cold])),
        "table kept": float(np.median([total for total, _ in kept])),
        "of that importing": float(np.median([imported for _, imported in kept])),
    }


def cases(quick: bool, large: bool) -> list[Case]:
    if quick:
        return [Case("Pilatus 1M", sectors(4), "4 sectors")]
    detectors = ["Pilatus 1M", "Eiger 4M", *(["Eiger 16M"] if large else [])]
    found = [
        Case(detector, sectors(n), f"{n} sector{'s' if n > 1 else ''} of 30°")
        for detector in detectors
        for n in (1, 2, 4, 8)
    ]
    found += [Case(detector, tiling(8), "full tiling by 8") for detector in detectors]
    found += [Case(detector, sectors(4), "4 sectors, 5 % bad in each frame", dynamic=0.05) for detector in detectors]
    found += [Case(detector, [[None] * 4], "full ring, 5000 points", npt=5000) for detector in detectors]
    return found


def show(result: dict, console: Console) -> None:
    table = Table(title=result["case"], title_justify="left")
    for heading in ("", "ms a frame", "quartiles"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, cell in result["milliseconds"].items():
        table.add_row(name, f"{cell['median']:.2f}", f"{cell['lower']:.2f} … {cell['upper']:.2f}")
    table.add_row("floor: frame and table streamed once", f"{result['floor']:.2f}", "", end_section=True)
    for name, ratio in result["ratios"].items():
        table.add_row(name, f"{ratio:.2f}", "")
    table.add_row("documents and buffers add, ms", f"{result['callback_adds_ms']:.2f}", "")
    table.add_row("table, MB", f"{result['table_megabytes']:.1f}", "")
    console.print(table)


def show_first(first: list[dict], console: Console) -> None:
    for each in first:
        seconds = ", ".join(f"{name} {value:.2f} s" for name, value in each["seconds"].items())
        ratios = ", ".join(f"{name} {value:.3f}" for name, value in each["ratios"].items())
        console.print(f"first frame, {each['case']}: {seconds}; {ratios}", soft_wrap=True)
        seconds = ", ".join(f"{name} {value:.2f} s" for name, value in each["process"].items())
        console.print(f"from the start of a process: {seconds}", soft_wrap=True)


def show_files(files: list[dict], console: Console) -> None:
    for each in files:
        times = ", ".join(f"{name} {value:.2f}" for name, value in each["milliseconds"].items())
        console.print(
            f"bitshuffle/LZ4 file, {each['case']}, {each['megabytes_compressed']:.1f} MB a frame, "
            f"decoder {each['decoder']}, ms a frame: {times}",
            soft_wrap=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one small case")
    parser.add_argument("--large", action="store_true", help="Eiger 16M too")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    console = Console(width=max(100, Console().width))
    stream = bandwidth()
    wanted = [case for case in cases(options.quick, options.large) if options.only in case.name]
    results, first, files = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for case in wanted:
            make(case, Path(folder))
            results.append(measure(case, 3 if options.quick else options.rounds, stream))
            if "4 sectors of" in case.name or options.quick:
                first.append(first_frame(case) | {"process": from_a_cold_process(case)})
                files.append(from_file(case, 3 if options.quick else options.rounds, Path(folder)))
            show(results[-1], console)
            case.frame = np.zeros(0)
    show_first(first, console)
    show_files(files, console)
    report = {
        "python": sys.version.split()[0], "pyFAI": pyFAI.version, "numpy": np.__version__,
        "machine": platform.machine(),
        "cores": os.cpu_count(), "bandwidth_gb_s": stream / 1e9,
        "peak_resident_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        "cases": results, "first_frame": first, "from_file": files,
    }  # fmt: skip
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))
        console.print(f"written to {options.json}")


if __name__ == "__main__":
    main()
