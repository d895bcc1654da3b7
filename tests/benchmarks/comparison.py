"""What the benchmarks of settings have in common: frames that pyFAI reduces too, ratios, a table, JSON, and the check
that the numbers are pyFAI's."""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyFAI
from integration import Case, config_of, make, sectors
from rich.console import Console
from rich.table import Table

from bluesky_diffractogram.reduction.diffractogram import Diffractogram
from bluesky_diffractogram.reduction.opening import open_geometry
from bluesky_diffractogram.reduction.reducer import Reducer

DETECTORS = ("Pilatus 1M", "Eiger 4M")
# pyFAI divides in float32, and adds in another order: of sums of counts that is all there may be between us.
MOST_DIFFERENT = 1e-6
NUMBERS = {"intensity": "intensity", "sigma": "sem", "count": "count"}
"""What is compared: our names, and those of pyFAI's results."""


def dummy_of(frame: np.ndarray) -> float:
    """What invalid pixels are in the frames of `make`."""
    return float(frame.min() if frame.dtype.kind == "i" else frame.max())


def built(case: Case, **settings: Any) -> Reducer:
    """Ours for the frame of a case; it has no other detectors."""
    config = config_of(case, **settings)
    return Reducer(config, open_geometry(config), case.frame.shape)


def of_event(derived: Mapping[str, Any]) -> list[SimpleNamespace]:
    """The curve of each range in the data of a derived event of `callback`, as `differences` takes it."""
    count = sum(name.startswith("diff_") for name in derived)
    curves = (derived[f"diff_{number}"] for number in range(1, count + 1))
    return [SimpleNamespace(radial=np.asarray(radial), intensity=np.asarray(each)) for radial, each in curves]


def compared(times: dict[str, list[float]]) -> dict[str, Any]:
    """Quartiles and ratios of medians; of pyFAI's ways the fastest counts.

    Parameters
    ----------
    times
        Milliseconds of ``ours``, of ``ours, plain`` (without what is measured), and of ``pyFAI, …``.
    """
    quartiles = {
        name: dict(zip(("lower", "median", "upper"), np.percentile(each, [25, 50, 75]).tolist(), strict=True))
        for name, each in times.items()
    }
    ours, plain = (quartiles[name]["median"] for name in ("ours", "ours, plain"))
    best = min(each["median"] for name, each in quartiles.items() if name.startswith("pyFAI"))
    return {
        "milliseconds": quartiles,
        "ratios": {"pyFAI's best / ours": best / ours, "ours / ours plain": ours / plain},
    }


def differences(
    ours: Sequence[Diffractogram | SimpleNamespace],
    theirs: Sequence[Any],
    names: Sequence[str] = ("intensity",),
    of_theirs: Callable[[Any, str], np.ndarray] | None = None,
) -> dict[str, float]:
    """The largest relative difference of each number over all bins and ranges; both have the same bins filled.

    Parameters
    ----------
    ours, theirs
        A diffractogram for each range (or what `of_event` gives), and pyFAI's results.
    names
        Which of `NUMBERS`.
    of_theirs
        Gives the number of a result, where it is not simply there.
    """
    found = dict.fromkeys(names, 0.0)
    for mine, other in zip(ours, theirs, strict=True):
        filled = np.asarray(other.count) > 0
        assert filled.any()
        np.testing.assert_array_equal(np.isfinite(mine.intensity), filled)
        np.testing.assert_allclose(mine.radial, other.radial, rtol=1e-6)
        for name in names:
            number = getattr(other, NUMBERS[name]) if of_theirs is None else of_theirs(other, name)
            expected, got = np.asarray(number, dtype=float), np.asarray(getattr(mine, name), dtype=float)
            # A bin of one pixel has no scatter: nothing to be relative to.
            usable = filled & (expected != 0.0)
            assert usable.any(), name
            away = np.abs(got[usable] / expected[usable] - 1.0)
            found[name] = float(np.maximum(found[name], away.max()))  # where one is NaN, so is this
    return found


def run(about: str, json_path: str, measure: Callable[[Case, int, Path], list[dict[str, Any]]]) -> None:
    """The command of a benchmark.

    Parameters
    ----------
    about
        Its docstring.
    json_path
        Where its figures go if nothing else is said.
    measure
        Gives the results for the frame of a case, with so many rounds: of each the ``setting``, what `compared` gives,
        and the ``differences``. It may write into a folder.
    """
    parser = argparse.ArgumentParser(description=about.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--detector", choices=DETECTORS, help="one only")
    parser.add_argument("--quick", action="store_true", help="small frames and few rounds, to see that it works")
    parser.add_argument("--json", type=Path, default=Path(json_path))
    options = parser.parse_args()
    console = Console(width=max(165, Console().width))
    detectors = ["Pilatus 100k"] if options.quick else [options.detector] if options.detector else list(DETECTORS)
    rounds = 3 if options.quick else options.rounds
    report: dict[str, Any] = {
        "about": {
            "python": platform.python_version(), "pyFAI": pyFAI.version, "numpy": np.__version__,
            "cores": os.cpu_count(), "machine": platform.machine(), "rounds": rounds,
        },
        "detectors": {},
    }  # fmt: skip
    for detector in detectors:
        with tempfile.TemporaryDirectory() as folder:
            case = make(Case(detector, sectors(4), "4 sectors of 30°"), Path(folder))
            results = measure(case, rounds, Path(folder))
        _show(case.name, results, console)
        report["detectors"][detector] = results
    options.json.write_text(json.dumps(report, indent=1) + "\n")
    different = [
        f"{detector}, {each['setting']}: {name} {value:.1e}"
        for detector, results in report["detectors"].items()
        for each in results
        for name, value in each["differences"].items()
        if not value <= MOST_DIFFERENT
    ]
    if different:
        raise SystemExit(f"not pyFAI's numbers: {'; '.join(different)}")


def _show(title: str, results: Sequence[dict[str, Any]], console: Console) -> None:
    table = Table(title=f"{title}: ms a frame", title_justify="left")
    for heading in ("", "ours", "quartiles", "pyFAI", "pyFAI's best / ours", "ours / ours plain", "most different by"):
        table.add_column(heading, justify="right" if heading else "left")
    for each in results:
        ours = each["milliseconds"]["ours"]
        theirs = ", ".join(
            f"{name.partition(', ')[2]} {one['median']:.1f}"
            for name, one in each["milliseconds"].items()
            if name.startswith("pyFAI")
        )
        different = ", ".join(f"{name} {value:.1e}" for name, value in each["differences"].items())
        table.add_row(
            each["setting"], f"{ours['median']:.2f}", f"{ours['lower']:.2f} … {ours['upper']:.2f}", theirs,
            *(f"{value:.2f}" for value in each["ratios"].values()), different,
        )  # fmt: skip
    console.print(table)
