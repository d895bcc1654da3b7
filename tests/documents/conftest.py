"""Raw runs for the documents room: made by a real RunEngine, or composed."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from event_model import compose_run
from ponis import write_poni

SHAPE = (120, 130)


@pytest.fixture
def small_poni(tmp_path):
    return write_poni(tmp_path / "small.poni", shape=SHAPE, pixel=(6e-4, 5e-4), rot=(0.02, -0.03, 0.0))


@pytest.fixture
def cfg(small_poni):
    """The configuration of most tests: two ranges in q."""
    return {
        "calibration": str(small_poni),
        "diff_ranges": [[10, 60, 4, 16], [-5, 40, 5, 15]],
        "diff_units": "q [1/A]",
        "npt": 150,
    }


def image(n: int, dtype="u2") -> np.ndarray:
    """``(120, 130)`` counts with two rings, the `n`-th of a series that drifts outwards."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    radius = np.hypot((y - SHAPE[0] / 2) * 0.6, (x - SHAPE[1] / 2) * 0.5)
    expected = 50 + 800 * np.exp(-(((radius - 13 - 0.05 * n) / 0.6) ** 2)) + 400 * np.exp(-(((radius - 22) / 0.6) ** 2))
    return np.random.default_rng(n).poisson(expected).astype(dtype)


class Collected(list):
    """A subscriber that keeps every document, and can sort them."""

    __hash__ = object.__hash__

    def __call__(self, name, doc):
        self.append((name, copy.deepcopy(doc)))

    def of(self, name):
        return [doc for kind, doc in self if kind == name]

    @property
    def names(self):
        return [name for name, _ in self]


@pytest.fixture
def collected():
    return Collected()


def raw_run(images, *, carried=None, metadata=None, data_key=None, times=None, seq_nums=None, exit_status="success"):
    """A composed raw run with one image, or stack of images, per event, as ``(name, doc)``."""
    carried = carried or {}
    first = np.asarray(images[0])
    key = {"source": "test", "dtype": "array", "shape": list(first.shape), "object_name": "det"}
    run = compose_run(metadata={"scan_id": 7, "plan_name": "count", **(metadata or {})})
    yield "start", run.start_doc
    data_keys = {"image": data_key or key}
    for name in carried:
        data_keys[name] = {"source": "test", "dtype": "number", "shape": [], "object_name": name}
    bundle = run.compose_descriptor(
        name="primary",
        data_keys=data_keys,
        hints={},
        object_keys={"det": ["image"], **{name: [name] for name in carried}},
    )
    yield "descriptor", bundle.descriptor_doc
    for n, array in enumerate(images):
        time = 1000.0 + n if times is None else times[n]
        data = {"image": array, **{name: values[n] for name, values in carried.items()}}
        yield "event", bundle.compose_event(
            data=data, timestamps=dict.fromkeys(data, time), time=time, validate=False,
            seq_num=None if seq_nums is None else seq_nums[n],
        )  # fmt: skip
    yield "stop", run.compose_stop(exit_status=exit_status)


def send(callback, documents):
    for name, doc in documents:
        callback(name, doc)
