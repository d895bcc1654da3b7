"""Where the controls are: groups that stay together, in as few rows as the width of the figure needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

EDGE, GAP, GROUP_GAP = 0.12, 0.05, 0.22
HIGH, PITCH = 0.26, 0.32
MESSAGE = 0.24
ABOVE = 0.06
NARROW = 8.0


@dataclass(frozen=True, slots=True)
class Piece:
    """One control or text, by its name and its width in inches; in a narrow figure that may be another."""

    name: str
    width: float
    in_narrow: float | None = None


@dataclass(frozen=True, slots=True)
class Strip:
    """The strip of the controls, along the bottom of the figure.

    Attributes
    ----------
    boxes
        Left, bottom, width and height of every piece, in inches.
    height
        Of the whole strip with its line for messages, in inches.
    """

    boxes: dict[str, tuple[float, float, float, float]]
    height: float


def strip(width: float, groups: Sequence[Sequence[Piece]]) -> Strip:
    """Place groups from left to right, each in the first row that has room for it.

    Parameters
    ----------
    width
        Of the figure, in inches.
    groups
        Those of the rows' beginnings first; one that is wider than the figure is cut by its edge.
    """
    rows: list[list[tuple[float, str, float]]] = []
    ends: list[float] = []
    for group in groups:
        widths = [piece.in_narrow if piece.in_narrow and width < NARROW else piece.width for piece in group]
        wide = sum(widths) + GAP * (len(group) - 1)
        row = next((row for row, end in enumerate(ends) if end + GROUP_GAP + wide <= width - EDGE), len(rows))
        at = ends[row] + GROUP_GAP if row < len(rows) else EDGE
        if row == len(rows):
            rows.append([])
            ends.append(0.0)
        for piece, each in zip(group, widths, strict=True):
            rows[row].append((at, piece.name, each))
            at += each + GAP
        ends[row] = at - GAP
    boxes = {
        name: (left, MESSAGE + PITCH * (len(rows) - 1 - row), wide, HIGH)
        for row, pieces in enumerate(rows)
        for left, name, wide in pieces
    }
    return Strip(boxes, MESSAGE + PITCH * len(rows) + ABOVE)
