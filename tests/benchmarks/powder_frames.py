"""Diffractograms of all of pyFAI's calibrants that went through a simulated detector image and the reduction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ponis import write_poni
from powder_curves import PowderCurve, least_uncertainty

from bluesky_diffractogram.config import load_config
from bluesky_diffractogram.reduction.bin_covariance import shared_noise
from bluesky_diffractogram.reduction.frame import Frame
from bluesky_diffractogram.reduction.opening import open_geometry
from bluesky_diffractogram.reduction.pyfai_library import calibrant_lines, calibrant_names
from bluesky_diffractogram.reduction.reducer import Reducer
from bluesky_diffractogram.sim.frames import PowderFrames
from bluesky_diffractogram.sim.sample import Phase, PowderSample

MOST_LINES = 15
SPLITS = ("no", "bbox", "full")
# Of the strongest frame to the weakest, in exposures in which the background counts some ten a pixel.
EXPOSURES = 0.1, 30.0


@dataclass(frozen=True, slots=True)
class SetUp:
    """A detector and what is integrated of it.

    Attributes
    ----------
    shape, pixel
        Of the detector, in pixels and m.
    centre
        Where the beam hits it, in pixels.
    tilt
        In rad, about two axes.
    arc, npt
        Of the range.
    fwhm
        Of the lines near the beam, in pixels.
    """

    shape: tuple[int, int]
    pixel: float
    centre: tuple[float, float]
    tilt: tuple[float, float]
    arc: tuple[float, float]
    npt: int
    fwhm: float


SET_UPS = {
    "a quarter of a ring": SetUp((400, 420), 2e-4, (20.0, 20.0), (0.0, 0.0), (5, 85), 600, 4.0),
    "a full ring": SetUp((430, 410), 1.72e-4, (221.4, 187.3), (0.0, 0.0), (0, 360), 500, 3.0),
    "a narrow sector": SetUp((380, 460), 1e-4, (12.6, 9.2), (0.0, 0.0), (20, 45), 1000, 3.5),
    "a tilted detector": SetUp((420, 400), 2e-4, (205.8, 14.1), (0.2, -0.15), (-35, 35), 800, 4.0),
    "bins finer than pixels": SetUp((400, 420), 1.5e-4, (30.3, 25.7), (0.05, 0.0), (10, 70), 1800, 3.5),
}


class WithoutHalo(PowderSample):
    """A sample whose background falls from one end to the other."""

    def pattern(self, two_theta, temperature, wavelength):  # type: ignore[no-untyped-def]
        """As of every `PowderSample`, but for the halo around 6 degrees."""
        angle = np.asarray(two_theta, dtype=float)
        halo = self.background * np.exp(-(((angle - 6.0) / 3.5) ** 2))
        return super().pattern(angle, temperature, wavelength) - halo


def through_frames(
    folder: Path, seed: int, frames: int = 1, names: Sequence[str] = calibrant_names()
) -> Iterator[tuple[str, bool, PowderCurve]]:
    """Frames of calibrants in every set-up, with the pixel splittings in turns.

    Parameters
    ----------
    folder
        For calibrations.
    frames
        How many each, without a halo and with one: a wide maximum of the background, as a glass capillary gives it.
    names
        Of calibrants.

    Yields
    ------
    tuple
        The calibrant, whether there is a halo, and the curve.
    """
    rng = np.random.default_rng(seed)
    for turn, name in enumerate(names):
        spacings = np.unique(calibrant_lines(name))[::-1][:MOST_LINES]
        wavelength = 0.4e-10 if spacings[0] < 20.0 else 1.2e-10
        sine = wavelength * 1e10 / 2.0 / spacings
        for number, set_up in enumerate(SET_UPS.values()):
            reach = set_up.pixel * max(abs(n - c) for n, c in zip(set_up.shape, set_up.centre, strict=True))
            distance = reach / np.tan(2.0 * np.arcsin(min(sine.max(), 0.35)))
            poni = write_poni(
                folder / f"{name} {number}.poni", shape=set_up.shape, pixel=(set_up.pixel, set_up.pixel),
                distance=distance, centre=set_up.centre, rot=(*set_up.tilt, 0.0), wavelength=wavelength,
            )  # fmt: skip
            fwhm = float(np.rad2deg(set_up.fwhm * set_up.pixel / distance))
            split = SPLITS[(turn + number) % len(SPLITS)]
            config = load_config(
                {
                    "calibration": str(poni), "diff_ranges": [[*set_up.arc, None, None]], "npt": set_up.npt,
                    "diff_units": "2th [deg]", "method": split, "peaks": False, "polarization_factor": 0.99,
                }
            )  # fmt: skip
            geometry = open_geometry(config)
            assert geometry.shape is not None
            reducer = Reducer(config, geometry, geometry.shape)
            for halo in (False, True) * frames:
                heights = 0.5 * 75.0 ** rng.uniform(0.0, 1.0, len(spacings))
                phases = [Phase(name, tuple(spacings), tuple(each), 0.0) for each in (heights, 0.0 * heights)]
                kind = PowderSample if halo else WithoutHalo
                sample, background = (kind(name, (each,), fwhm=fwhm, background=8.0) for each in phases)
                exposure = float(np.exp(rng.uniform(*np.log(EXPOSURES))))
                image = PowderFrames(geometry, sample, seed=int(rng.integers(1 << 30))).frame(0, 300.0, exposure)
                yield name, halo, _curve(reducer, image, sample, background, exposure, wavelength)


def _curve(
    reducer: Reducer,
    image: np.ndarray,
    sample: PowderSample,
    background: PowderSample,
    exposure: float,
    wavelength: float,
) -> PowderCurve:
    """One frame, reduced, and what is in it."""
    (curve,) = reducer.reduce(Frame(image, 0.0)).diffractograms
    assert reducer.prepared is not None
    start, step = curve.radial[0], curve.radial[1] - curve.radial[0]
    at = sample.two_theta(300.0, wavelength)
    # A line beyond an end still has a flank in the curve.
    there = np.isfinite(at) & (at > start - 2.0 * sample.fwhm) & (at < curve.radial[-1] + 2.0 * sample.fwhm)
    order = np.argsort(at[there])
    bins, height = (at[there][order] - start) / step, exposure * sample.heights(300.0)[there][order]
    widths = np.full(len(bins), sample.fwhm / step)
    variance = exposure * sample.pattern(curve.radial, 300.0, wavelength) / np.maximum(curve.normalization, 1.0)
    snr = height / least_uncertainty(bins, widths, height, variance)
    halo = _maximum(background.pattern(curve.radial, 300.0, wavelength))
    return PowderCurve(curve, bins, widths, height, snr, shared_noise(reducer.prepared.table, 0), halo)


def _maximum(background: np.ndarray) -> tuple[float, float] | None:
    """From where to where a background is higher than the higher foot of its maximum; None where it has none.

    And a tenth of that farther, as noise and a fit move the middle of what is so wide.
    """
    inner = np.flatnonzero((background[1:-1] > background[:-2]) & (background[1:-1] > background[2:])) + 1
    if not len(inner):
        return None
    top = int(inner[background[inner].argmax()])
    side = max(background[: top + 1].min(), background[top:].min())
    above = background >= side
    first, last = top, top
    while first > 0 and above[first - 1]:
        first -= 1
    while last + 1 < len(above) and above[last + 1]:
        last += 1
    more = (last - first) / 10.0
    return first - more, last + more
