"""Derived documents are held to event-model's schema, as its own composers hold them."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from event_model import DocumentNames, EventModelValidationError, schema_validators
from jsonschema import ValidationError

from bluesky_diffractogram import ReductionCallback
from bluesky_diffractogram.documents import validity
from bluesky_diffractogram.documents.validity import validate_descriptor, validate_event

from .conftest import Collected, image, raw_run, send


@pytest.fixture
def documents(cfg, monkeypatch):
    """A derived descriptor and its event; no data key is known yet."""
    collected = Collected()
    with ReductionCallback(cfg, background=False) as diff:
        diff.subscribe(collected)
        send(diff, raw_run([image(0)]))
    monkeypatch.setattr(validity, "_valid", {})
    return collected.of("descriptor")[0], collected.of("event")[0]


@pytest.fixture
def looked_at(monkeypatch):
    """How many data keys event-model's schema is asked about, each time."""
    numbers = []

    class Validator:
        def validate(self, doc, real=schema_validators[DocumentNames.descriptor]):
            numbers.append(len(doc["data_keys"]) + sum(len(c["data_keys"]) for c in doc["configuration"].values()))
            real.validate(doc)

    monkeypatch.setattr(validity, "schema_validators", {**schema_validators, DocumentNames.descriptor: Validator()})
    return numbers


def test_a_data_key_is_looked_at_once(documents, looked_at):
    descriptor, _ = documents
    number = len(descriptor["data_keys"]) + sum(len(c["data_keys"]) for c in descriptor["configuration"].values())
    assert number > 30
    validate_descriptor(descriptor)
    again = copy.deepcopy(descriptor)
    validate_descriptor({**again, "uid": "another", "time": 0.0})
    again["data_keys"]["diff_1"]["shape"] = [2, 7]
    validate_descriptor(again)
    assert looked_at == [number, 0, 1]


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda doc: doc["data_keys"]["diff_1"].update(dtype="curve"),
        lambda doc: doc["data_keys"]["diff_1"].pop("source"),
        lambda doc: doc["data_keys"]["diff_1"].update(shape=3),
        lambda doc: doc["data_keys"].update({"a.dot": doc["data_keys"]["diff_1"]}),
        lambda doc: doc["configuration"]["diffractogram"]["data_keys"]["unit"].update(dtype="curve"),
        lambda doc: doc["data_keys"]["diff_1"].update(limits={"control": object()}),
        lambda doc: doc.update(time="now"),
        lambda doc: doc.pop("run_start"),
    ],
)
def test_what_event_model_refuses_is_refused_again_and_again(documents, known, spoil):
    descriptor, _ = documents
    if known:
        validate_descriptor(descriptor)
    bad = copy.deepcopy(descriptor)
    spoil(bad)
    for _ in range(2):
        with pytest.raises(ValidationError):
            schema_validators[DocumentNames.descriptor].validate(bad)
        with pytest.raises(ValidationError):
            validate_descriptor(bad)
    validate_descriptor(descriptor)


def test_what_is_known_does_not_grow_without_bound(documents, monkeypatch):
    descriptor, _ = documents
    monkeypatch.setattr(validity, "MOST_KEYS", 20)
    for n in range(30):
        descriptor["data_keys"]["diff_1"]["shape"] = [2, n]
        validate_descriptor(descriptor)
        assert len(validity._valid) <= 20


def test_events(documents):
    descriptor, event = documents
    keys = descriptor["data_keys"]
    validate_event(event, keys)
    validate_event({**event, "data": {**event["data"], "diff_1": np.float64(3.0)}}, keys)  # of no length
    with pytest.raises(ValidationError):
        validate_event({**event, "seq_num": "first"}, keys)
    for part in ("data", "timestamps"):
        with pytest.raises(EventModelValidationError, match=f"more.* {part}"):
            validate_event({**event, part: {**event[part], "more": 1.0}}, keys)
        fewer = {name: value for name, value in event[part].items() if name != "diff_1"}
        with pytest.raises(EventModelValidationError, match=f"diff_1.* {part}"):
            validate_event({**event, part: fewer}, keys)
