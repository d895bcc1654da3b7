"""The report on faults: ``python tests/faults/report.py`` tries all of it, in about 20 minutes, and writes REPORT.md.

Each part is written as soon as it is done, and one that fails is reported as failed, with the reason; the others go
on. Parts may be named (``report.py kills delay``); of the others, the figures of the last time stay. ``--resume`` does
only what is not done yet as thoroughly with this commit. ``--share 0.1`` soaks a tenth of the frames.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from advisories import of_packages
from report_page import FORM, page
from report_summary import summary

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
TIMES = 5
FUZZED = ("calibration", "json", "yaml")
CONCURRENCY, KILLS, SOAK_TEST = "test_many_at_once.py", "test_killed.py", "test_soak.py"
Figures = dict[str, object]


def run(*command: str, timeout: float, **environment: str) -> subprocess.CompletedProcess[str]:
    """A program of Python's, run from the root of the repository."""
    paths = os.pathsep.join([str(FOLDER), str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, timeout=timeout, cwd=ROOT,
        env={**os.environ, "MPLBACKEND": "Agg", "PYTHONPATH": paths, **environment},
    )  # fmt: skip


def outcomes(options: argparse.Namespace, *what: str) -> Figures:
    """What became of tests, which run in a process of their own: it may not survive them."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        tally = Path(folder) / "tally.json"
        arguments = ("-p", "tally", "-n0", "-q", "-m", "long or not long", "--timeout", "1500", *what)
        done = run("-m", "pytest", *arguments, timeout=3600, FAULTS_TALLY=str(tally), FAULTS_TIMES=str(options.times))
        if not tally.exists():
            raise RuntimeError(f"pytest ended with {done.returncode}: {(done.stdout + done.stderr)[-600:]}")
        found = json.loads(tally.read_text())
    if done.returncode:
        print(done.stdout[-6000:], file=sys.stderr)
    return {"exit code": done.returncode, "seconds": time.monotonic() - began, "times": options.times, **found}


def tests(options: argparse.Namespace) -> Figures:
    """All tests of this folder that are no parts of their own, each of hypothesis' with more examples."""
    own = [f"--ignore={FOLDER / name}" for name in (CONCURRENCY, KILLS, "test_report.py")]
    found = outcomes(options, str(FOLDER), *own, f"--deselect={FOLDER.relative_to(ROOT)}/{SOAK_TEST}::test_a_long_soak")
    assert sum(found["inputs"].values()), "hypothesis tells its statistics in another form"  # type: ignore[attr-defined]
    return found


def kills(options: argparse.Namespace) -> Figures:
    """Services and workers that are killed at random moments."""
    return outcomes(options, str(FOLDER / KILLS))


def concurrency(options: argparse.Namespace) -> Figures:
    """Eight threads and several callbacks at once."""
    return outcomes(options, str(FOLDER / CONCURRENCY))


def soaked(size: str, frames: int, points: int) -> Callable[[argparse.Namespace], Figures]:
    """A part that soaks a share of so many frames."""

    def soak(options: argparse.Namespace) -> Figures:
        number = max(3 * points, round(frames * options.share))
        arguments = ("--frames", str(number), "--size", size, "--points", str(points))
        done = run(str(FOLDER / "soak.py"), *arguments, timeout=7200)
        if done.returncode:
            raise RuntimeError(done.stderr[-600:])
        return {**json.loads(done.stdout), "wanted": frames, "share": options.share}

    return soak


def fuzz(options: argparse.Namespace) -> Figures:
    """With atheris, if it is installed."""
    found: Figures = {"seconds": options.seconds}
    for what in FUZZED:
        done = run(str(FOLDER / "fuzz.py"), what, "--seconds", str(options.seconds), timeout=10 * options.seconds + 300)
        if "No module named 'atheris'" in done.stderr:
            return {"not run": "atheris is not installed; what hypothesis makes for the same files is among the tests"}
        last = (done.stdout.splitlines() or ["{}"])[-1]
        found[what] = {**json.loads(last), "exit code": done.returncode, "seconds": options.seconds}
        if done.returncode:
            print(done.stderr[-3000:], file=sys.stderr)
    return found


def delay(options: argparse.Namespace) -> Figures:
    """How long a point takes with and without us, as ``tests/benchmarks/delay.py`` measures it."""
    with tempfile.TemporaryDirectory() as folder:
        path, found = Path(folder) / "delay.json", {}
        for what, window in (("no window", ()), ("window open", ("--window",))):
            arguments = ("--size", "1 Mpx", "--paced", "--points", str(options.points), "--json", str(path), *window)
            done = run(str(FOLDER.parent / "benchmarks" / "delay.py"), *arguments, timeout=900)
            if done.returncode:
                raise RuntimeError(done.stderr[-600:])
            cases = json.loads(path.read_text())["window open" if window else "without a window"]
            found |= {f"{what}, image in {case['image in']}": case for case in cases}
    return {"points": options.points, "cases": found}


def audit(_: argparse.Namespace) -> Figures:
    """pip-audit, PyPI's pages of what that skips, and of how many packages anything could be learnt."""
    import numpy as np

    installed = str(Path(np.__file__).parents[1])
    arguments = ("--progress-spinner", "off", "-f", "json", "--timeout", "15", "--path", installed)
    done = run("-m", "pip_audit", *arguments, timeout=900)
    if "No module named pip_audit" in done.stderr:
        return {"not run": "pip-audit is not installed"}
    try:
        packages = [each for each in json.loads(done.stdout)["dependencies"] if each["name"] != "bluesky-diffractogram"]
    except (ValueError, KeyError):
        why = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return {"packages": 0, "looked up": 0, "on pages": 0, "unknown": {}, "vulnerable": {}, "why": why[:300]}
    vulnerable = {each["name"]: [one["id"] for one in each["vulns"]] for each in packages if each.get("vulns")}
    skipped = [each for each in packages if "skip_reason" in each]
    pages = of_packages((each["name"], version(each["name"])) for each in skipped)
    vulnerable |= {name: list(each.ids) for name, each in pages.items() if each.ids}
    unknown = {name: each.unknown for name, each in pages.items() if each.unknown}
    return {
        "packages": len(packages), "looked up": len(packages) - len(skipped), "on pages": len(pages) - len(unknown),
        "unknown": unknown, "why": (skipped or [{"skip_reason": ""}])[0]["skip_reason"], "vulnerable": vulnerable,
    }  # fmt: skip


def code(_: argparse.Namespace) -> Figures:
    """Which calls there are in the package that may run what they are given."""
    from test_supply_chain import ALLOWED, RUNS_CODE, calls_that_run_code, modules

    found = calls_that_run_code()
    return {
        "modules": len(modules()), "looked for": len(RUNS_CODE), "allowed": sorted(map(list, found & ALLOWED)),
        "found": sorted(map(list, found - ALLOWED)),
    }  # fmt: skip


PARTS: dict[str, Callable[[argparse.Namespace], Figures]] = {
    "code": code,
    "concurrency": concurrency,
    "delay": delay,
    "kills": kills,
    "tests": tests,
    "soak": soaked("small", 100_000, 50),
    "soak of large frames": soaked("4 Mpx", 5_000, 10),
    "fuzz": fuzz,
    "audit": audit,
}


def commit() -> str:
    """Which state of the code this is, the report itself apart; with a ``+`` where files were changed since."""
    others = ("--", ".", ":!tests/faults/REPORT.md", ":!tests/faults/report.json")

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments, *others], cwd=ROOT, capture_output=True, text=True).stdout.strip()

    return (git("log", "-1", "--format=%h") or "unknown") + ("+" if git("status", "--porcelain") else "")


