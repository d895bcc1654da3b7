"""The report on faults works; what it measures is for people to read."""

from __future__ import annotations

import argparse
import json
import sys

import advisories
import httpx
import pytest
import report
from advisories import Advisories
from report_page import FORM, page
from report_summary import summary

DONE = {"when": "2026-01-01 10:00", "took": 2.0, "where": "2 cores", "commit": "abc", "form": FORM}
PASSED = {"tests": {"tests/faults/test_every_fault.py::test_our_code_raises[KeyError]": {"outcome": "passed"}},
          "inputs": {"test_anything": 20}, "seconds": 60, "times": 5, "exit code": 0}  # fmt: skip


@pytest.fixture
def reported(tmp_path, monkeypatch):
    """A function that runs the report with options; gives its exit status, its page and its figures."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["report.py", *arguments, "--folder", str(tmp_path)])
        with pytest.raises(SystemExit) as ended:
            report.main()
        return (
            ended.value.code,
            (tmp_path / "REPORT.md").read_text(),
            json.loads((tmp_path / "report.json").read_text()),
        )

    return run


def test_a_part_is_written_and_the_others_stay(reported, tmp_path):
    (tmp_path / "report.json").write_text(json.dumps({"tests": {**PASSED, **DONE}, "delay": {"of an": "older form"}}))
    failed, text, figures = reported("code")
    assert not failed
    assert "| our code raises | 1 | 0 | 0 |" in text
    assert figures["tests"] == {**PASSED, **DONE}
    assert "| 1 faults tried, 20 inputs made; 1 tests passed, 0 failed" in text
    assert figures["code"]["found"] == []
    assert figures["code"]["modules"] > 200
    assert "`pickle.loads` in `_value` of `transport/wire.py`. Others: none." in text
    assert "## Kills\n\nNot run.\n" in text
    assert "## Delay\n\nNot run.\n" in text


def test_a_part_that_fails_does_not_end_the_report(reported, monkeypatch):
    def broken(options):
        raise OSError("no more processes")

    monkeypatch.setitem(report.PARTS, "kills", broken)
    failed, text, figures = reported("kills", "code")
    assert failed
    assert "**Failed**: OSError: no more processes." in text
    assert figures["code"]["modules"]


def test_tests_that_fail_and_processes_that_do_not_come_to_their_end_are_said(reported, monkeypatch):
    for name, outcome, code in (("a", "failed", 1), ("b", "passed", -9)):
        tests = {f"tests/faults/test_killed.py::test_{name}": {"outcome": outcome, "killed": 3}}
        monkeypatch.setitem(report.PARTS, "kills", lambda _, t=tests, c=code: {**PASSED, "tests": t, "exit code": c})
        failed, text, _ = reported("kills")
        assert failed
        expected = "- failed: `tests/faults/test_killed.py::test_a`" if name == "a" else "did not come to its end (-9)"
        assert expected in text
        assert "3 processes were killed" in text


def test_resuming_leaves_out_what_is_done_as_thoroughly_with_the_same_code():
    options = argparse.Namespace(times=5, share=0.5, seconds=60, points=200)
    soaked = {**DONE, "share": 0.5}
    assert report.is_done(soaked, options, "abc")
    assert not report.is_done(None, options, "abc")
    assert not report.is_done(soaked, options, "abd")
    assert not report.is_done({**soaked, "commit": "abc+"}, options, "abc+")  # files were changed, who knows how
    assert not report.is_done({**soaked, "share": 0.1}, options, "abc")
    assert not report.is_done({**soaked, "error": "no"}, options, "abc")
    assert not report.is_done({**soaked, "exit code": 1}, options, "abc")


SKIPPED = {"name": "numpy", "skip_reason": "not found"}
UNKNOWN = Advisories(unknown="1.0 is not the latest, 2.0")


@pytest.mark.parametrize(
    ("answer", "on_page", "said"),
    [
        ("", None, "any of 0 packages: **nothing was audited**. It said of the first: no way to the service."),
        (
            {"dependencies": [SKIPPED]}, UNKNOWN,
            "could not look up any of 1 packages: **nothing was audited**. It said of the first: not found.",
        ),
        ({"dependencies": [SKIPPED]}, Advisories(), "told of 1, which are installed in their latest versions: none is"),
        ({"dependencies": [SKIPPED]}, Advisories(("X-2",)), "told of 1, which are installed in their latest versions: "
            "numpy: X-2."),
        ({"dependencies": [SKIPPED, {"name": "a", "vulns": []}]}, UNKNOWN, "Not audited: numpy (1.0 is not the latest"),
        ({"dependencies": [{"name": "a", "vulns": [{"id": "X-1"}]}]}, None, "looked up 1 of 1 packages"),
        ({"dependencies": [{"name": "a", "vulns": [{"id": "X-1"}]}]}, None, ": a: X-1."),
    ],
)  # fmt: skip
def test_the_audit_says_of_how_much_it_knows_anything(monkeypatch, answer, on_page, said):
    done = argparse.Namespace(stdout=json.dumps(answer) if answer else "", stderr="no way to the service", returncode=1)
    monkeypatch.setattr(report, "run", lambda *_, **__: done)
    monkeypatch.setattr(report, "of_packages", lambda versions: {name: on_page for name, _ in versions})
    found = {**report.audit(argparse.Namespace()), **DONE}
    assert said in page({"audit": found}, ["audit"])


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"info": {"version": "1.0"}, "vulnerabilities": []}, Advisories()),
        (
            {"info": {"version": "1.0"}, "vulnerabilities": [{"id": "A"}, {"id": "B", "withdrawn": "2026-01-01"}]},
            Advisories(("A",)),
        ),
        ({"info": {"version": "2.0"}, "vulnerabilities": [{"id": "A"}]}, UNKNOWN),
        ({"info": {}}, Advisories(unknown="'version'")),
    ],
)  # fmt: skip
def test_a_page_tells_of_the_latest_version_only(monkeypatch, answer, expected):
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json=answer))
    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", lambda _, request: transport.handle_request(request))
    assert advisories.of_packages([("numpy", "1.0")]) == {"numpy": expected}


def test_the_readme_quotes_the_report():
    figures = json.loads((report.FOLDER / "report.json").read_text())
    assert page(figures, tuple(report.PARTS)) == (report.FOLDER / "REPORT.md").read_text()
    assert summary(figures) in (report.ROOT / "README.md").read_text()
