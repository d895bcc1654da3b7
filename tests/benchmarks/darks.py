"""What a dark of the run costs, against pyFAI's in the same run: ``python tests/benchmarks/darks.py``.

The same frame over the same four sectors with one dark for all frames, as the configuration has it; with one that came
in the run, and is in force; with another one for every frame; and with one of which single pixels are not known. pyFAI
takes its dark with each call. Prints and checks what `corrections.py` does, against our reducer without a dark.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pyFAI
from comparison import built, compared, differences, dummy_of, run
from integration import Case, take_turns

from bluesky_diffractogram.reduction.dark import Dark
from bluesky_diffractogram.reduction.frame import Frame

UNKNOWN = 1e-3
"""The part of the pixels of which a dark is not known."""

Call = Callable[[], Any]


def measure(case: Case, rounds: int, folder: Path) -> list[dict[str, Any]]:
    rng = np.random.default_rng(8)
    several = [rng.uniform(0.0, 2.0, case.frame.shape).astype(np.float32) for _ in range(4)]
    patchy = np.where(rng.random(case.frame.shape) < UNKNOWN, np.float32(np.nan), several[0])
    plain, constant, of_run = built(case), built(case, dark=several[0]), built(case, dark={"stream": "dark"})
    integrators, masked = ([pyFAI.load(str(case.poni)) for _ in case.ranges] for _ in range(2))
    # pyFAI takes no NaN; it has to be told of a mask, once as long as the dark is in force.
    known, unknown = np.nan_to_num(patchy), np.isnan(patchy).astype(np.int8)
    for ai in masked:
        ai.mask = unknown | ai.detector.mask

    def theirs(algorithm: str, dark: np.ndarray, integrators: Sequence[Any] = integrators) -> list:
        return [
            ai.integrate1d(
                case.frame, case.npt, unit="q_nm^-1", azimuth_range=wanted.azimuth_range,
                radial_range=wanted.pyfai_limits, dummy=dummy_of(case.frame), delta_dummy=1.5, dark=dark,
                method=("bbox", algorithm, "cython"),
            )
            for ai, wanted in zip(integrators, plain.ranges, strict=True)
        ]  # fmt: skip

    def setting(name: str, ours: Call, pyfais: Callable[[str], Any]) -> dict[str, Any]:
        contestants: dict[str, Call] = {"ours": ours, "ours, plain": lambda: plain.reduce(Frame(case.frame, 0.0))}
        for algorithm in ("csr", "csc"):
            contestants[f"pyFAI, {algorithm}"] = lambda algorithm=algorithm: pyfais(algorithm)
        return {
            "setting": name, "pyFAI's": "integrate1d", **compared(take_turns(contestants, rounds)),
            "differences": differences(first(ours).diffractograms, first(lambda: pyfais("csr"))),
        }  # fmt: skip

    turns = {"ours": count(), "pyFAI": count()}

    def first(call: Call) -> Any:
        """What it gives for the first of the darks that come in turns."""
        turns.update(ours=count(), pyFAI=count())
        return call()

    def of(who: str) -> np.ndarray:
        return several[next(turns[who]) % len(several)]

    in_force, with_holes = Dark(several[0], 1, ""), Dark(patchy, 2, "")
    return [
        setting(
            "the same for all", lambda: constant.reduce(Frame(case.frame, 0.0)), lambda how: theirs(how, several[0])
        ),
        setting(
            "of the run, in force", lambda: of_run.reduce(Frame(case.frame, 0.0, dark=in_force)),
            lambda how: theirs(how, several[0]),
        ),
        setting(
            "of the run, 0.1 % unknown", lambda: of_run.reduce(Frame(case.frame, 0.0, dark=with_holes)),
            lambda how: theirs(how, known, masked),
        ),
        setting(
            "another for every frame",
            lambda: of_run.reduce(Frame(case.frame, 0.0, dark=Dark(of("ours"), 3, ""))),
            lambda how: theirs(how, of("pyFAI")),
        ),
    ]  # fmt: skip


if __name__ == "__main__":
    run(str(__doc__), "docs/benchmark-darks.json", measure)
