"""Compiles the loops that most tests run: ``python tests/compile_kernels.py``, for CI, while a processor is idle.

Compiled code is kept beside the package. Without this, each process of pytest that begins on a fresh checkout compiles
all of it, at the same time as the other.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from documents.conftest import SHAPE, image, raw_run
from ponis import write_poni

from bluesky_diffractogram import ReductionCallback

RANGES = {"diff_ranges": [[10, 60, 4, 16], [-5, 40, 5, 15]], "diff_units": "q [1/A]", "npt": 150}
SETTINGS = ({}, {"error_model": "poisson"}, {"peaks": {"fit": "pseudo-voigt"}}, {"method": "full"})


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        poni = write_poni(Path(folder) / "small.poni", shape=SHAPE, pixel=(6e-4, 5e-4), rot=(0.02, -0.03, 0.0))
        for settings in SETTINGS:
            with ReductionCallback(
                {"calibration": str(poni), **RANGES, **settings}, background=False, strict=True
            ) as diff:
                for name, doc in raw_run([image(0)]):
                    diff(name, doc)


if __name__ == "__main__":
    main()
