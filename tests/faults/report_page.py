"""The page that the report on faults is: what was tried, how much of it, and what came of it, as Markdown."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

FAULTS = "test_every_fault.py"
FORM = 2
"""Which form figures have; those of an earlier one are not shown."""


def page(figures: Mapping[str, Any], parts: Sequence[str]) -> str:
    """The report, of what figures there are.

    Parameters
    ----------
    figures
        By part; each with when, where and with which commit it was made. One that could not be made has an ``error``.
    parts
        All that there are, in order.
    """
    lines = [
        "# Faults tried, and what was measured", "",
        "Written by `python tests/faults/report.py`; what must be true after every fault is in `fault_tools.py`.", "",
        "| part | in short |", "|---|---|",
        *(f"| [{part}](#{part.replace(' ', '-')}) | {_in_short(part, figures.get(part))} |" for part in parts), "",
    ]  # fmt: skip
    for part in parts:
        lines += [f"## {part.capitalize()}", ""]
        found = figures.get(part)
        if _failure(found):
            lines += [f"{_failure(found)}.", ""]
        else:
            lines += [*_WRITE[part](found), ""]
        if found is not None and found.get("form") == FORM:
            lines += [f"({found['when']}, {found['took']:.0f} s, {found['where']}, commit {found['commit']})", ""]
    return "\n".join(lines).rstrip() + "\n"


def _failure(found: Mapping[str, Any] | None) -> str:
    """Why there is nothing to be said; an empty text where there is."""
    if found is None or found.get("form") != FORM:
        return "Not run"
    if "error" in found:
        return f"**Failed**: {found['error'].strip().splitlines()[-1][:400]}"
    return f"Not run: {found['not run']}" if "not run" in found else ""


def _in_short(part: str, found: Any) -> str:
    return _failure(found) or _SHORT[part](found)


# -- tests -----------------------------------------------------------------------------------------------------------


def _outcomes(found: Any) -> Counter[str]:
    return Counter(each["outcome"] for each in found["tests"].values())


def _passed(found: Any) -> str:
    """How many tests passed, failed and were skipped."""
    total = _outcomes(found)
    said = f"{total['passed']} tests passed, {total['failed']} failed, {total['skipped']} were skipped"
    if found["exit code"] and not total["failed"]:
        return f"{said}; **pytest did not come to its end ({found['exit code']})**"
    return said


def _failed(found: Any) -> list[str]:
    return [f"- failed: `{name}`" for name, each in found["tests"].items() if each["outcome"] == "failed"]


def _by(found: Any, key: Callable[[str], str], heading: str) -> list[str]:
    """A table of outcomes by what `key` makes of a test's name."""
    counted: dict[str, Counter[str]] = defaultdict(Counter)
    for name, each in found["tests"].items():
        counted[key(name)][each["outcome"]] += 1
    rows = [
        f"| {name} | {each['passed']} | {each['failed']} | {each['skipped']} |"
        for name, each in counted.items()
        if name
    ]
    return [f"| {heading} | passed | failed | skipped |", "|---|---|---|---|", *rows]


def _file(name: str) -> str:
    return name.partition("::")[0].rpartition("/")[2]


def _in_words(name: str) -> str:
    """What a test is called, as a sentence."""
    return name.partition("::")[2].partition("[")[0].removeprefix("test_").replace("_", " ")


def _write_tests(found: Any) -> list[str]:
    inputs = [f"| {name} | {number} |" for name, number in found["inputs"].items()]
    return [
        f"{_passed(found)}, in {found['seconds'] / 60:.0f} minutes; hypothesis made {sum(found['inputs'].values())} "
        f"inputs for them ({found['times']} times as many as in the default suite).", "",
        *_failed(found), *_by(found, _file, "file"), "", "Faults, one row of the design's table after the other:", "",
        *_by(found, lambda name: _in_words(name) if _file(name) == FAULTS else "", "fault"), "",
        "| inputs made for | number |", "|---|---|", *inputs,
    ]  # fmt: skip


def _write_some(said: str) -> Callable[[Any], list[str]]:
    """What a part writes that is a few tests, of which `said` is a sentence."""

    def write(found: Any) -> list[str]:
        return [f"{said} {_passed(found)}.", "", *_failed(found), *_by(found, _in_words, "what")]

    return write


def fault_count(found: Any) -> int:
    """How many faults were tried."""
    return sum(_file(name) == FAULTS for name in found["tests"])


def kill_count(found: Any) -> int:
    """How many processes were killed."""
    return sum(each.get("killed", 0) for each in found["tests"].values())


def _write_kills(found: Any) -> list[str]:
    said = (
        f"{kill_count(found)} processes were killed at random moments, services while a scan went on and workers while "
        "a replay did: nothing that was acknowledged is lost, and the results are the same where the tests pass."
    )
    return _write_some(said)(found)


# -- what is measured ------------------------------------------------------------------------------------------------


def _write_soak(found: Any) -> list[str]:
    growth = ", ".join(f"{key} {value:+d}" for key, value in found["growth"].items())
    ceiling = ", ".join(f"{key} {value:.1f}" for key, value in found["known ceiling, MB"].items())
    share = "" if found["share"] == 1 else f" (a share of {found['share']:g} of {found['wanted']}: no slope to rely on)"
    return [
        f"{found['frames']} frames ({found['size']}){share} in {found['runs']} runs, "
        f"{found['frames per second']:.0f} a second, every one reduced: {found['MB per 1000 frames']:.3f} MB of "
        f"resident memory per 1000 frames ({found['resident MB'][0]:.0f} MB after a third, "
        f"{found['resident MB'][1]:.0f} MB at the end); less than 1 is asked for.", "",
        f"Growth of what is counted, from a third to the end: {growth}.", "",
        f"Memory that may be taken, in MB: {ceiling}; resident memory grew by {found['grown MB']:.1f} MB at most "
        "from the first run's end on.",
    ]  # fmt: skip