def is_done(found: Figures | None, options: argparse.Namespace, now: str) -> bool:
    """Whether a part has been done with this very code, at least as thoroughly, and has not failed."""
    if found is None or "error" in found or found.get("exit code") or now.endswith("+"):
        return False
    if (found.get("commit"), found.get("form")) != (now, FORM):
        return False
    asked = {"times": options.times, "share": options.share, "seconds": options.seconds, "points": options.points}
    return all(found.get(key, wanted) >= wanted for key, wanted in asked.items())  # type: ignore[operator]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of: {', '.join(map(repr, PARTS))}")
    parser.add_argument("--times", type=int, default=TIMES, help="how many times the usual number of examples")
    parser.add_argument("--share", type=float, default=1.0, help="of the frames that are soaked")
    parser.add_argument("--seconds", type=int, default=60, help="for each kind of file that is fuzzed")
    parser.add_argument("--points", type=int, default=200, help="of each scan whose delay is measured")
    parser.add_argument("--resume", action="store_true", help="leave out what is done with this commit")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where REPORT.md and report.json are")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no part is called {', '.join(sorted(unknown))}")
    path = options.folder / "report.json"
    figures = json.loads(path.read_text()) if path.exists() else {}
    now, failed = commit(), []
    for name in options.parts or PARTS:
        if options.resume and is_done(figures.get(name), options, now):
            continue
        began = time.monotonic()
        try:
            found = PARTS[name](options)
        except Exception as error:
            found = {"error": f"{type(error).__name__}: {error}"}
            print(f"{name}: {found['error']}", file=sys.stderr)
        where = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.0f}, Python {platform.python_version()}"
        figures[name] = {
            **found, "when": time.strftime("%Y-%m-%d %H:%M"), "where": where, "commit": now,
            "took": time.monotonic() - began, "form": FORM,
        }  # fmt: skip
        if "error" in found or found.get("exit code"):
            failed.append(name)
        path.write_text(json.dumps(figures, indent=1) + "\n")
        (options.folder / "REPORT.md").write_text(page(figures, tuple(PARTS)))
        print(f"{name}: {time.monotonic() - began:.0f} s")
    if not failed and figures.keys() >= PARTS.keys():
        print(f"\nThe README is to say:\n\n{summary(figures)}")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
