"""The command that compiles the loops."""

from __future__ import annotations

from collections.abc import Callable

from click.testing import Result

from bluesky_diffractogram.reduction import warm_up


def test_it_makes_all_loops_ready_and_says_so(run_command: Callable[..., Result], monkeypatch) -> None:
    made = []
    monkeypatch.setattr(warm_up, "make_ready", made.append)
    result = run_command("warm-up")
    assert result.exit_code == 0, result.output
    assert "the loops are ready, after 0 s" in result.stdout
    assert made == list(warm_up.USUAL)
