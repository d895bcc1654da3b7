"""What each correction and statistic costs, against pyFAI in the same run: ``python tests/benchmarks/corrections.py``.

Each case is a setting (a dark, a monitor, an error model, a median, …) that our reducer and pyFAI's own function apply
to the same frame over the same four sectors, warm; we, pyFAI, and our reducer without the setting take turns. Prints
milliseconds, ratios, and how far the numbers are from pyFAI's, and writes JSON; numbers that differ by more than
rounding end it with an error. Two minutes; seconds are this machine's, the ratios are what to look at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyFAI
from comparison import NUMBERS, built, compared, differences, dummy_of, of_event, run
from integration import Case, callback, take_turns

from bluesky_diffractogram.reduction.frame import Frame
from bluesky_diffractogram.reduction.reducer import Reducer

SCALE, MONITOR, POLARIZATION = 0.5, 3.0, 0.95


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

    def number(self, theirs: Any, name: str) -> np.ndarray:
        """``(npt,)`` of one of pyFAI's results, with all that the setting asks for."""
        found = np.asarray(getattr(theirs, NUMBERS[name]), dtype=float)
        return found if self.after is None or name != "intensity" else self.after(theirs.radial, found)


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
        return [setting.number(each, "intensity") for each in found]


def measure(case: Case, setting: Setting, theirs: Theirs, plain: Reducer, rounds: int) -> dict[str, Any]:
    """One setting: who takes how long, and by how much the numbers differ."""
    reducer, frame = built(case, **setting.ours), Frame(case.frame, 0.0, monitor=setting.monitor)
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
            theirs.integrate(setting, ranges, "csr", image), setting.compared, setting.number,
        ),
    }  # fmt: skip


def measure_events(case: Case, theirs: Theirs, plain: Reducer, rounds: int) -> list[dict[str, Any]]:
    """What the whole callback takes for an event, with peaks searched and fitted, against the mere integration."""
    low, high = plain.prepared.detector_limits
    followed = [
        {"name": f"ring{number}", "near": float(at), "within": 0.02 * (high - low)}
        for number, at in enumerate(np.linspace(0.15, 0.85, 8) * high)
    ]
    ways = {
        "an event without peaks": {}, "an event with counts": {"count": True}, "an event with peaks": {"peaks": {}},
        "an event with fits": {"peaks": {"fit": "pseudo-voigt"}},
        "an event with followed peaks": {"peaks": {"fit": "pseudo-voigt", "track": followed}},
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
        event = of_event(contestants["ours"]())
        right = theirs.integrate(integration, plain.ranges, "csr", case.frame)
        found.append({
            "setting": name, "pyFAI's": "integrate1d", **compared(take_turns(contestants, rounds)),
            "differences": differences(event, right),
        })  # fmt: skip
    return found


def add_rings(case: Case) -> None:
    """Eight rings on the background, for peaks to be found and fitted; what is invalid stays so."""
    q = pyFAI.load(str(case.poni)).center_array(case.frame.shape, unit="q_nm^-1")
    at = np.linspace(0.15, 0.85, 8) * q.max()
    width = 0.004 * q.max()
    rings = sum(150.0 * np.exp(-(((q - each) / width) ** 2)) for each in at)
    valid = case.frame != dummy_of(case.frame)
    counts = np.random.default_rng(2).poisson(rings).astype(case.frame.dtype)
    case.frame[valid] += counts[valid]


def measure_all(case: Case, rounds: int, folder: Path) -> list[dict[str, Any]]:
    add_rings(case)
    theirs, plain = Theirs(case), built(case)
    results = [measure(case, each, theirs, plain, rounds) for each in settings(case.frame.shape)]
    return results + measure_events(case, theirs, plain, rounds)


if __name__ == "__main__":
    run(str(__doc__), "docs/benchmark-corrections.json", measure_all)
