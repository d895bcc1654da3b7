"""What merging two detectors costs, against `MultiGeometry` in the same run: ``python tests/benchmarks/merged.py``.

Two detectors of one kind, the second beside the first and turned, over the same four sectors and common limits: plain,
with Poisson sigma, with a dark for each, and as whole events. pyFAI has a `MultiGeometry` for each range, whose
integrators keep their tables, with a thread for each detector, as is its default; darks are those of its detectors.
Prints and checks what `corrections.py` does, against our reducer for the first detector alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pyFAI
from comparison import NUMBERS, built, compared, differences, of_event, run
from integration import Case, callback, config_of, make, take_turns
from pyFAI.multi_geometry import MultiGeometry

from bluesky_diffractogram.reduction.frame import Frame
from bluesky_diffractogram.reduction.opened_detectors import open_detectors
from bluesky_diffractogram.reduction.opening import open_geometry
from bluesky_diffractogram.reduction.reducer import Reducer

TURNED = 0.3
"""rot1 of the second detector, in rad: the two overlap."""
SECOND = "image2"


def beside(case: Case, folder: Path) -> Case:
    """The second detector: another place, other counts."""
    (folder / "second").mkdir()
    second = make(replace(case), folder / "second")
    second.poni.write_text(second.poni.read_text().replace("Rot1: 0.01", f"Rot1: {TURNED}"))
    # MultiGeometry knows no dummy: all pixels but the gaps count, which its detectors know.
    rng = np.random.default_rng(1)
    for each in (case, second):
        gaps = pyFAI.load(str(each.poni)).detector.mask != 0
        bad = each.frame[gaps].max() if gaps.any() else 0
        each.frame = np.where(gaps, bad, rng.poisson(20, each.frame.shape)).astype(each.frame.dtype)
    return second


def merged(case: Case, second: Case, of_second: Mapping[str, Any] = MappingProxyType({}), **settings: Any) -> Reducer:
    config = config_of(case, **merging(second, **of_second), **settings)
    geometry = open_geometry(config)
    return Reducer(config, geometry, case.frame.shape, others=open_detectors(config, geometry))


def merging(second: Case, **its_own: Any) -> dict[str, Any]:
    entry = {"image_key": SECOND, "calibration": str(second.poni), **its_own}
    return {"image_key": "image", "merge": [entry]}


class Theirs:
    """pyFAI's way: absolute solid angles, relative to the first detector's only afterwards."""

    def __init__(self, case: Case, second: Case, like: Reducer, darks: Sequence[np.ndarray] = ()) -> None:
        self._npt = case.npt
        self._geometries = [
            MultiGeometry(
                [pyFAI.load(str(each.poni)) for each in (case, second)], unit="q_nm^-1",
                radial_range=wanted.pyfai_limits, azimuth_range=wanted.azimuth_range,
            )
            for wanted in like.ranges
        ]  # fmt: skip
        for each in self._geometries:
            for ai, dark in zip(each.ais, darks, strict=False):
                ai.detector.darkcurrent = dark
        first = self._geometries[0].ais[0]
        self._unit_angle = first.detector.pixel1 * first.detector.pixel2 / first.dist**2

    def integrate(self, images: list[np.ndarray], algorithm: str, error_model: str | None) -> list:
        """The result of each range."""
        method = ("bbox", algorithm, "cython")
        return [
            each.integrate1d(images, self._npt, method=method, error_model=error_model) for each in self._geometries
        ]

    def number(self, result: Any, name: str) -> np.ndarray:
        """``(npt,)`` of one of the results."""
        return self._unit_angle * np.asarray(getattr(result, "sigma" if name == "sigma" else NUMBERS[name]), float)


def measure(case: Case, rounds: int, folder: Path) -> list[dict[str, Any]]:
    second = beside(case, folder)
    plain, two = built(case), merged(case, second)
    theirs = Theirs(case, second, two)
    images = [case.frame, second.frame]
    darks = [np.random.default_rng(n).uniform(0.0, 2.0, each.shape).astype(np.float32) for n, each in enumerate(images)]

    def setting(
        name: str, ours: Reducer, error_model: str | None = None, event: Callable[[], dict[str, Any]] | None = None,
        theirs: Theirs = theirs,
    ) -> dict[str, Any]:  # fmt: skip
        frame = Frame(case.frame, 0.0, others=(second.frame,))

        def pyfais(algorithm: str) -> list:
            return theirs.integrate(images, algorithm, error_model)

        contestants: dict[str, Callable[[], Any]] = {
            "ours": event or (lambda: ours.reduce(frame)),
            "ours, plain": lambda: plain.reduce(Frame(case.frame, 0.0)),
            "pyFAI, csr": lambda: pyfais("csr"),
            "pyFAI, csc": lambda: pyfais("csc"),
        }
        found = ours.reduce(frame).diffractograms if event is None else of_event(event())
        names = ("intensity",) if error_model is None else ("intensity", "sigma")
        return {
            "setting": name, "pyFAI's": "MultiGeometry.integrate1d", **compared(take_turns(contestants, rounds)),
            "differences": differences(found, pyfais("csr"), names, theirs.number),
        }  # fmt: skip

    event = callback(case, lambda: {SECOND: second.frame}, **merging(second))
    return [
        setting("two detectors", two),
        setting("two, Poisson sigma", merged(case, second, error_model="poisson"), "poisson"),
        setting(
            "two, a dark for each",
            merged(case, second, {"dark": darks[1]}, dark=darks[0]),
            theirs=Theirs(case, second, two, darks),
        ),
        setting("two, as an event", two, event=event),
    ]


if __name__ == "__main__":
    run(str(__doc__), "docs/benchmark-merged.json", measure)
