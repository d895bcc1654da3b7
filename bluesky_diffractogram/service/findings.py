"""What a simulated scan was found to hold, beside what it does hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

Truth = Callable[[int, float], NDArray[np.float64]]
"""Gives ``(n_lines,)`` positions in the radial unit, in a fixed order, for a range's number and a temperature."""


@dataclass(frozen=True, slots=True)
class Found:
    """The followed peak of every range in one frame.

    Attributes
    ----------
    frame
        Number of the frame, from 1.
    temperature
        In K.
    found, true
        Positions by range number; NaN where none was found. `true` is the line that was nearest in the first
        frame in which a peak was found.
    """

    frame: int
    temperature: float
    found: Mapping[int, float]
    true: Mapping[int, float]


class Findings:
    """Listens to a derived run, and compares the followed peaks with the lines of the sample.

    Parameters
    ----------
    truth
        Where the lines are.
    reading
        Which carried reading is the temperature.

    Attributes
    ----------
    rows
        One for every event.
    frames
        The ``frames`` of the derived stop document, once there is one.
    unit
        The label of the radial unit.
    """

    def __init__(self, truth: Truth, reading: str) -> None:
        self.rows: list[Found] = []
        self.frames: dict[str, Any] = {}
        self.unit = ""
        self._truth, self._reading = truth, reading
        self._numbers: list[int] = []
        self._lines: dict[int, int] = {}

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take one document of the derived run."""
        if name == "descriptor":
            self.unit = doc["configuration"]["diffractogram"]["data"]["unit_label"]
            self._numbers = sorted(int(key[5:]) for key in doc["data_keys"] if key.startswith("diff_"))
        elif name == "event":
            self.rows.append(self._compare(doc["seq_num"], doc["data"]))
        elif name == "stop":
            self.frames = dict(doc.get("frames", {}))

    def _compare(self, frame: int, data: Mapping[str, Any]) -> Found:
        temperature = float(data[self._reading])
        found, true = {}, {}
        for number in self._numbers:
            position = found[number] = float(data.get(f"peak_{number}_position", math.nan))
            lines = self._truth(number, temperature)
            if number not in self._lines and math.isfinite(position):
                self._lines[number] = int(np.nanargmin(np.abs(lines - position)))
            true[number] = float(lines[self._lines[number]]) if number in self._lines else math.nan
        return Found(frame, temperature, found, true)

    def largest_difference(self, number: int) -> float:
        """The largest |found − true| of range `number` over all frames; NaN where nothing was found."""
        differences = [abs(row.found[number] - row.true[number]) for row in self.rows]
        found = [each for each in differences if math.isfinite(each)]
        return max(found, default=math.nan)

    def table(self, every: int = 10) -> Table:
        """Found and true positions in every `every`-th frame, the first and the last."""
        table = Table(title=f"Followed peak, {self.unit}", title_justify="left", title_style="bold")
        table.add_column("frame", justify="right")
        table.add_column("temperature (K)", justify="right")
        for number in self._numbers:
            table.add_column(f"range {number}: found", justify="right")
            table.add_column("true", justify="right")
        for row in self.rows:
            if row.frame == 1 or row.frame % every == 0 or row is self.rows[-1]:
                cells = [f"{side[n]:.4f}" for n in self._numbers for side in (row.found, row.true)]
                table.add_row(str(row.frame), f"{row.temperature:.0f}", *cells)
        if self.rows:
            table.add_section()
            largest = [cell for n in self._numbers for cell in (f"{self.largest_difference(n):.4f}", "")]
            table.add_row("all", "largest difference", *largest)
        return table
