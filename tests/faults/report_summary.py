"""What the README quotes of the report on faults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from report_page import fault_count, fuzzed_count, kill_count


def summary(figures: Mapping[str, Any]) -> str:
    """The README's lines: they say what came out, whatever that is.

    Parameters
    ----------
    figures
        Of all parts of the report, by part.
    """
    tests, audit, cases = figures["tests"], figures["audit"], figures["delay"]["cases"]
    small, large = figures["soak"], figures["soak of large frames"]
    closed, opened = cases["no window, image in event"], cases["window open, image in event"]
    failed = sum(
        each["outcome"] == "failed"
        for part in ("tests", "kills", "concurrency")
        for each in figures[part]["tests"].values()
    )
    known = audit["looked up"] + audit["on pages"]
    return "\n".join(
        (
            f"- {fault_count(tests)} faults and {sum(tests['inputs'].values())} inputs made by hypothesis tried, "
            f"{fuzzed_count(figures['fuzz'])} files fuzzed with atheris, {kill_count(figures['kills'])} processes "
            f"killed at random moments: {failed or 'no'} failures, nothing lost that was acknowledged.",
            f"- {small['frames']} small frames make memory grow by {small['MB per 1000 frames']:.3f} MB per 1000, "
            f"{large['frames']} frames of 4 Mpx by {large['MB per 1000 frames']:.3f} MB; "
            f"{_growth(small, large)}.",
            f"- The RunEngine spends {closed['p50 ms']:.2f} ms on a point's documents (p99 {closed['p99 ms']:.2f} ms), "
            f"with the window open {opened['p50 ms']:.2f} ms (p99 {opened['p99 ms']:.2f} ms).",
            f"- Of {audit['packages']} installed packages {known} could be looked up; "
            f"{len(audit['vulnerable']) or 'none'} of them is known to be vulnerable.",
        )
    )  # fmt: skip


def _growth(*soaks: Mapping[str, Any]) -> str:
    """What grew of all that is counted."""
    grew = sorted({what for soak in soaks for what, more in soak["growth"].items() if more > 0})
    return f"the number of {', '.join(grew)} grows" if grew else "open files, threads, figures and runs do not grow"
