"""What a geometry that moves costs, against pyFAI in the same run: ``python tests/benchmarks/moving.py``.

The same frame over the same four sectors: at a distance that no frame had before, so that what is known of pixels is
computed anew; at distances that are visited in turn, whose tables are kept; and as a whole event, whose reading jitters
by less than its tolerance. pyFAI's ways at a new distance: an integrator for each range that is told the distance, with
``csr``; and one for all ranges, which computes its arrays once, with ``csr`` and ``csc``, whose tables are built anew
for each range, and with ``histogram``, which needs none. None of them collects garbage when it is told, which takes as
long as all that this process has imported. At distances that come again pyFAI has an integrator for each range and
distance, with a table in each. Limits are those of the calibration, for all of them. Prints and checks what
`corrections.py` does, against our reducer where nothing moves. Five minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain, count, cycle
from pathlib import Path
from typing import Any

import numpy as np
import pyFAI
from comparison import built, compared, differences, dummy_of, of_event, run
from integration import Case, callback, take_turns

from bluesky_diffractogram.documents.moved_reducers import MovedReducers
from bluesky_diffractogram.reduction.frame import Frame
from bluesky_diffractogram.reduction.moved import Moved
from bluesky_diffractogram.reduction.reducer import Reducer

VISITED = (0.21, 0.22, 0.23)
"""The distances that are visited in turn, in m."""
STEP = 1e-4
"""From one new distance to the next, in m."""
JITTER = 2e-7
"""By how much a reading is off, in m: less than the tolerance."""


class Theirs:
    """pyFAI on the frame of a case, with limits that stay."""

    def __init__(self, case: Case, plain: Reducer) -> None:
        self._case, self._ranges = case, plain.ranges

    def loaded(self, distance: float | None = None) -> list:
        """An integrator for each range."""
        found = [pyFAI.load(str(self._case.poni)) for _ in self._ranges]
        for ai in found:
            ai.auto_gc = False
        return found if distance is None else self.told(found, distance)

    def told(self, integrators: Sequence[Any], distance: float) -> list:
        """The same integrators, at a distance; they forget what they have computed."""
        for ai in integrators:
            ai.dist = distance
        return list(integrators)

    def integrate(self, integrators: Sequence[Any], algorithm: str) -> list:
        """The result of each range; one integrator may do all of them."""
        case = self._case
        every = integrators if len(integrators) > 1 else list(integrators) * len(self._ranges)
        return [
            ai.integrate1d(
                case.frame, case.npt, unit="q_nm^-1", azimuth_range=wanted.azimuth_range,
                radial_range=wanted.pyfai_limits, dummy=dummy_of(case.frame), delta_dummy=1.5,
                method=("bbox", algorithm, "cython"),
            )
            for ai, wanted in zip(every, self._ranges, strict=True)
        ]  # fmt: skip


def measure(case: Case, rounds: int, folder: Path) -> list[dict[str, Any]]:
    plain, calibrated = built(case), built(case, geometry={"distance": "det_z"})
    theirs = Theirs(case, plain)

    def ours_at(distance: float, kept: MovedReducers) -> list:
        reducer = kept.get("", calibrated, Moved(distance=distance), {})
        return list(reducer.reduce(Frame(case.frame, 0.0)).diffractograms)

    def result(
        name: str, contestants: dict[str, Callable[[], Any]], distance: float, ours: Sequence[Any] | None = None
    ) -> dict[str, Any]:
        contestants["ours, plain"] = lambda: plain.reduce(Frame(case.frame, 0.0))
        times = take_turns(contestants, rounds)
        right = theirs.integrate(theirs.loaded(distance), "csr")
        found = differences(ours_at(distance, MovedReducers()) if ours is None else ours, right)
        return {"setting": name, "pyFAI's": "integrate1d", **compared(times), "differences": found}

    def at_new_distances() -> dict[str, Callable[[], Any]]:
        each, kept = theirs.loaded(), MovedReducers()
        of_all = {algorithm: theirs.loaded()[:1] for algorithm in ("csr", "csc", "histogram")}
        steps = {who: count(1) for who in ("ours", "each", *of_all)}

        def new(who: str) -> float:
            return VISITED[0] + STEP * next(steps[who])

        return {
            "ours": lambda: ours_at(new("ours"), kept),
            "pyFAI, csr": lambda: theirs.integrate(theirs.told(each, new("each")), "csr"),
        } | {
            f"pyFAI, one {algorithm}": lambda algorithm=algorithm, one=one: theirs.integrate(
                theirs.told(one, new(algorithm)), algorithm
            )
            for algorithm, one in of_all.items()
        }

    found = [result("a new distance", at_new_distances(), VISITED[0] + STEP)]
    turns = {who: cycle(VISITED) for who in ("ours", "csr", "csc")}
    kept, of_theirs = MovedReducers(), {distance: theirs.loaded(distance) for distance in VISITED}
    again = {
        f"pyFAI, {algorithm}": lambda algorithm=algorithm: theirs.integrate(
            of_theirs[next(turns[algorithm])], algorithm
        )
        for algorithm in ("csr", "csc")
    }
    for _ in VISITED:  # all of them have been there
        ours_at(next(turns["ours"]), kept)
        for run_theirs in again.values():
            run_theirs()
    found.append(result("distances again", {"ours": lambda: ours_at(next(turns["ours"]), kept), **again}, VISITED[1]))

    # What comes later is taken for the first one, which data keys are told of too.
    jitter = chain([0.0, 0.0], cycle(np.random.default_rng(9).uniform(-JITTER, JITTER, 50)))
    moving = callback(
        case, lambda: {"det_z": VISITED[0] + next(jitter)}, geometry={"distance": {"key": "det_z", "unit": "m"}}
    )
    moving()
    event = of_event(moving())
    found.append(result("an event, its reading jitters", {"ours": moving, **again}, VISITED[0], event))
    return found


if __name__ == "__main__":
    run(str(__doc__), "docs/benchmark-moving.json", measure)
