"""Which run a document belongs to."""

from __future__ import annotations

import pytest

from bluesky_diffractogram.service.run_of import RunOf


def test_every_document_of_interleaved_runs_is_its_runs_until_the_stop() -> None:
    run_of = RunOf()
    for uid in "ab":
        assert run_of("start", {"uid": uid}) == uid
        assert run_of("descriptor", {"uid": f"d{uid}", "run_start": uid}) == uid
        assert run_of("stream_resource", {"uid": f"r{uid}", "run_start": uid}) == uid
    for uid in "abab":
        assert run_of("event", {"descriptor": f"d{uid}"}) == uid
    assert run_of("stop", {"run_start": "a"}) == "a"
    assert run_of("event_page", {"descriptor": "db"}) == "b"
    with pytest.raises(KeyError):
        run_of("event", {"descriptor": "da"})
