"""Raw runs whose events have the images of two detectors, and what their frames give by themselves."""

from __future__ import annotations

import itertools

import numpy as np
from event_model import compose_run
from ponis import write_poni

from bluesky_diffractogram.config import load_config
from bluesky_diffractogram.reduction.frame import Frame
from bluesky_diffractogram.reduction.opened_detectors import open_detectors
from bluesky_diffractogram.reduction.opening import open_geometry
from bluesky_diffractogram.reduction.reducer import Reducer

from .conftest import SHAPE, image
from .stream_runs import DATASET, HDF5

SECOND = (90, 100)


def second_image(n):
    """``(90, 100)`` counts of the second detector, the `n`-th of a series."""
    return np.random.default_rng(1000 + n).poisson(40 + 5 * n, SECOND).astype(np.int32)


def merged_config(folder, **settings):
    """Two detectors, one beside the other, that overlap in 2θ."""
    first = write_poni(folder / "first.poni", shape=SHAPE, pixel=(6e-4, 5e-4), rot=(0.02, -0.03, 0.0))
    second = write_poni(folder / "second.poni", shape=SECOND, pixel=(4e-4, 4e-4), distance=0.13, rot=(0.6, 0.02, 0.0))
    return {
        "calibration": str(first), "image_key": "det1", "diff_units": "q [1/A]", "npt": 150,
        "diff_ranges": [[None, None, None, None], [-40, 30, 4, 30]],
        "merge": [{"image_key": "det2", "calibration": str(second)}], **settings,
    }  # fmt: skip


def expected_curves(cfg, firsts, seconds, **frame):
    """``(n, 2, npt)`` of range 1, as the reduction gives them of frames in memory."""
    config = load_config({**cfg, "peaks": False})
    geometry = open_geometry(config)
    reducer = Reducer(config, geometry, SHAPE, others=open_detectors(config, geometry))
    curves = []
    for first, second in zip(firsts, seconds, strict=True):
        (curve, *_) = reducer.reduce(Frame(first, 0.0, others=(second,), **frame)).diffractograms
        curves.append([curve.radial, curve.intensity])
    return np.array(curves)


def in_memory(events, keys=("det1", "det2"), **data_keys):
    """A composed run of events, each with what is given of the detectors under their data keys."""
    run = compose_run(metadata={"scan_id": 7})
    yield "start", run.start_doc
    shapes = {"det1": SHAPE, "det2": SECOND}
    described = {
        key: {"source": "test", "dtype": "array", "shape": list(shapes[key]), "object_name": key} for key in keys
    }
    described |= data_keys
    bundle = run.compose_descriptor(
        name="primary", data_keys=described, object_keys={key: [key] for key in described}, hints={}
    )
    yield "descriptor", bundle.descriptor_doc
    for n, data in enumerate(events):
        time = 1000.0 + n
        yield "event", bundle.compose_event(data=data, timestamps=dict.fromkeys(data, time), time=time, validate=False)
    yield "stop", run.compose_stop()


class TwoStreams:
    """A run whose two detectors write a file each, told of by StreamResource and StreamDatum documents.

    Parameters
    ----------
    paths
        Of the files of both.
    motor
        Whether a motor is read at each point.
    number
        Frames per event.
    """

    def __init__(self, paths, *, motor=True, number=1):
        self.run = compose_run(metadata={"plan_name": "scan"})
        uid = self.run.start_doc["uid"]
        keys, self.resources = {}, {}
        for key, shape, path in zip(("det1", "det2"), (SHAPE, SECOND), paths, strict=True):
            keys[key] = {
                "source": "s", "dtype": "array", "shape": [number, *shape], "external": "STREAM:", "object_name": key,
            }  # fmt: skip
            self.resources[key] = {
                "uid": f"{key} of {uid}", "run_start": uid, "data_key": key, "mimetype": HDF5,
                "uri": f"file://localhost{path}", "parameters": {"dataset": DATASET, "chunk_shape": (1, *shape)},
            }  # fmt: skip
        if motor:
            keys["motor"] = {"source": "m", "dtype": "number", "shape": [], "object_name": "motor"}
        self.bundle = self.run.compose_descriptor(
            name="primary", data_keys=keys, object_keys={key: [key] for key in keys}, hints={}
        )
        self._motor, self._datums = motor, itertools.count()

    def begin(self):
        yield "start", self.run.start_doc
        yield "descriptor", self.bundle.descriptor_doc
        yield from (("stream_resource", doc) for doc in self.resources.values())

    def datum(self, key, start, stop):
        return "stream_datum", {
            "uid": f"{self.resources[key]['uid']}/{next(self._datums)}",
            "stream_resource": self.resources[key]["uid"], "descriptor": self.bundle.descriptor_doc["uid"],
            "indices": {"start": start, "stop": stop}, "seq_nums": {"start": start + 1, "stop": stop + 1},
        }  # fmt: skip

    def event(self, n):
        time, data = 100.0 + n, {"motor": 10.0 * n} if self._motor else {}
        return "event", self.bundle.compose_event(
            data=data, timestamps=dict.fromkeys(data, time), time=time, seq_num=n + 1, validate=False
        )

    def stop(self):
        return "stop", self.run.compose_stop()

    def step_scan(self, n):
        yield from self.begin()
        for i in range(n):
            yield self.datum("det1", i, i + 1)
            yield self.datum("det2", i, i + 1)
            yield self.event(i)
        yield self.stop()


def frames(n):
    """The images of both detectors in `n` events."""
    return [image(i) for i in range(n)], [second_image(i) for i in range(n)]
