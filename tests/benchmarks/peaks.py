"""What peak finders find, against the truth: ``python tests/benchmarks/peaks.py [--json FILE]``.

Curves of all of pyFAI's calibrants are simulated, straight away with pixels split over bins, and through simulated
frames and the reduction. For the default finder, lavue's and plain `scipy.signal.find_peaks` it gives the part of the
lines found, by signal-to-noise ratio and by distance to the next line in FWHM; false peaks in a hundred curves, with
lines and without; how far positions are off, in bins; and how long it takes. A halo is a maximum of the sample's own
background: a peak there is none of its lines, but no false one either, and counted by itself.

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
sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "reduction"))

import itertools

import numpy as np
from peak_curves import line, split
from peak_fits import CENTRES, FWHM, HEIGHTS, ten_lines_counted
from peak_fits import milliseconds as fit_times
from powder_curves import FINDERS, ISOLATION, SNR, Finder, PowderCurve, Score, calibrant_curve, compare
from powder_frames import through_frames
from rich.console import Console
from rich.table import Table

from bluesky_diffractogram.reduction.pyfai_library import calibrant_names

# Of pairs of lines: FWHM apart, times as high as the other, signal-to-noise ratio that the weaker would have alone.
APART, RATIOS, ALONE = (1.0, 1.25, 1.5, 2.0, 3.0), (1.0, 3.0, 10.0), (10.0, 30.0, 100.0)
# Every second calibrant: the others' frames are those with which false peaks were looked into.
HELD_OUT = calibrant_names()[1::2]


def straight(seed: int, rounds: int, *, lines: bool = True) -> Iterator[tuple[str, PowderCurve]]:
    """Curves of every calibrant, `rounds` of each, with widths from 3 to 15 bins and four splitting widths."""
    rng = np.random.default_rng(seed)
    for _ in range(rounds):
        for name in calibrant_names():
            fwhm, width = rng.choice([3.0, 5.0, 8.0, 15.0]), rng.choice([0.0, 1.5, 2.8, 6.0])
            curve = calibrant_curve(name, rng, fwhm=max(fwhm, 1.2 * width), width=width, lines=lines)
            yield name, curve


def pairs(seed: int, rounds: int) -> Iterator[tuple[tuple[float, float, float], PowderCurve]]:
    """Two lines each, 8 bins wide: how many FWHM apart, how many times as high the first, SNR of the second alone."""
    rng = np.random.default_rng(seed)
    n, fwhm, width, pixels, background = 300, 8.0, 2.8, 40, 30.0
    for apart, ratio, snr in itertools.product(APART, RATIOS, ALONE):
        weight = np.sqrt(0.66 * fwhm * pixels)
        # snr = h weight / √(background + h/2), solved for h
        height = (snr**2 / 2.0 + np.sqrt(snr**4 / 4.0 + 4.0 * snr**2 * weight**2 * background)) / (2.0 * weight**2)
        heights = np.array([ratio * height, height])
        for _ in range(rounds):
            first = n / 2.0 + rng.uniform(-0.5, 0.5)
            at = np.array([first, first + apart * fwhm])

            def expected(x, at=at, heights=heights):
                return background + sum(h * line(x - p, fwhm, 0.3) for p, h in zip(at, heights, strict=True))

            curve = split(expected, n, pixels, width, rng)
            yield (apart, ratio, snr), PowderCurve(curve, at, np.full(2, fwhm), heights, np.full(2, snr))


def both_found(seed: int, rounds: int) -> dict[str, dict[str, float]]:
    """In which part of the curves of `pairs` the default finder finds both lines within half a FWHM, and no more."""
    found: dict[tuple[float, float, float], list[bool]] = {}
    for kind, curve in pairs(seed, rounds):
        position = FINDERS["default"](curve)
        distance = np.abs(position[:, None] - curve.position)
        both = len(position) == 2 and (distance.min(axis=0) < 0.5 * curve.fwhm).all()
        found.setdefault(kind, []).append(bool(both))
    rows: dict[str, dict[str, float]] = {}
    for (apart, ratio, snr), each in found.items():
        row = rows.setdefault(f"{apart:g} FWHM apart, one {ratio:g} times as high", {})
        row[f"SNR {snr:g}"] = float(np.mean(each))
    return rows


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
        "halos_per_100_curves": 100.0 * score.halos / max(score.curves, 1),
        "position_error_bins": {
            "median": float(np.median(np.abs(misses))),
            "95 %": float(np.quantile(np.abs(misses), 0.95)),
            "bias": float(np.mean(misses)),
            "deviation over the least": float(np.std(pulls)),
            "median beside another": float(np.median(np.abs(close))),
            "95 % beside another": float(np.quantile(np.abs(close), 0.95)),
        },
    }


def times(rounds: int) -> dict[str, dict[str, float]]:
    """Median processor time in ms of searches in curves of 1000 bins and of the fits of ten lines, warm."""
    curves = {
        "search, ten lines": ten_lines(),
        "search, sixty lines": calibrant_curve("CeO2", np.random.default_rng(1), n=1000),
    }
    taken: dict[str, dict[str, list[float]]] = {what: {} for what in curves}
    for turn in range(10 * rounds + 3):
        for (what, curve), (name, finder) in itertools.product(curves.items(), FINDERS.items()):
            begin = time.thread_time()
            if name != "default, fitted":
                finder(curve)
                if turn >= 3:
                    taken[what].setdefault(name, []).append(1e3 * (time.thread_time() - begin))
    medians = {what: {name: float(np.median(each)) for name, each in of.items()} for what, of in taken.items()}
    return {**medians, "fits of ten lines": fit_times(rounds)}


def ten_lines() -> PowderCurve:
    """The curve whose fits are measured."""
    height, fwhm = np.array(HEIGHTS, float), np.full(len(CENTRES), FWHM)
    return PowderCurve(ten_lines_counted(), np.array(CENTRES, float), fwhm, height, np.full(len(height), np.inf))


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
    for what in ("false", "halos"):
        table.add_row(f"{what} in 100 curves", *(f"{each[f'{what}_per_100_curves']:.2f}" for each in figures.values()))
    table.add_row("curves", *(str(each["curves"]) for each in figures.values()))
    for what in ("median", "95 %", "bias", "deviation over the least"):
        table.add_row(f"position, {what}", *(f"{each['position_error_bins'][what]:.3f}" for each in figures.values()))
    console.print(table)


def show_pairs(rows: dict[str, dict[str, float]], console: Console) -> None:
    """A table of pairs."""
    table = Table(title="pairs of lines: both found, and no more", title_justify="left")
    for heading in ("", *next(iter(rows.values()))):
        table.add_column(heading, justify="right" if heading else "left")
    for name, row in rows.items():
        table.add_row(name, *(f"{100 * part:.0f} %" for part in row.values()))
    console.print(table)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few curves, of two calibrants through frames")
    parser.add_argument("--rounds", type=int, default=20, help="curves of each calibrant")
    parser.add_argument("--frames", type=int, default=1, help="frames of each calibrant, set-up and halo")
    parser.add_argument("--held-out", action="store_true", help="frames of every second calibrant only")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--missed", type=int, default=0, help="list so many of the default finder's missed lines")
    parser.add_argument("--times", action="store_true", help="only how long it takes, put into the file that is there")
    parser.add_argument("--json", type=Path, default=None)
    options = parser.parse_args()
    quick = options.quick
    console = Console(width=max(110, Console().width))
    finders = {name: in_bins(finder) for name, finder in FINDERS.items()}
    report: dict = json.loads(options.json.read_text()) if options.times and options.json else {}
    report["milliseconds"] = times(1 if quick else 10)
    for what, taken in report["milliseconds"].items():
        console.print(f"{what}, ms of processor time: {', '.join(f'{name} {ms:.3g}' for name, ms in taken.items())}")
    if not options.times:
        report |= found_and_false(options, finders, console)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))


def found_and_false(options: argparse.Namespace, finders: dict[str, Finder], console: Console) -> dict:
    """Figures of all kinds of curves, which are printed as they come."""
    quick, rounds = options.quick, 1 if options.quick else options.rounds
    report: dict = {"seed": options.seed}
    with tempfile.TemporaryDirectory() as folder:
        names = ("CeO2", "LaB6") if quick else HELD_OUT if options.held_out else calibrant_names()
        frames = list(through_frames(Path(folder), options.seed, options.frames, names))
        kinds: dict[str, Iterator] = {
            "lines of calibrants": straight(options.seed, rounds),
            "no lines": straight(options.seed + 1, rounds, lines=False),
            "through simulated frames": ((name, curve) for name, halo, curve in frames if not halo),
            "through simulated frames with a halo": ((name, curve) for name, halo, curve in frames if halo),
        }
        for title, curves in kinds.items():
            scores = compare(curves, finders)
            report[title] = {name: summary(score) for name, score in scores.items()}
            show(title, report[title], console)
            for missed in sorted(scores["default"].missed_lines, key=lambda each: -each[3])[: options.missed]:
                console.print("missed: {} at {:.1f}, isolation {:.2f}, SNR {:.1f}, eclipse {:.1f}".format(*missed))
    report["pairs"] = both_found(options.seed + 2, 2 if quick else 10 * rounds)
    show_pairs(report["pairs"], console)
    return report


if __name__ == "__main__":
    main()
