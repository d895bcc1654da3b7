"""Notes of changed settings end, and say so."""

from __future__ import annotations

import logging

from bluesky_diffractogram import ReductionCallback
from bluesky_diffractogram.documents import setting_changes

from .conftest import Collected, image, raw_run, send


def test_more_changes_than_are_noted_are_logged_once(cfg, monkeypatch, caplog):
    monkeypatch.setattr(setting_changes, "MOST_CHANGES", 2)
    documents = list(raw_run([image(n) for n in range(5)]))
    collected = Collected()
    with ReductionCallback(cfg, background=False) as diff, caplog.at_level(logging.WARNING):
        diff.subscribe(collected)
        for name, doc in documents:
            if name == "event":
                diff.configure({"npt": 50 + doc["seq_num"]})
            send(diff, [(name, doc)])
    assert [each["seq_num"] for each in collected.of("stop")[0]["settings"]] == [1, 2]
    (record,) = [each for each in caplog.records if "settings were changed" in each.message]
    assert record.message == (
        f"run {documents[0][1]['uid']}: settings were changed 2 times; "
        "a replay takes the last of them from seq_num 3 on"
    )  # fmt: skip
