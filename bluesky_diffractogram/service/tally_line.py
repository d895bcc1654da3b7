"""What became of the frames, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

WORDS = ("received", "reduced", "skipped", "dropped", "replaced", "not_requested", "missing")


def tally_line(frames: Mapping[str, Any]) -> str:
    """The ``frames`` of a derived stop document: ``60 received, 58 reduced, 2 skipped (shape: 2)``.

    What is zero is left out, but for the first two.
    """
    parts = []
    for position, word in enumerate(WORDS):
        n = int(frames.get(word, 0))
        if n or position < 2:
            parts.append(f"{n} {word.replace('_', ' ')}")
            if word == "skipped" and frames.get("reasons"):
                parts[-1] += " (" + _reasons(frames) + ")"
    darks = frames.get("darks")
    if darks is not None:
        parts.append(f"{darks['received']} darks")
        if darks["reasons"]:
            parts[-1] += " (not usable: " + _reasons(darks) + ")"
    return ", ".join(parts)


def _reasons(tally: Mapping[str, Any]) -> str:
    return ", ".join(f"{why}: {m}" for why, m in tally["reasons"].items())
