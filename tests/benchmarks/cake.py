"""How long a cake takes, against pyFAI's `integrate2d_ng` in the same run: ``python tests/benchmarks/cake.py``.

Prints a table and writes JSON. All contestants are warm and take turns, as in `integration.py`; ratios are what to
look at.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("BLUESKY_DIFFRACTOGRAM_CACHE", "")

import numpy as np
import pyFAI
from integration import Case, _seconds, config_of, make, take_turns
from rich.console import Console
from rich.table import Table

from bluesky_diffractogram.reduction.cake import CakeIntegrator
from bluesky_diffractogram.reduction.cake_table import CakeTable, cake_table
from bluesky_diffractogram.reduction.corrections import make_corrections
from bluesky_diffractogram.reduction.frame import Frame
from bluesky_diffractogram.reduction.opening import open_geometry
from bluesky_diffractogram.reduction.reducer import Reducer

BINS = (500, 360)


def table_of(case: Case, bins: tuple[int, int], method: str) -> CakeTable:
    config = config_of(case, cake={"npt_rad": bins[0], "npt_azim": bins[1]}, method=method)
    geometry = open_geometry(config)
    return cake_table(config, geometry, make_corrections(config, geometry, {}))


def pyfais(case: Case, bins: tuple[int, int], method: str, algorithm: str) -> Callable[[], object]:
    """One warm integrator, whose limits stay as they are."""
    ai = pyFAI.load(str(case.poni))
    dummy = float(case.frame.min()) if case.frame.dtype.kind == "i" else float(case.frame.max())
    return lambda: ai.integrate2d_ng(
        case.frame, *bins, unit="q_nm^-1", dummy=dummy, delta_dummy=1.5, method=(method, algorithm, "cython")
    )


def measure(case: Case, bins: tuple[int, int], method: str, rounds: int) -> dict:
    prepared: list[CakeTable] = []
    table_of(case, (10, 10), method)  # compiles the kernels, or reads them
    building = _seconds(lambda: prepared.append(table_of(case, bins, method)))
    theirs = {f"pyFAI, {algorithm}": pyfais(case, bins, method, algorithm) for algorithm in ("csr", "csc")}
    their_building = _seconds(theirs["pyFAI, csr"])
    config = config_of(case, method=method)
    reducer = Reducer(config, open_geometry(config), case.frame.shape)
    caking = {n: CakeIntegrator(prepared[0], threads=n) for n in (1, 2)}
    contestants = {
        "ours, 1 thread": lambda: caking[1].integrate(case.frame, reducer.validity),
        "ours, 2 threads": lambda: caking[2].integrate(case.frame, reducer.validity),
        **theirs,
        "the diffractograms of the same frame": lambda: reducer.reduce(Frame(case.frame, 0.0)),
    }
    times = take_turns(contestants, rounds)
    milliseconds = {
        name: dict(zip(("lower", "median", "upper"), np.percentile(t, [25, 50, 75]).tolist(), strict=True))
        for name, t in times.items()
    }
    one, two = (milliseconds[f"ours, {n}"]["median"] for n in ("1 thread", "2 threads"))
    best = min(milliseconds[name]["median"] for name in theirs)
    return {
        "case": f"{case.detector}, {bins[0]} × {bins[1]} bins, {method}",
        "rounds": rounds,
        "milliseconds": milliseconds,
        "first_seconds": {"ours": building, "pyFAI, csr": their_building},
        "table_megabytes": prepared[0].table.nbytes / 1e6,
        "ratios": {
            "pyFAI, csr / ours, 1 thread": milliseconds["pyFAI, csr"]["median"] / one,
            "pyFAI's best / ours, 1 thread": best / one,
            "pyFAI's best / ours, 2 threads": best / two,
            "first of pyFAI, csr / ours": their_building / building,
        },
    }


def show(result: dict, console: Console) -> None:
    table = Table(title=result["case"], title_justify="left")
    for heading in ("", "ms a frame", "quartiles"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, cell in result["milliseconds"].items():
        table.add_row(name, f"{cell['median']:.2f}", f"{cell['lower']:.2f} … {cell['upper']:.2f}")
    table.add_section()
    for name, ratio in result["ratios"].items():
        table.add_row(name, f"{ratio:.2f}", "")
    for name, seconds in result["first_seconds"].items():
        table.add_row(f"until the first cake, {name}, s", f"{seconds:.2f}", "")
    table.add_row("table, MB", f"{result['table_megabytes']:.1f}", "")
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one small case")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    console = Console(width=max(100, Console().width))
    detectors = ["Pilatus 1M"] if options.quick else ["Pilatus 1M", "Eiger 4M"]
    methods = ["bbox"] if options.quick else ["no", "bbox", "full"]
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for detector in detectors:
            case = make(Case(detector, [[None] * 4], "a cake"), Path(folder))
            for method in methods:
                results.append(measure(case, BINS, method, 3 if options.quick else options.rounds))
                show(results[-1], console)
    report = {
        "python": sys.version.split()[0], "pyFAI": pyFAI.version, "numpy": np.__version__, "cores": os.cpu_count(),
        "cases": results,
    }  # fmt: skip
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))
        console.print(f"written to {options.json}")


if __name__ == "__main__":
    main()
