"""What peak finders find, against the truth: ``python tests/benchmarks/peaks.py [--json FILE]``.

Curves of all of pyFAI's calibrants are simulated, straight away with pixels split over bins, and through simulated
frames and the reduction. For the default finder, lavue's and plain `scipy.signal.find_peaks` it gives the part of the
lines found, by signal-to-noise ratio and by distance to the next line in FWHM; false peaks in a hundred curves, with
lines and without; and how far positions are off, in bins.

The signal-to-noise ratio of a line is its height over the least standard uncertainty that counting leaves it in a joint
fit of all lines, their positions and the background: that of the whole line, not of a bin.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("BLUESKY_DIFFRACTOGRAM_CACHE", "")
sys.path.insert(0, str(Path(__file__).parents[1] / "reduction"))

import itertools

import numpy as np
from powder_curves import FINDERS, ISOLATION, SNR, PowderCurve, Score, calibrant_curve, compare, least_uncertainty
from rich.console import Console
from rich.table import Table

from bluesky_diffractogram.config import load_config
from bluesky_diffractogram.reduction.bin_covariance import shared_noise
from bluesky_diffractogram.reduction.frame import Frame
from bluesky_diffractogram.reduction.pyfai_library import calibrant_lines, calibrant_names
from bluesky_diffractogram.reduction.reducer import Reducer, open_geometry
from bluesky_diffractogram.sim.frames import PowderFrames
from bluesky_diffractogram.sim.sample import Phase, PowderSample

PONI = """poni_version: 2.1
Detector: Detector
Detector_config: {{"pixel1": 2e-4, "pixel2": 2e-4, "max_shape": [400, 420], "orientation": 3}}
Distance: {distance}
Poni1: 0.004
Poni2: 0.004
Rot1: 0.0
Rot2: 0.0
Rot3: 0.0
Wavelength: {wavelength}
"""


def straight(seed: int, rounds: int, *, lines: bool = True) -> Iterator[tuple[str, PowderCurve]]:
    """Curves of every calibrant, `rounds` of each, with widths from 3 to 15 bins and four splitting widths."""
    rng = np.random.default_rng(seed)
    for _ in range(rounds):
        for name in calibrant_names():
            fwhm, width = rng.choice([3.0, 5.0, 8.0, 15.0]), rng.choice([0.0, 1.5, 2.8, 6.0])
            curve = calibrant_curve(name, rng, fwhm=max(fwhm, 1.2 * width), width=width, lines=lines)
            yield name, curve


def through_frames(folder: Path, seed: int, splits: tuple[str, ...]) -> Iterator[tuple[str, PowderCurve]]:
    """The first lines of every calibrant on a detector, integrated over a quarter of a ring."""
    rng = np.random.default_rng(seed)
    for name in calibrant_names():
        spacings = np.unique(calibrant_lines(name))[::-1][:15]
        wavelength = 0.4e-10 if spacings[0] < 20.0 else 1.2e-10
        sine = wavelength * 1e10 / 2.0 / spacings
        largest = 2.0 * np.arcsin(min(sine.max(), 0.35))
        distance = 0.075 / np.tan(largest)
        poni = folder / f"{name}.poni"
        poni.write_text(PONI.format(distance=distance, wavelength=wavelength))
        fwhm_deg = np.rad2deg(0.8e-3 / distance)  # four pixels near the beam
        heights = 2.0 * (150.0 / 2.0) ** rng.uniform(0.0, 1.0, len(spacings)) * 0.25
        phase = Phase(name, tuple(spacings), tuple(heights), 0.0)
        for split in splits:
            config = load_config(
                {
                    "calibration": str(poni), "diff_ranges": [[5, 85, None, None]], "diff_units": "2th [deg]",
                    "npt": 600, "method": split, "peaks": False, "polarization_factor": 0.99,
                }
            )  # fmt: skip
            geometry = open_geometry(config)
            sample = PowderSample(name, (phase,), fwhm=fwhm_deg, background=8.0)
            frames = PowderFrames(geometry, sample, seed=seed)
            reducer = Reducer(config, geometry, frames.shape)
            (curve,) = reducer.reduce(Frame(frames.frame(0, 300.0), 0.0)).diffractograms
            assert reducer.prepared is not None
            shared = shared_noise(reducer.prepared.table, 0)
            at = sample.two_theta(300.0, wavelength)
            step = curve.radial[1] - curve.radial[0]
            there = np.isfinite(at) & (at > curve.radial[0]) & (at < curve.radial[-1])
            order = np.argsort(at[there])
            position, height = at[there][order], heights[there][order]
            bins, widths = (position - curve.radial[0]) / step, np.full(len(position), fwhm_deg / step)
            variance = sample.pattern(curve.radial, 300.0, wavelength) / np.maximum(curve.normalization, 1.0)
            snr = height / least_uncertainty(bins, widths, height, variance)
            yield name, PowderCurve(curve, bins, widths, height, snr, shared)


def in_bins(finder: Callable[[PowderCurve], np.ndarray]) -> Callable[[PowderCurve], np.ndarray]:
    """Positions of a finder in bins, whatever the axis."""

    def run(curve: PowderCurve) -> np.ndarray:
        radial = curve.diffractogram.radial
        found = finder(curve)
        return found if radial[0] == 0.0 else np.interp(found, radial, np.arange(len(radial)))

    return run


def summary(score: Score) -> dict:
    """Figures of a finder."""
    misses, pulls = np.array(score.misses or [np.nan]), np.array(score.pulls or [np.nan])
    close = np.array(score.close_misses or [np.nan])
    return {
        "curves": score.curves,
        "recall": {
            f"{low:g} to {high:g} FWHM": {
                f"SNR {weak:g} to {strong:g}": [int(score.found[row, column]), int(score.wanted[row, column])]
                for column, (weak, strong) in enumerate(itertools.pairwise(SNR))
            }
            for row, (low, high) in enumerate(itertools.pairwise(ISOLATION))
        },
        "recall_snr_10": score.recall(1.0, 10.0),
        "recall_snr_10_beyond_2_fwhm": score.recall(2.0, 10.0),
        "false_per_100_curves": 100.0 * score.false / max(score.curves, 1),
        "position_error_bins": {
            "median": float(np.median(np.abs(misses))),
            "95 %": float(np.quantile(np.abs(misses), 0.95)),
            "bias": float(np.mean(misses)),
            "deviation over the least": float(np.std(pulls)),
            "median beside another": float(np.median(np.abs(close))),
            "95 % beside another": float(np.quantile(np.abs(close), 0.95)),
        },
    }


def milliseconds() -> dict[str, float]:
    """What each finder takes for a curve of CeO2, warm."""
    curve = calibrant_curve("CeO2", np.random.default_rng(1))
    taken = {}
    for name, finder in FINDERS.items():
        finder(curve)
        times = []
        for _ in range(30):
            begin = time.perf_counter()
            finder(curve)
            times.append(1e3 * (time.perf_counter() - begin))
        taken[name] = float(np.median(times))
    return taken


def show(title: str, figures: dict[str, dict], console: Console) -> None:
    """A table of one kind of curve."""
    table = Table(title=title, title_justify="left")
    for heading in ("", *figures):
        table.add_column(heading, justify="right" if heading else "left")
    for low, high in itertools.pairwise(ISOLATION):
        for weak, strong in itertools.pairwise(SNR):
            row, column = f"{low:g} to {high:g} FWHM", f"SNR {weak:g} to {strong:g}"
            cells = [each["recall"][row][column] for each in figures.values()]
            if cells[0][1]:
                table.add_row(f"{row}, {column}", *(f"{100 * found / of:.1f} % of {of}" for found, of in cells))
        table.add_section()
    table.add_row("false in 100 curves", *(f"{each['false_per_100_curves']:.2f}" for each in figures.values()))
    for what in ("median", "95 %", "bias", "deviation over the least"):
        table.add_row(f"position, {what}", *(f"{each['position_error_bins'][what]:.3f}" for each in figures.values()))
    console.print(table)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few curves, none through frames")
    parser.add_argument("--rounds", type=int, default=20, help="curves of each calibrant")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--missed", type=int, default=0, help="list so many of the default finder's missed lines")
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    rounds = 1 if options.quick else options.rounds
    console = Console(width=max(110, Console().width))
    finders = {name: in_bins(finder) for name, finder in FINDERS.items()}
    with tempfile.TemporaryDirectory() as folder:
        kinds: dict[str, Iterator] = {
            "lines of calibrants": straight(options.seed, rounds),
            "no lines": straight(options.seed + 1, rounds, lines=False),
        }
        if not options.quick:
            kinds["through simulated frames"] = through_frames(Path(folder), options.seed, ("no", "bbox", "full"))
        report: dict = {"milliseconds": milliseconds()}
        for title, curves in kinds.items():
            scores = compare(curves, finders)
            report[title] = {name: summary(score) for name, score in scores.items()}
            show(title, report[title], console)
            for missed in sorted(scores["default"].missed_lines, key=lambda each: -each[3])[: options.missed]:
                console.print("missed: {} at {:.1f}, isolation {:.2f}, SNR {:.1f}, eclipse {:.1f}".format(*missed))
    console.print(f"milliseconds a curve: {report['milliseconds']}")
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
