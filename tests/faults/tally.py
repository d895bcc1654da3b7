"""A plugin of pytest that writes what became of every test, and of how many inputs: ``pytest -p tally``.

Where to, the environment says: ``FAULTS_TALLY``.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

_tests: dict[str, dict[str, Any]] = {}
_inputs: dict[str, int] = {}


def pytest_runtest_logreport(report) -> None:
    """A test is what its worst stage was: a fixture that fails is no pass."""
    if report.when == "call" or report.outcome != "passed":
        told = dict(report.user_properties)
        _tests[report.nodeid] = {"outcome": report.outcome, "seconds": report.duration, **told}
    _write()


def pytest_runtest_teardown(item) -> None:
    told = getattr(item, "hypothesis_statistics", None)
    if told is not None:
        _inputs[item.nodeid.partition("::")[2]] = sum(map(int, re.findall(r"(\d+) passing", told)))


def _write() -> None:
    """After every test, so that something is known of a process that did not come to its end."""
    Path(os.environ["FAULTS_TALLY"]).write_text(json.dumps({"tests": _tests, "inputs": _inputs}))
