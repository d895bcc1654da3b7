"""Derived runs into a server that goes away and returns."""

from __future__ import annotations

import pytest
from documents.conftest import image, raw_run, send

from bluesky_diffractogram.service.tiled_runs import TiledRuns

pytest.importorskip("bluesky_tiled_plugins", reason="the extra tiled is not installed")


class Writer:
    """Stands in for bluesky's."""

    there, stored = True, 0

    def __init__(self, client, **_):
        self.check()

    def check(self):
        if not Writer.there:
            raise ConnectionError("refused")

    def __call__(self, name, doc):
        self.check()
        Writer.stored += name == "stop"


def test_each_run_that_is_not_stored_is_an_error_and_the_next_one_is_stored(monkeypatch, caplog):
    monkeypatch.setattr("bluesky_tiled_plugins.TiledWriter", Writer)
    runs = TiledRuns(None, "http://there")
    for n, there in enumerate((True, False, False, True)):
        documents = list(raw_run([image(0)]))
        documents[0][1]["raw_uid"] = f"raw {n}"
        send(runs, documents[:2])
        Writer.there = there
        send(runs, documents[2:])
    assert Writer.stored == 1
    assert runs.undelivered == {"ConnectionError": 2 + 4 + 4}  # of each run from the first document that failed
    lost = [record.getMessage() for record in caplog.records]
    assert [f"raw {n}" in text and "refused" in text for n, text in zip((1, 2, 3), lost, strict=True)] == [True] * 3
    assert [runs._writers, runs._raw_uids, runs._lost, runs._run_of._of_descriptor] == [{}, {}, {}, {}]
