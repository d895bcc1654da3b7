"""Images of which a store has forgotten what kind of integers they were."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
from documents.conftest import raw_run
from documents.stream_runs import images
from event_model import NumpyEncoder

from bluesky_diffractogram import replay

TOLD = "of which it is not stored what integers they were"


def data_key(**more):
    return {"source": "test", "dtype": "array", "shape": [120, 130], "object_name": "det", **more}


def as_lists(documents):
    """As JSON keeps them."""
    return [tuple(pair) for pair in json.loads(json.dumps(documents, cls=NumpyEncoder))]


def as_floats(documents):
    """As tiled keeps arrays of which no dtype was told."""
    return [
        (name, {**doc, "data": {"image": doc["data"]["image"].astype(float)}} if name == "event" else doc)
        for name, doc in documents
    ]


@pytest.mark.parametrize(
    ("stored", "key"), [(as_lists, data_key()), (as_floats, data_key(dtype_numpy="<f8"))], ids=["lists", "floats"]
)
def test_whole_numbers_of_no_known_kind_are_warned_of_once(cfg, caplog, stored, key):
    runs = [stored(list(raw_run(images(3), data_key=key))) for _ in range(2)]
    replay(runs, cfg).to_xarrays()
    assert caplog.text.count(TOLD) == 1
    assert "mask them with dummy or valid_range" in caplog.text


@pytest.mark.parametrize(
    "documents",
    [
        list(raw_run(images(2))),
        as_lists(list(raw_run(images(2), data_key=data_key(dtype_numpy="<u2")))),
        as_lists(list(raw_run([image + 0.5 for image in images(2)], data_key=data_key(dtype_numpy="<f8")))),
        as_floats(list(raw_run(images(2)))),
    ],
    ids=["arrays", "lists with dtype", "no whole numbers", "floats from the detector"],
)
def test_no_warning_where_the_dtype_is_known(cfg, caplog, documents):
    caplog.set_level(logging.WARNING)
    replay(documents, cfg).to_xarray()
    assert TOLD not in caplog.text


def test_no_warning_where_marks_are_not_masked_anyway(cfg, caplog):
    replay(as_lists(list(raw_run(images(2)))), {**cfg, "mask_invalid": False}).to_xarray()
    assert TOLD not in caplog.text


def test_what_the_warning_says_to_do_mends_it(cfg):
    frames = images(2)
    for frame in frames:
        frame[30:90, 70] = 2**16 - 1
    documents = list(raw_run(frames))
    expected = replay(documents, cfg).to_xarray()["diff_1"].values
    lost = as_lists(documents)
    assert not np.array_equal(replay(lost, cfg).to_xarray()["diff_1"], expected, equal_nan=True)
    mended = replay(lost, {**cfg, "dummy": 2**16 - 1}).to_xarray()
    np.testing.assert_array_equal(mended["diff_1"], expected)
