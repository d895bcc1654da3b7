"""The readers of installed packages, which are imported when a Resource document wants them."""

from __future__ import annotations

import logging
from importlib.metadata import EntryPoint

import pytest
from ophyd.sim import NumpySeqHandler

from bluesky_diffractogram.documents import filled
from bluesky_diffractogram.documents.filled import HANDLERS, Datums

RESOURCE = {"uid": "r", "resource_path": "", "root": "", "resource_kwargs": {}, "run_start": "s"}


@pytest.fixture
def offer(monkeypatch):
    """A function that takes specs and what is offered for them, ``"module:name"``, for all that is installed."""
    caches = filled._offered, filled._loaded

    def these(*specs):
        entries = [EntryPoint(name, value, HANDLERS) for name, value in specs]
        monkeypatch.setattr(filled, "entry_points", lambda group: entries if group == HANDLERS else [])
        for cache in caches:
            cache.cache_clear()

    yield these
    for cache in caches:
        cache.cache_clear()


def known(*specs, given=None):
    """What reads resources of these specs, once all were announced."""
    datums = Datums(given or {}, {})
    for spec in specs:
        datums.receive("resource", {**RESOURCE, "uid": str(spec), "spec": spec})
    return dict(datums._filler.handler_registry)


def test_a_reader_is_imported_when_a_resource_wants_it(offer, monkeypatch):
    loaded = []
    offer(("ONE", "no_such_module:Handler"), ("NPY", "ophyd.sim:NumpySeqHandler"))
    load = EntryPoint.load
    monkeypatch.setattr(EntryPoint, "load", lambda self: loaded.append(self.name) or load(self))
    datums = Datums({}, {})
    datums.receive("descriptor", {"uid": "d", "data_keys": {}})
    assert loaded == []
    for n in range(3):
        datums.receive("resource", {**RESOURCE, "uid": f"r{n}", "spec": "NPY"})
    assert loaded == ["NPY"]
    assert list(datums._filler.handler_registry) == ["NPY"]
    assert list(known("NPY")) == ["NPY"]
    assert loaded == ["NPY"]  # by others neither


def test_one_that_was_given_takes_the_place_of_an_installed_one(offer):
    offer(("NPY", "no_such_module:Handler"))
    assert known("NPY", given={"NPY": NumpySeqHandler}).keys() == {"NPY"}


def test_a_broken_package_is_told_once_and_another_that_offers_the_same_is_taken(offer, caplog):
    offer(("NPY", "ophyd.sim:NumpySeqHandler"), ("NPY", "no_such_module:Handler"), ("LOST", "no_such_module:Handler"))
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert known("NPY", "LOST", "UNKNOWN", None, ["NPY"]).keys() == {"NPY"}
    assert [record.getMessage().partition(" cannot")[0] for record in caplog.records] == [
        "the handler for NPY", "the handler for LOST",
    ]  # fmt: skip


def test_those_of_area_detectors_are_loaded_beforehand_where_they_are_installed(offer):
    offer(("AD_TIFF", "ophyd.sim:NumpySeqHandler"), ("NPY", "ophyd.sim:NumpySeqHandler"))
    datums = Datums({}, {})
    datums.load_handlers()
    assert list(datums._filler.handler_registry) == ["AD_TIFF"]
