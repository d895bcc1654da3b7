"""The report on faults: ``python tests/faults/report.py`` tries all of it, for about an hour, and writes REPORT.md.

Parts of it may be named (``report.py tests delay``); of the others, the figures of the last time stay.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
FIGURES, REPORT = FOLDER / "report.json", FOLDER / "REPORT.md"
TIMES = 10
SOAKS = (("soak", 100_000, "small", 50), ("soak of large frames", 5_000, "4 Mpx", 10))
FUZZED = ("calibration", "json", "yaml")


class Tally:
    """Counts tests, and the inputs that hypothesis made for them."""

    def __init__(self) -> None:
        self.outcomes: dict[str, Counter[str]] = defaultdict(Counter)
        self.inputs: dict[str, int] = {}
        self.failed: list[str] = []

    def pytest_runtest_logreport(self, report) -> None:
        if report.when == "call" or report.outcome != "passed":
            self.outcomes[Path(report.location[0]).name][report.outcome] += 1
            if report.failed:
                self.failed.append(report.nodeid)

    def pytest_runtest_teardown(self, item) -> None:
        told = getattr(item, "hypothesis_statistics", None)
        if told is not None:
            self.inputs[item.nodeid.partition("::")[2]] = sum(map(int, re.findall(r"(\d+) passing", told)))


def tests(options: argparse.Namespace) -> dict:
    """All tests of this folder but the soaks, each of hypothesis' with more examples."""
    import pytest

    os.environ["FAULTS_TIMES"] = str(options.times)
    tally, began = Tally(), time.monotonic()
    code = pytest.main(
        ["-n0", "-q", "-m", "not long" if options.quick else "long or not long", "--timeout", "3000", "--deselect",
         f"{FOLDER.relative_to(ROOT)}/test_soak.py::test_a_long_soak", "--rootdir", str(ROOT), str(FOLDER)],
        plugins=[tally],
    )  # fmt: skip
    assert sum(tally.inputs.values()), "hypothesis tells its statistics in another form"
    return {
        "exit code": int(code), "quick": options.quick, "seconds": time.monotonic() - began, "failed": tally.failed,
        "outcomes": {name: dict(each) for name, each in sorted(tally.outcomes.items())}, "inputs": tally.inputs,
    }  # fmt: skip


def soaked(frames: int, size: str, points: int) -> dict:
    command = [
        sys.executable,
        str(FOLDER / "soak.py"),
        "--frames",
        str(frames),
        "--size",
        size,
        "--points",
        str(points),
    ]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def fuzz(options: argparse.Namespace) -> dict:
    """With atheris, if it is installed."""
    found = {}
    for what in FUZZED:
        command = [sys.executable, str(FOLDER / "fuzz.py"), what, "--seconds", str(options.seconds)]
        done = subprocess.run(command, capture_output=True, text=True)
        last = (done.stdout.splitlines() or ["{}"])[-1]
        if "No module named 'atheris'" in done.stderr:
            return {"not run": "atheris is not installed"}
        found[what] = {**json.loads(last), "exit code": done.returncode, "seconds": options.seconds}
        if done.returncode:
            print(done.stderr[-3000:], file=sys.stderr)
    return found


def delay(_: argparse.Namespace) -> dict:
    """How long the callback holds up the scan at each event, as ``tests/benchmarks/delay.py`` measures it."""
    sys.path.insert(0, str(FOLDER.parent / "benchmarks"))
    import matplotlib as mpl

    mpl.use("Agg")
    from delay import PACE_S, measure

    with tempfile.TemporaryDirectory() as folder:
        return {
            ("window open" if window else "no window") + f", image in {where}": measure(
                Path(folder), "1 Mpx", where, 100, PACE_S, window
            )
            for window in (False, True)
            for where in ("event", "file")
        }


def audit(_: argparse.Namespace) -> dict:
    """pip-audit, and of how many packages it could learn anything: those that it skips are not audited."""
    command = [sys.executable, "-m", "pip_audit", "--progress-spinner", "off", "-f", "json", "--path", _packages()]
    done = subprocess.run(command, capture_output=True, text=True)
    if "No module named pip_audit" in done.stderr:
        return {"not run": "pip-audit is not installed"}
    packages = json.loads(done.stdout)["dependencies"]
    return {
        "packages": len(packages), "looked up": sum("skip_reason" not in each for each in packages),
        "vulnerable": {
            each["name"]: [one["id"] for one in each["vulns"]] for each in packages if each.get("vulns")
        },
    }  # fmt: skip


def _packages() -> str:
    import numpy as np

    return str(Path(np.__file__).parents[1])


PARTS = {
    "tests": tests,
    **{name: lambda _, case=case: soaked(*case) for name, *case in SOAKS},
    "fuzz": fuzz,
    "delay": delay,
    "audit": audit,
}


# -- the page --------------------------------------------------------------------------------------------------------


