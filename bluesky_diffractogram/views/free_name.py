"""Names for files that replace none."""

from __future__ import annotations

import itertools
from pathlib import Path


def free_name(path: Path) -> Path:
    """`path`, or if that is taken the first free of ``name-2``, ``name-3``, …."""
    if not path.exists():
        return path
    return next(
        each for n in itertools.count(2) if not (each := path.with_name(f"{path.stem}-{n}{path.suffix}")).exists()
    )
