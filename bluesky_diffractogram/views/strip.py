"""Where the controls are: groups that stay together, in as few rows as the width of the figure needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

EDGE, GAP, GROUP_GAP = 0.12, 0.05, 0.22
HIGH, PITCH = 0.26, 0.32
MESSAGE = 0.24
ABOVE = 0.06


@dataclass(frozen=True, slots=True)
class Piece:
    """One control or text, by its name and its width in inches."""

    name: str
    width: float


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
    """Place groups from left to right, a new row where one does not fit any more.

    Parameters
    ----------
    width
        Of the figure, in inches.
    groups
        In the order in which they are placed; one that is wider than the figure is cut by its edge.
    """
    rows: list[list[tuple[float, Piece]]] = [[]]
    at = EDGE
    for group in groups:
        wide = sum(piece.width for piece in group) + GAP * (len(group) - 1)
        if rows[-1] and at + wide > width - EDGE:
            rows.append([])
            at = EDGE
        for piece in group:
            rows[-1].append((at, piece))
            at += piece.width + GAP
        at += GROUP_GAP - GAP
    boxes = {
        piece.name: (left, MESSAGE + PITCH * (len(rows) - 1 - row), piece.width, HIGH)
        for row, pieces in enumerate(rows)
        for left, piece in pieces
    }
    return Strip(boxes, MESSAGE + PITCH * len(rows) + ABOVE)