def _short_soak(found: Any) -> str:
    share = "" if found["share"] == 1 else f", a share of {found['share']:g}"
    return f"{found['frames']} frames{share}: {found['MB per 1000 frames']:.3f} MB per 1000 frames"


def _fuzzed(found: Any) -> dict[str, Any]:
    return {what: each for what, each in found.items() if isinstance(each, dict)}


def _write_fuzz(found: Any) -> list[str]:
    rows = [
        f"| {what} | {each['inputs']} | {each['usable']} | {each['seconds']} | "
        f"{'**yes**' if each['exit code'] else 'no'} |"
        for what, each in _fuzzed(found).items()
    ]
    return [
        "atheris, guided by what code an input reaches:", "",
        "| file | inputs | of them usable | s | one neither refused nor usable |", "|---|---|---|---|---|", *rows,
    ]  # fmt: skip


def fuzzed_count(found: Any) -> int:
    """How many files were fuzzed."""
    return sum(each["inputs"] for each in _fuzzed(found).values())


def _short_fuzz(found: Any) -> str:
    wrong = [what for what, each in _fuzzed(found).items() if each["exit code"]]
    inputs = fuzzed_count(found)
    return f"{inputs} inputs; {'**wrong**: ' + ', '.join(wrong) if wrong else 'all refused or usable'}"


_DELAYS = (
    "p50 ms", "p99 ms", "max ms", "point, without, p50 ms", "point, with, p50 ms", "point, without, p99 ms",
    "point, with, p99 ms", "scan s, without", "scan s, with",
)  # fmt: skip


def _write_delay(found: Any) -> list[str]:
    rows = [
        f"| {what} | {' | '.join(f'{each[key]:.2f}' for key in _DELAYS)} | {each['drawn']} |"
        for what, each in found["cases"].items()
    ]
    return [
        f"{found['points']} points of 1 Mpx, 20 a second: what the RunEngine's thread spends in the callback for each, "
        "and how long a point takes from its trigger to its end without us and with us. Agg draws the window.", "",
        "| | in us, p50 ms | p99 | most | a point without us, p50 ms | with us | p99 without us | with us | "
        "the scan without us, s | with us | drawn |",
        "|---|---|---|---|---|---|---|---|---|---|---|", *rows,
    ]  # fmt: skip


def _short_delay(found: Any) -> str:
    return "; ".join(
        f"{what}: p50 {each['p50 ms']:.2f} ms, p99 {each['p99 ms']:.2f} ms" for what, each in found["cases"].items()
    )


# -- audits ----------------------------------------------------------------------------------------------------------


def _write_audit(found: Any) -> list[str]:
    if not found["looked up"] + found["on pages"]:
        return [
            f"pip-audit could not look up any of {found['packages']} packages: **nothing was audited**. It said of the "
            f"first: {found['why']}.",
        ]  # fmt: skip
    vulnerable = "; ".join(f"{name}: {', '.join(ids)}" for name, ids in found["vulnerable"].items())
    lines = [
        f"pip-audit looked up {found['looked up']} of {found['packages']} packages; of those that it could not, PyPI's "
        f"pages of projects told of {found['on pages']}, which are installed in their latest versions: "
        f"{vulnerable or 'none is known to be vulnerable'}."
    ]  # fmt: skip
    if found["unknown"]:
        each = "; ".join(f"{name} ({why})" for name, why in found["unknown"].items())
        lines += ["", f"Not audited: {each}."]
    return lines


def _short_audit(found: Any) -> str:
    known = found["looked up"] + found["on pages"]
    what = f"{len(found['vulnerable'])} known to be vulnerable" if known else "nothing was audited"
    return f"{known} of {found['packages']} packages could be looked up; {what}"


def _calls(found: Any) -> str:
    return "; ".join(f"`{what}` in `{function}` of `{file}`" for file, function, what in found) or "none"


def _write_code(found: Any) -> list[str]:
    return [
        f"{found['modules']} modules of the package and the profiles were searched (`test_supply_chain.py`) for "
        f"{found['looked for']} calls that run what they are given (`eval`, `pickle.load`, …), `yaml.load` without a "
        "safe loader, `shell=` and `numpy.load` with pickles.", "",
        f"Allowed, as somebody asks for it: {_calls(found['allowed'])}. Others: {_calls(found['found'])}.",
    ]  # fmt: skip


_WRITE: dict[str, Callable[[Any], list[str]]] = {
    "code": _write_code,
    "concurrency": _write_some("Results of eight threads at once are those of one, to the last bit."),
    "delay": _write_delay,
    "kills": _write_kills,
    "tests": _write_tests,
    "soak": _write_soak,
    "soak of large frames": _write_soak,
    "fuzz": _write_fuzz,
    "audit": _write_audit,
}

_SHORT: dict[str, Callable[[Any], str]] = {
    "code": lambda found: f"{found['modules']} modules: {len(found['found'])} calls that run what they are given",
    "concurrency": _passed,
    "delay": _short_delay,
    "kills": lambda found: f"{kill_count(found)} processes killed; {_passed(found)}",
    "tests": lambda found: (
        f"{fault_count(found)} faults tried, {sum(found['inputs'].values())} inputs made; {_passed(found)}"
    ),
    "soak": _short_soak,
    "soak of large frames": _short_soak,
    "fuzz": _short_fuzz,
    "audit": _short_audit,
}
