"""A powder whose lines are known at every temperature."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..reduction.pyfai_library import calibrant_lines

REFERENCE_TEMPERATURE_K = 300.0


@dataclass(frozen=True, slots=True)
class Phase:
    """One crystalline phase.

    Attributes
    ----------
    name
        What it is called.
    spacings
        d in Å of its lines at 300 K, largest first.
    heights
        Height of each ring in counts per second and pixel, where the whole sample is this phase.
    expansion
        Linear thermal expansion per kelvin: d(T) = d(300 K)·(1 + expansion·(T − 300 K)).
    appears_at, vanishes_at
        Temperature in K at which half of it has formed or gone; None: it is there from the start, or stays.
    """

    name: str
    spacings: tuple[float, ...]
    heights: tuple[float, ...]
    expansion: float
    appears_at: float | None = None
    vanishes_at: float | None = None

    def __post_init__(self) -> None:
        if len(self.spacings) != len(self.heights):
            raise ValueError(f"{self.name} has {len(self.spacings)} spacings but {len(self.heights)} heights")

    def spacings_at(self, temperature: float) -> NDArray[np.float64]:
        """``(n,)`` d in Å at `temperature` in K."""
        strain = self.expansion * (temperature - REFERENCE_TEMPERATURE_K)
        return np.asarray(self.spacings) * (1.0 + strain)

    def fraction(self, temperature: float, width: float) -> float:
        """How much of the phase there is, 0 to 1, where a transition takes about `width` K."""
        fraction = 1.0
        if self.appears_at is not None:
            fraction *= _step((temperature - self.appears_at) / width)
        if self.vanishes_at is not None:
            fraction *= _step((self.vanishes_at - temperature) / width)
        return fraction


def _step(x: float) -> float:
    """A smooth step from 0 to 1, half at `x` 0; nine tenths of it happen from −3/4 to 3/4."""
    return 0.5 * (1.0 + math.tanh(2.0 * x))


@dataclass(frozen=True, slots=True)
class PowderSample:
    """A mixture of phases on a smooth background.

    Attributes
    ----------
    name
        What it is called.
    phases
        Its phases. Lines are numbered through them in this order, by falling d in each.
    fwhm
        Full width of every line at half of its height, in degrees of 2θ: the instrument's.
    background
        Counts per second and pixel that do not fade towards large angles.
    transition_width
        How many K a phase transition takes.
    """

    name: str
    phases: tuple[Phase, ...]
    fwhm: float = 0.09
    background: float = 12.0
    transition_width: float = 60.0

    def two_theta(self, temperature: float, wavelength: float) -> NDArray[np.float64]:
        """Where every line is, by Bragg's law, whether or not its phase is there at that temperature.

        Parameters
        ----------
        temperature
            In K.
        wavelength
            In m.

        Returns
        -------
        numpy.ndarray
            ``(n_lines,)`` 2θ in degrees, always in the same order; NaN where λ > 2d.
        """
        spacings = np.concatenate([phase.spacings_at(temperature) for phase in self.phases])
        sine = 0.5 * wavelength * 1e10 / spacings
        return np.rad2deg(2.0 * np.arcsin(np.where(sine <= 1.0, sine, np.nan)))

    def heights(self, temperature: float) -> NDArray[np.float64]:
        """``(n_lines,)`` height of every line at `temperature` in K, in counts per second and pixel."""
        return np.concatenate(
            [np.multiply(p.heights, p.fraction(temperature, self.transition_width)) for p in self.phases]
        )

    def pattern(self, two_theta: ArrayLike, temperature: float, wavelength: float) -> NDArray[np.float64]:
        """What a pixel at normal incidence counts.

        Lines are pseudo-Voigt functions, three tenths of them Lorentzian.

        Parameters
        ----------
        two_theta
            Scattering angles in degrees, of any shape.
        temperature
            In K.
        wavelength
            In m.

        Returns
        -------
        numpy.ndarray
            Counts per second, of the shape of `two_theta`.
        """
        angle = np.asarray(two_theta, dtype=float)
        counts = self.background * (1.0 + 2.0 * np.exp(-angle / 4.0) + np.exp(-(((angle - 6.0) / 3.5) ** 2)))
        lines = zip(self.two_theta(temperature, wavelength), self.heights(temperature), strict=True)
        for position, height in lines:
            if height > 0.0 and math.isfinite(position):
                square = (2.0 * (angle - position) / self.fwhm) ** 2
                counts += height * (0.3 / (1.0 + square) + 0.7 * np.exp(-math.log(2.0) * square))
        return counts


# Heights of the first lines relative to the strongest, about as powder diffraction files have them.
_CERIA = (100.0, 30.0, 52.0, 42.0, 8.0, 8.0, 14.0, 8.0, 14.0, 11.0)
_BCC_IRON = ((1, 1, 0, 100.0), (2, 0, 0, 20.0), (2, 1, 1, 30.0), (2, 2, 0, 10.0), (3, 1, 0, 12.0))
_FCC_IRON = ((1, 1, 1, 100.0), (2, 0, 0, 45.0), (2, 2, 0, 23.0), (3, 1, 1, 24.0), (2, 2, 2, 8.0))


def heated_iron(*, counts: float = 250.0, fwhm: float = 0.09) -> PowderSample:
    """Iron powder with the calibrant CeO₂ mixed in, to be heated through iron's transition from bcc to fcc.

    The lines of CeO₂ are pyFAI's and stay; they are the strongest at every temperature. Those of α-Fe vanish
    around 1185 K, where those of γ-Fe appear. All move to smaller angles as they get hotter.

    Parameters
    ----------
    counts
        Height of the strongest ring of CeO₂, in counts per second and pixel; iron's is 0.7 of it.
    fwhm
        Width of the lines, in degrees of 2θ.
    """
    ceria = Phase(
        "CeO2",
        tuple(float(d) for d in calibrant_lines("CeO2")[: len(_CERIA)]),
        tuple(0.01 * counts * height for height in _CERIA),
        expansion=11.6e-6,
    )
    alpha = _cubic("alpha-Fe", 2.8665, _BCC_IRON, 0.7 * counts, expansion=14.5e-6, vanishes_at=1185.0)
    gamma = _cubic("gamma-Fe", 3.573, _FCC_IRON, 0.7 * counts, expansion=23.3e-6, appears_at=1185.0)
    return PowderSample("iron powder with CeO2", (ceria, alpha, gamma), fwhm=fwhm)


def _cubic(
    name: str,
    lattice: float,
    lines: tuple[tuple[int, int, int, float], ...],
    counts: float,
    *,
    expansion: float,
    appears_at: float | None = None,
    vanishes_at: float | None = None,
) -> Phase:
    """A cubic phase: d = a/√(h² + k² + l²), from a (`lattice`, in Å) and its lines (h, k, l, height)."""
    spacings = tuple(lattice / math.sqrt(h * h + k * k + l * l) for h, k, l, _ in lines)
    heights = tuple(0.01 * counts * height for *_, height in lines)
    return Phase(name, spacings, heights, expansion, appears_at, vanishes_at)