def page(figures: dict) -> str:
    """The report, of what figures there are."""
    lines = [
        "# Faults tried, and what was measured", "",
        "Written by `python tests/faults/report.py`; what must be true after every fault is in `fault_tools.py`.", "",
    ]  # fmt: skip
    for name, write in (("tests", _tests), *((each[0], _soak) for each in SOAKS), ("fuzz", _fuzz), ("delay", _delay),
                        ("audit", _audit)):  # fmt: skip
        lines += [f"## {name.capitalize()}", ""]
        found = figures.get(name)
        if found is None or "not run" in found:
            lines += [f"Not run{': ' + found['not run'] if found else ''}.", ""]
            continue
        lines += [*write(found), "", f"({found['when']}, {found['where']})", ""]
    return "\n".join(lines).rstrip() + "\n"


def _tests(found: dict) -> list[str]:
    total = Counter(outcome for each in found["outcomes"].values() for outcome in Counter(each).elements())
    lines = [
        f"{total['passed']} tests passed, {total['failed']} failed, {total['skipped']} were skipped, in "
        f"{found['seconds'] / 60:.0f} minutes; hypothesis made {sum(found['inputs'].values())} inputs for them."
        + (" Only those of the default suite: no process was killed." if found["quick"] else ""), "",
        *(f"- failed: `{each}`" for each in found["failed"]),
        "| file | passed | failed | skipped |", "|---|---|---|---|",
    ]  # fmt: skip
    for name, each in found["outcomes"].items():
        lines.append(f"| {name} | {each.get('passed', 0)} | {each.get('failed', 0)} | {each.get('skipped', 0)} |")
    lines += ["", "| inputs made for | number |", "|---|---|"]
    return [*lines, *(f"| {name} | {number} |" for name, number in found["inputs"].items())]


def _soak(found: dict) -> list[str]:
    growth = ", ".join(f"{key} {value:+d}" for key, value in found["growth"].items())
    ceiling = ", ".join(f"{key} {value:.1f}" for key, value in found["known ceiling, MB"].items())
    return [
        f"{found['frames']} frames ({found['size']}) in {found['runs']} runs, {found['frames per second']:.0f} a "
        f"second, every one reduced: {found['MB per 1000 frames']:.3f} MB of resident memory per 1000 frames "
        f"({found['resident MB'][0]:.0f} MB after a third, {found['resident MB'][1]:.0f} MB at the end).", "",
        f"Growth of what is counted, from a third to the end: {growth}.",
        f"Memory that may be taken, in MB: {ceiling}, and the table.",
    ]  # fmt: skip


def _fuzz(found: dict) -> list[str]:
    rows = [
        f"| {what} | {each['inputs']} | {each['usable']} | {each['seconds']} | {'yes' if each['exit code'] else 'no'} |"
        for what, each in found.items()
        if isinstance(each, dict)
    ]
    return [
        "atheris, guided by what code an input reaches:", "",
        "| file | inputs | of them usable | s | neither refused nor usable |", "|---|---|---|---|---|", *rows,
    ]  # fmt: skip


def _delay(found: dict) -> list[str]:
    rows = [
        f"| {what} | {each['p50 ms']:.2f} | {each['p99 ms']:.2f} | {each['max ms']:.2f} | "
        f"{each['scan s, without']:.2f} | {each['scan s, with']:.2f} |"
        for what, each in found.items()
        if isinstance(each, dict)
    ]
    return [
        "What the RunEngine's thread spends in the callback at each point, 1 Mpx, 20 points a second:", "",
        "| | p50, ms | p99, ms | most, ms | the scan without us, s | with us, s |", "|---|---|---|---|---|---|", *rows,
    ]  # fmt: skip


def _audit(found: dict) -> list[str]:
    vulnerable = found["vulnerable"]
    if not found["looked up"]:
        return [f"pip-audit could look up none of {found['packages']} packages: nothing was audited."]
    known = (
        "; ".join(f"{name}: {', '.join(ids)}" for name, ids in vulnerable.items()) or "none is known to be vulnerable"
    )
    return [f"pip-audit looked up {found['looked up']} of {found['packages']} packages: {known}."]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of: {', '.join(map(repr, PARTS))}")
    parser.add_argument("--times", type=int, default=TIMES, help="how many times the usual number of examples")
    parser.add_argument("--seconds", type=int, default=120, help="for each kind of file that is fuzzed")
    parser.add_argument("--quick", action="store_true", help="leave out the tests that kill processes")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no part is called {', '.join(sorted(unknown))}")
    figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    for name in options.parts or PARTS:
        when = time.strftime("%Y-%m-%d")
        where = f"{os.cpu_count()} cores, Python {platform.python_version()}"
        figures[name] = {**PARTS[name](options), "when": when, "where": where}
        FIGURES.write_text(json.dumps(figures, indent=1) + "\n")
        REPORT.write_text(page(figures))
    sys.exit(bool(figures.get("tests", {}).get("exit code")))


if __name__ == "__main__":
    main()
