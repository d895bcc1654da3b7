"""The documents of derived runs, as a replay gives them and as they are compared."""

from __future__ import annotations

import numpy as np
from documents.conftest import Collected

from bluesky_diffractogram import replay


def derived_of(*arguments, **options):
    """What `replay` gives for its arguments."""
    collected = Collected()
    replay(*arguments, **options).store(collected)
    return collected


def assert_same(documents, others):
    """Whether two replays of one run gave the same, to the last bit."""
    np.testing.assert_equal(without_identity(documents), without_identity(others))


def without_identity(documents):
    """Documents without what two computations of one run may differ in.

    Uids, the time of the derived stop, and by what a frame is known: not at all where its file was written just now.
    """
    kept = []
    for name, doc in documents:
        doc = {key: value for key, value in doc.items() if key not in ("uid", "run_start", "descriptor")}
        if name == "event":
            doc["data"] = {key: value for key, value in doc["data"].items() if key != "frame_digest"}
            doc["timestamps"] = {key: value for key, value in doc["timestamps"].items() if key != "frame_digest"}
        kept.append((name, {key: value for key, value in doc.items() if name == "event" or key != "time"}))
    return kept
