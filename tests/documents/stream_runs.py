"""Composed raw runs whose images lie in files that StreamResource documents name."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import h5py
import numpy as np
from event_model import compose_run

from bluesky_diffractogram.files.state import TICK_S

from .conftest import SHAPE, image

HDF5 = "application/x-hdf5"
DATASET = "/entry/data/data"


def write_hdf5(path, images, **settings):
    with h5py.File(path, "w") as file:
        file.create_dataset(DATASET, data=np.asarray(images), **settings)


class StreamRun:
    """Documents of one raw run, made one at a time.

    Parameters
    ----------
    uri, mimetype, parameters
        Of the StreamResource.
    number
        Frames per event.
    motor
        Whether a motor is read at each point.
    shape
        Of the images in the descriptor.
    resource
        Another run's StreamResource, to which this one's datums refer.
    """

    def __init__(
        self, uri, mimetype=HDF5, parameters=None, *, number=1, motor=False, shape=None, resource=None, data_key="det"
    ):
        metadata = {"plan_name": "scan", "hints": {"dimensions": [[["motor"], "primary"]]}} if motor else {}
        self.run = compose_run(metadata=metadata)
        shape = [number, *SHAPE] if shape is None else shape
        keys = {
            data_key: {"source": "s", "dtype": "array", "shape": shape, "external": "STREAM:", "object_name": data_key}
        }
        if motor:
            keys["motor"] = {"source": "m", "dtype": "number", "shape": [], "object_name": "motor"}
        objects = {data_key: [data_key], **({"motor": ["motor"]} if motor else {})}
        self.bundle = self.run.compose_descriptor(name="primary", data_keys=keys, object_keys=objects, hints={})
        parameters = {"dataset": DATASET, "chunk_shape": (1, *SHAPE)} if parameters is None else parameters
        self.resource = resource or {
            "uid": f"resource of {self.run.start_doc['uid']}", "run_start": self.run.start_doc["uid"],
            "data_key": data_key, "mimetype": mimetype, "uri": str(uri), "parameters": parameters,
        }  # fmt: skip
        self._datums = itertools.count()

    def begin(self):
        yield "start", self.run.start_doc
        yield "descriptor", self.bundle.descriptor_doc
        yield "stream_resource", self.resource

    def datum(self, start, stop, seq_num=None):
        seq_num = start + 1 if seq_num is None else seq_num
        return "stream_datum", {
            "uid": f"{self.resource['uid']}/{next(self._datums)}", "stream_resource": self.resource["uid"],
            "descriptor": self.bundle.descriptor_doc["uid"], "indices": {"start": start, "stop": stop},
            "seq_nums": {"start": seq_num, "stop": seq_num + stop - start},
        }  # fmt: skip

    def event(self, seq_num, **data):
        time = 100.0 + seq_num
        doc = self.bundle.compose_event(
            data=data, timestamps=dict.fromkeys(data, time), time=time, seq_num=seq_num, validate=False
        )
        return "event", doc

    def stop(self):
        return "stop", self.run.compose_stop()

    def step_scan(self, n):
        """Datum and event of each point, as ophyd-async emits them."""
        motor = "motor" in self.bundle.descriptor_doc["data_keys"]
        yield from self.begin()
        for i in range(n):
            yield self.datum(i, i + 1)
            yield self.event(i + 1, **({"motor": 10.0 * i} if motor else {}))
        yield self.stop()

    def fly_scan(self, *lots):
        """No events; the datums span as many points each as `lots` says."""
        yield from self.begin()
        for start, stop in itertools.pairwise(np.cumsum([0, *lots]).tolist()):
            yield self.datum(start, stop)
        yield self.stop()


def settle():
    """Wait until files that were written just now can be known again by their times."""
    time.sleep(2 * TICK_S)


def images(n):
    return [image(i) for i in range(n)]


def uri_of(path):
    """ophyd-async's: not percent-encoded."""
    return f"file://localhost{Path(path)}"
