"""What lines are called: their Miller indices, as they are written in a data key."""

from __future__ import annotations

import math
from collections.abc import Sequence

Miller = tuple[int, int, int]

# How far 1/d² may be from an integer multiple of that of the lattice, relatively; and how many lines must say so.
CUBIC_TOLERANCE, FEWEST_LINES = 2e-3, 3
LARGEST_FIRST = 12


def hkl_name(hkl: Miller) -> str:
    """``111``, ``10m4`` for (1 0 −4), ``12_0_0`` where an index has two digits."""
    parts = [f"m{-index}" if index < 0 else str(index) for index in hkl]
    return ("_" if any(abs(index) > 9 for index in hkl) else "").join(parts)


def conventional(hkl: Miller, cell: str) -> Miller:
    """Of equivalent indices those that are usually written: from large to small as far as the lattice lets them change.

    Parameters
    ----------
    hkl
        As a table has them; (0 0 2) is 200 in a cubic crystal and 002 in a hexagonal one.
    cell
        What the table says of it, with the word cubic or tetragonal in it.
    """
    h, k, l = hkl
    if "cubic" in cell.lower():
        h, k, l = sorted((abs(h), abs(k), abs(l)), reverse=True)
    elif "tetragonal" in cell.lower():
        (h, k), l = sorted((abs(h), abs(k)), reverse=True), abs(l)
    return h, k, l


def cubic_indices(spacings: Sequence[float]) -> tuple[Miller, ...] | None:
    """Indices of lines that are those of a cubic lattice, d² = a² / (h² + k² + l²); None if they are not.

    Of all lattices that fit, the one with the fewest lines that are not there: primitive, then body-centred, then
    face-centred and diamond cells are taken for what they are, as long as three lines are given.

    Parameters
    ----------
    spacings
        ``(n,)`` d, from large to small, in any unit.
    """
    if len(spacings) < FEWEST_LINES:
        return None
    relative = [(spacings[0] / d) ** 2 for d in spacings]
    for first in range(1, LARGEST_FIRST + 1):
        squares = [first * ratio for ratio in relative]
        nearest = [round(square) for square in squares]
        found = [_indices(n) for n in nearest]
        exact = all(abs(s / n - 1.0) <= CUBIC_TOLERANCE for s, n in zip(squares, nearest, strict=True))
        if exact and len(set(nearest)) == len(nearest) and all(found):
            return tuple(hkl for hkl in found if hkl is not None)
    return None


def _indices(square: int) -> Miller | None:
    """h ≥ k ≥ l with h² + k² + l² = `square`, the largest h first; None if there are none."""
    for h in range(math.isqrt(square), 0, -1):
        for k in range(min(h, math.isqrt(square - h * h)), -1, -1):
            l = math.isqrt(square - h * h - k * k)
            if l <= k and h * h + k * k + l * l == square:
                return h, k, l
    return None
