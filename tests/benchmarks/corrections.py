"""What each correction and statistic costs, against pyFAI in the same run: ``python tests/benchmarks/corrections.py``.

Each case is a setting (a dark, a monitor, an error model, a median, …) that our reducer and pyFAI's own function apply
to the same frame over the same four sectors, warm; we, pyFAI, and our reducer without the setting take turns. Prints
milliseconds, ratios, and how far the numbers are from pyFAI's, and writes JSON; numbers that differ by more than
rounding end it with an error. Two minutes; seconds are this machine's, the ratios are what to look at.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyFAI
from integration import Case, callback, config_of, make, sectors, take_turns
from rich.console import Console
from rich.table import Table

from bluesky_diffractogram.reduction.diffractogram import Diffractogram
from bluesky_diffractogram.reduction.frame import Frame
from bluesky_diffractogram.reduction.opening import open_geometry
from bluesky_diffractogram.reduction.reducer import Reducer

DETECTORS = ("Pilatus 1M", "Eiger 4M")
SCALE, MONITOR, POLARIZATION = 0.5, 3.0, 0.95
# pyFAI divides in float32, and adds in another order: of sums of counts that is all there may be between us.
MOST_DIFFERENT = 1e-6
NUMBERS = {"intensity": "intensity", "sigma": "sem", "count": "count"}


@dataclass(frozen=True, eq=False)
class Setting:
    """What is set here, and with pyFAI.

    Attributes
    ----------
    ours
        Configuration keys.
    theirs
        Keywords of pyFAI's function.
    call
        Which function; its result's intensity goes through `after` with the radial axis.
    splitting, algorithms
        Of pixels, and what is tried with it, of which the fastest counts.
    clean
        The numbers are compared on a frame that has no invalid pixels but the detector's.
    compared
        Which of `NUMBERS`.
    """

    name: str
    ours: Mapping[str, Any] = field(default_factory=dict)
    theirs: Mapping[str, Any] = field(default_factory=dict)
    call: str = "integrate1d"
    splitting: str = "bbox"
    algorithms: Sequence[str] = ("csr", "csc")
    clean: bool = False
    after: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None
    compared: Sequence[str] = ("intensity",)
    monitor: float | None = None


def settings(shape: tuple[int, int]) -> list[Setting]:
    """All of them, for frames of `shape`."""
    rng = np.random.default_rng(8)
    dark, background, absorption, flat = (
        rng.uniform(low, high, shape).astype(np.float32) for low, high in ((0, 2), (0, 8), (0.4, 1.0), (0.8, 1.2))
    )
    q = np.linspace(0.0, 200.0, 500)
    curve = np.column_stack([q, 3.0 + 2.0 * np.exp(-q / 20.0)])

    def subtracted(radial: np.ndarray, intensity: np.ndarray) -> np.ndarray:
        return intensity - SCALE * np.interp(radial, *curve.T)

    no = {"method": "no"}
    of_curve = {"background_curve": curve, "background_unit": "q_nm^-1", "background_scale": SCALE}
    with_sigma = ("intensity", "sigma")
    return [
        Setting("plain"),
        Setting("dark", {"dark": dark}, {"dark": dark}),
        Setting("flat", {"flat": flat}, {"flat": flat}),
        Setting(
            "background image", {"background": background, "background_scale": SCALE}, {"dark": SCALE * background}
        ),
        Setting("background curve", of_curve, after=subtracted),
        Setting("absorption", {"absorption": absorption}, {"absorption": absorption}),
        Setting("polarization", {"polarization_factor": POLARIZATION}, {"polarization_factor": POLARIZATION}),
        Setting("monitor", {"normalization": "i0"}, {"normalization_factor": MONITOR}, monitor=MONITOR),
        Setting("Poisson sigma", {"error_model": "poisson"}, {"error_model": "poisson"}, compared=with_sigma),
        Setting("azimuthal sigma", {"error_model": "azimuthal"}, {"error_model": "azimuthal"}, compared=with_sigma),
        Setting("count", {"count": True, **no}, splitting="no", compared=("intensity", "count")),
        # pyFAI's median sorts wrongly where pixels are invalid in the frame.
        Setting("median", {"statistic": "median"}, call="medfilt1d_ng", algorithms=("csr",), clean=True),
        Setting(
            "sigma-clip", {"statistic": "sigma-clip", **no}, {"error_model": "azimuthal", "thres": 5, "max_iter": 5},
            call="sigma_clip_ng", splitting="no", algorithms=("csr",),
        ),
    ]  # fmt: skip


def dummy_of(frame: np.ndarray) -> float:
    """What invalid pixels are in the frames of `make`."""
    return float(frame.min() if frame.dtype.kind == "i" else frame.max())


class Theirs:
    """pyFAI's integrators of a case, one per range, which keep what they have built from setting to setting."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._integrators = [pyFAI.load(str(case.poni)) for _ in case.ranges]
        self._dummy = dummy_of(case.frame)

    def integrate(self, setting: Setting, ranges: Sequence[Any], algorithm: str, frame: np.ndarray) -> list:
        """The result of each range."""
        return [
            getattr(ai, setting.call)(
                frame, self._case.npt, unit="q_nm^-1", azimuth_range=wanted.azimuth_range,
                radial_range=wanted.pyfai_limits, dummy=self._dummy, delta_dummy=1.5,
                method=(setting.splitting, algorithm, "cython"), **setting.theirs,
            )
            for ai, wanted in zip(self._integrators, ranges, strict=True)
        ]  # fmt: skip

    def curves(self, setting: Setting, ranges: Sequence[Any], algorithm: str) -> list[np.ndarray]:
        """``(npt,)`` intensities of each range, with all that the setting asks for."""
        found = self.integrate(setting, ranges, algorithm, self._case.frame)
        if setting.after is None:
            return [each.intensity for each in found]
        return [setting.after(each.radial, each.intensity) for each in found]


