"""How long fits take and whether their uncertainties are right: ``python tests/benchmarks/peak_fits.py [--json FILE]``.

Ten lines in a curve of a thousand bins are fitted by this package, by `scipy.optimize.curve_fit` and by lmfit, which
take turns and fit the same windows. Then many frames of a simulated powder are integrated with each pixel splitting,
and the deviations of what is fitted from what no noise would give are counted in standard uncertainties: their standard
deviation should be 1. The same is given for uncertainties that take no notice of what neighbouring bins share.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("BLUESKY_DIFFRACTOGRAM_CACHE", "")
sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "reduction"))

import lmfit
import numpy as np
from peak_curves import binned_line, counted, line
from ponis import write_poni
from rich.console import Console
from rich.table import Table
from scipy.optimize import curve_fit

from bluesky_diffractogram.config import load_config
from bluesky_diffractogram.reduction import peak_fit
from bluesky_diffractogram.reduction.bin_covariance import BinCovariance, covariance_of_table
from bluesky_diffractogram.reduction.diffractogram import Diffractogram
from bluesky_diffractogram.reduction.fit_windows import windows
from bluesky_diffractogram.reduction.frame import Frame
from bluesky_diffractogram.reduction.opening import open_geometry
from bluesky_diffractogram.reduction.peaks import find_peaks
from bluesky_diffractogram.reduction.reducer import Reducer

N, FWHM, LORENTZ = 1000, 8.0, 0.4
CENTRES = np.array([60.3, 150.2, 240.7, 330.1, 420.5, 510.9, 600.2, 690.6, 780.3, 797.1])
HEIGHTS = np.array([300.0, 200.0, 100.0, 80.0, 90.0, 500.0, 80.0, 70.0, 200.0, 120.0])
FIGURES = {
    "position": "position_error",
    "net_height": "height_error",
    "fwhm": "fwhm_error",
    "area": "area_error",
}


def model(x: np.ndarray, *parameters: float) -> np.ndarray:
    """Background, slope, and four figures a line."""
    curve = parameters[0] + parameters[1] * (x - x.mean())
    for k in range(2, len(parameters), 4):
        height, position, fwhm, lorentz = parameters[k : k + 4]
        curve = curve + height * line(x - position, fwhm, lorentz)
    return curve


def expected_counts() -> np.ndarray:
    """``(N,)`` the ten lines on their background."""
    lines = sum(h * binned_line(N, c, FWHM, LORENTZ) for c, h in zip(CENTRES, HEIGHTS, strict=True))
    return 100.0 + 0.02 * np.arange(N) + lines


def ten_lines_counted() -> Diffractogram:
    """The same with counting noise."""
    return counted(expected_counts(), 50.0, np.random.default_rng(1))


def contestants() -> dict[str, Callable[[], object]]:
    """What fits the ten lines, each with the same start."""
    expected, curve = expected_counts(), ten_lines_counted()
    found = find_peaks(curve)
    independent = BinCovariance(np.ones(N), None, np.ones((N, 1)))
    order = np.argsort(found.position)
    starts = np.column_stack([found.net_height, found.position, found.fwhm, np.full(len(found), 0.3)])[order]
    first, stop, group = windows(found.position[order], found.fwhm[order], N, peak_fit.MOST_JOINT)
    sigma = np.sqrt(expected / 50.0)

    def by_curve_fit() -> None:
        for g in range(len(first)):
            x, start = np.arange(first[g], stop[g]), starts[group[g] : group[g + 1]]
            guess = [100.0, 0.0, *start.ravel()]
            low = [-np.inf, -np.inf, *([0.0, -np.inf, 0.5, 0.0] * len(start))]
            high = [np.inf, np.inf, *([np.inf, np.inf, np.inf, 1.0] * len(start))]
            curve_fit(model, x, curve.intensity[x], guess, sigma[x], absolute_sigma=True, bounds=(low, high))

    def by_lmfit() -> None:
        for g in range(len(first)):
            x = np.arange(first[g], stop[g])
            whole = lmfit.models.LinearModel()
            parameters = whole.make_params(slope=0.0, intercept=100.0)
            for k, (height, position, fwhm, lorentz) in enumerate(starts[group[g] : group[g + 1]]):
                one = lmfit.models.PseudoVoigtModel(prefix=f"p{k}_")
                whole = whole + one
                parameters += one.make_params(
                    amplitude=1.25 * height * fwhm, center=position, sigma=fwhm / 2.0, fraction=lorentz
                )
            whole.fit(curve.intensity[x], parameters, x=x, weights=1.0 / sigma[x], scale_covar=False)

    return {
        "ours": lambda: peak_fit.fit_peaks(curve, found, independent, poisson=True),
        "curve_fit": by_curve_fit,
        "lmfit": by_lmfit,
    }


def milliseconds(rounds: int) -> dict[str, float]:
    """Median processor time of each."""
    fits = contestants()
    taken: dict[str, list[float]] = {name: [] for name in fits}
    for run in fits.values():
        run()
    for _ in range(rounds):
        for name, run in fits.items():
            begin = time.thread_time()
            run()
            taken[name].append(1e3 * (time.thread_time() - begin))
    return {name: float(np.median(times)) for name, times in taken.items()}


def by_position(peaks: object, names: object) -> np.ndarray:
    return np.array([getattr(peaks, name)[np.argsort(peaks.position)] for name in names])  # type: ignore[attr-defined]


def pulls(folder: Path, method: str, frames: int) -> dict[str, dict[str, list[float]]]:
    """Mean and deviation of the pulls of each figure, with what the table says of the bins and without."""
    poni = write_poni(folder / "rings.poni", rot=(0.02, -0.03, 0.1))
    config = load_config(
        {
            "calibration": str(poni), "diff_ranges": [[5, 85, 5, 16]], "diff_units": "2th [deg]", "npt": 500,
            "method": method, "error_model": "poisson", "peaks": False,
        }
    )  # fmt: skip
    geometry = open_geometry(config)
    assert geometry.shape is not None
    reducer = Reducer(config, geometry, geometry.shape)
    assert reducer.prepared is not None
    angle = np.rad2deg(geometry.pixels("center", "2th_deg"))
    at = ((7.0, 60.0), (9.5, 150.0), (12.0, 90.0), (12.9, 60.0))
    image = (40.0 + sum(h * line(angle - c, 0.5, 0.3) for c, h in at)) * geometry.solid_angle()
    covariance = covariance_of_table(reducer.prepared.table, 0)
    (curve,) = reducer.reduce(Frame(1e4 * image, 0.0)).diffractograms
    truth = by_position(peak_fit.fit_peaks(curve, find_peaks(curve, max_peaks=4), covariance), FIGURES)
    truth[[1, 3]] *= 1e-4
    rng = np.random.default_rng(7)
    ways = {
        "covariance of the table": covariance,
        "bins taken as independent": replace(covariance, correlation=covariance.correlation[:, :1]),
    }
    found: dict[str, list[np.ndarray]] = {way: [] for way in ways}
    for _ in range(frames):
        (curve,) = reducer.reduce(Frame(rng.poisson(image).astype(np.int32), 0.0)).diffractograms
        peaks = find_peaks(curve)
        for way, each in ways.items():
            fitted = peak_fit.fit_peaks(curve, peaks, each, poisson=True)
            if len(fitted) == truth.shape[1]:
                found[way].append((by_position(fitted, FIGURES) - truth) / by_position(fitted, FIGURES.values()))
    return {
        way: {
            figure: [float(np.nanmean(of)), float(np.nanstd(of))]
            for figure, of in zip(FIGURES, np.moveaxis(np.array(all_of), 1, 0), strict=True)
        }
        for way, all_of in found.items()
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--frames", type=int, default=500)
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    console = Console(width=max(100, Console().width))
    taken = milliseconds(3 if options.quick else 50)
    ratios = {f"{name} / ours": ms / taken["ours"] for name, ms in taken.items() if name != "ours"}
    console.print(f"ten lines, ms of processor time: {taken}; {ratios}")
    table = Table(title="pulls: mean ± deviation", title_justify="left")
    for heading in ("splitting", "uncertainties", *FIGURES):
        table.add_column(heading)
    report: dict = {"milliseconds": taken, "ratios": ratios, "pulls": {}}
    with tempfile.TemporaryDirectory() as folder:
        for method in ("no", "bbox", "full"):
            report["pulls"][method] = pulls(Path(folder), method, 30 if options.quick else options.frames)
            for way, figures in report["pulls"][method].items():
                table.add_row(method, way, *(f"{mean:+.2f} ± {spread:.2f}" for mean, spread in figures.values()))
    console.print(table)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
