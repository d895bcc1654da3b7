"""Dimensions of the derived data keys, by which stores line arrays up; and whose images are reduced."""

from __future__ import annotations

import copy

from bluesky_diffractogram import ReductionCallback
from documents.conftest import Collected, image, raw_run


def reduced(cfg, documents):
    collected = Collected()
    with ReductionCallback(cfg, background=False, strict=True) as diff:
        diff.subscribe(collected)
        for name, doc in documents:
            diff(name, doc)
    return collected


def test_a_dimension_has_one_length(cfg):
    """databroker puts all arrays of a stream into one dataset."""
    several = {"npt": [100, 150], "cake": {"npt_rad": 70, "npt_azim": 36}, "error_model": "poisson", "count": True}
    (descriptor,) = reduced({**cfg, **several}, raw_run([image(0)])).of("descriptor")
    lengths = {}
    for key in descriptor["data_keys"].values():
        for dimension, length in zip(key.get("dims", ()), key["shape"], strict=True):
            lengths.setdefault(dimension, set()).add(length)
    assert all(len(each) == 1 for each in lengths.values()), lengths
    assert (lengths["radial_1"], lengths["radial_2"], lengths["cake_radial"]) == ({100}, {150}, {70})


def with_a_second_detector(documents):
    for name, doc in documents:
        doc = copy.deepcopy(doc)
        if name == "descriptor":
            doc["data_keys"]["other_image"] = dict(doc["data_keys"]["image"])
        if name == "event":
            doc["data"]["other_image"] = doc["data"]["image"]
            doc["timestamps"]["other_image"] = doc["timestamps"]["image"]
        yield name, doc


def test_which_of_several_detectors_is_reduced_is_said_where_nobody_asked(cfg, caplog):
    documents = list(with_a_second_detector(raw_run([image(0), image(1)])))
    assert len(reduced(cfg, documents).of("event")) == 2
    (said,) = [each.getMessage() for each in caplog.records if "image_key" in each.getMessage()]
    assert "image is reduced" in said
    assert "image, other_image" in said
    caplog.clear()
    reduced({**cfg, "image_key": "other_image"}, documents)
    assert "image_key" not in caplog.text
