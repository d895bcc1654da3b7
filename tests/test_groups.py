"""Tests that share a server or a cluster run in one process."""

from __future__ import annotations

import os

import pytest


@pytest.mark.xdist_group("together")
@pytest.mark.parametrize("n", range(12))
def test_tests_of_a_group_run_in_one_process(tmp_path_factory, n):
    """With pytest 9.2 they do not, and nothing is said: each process starts servers and clusters of its own."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        pytest.skip("there is one process only")
    seen = tmp_path_factory.getbasetemp().parent / "processes_of_a_group"  # the processes share the folder above theirs
    with seen.open("a") as file:
        file.write(f"{os.getpid()}\n")
    assert set(seen.read_text().split()) == {str(os.getpid())}