def built(case: Case, setting: Setting) -> Reducer:
    config = config_of(case, **setting.ours)
    return Reducer(config, open_geometry(config), case.frame.shape)


def differences(ours: Sequence[Diffractogram], theirs: Sequence[Any], setting: Setting) -> dict[str, float]:
    """The largest relative difference of each number over all bins and ranges; both have the same bins filled."""
    found = dict.fromkeys(setting.compared, 0.0)
    for mine, other in zip(ours, theirs, strict=True):
        filled = np.asarray(other.count) > 0
        assert filled.any(), setting.name
        np.testing.assert_array_equal(np.isfinite(mine.intensity), filled)
        np.testing.assert_allclose(mine.radial, other.radial, rtol=1e-6)
        for name in setting.compared:
            expected = np.asarray(getattr(other, NUMBERS[name]), dtype=float)
            if name == "intensity" and setting.after is not None:
                expected = setting.after(other.radial, expected)
            got = np.asarray(getattr(mine, name), dtype=float)
            # A bin of one pixel has no scatter: nothing to be relative to.
            usable = filled & (expected != 0.0)
            assert usable.any(), (setting.name, name)
            away = np.abs(got[usable] / expected[usable] - 1.0)
            found[name] = max(found[name], float(away.max()))
    return found


def measure(case: Case, setting: Setting, theirs: Theirs, plain: Reducer, rounds: int) -> dict[str, Any]:
    """One setting: who takes how long, and by how much the numbers differ."""
    reducer, frame = built(case, setting), Frame(case.frame, 0.0, monitor=setting.monitor)
    ranges = reducer.ranges
    contestants: dict[str, Callable[[], object]] = {
        "ours": lambda: reducer.reduce(frame),
        "ours, plain": lambda: plain.reduce(Frame(case.frame, 0.0)),
    }
    for algorithm in setting.algorithms:
        contestants[f"pyFAI, {algorithm}"] = lambda algorithm=algorithm: theirs.curves(setting, ranges, algorithm)
    times = take_turns(contestants, rounds)
    image = np.where(case.frame == dummy_of(case.frame), 20, case.frame) if setting.clean else case.frame
    return {
        "setting": setting.name, "pyFAI's": setting.call, **compared(times),
        "differences": differences(
            reducer.reduce(replace(frame, image=image)).diffractograms,
            theirs.integrate(setting, ranges, "csr", image), setting,
        ),
    }  # fmt: skip


def measure_events(case: Case, theirs: Theirs, plain: Reducer, rounds: int) -> list[dict[str, Any]]:
    """What the whole callback takes for an event, with peaks searched and fitted, against the mere integration."""
    ways = {
        "an event without peaks": {}, "an event with counts": {"count": True}, "an event with peaks": {"peaks": {}},
        "an event with fits": {"peaks": {"fit": "pseudo-voigt"}},
    }  # fmt: skip
    integration = Setting("plain")
    found = []
    for name, ours in ways.items():
        contestants = {
            "ours": callback(case, **ours),
            "ours, plain": lambda: plain.reduce(Frame(case.frame, 0.0)),
            "pyFAI, csr": lambda: theirs.curves(integration, plain.ranges, "csr"),
            "pyFAI, csc": lambda: theirs.curves(integration, plain.ranges, "csc"),
        }
        with_peaks = built(case, Setting(name, ours)).reduce(Frame(case.frame, 0.0)).diffractograms
        right = theirs.integrate(integration, plain.ranges, "csr", case.frame)
        found.append({
            "setting": name, "pyFAI's": "integrate1d", **compared(take_turns(contestants, rounds)),
            "differences": differences(with_peaks, right, integration),
        })  # fmt: skip
    return found


def compared(times: dict[str, list[float]]) -> dict[str, Any]:
    """Quartiles and ratios of medians; of pyFAI's ways the fastest counts."""
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


def add_rings(case: Case) -> None:
    """Eight rings on the background, for peaks to be found and fitted; what is invalid stays so."""
    q = pyFAI.load(str(case.poni)).center_array(case.frame.shape, unit="q_nm^-1")
    at = np.linspace(0.15, 0.85, 8) * q.max()
    width = 0.004 * q.max()
    rings = sum(150.0 * np.exp(-(((q - each) / width) ** 2)) for each in at)
    valid = case.frame != dummy_of(case.frame)
    counts = np.random.default_rng(2).poisson(rings).astype(case.frame.dtype)
    case.frame[valid] += counts[valid]


def show(detector: str, results: Sequence[dict[str, Any]], console: Console) -> None:
    table = Table(title=f"{detector}, 4 sectors of 30°: ms a frame", title_justify="left")
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--detector", choices=DETECTORS, help="one only")
    parser.add_argument("--quick", action="store_true", help="small frames and few rounds, to see that it works")
    parser.add_argument("--json", type=Path, default=Path("docs/benchmark-corrections.json"))
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
            add_rings(case)
            theirs, plain = Theirs(case), built(case, Setting("plain"))
            results = [measure(case, each, theirs, plain, rounds) for each in settings(case.frame.shape)]
            results += measure_events(case, theirs, plain, rounds)
        show(detector, results, console)
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


if __name__ == "__main__":
    main()
