"""Accounting for frames: at every stop received = reduced + skipped + dropped + replaced + not requested."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

COUNTS = ("received", "reduced", "skipped", "dropped", "replaced", "not_requested")


@dataclass
class DarkTally:
    """What became of the darks of one run, which are no frames.

    Attributes
    ----------
    configured
        Whether the run's frames are to have one.
    received
        Events that brought one, of one image or several.
    reasons, messages
        How many could not be used, for what; and what was said of the first.
    """

    configured: bool = False
    received: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    messages: dict[str, str] = field(default_factory=dict)

    def skip(self, reason: str, n: int = 1, message: str = "") -> None:
        """Count some that could not be used."""
        self.reasons[reason] += n
        if message:
            self.messages.setdefault(reason, message)

    def document(self) -> dict[str, Any]:
        """For the derived stop document."""
        return {
            "received": self.received,
            "reasons": dict(self.reasons),
            **({"messages": dict(self.messages)} if self.messages else {}),
        }


@dataclass
class LackTally:
    """The frames that were reduced without an optional detector.

    Attributes
    ----------
    frames
        How many.
    reasons, messages
        How many for what; and what was said of the first.
    """

    frames: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    messages: dict[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """For the derived stop document."""
        return {"frames": self.frames, "reasons": dict(self.reasons), "messages": dict(self.messages)}


@dataclass
class FrameTally:
    """What became of the frames of one run.

    Attributes
    ----------
    received
        Frames that the raw run brought. An event with several frames counts each, or one where they are
        added up (``frames_per_event``); one that could not even be read counts one.
    reduced
        Frames whose reduction stands in the derived run.
    skipped
        Frames that could not be reduced, by `reasons`.
    dropped
        Frames that had to go because the queue was full.
    replaced
        Frames that a later one with the same seq_num took the place of (a rewind).
    not_requested
        Frames that came while ``show_diff`` was off.
    missing
        Events with images that the raw run has and that never came, of whose frames nothing is known.
    reasons
        How many frames were skipped for what.
    messages
        Of each reason, what was said of the first of them.
    darks
        Those that came in the run.
    without
        Of optional detectors, by data key, those that were reduced without it.
    """

    received: int = 0
    reduced: int = 0
    skipped: int = 0
    dropped: int = 0
    replaced: int = 0
    not_requested: int = 0
    missing: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    messages: dict[str, str] = field(default_factory=dict)
    darks: DarkTally = field(default_factory=DarkTally)
    without: dict[str, LackTally] = field(default_factory=dict)

    def skip(self, reason: str, n: int = 1, message: str = "") -> None:
        self.skipped += n
        self.reasons[reason] += n
        if message:
            self.messages.setdefault(reason, message)

    def counts(self) -> Counter[str]:
        """How many frames became what; those that are missing too."""
        return Counter({name: getattr(self, name) for name in (*COUNTS, "missing")})

    def document(self) -> dict[str, Any]:
        """For the derived stop document."""
        return {
            **{name: getattr(self, name) for name in COUNTS},
            **({"missing": self.missing} if self.missing else {}),
            **({"darks": self.darks.document()} if self.darks.configured or self.darks.received else {}),
            **({"without": {key: each.document() for key, each in self.without.items()}} if self.without else {}),
            "reasons": dict(self.reasons),
            **({"messages": dict(self.messages)} if self.messages else {}),
        }
