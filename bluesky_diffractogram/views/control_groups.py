"""Which controls there are, in which groups they stay together, and how wide they are, in inches."""

from __future__ import annotations

from .strip import Piece

REDUCTION = (
    (Piece("show", 0.55), Piece("next", 0.5), Piece("collect", 1.05), Piece("reset", 0.55)),
    (Piece("unit text", 0.28), Piece("unit", 0.95)),
    (Piece("number text", 0.46), Piece("number", 0.42)),
    (Piece("buffer text", 0.42), Piece("buffer", 0.55)),
)
MAIN = ((Piece("main text", 0.32), Piece("main", 0.85)),)
EDITOR = (
    (
        Piece("range text", 0.58), Piece("previous", 0.24), Piece("following", 0.24),
        Piece("azimuth text", 0.42), Piece("azimuth start", 0.6), Piece("azimuth end", 0.6),
        Piece("radial text", 0.62), Piece("radial start", 0.6), Piece("radial end", 0.6),
    ),
)  # fmt: skip
LOOKS = (
    (Piece("scale text", 0.38), Piece("scale", 0.68)),
    (Piece("freeze", 0.58), Piece("clear", 0.5), Piece("live", 0.45)),
)
CALIBRANT = ((Piece("calibrant text", 0.62), Piece("calibrant", 0.95)),)
FILES = (
    (Piece("calibration text", 0.75), Piece("calibration", 2.6, 1.65)),
    (Piece("picture", 1.5, 1.0), Piece("save", 0.5)),
)
