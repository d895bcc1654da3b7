"""Composed raw runs in which darks come with the frames."""

from __future__ import annotations

import numpy as np
from event_model import compose_run

from .conftest import SHAPE, image
from .stream_runs import DATASET, HDF5, settle, uri_of, write_hdf5


def dark_image(n: int, dtype="u2") -> np.ndarray:
    """``(120, 130)`` counts without light, the `n`-th of a series that grows."""
    return np.random.default_rng(100 + n).poisson(5 + 10 * n, SHAPE).astype(dtype)


class DarkRun:
    """Documents of one raw run, made one at a time; images in the events.

    Parameters
    ----------
    keys
        Of the images, by stream.
    readings
        Scalars of the stream ``primary``, by name: their dtype.
    configuration
        Of the detector there.
    in_files
        The streams whose images lie in files.
    """

    def __init__(self, keys=None, readings=None, configuration=None, in_files=()):
        self.run = compose_run(metadata={"plan_name": "count"})
        self.uid = self.run.start_doc["uid"]
        self._keys = {"primary": "image", "dark": "image", **(keys or {})}
        self._readings, self.configuration = readings or {}, configuration or {}
        self.in_files, self._bundles = in_files, {}
        self._time = 1000.0

    def start(self):
        return "start", self.run.start_doc

    def descriptor(self, stream="primary"):
        key = self._keys[stream]
        image_key = {"source": "test", "dtype": "array", "shape": list(SHAPE), "object_name": "det"}
        if stream in self.in_files:
            image_key = {**image_key, "external": "STREAM:", "shape": [1, *SHAPE]}
        readings = self._readings if stream == "primary" else {}
        keys = {
            name: {"source": "test", "dtype": kind, "shape": [], "object_name": name} for name, kind in readings.items()
        }
        data = self.configuration
        described = {name: {"source": "test", "dtype": "string", "shape": []} for name in data}
        configuration = {"det": {"data": data, "timestamps": dict.fromkeys(data, 0.0), "data_keys": described}}
        self._bundles[stream] = self.run.compose_descriptor(
            name=stream, data_keys={key: image_key, **keys}, configuration=configuration,
            object_keys={"det": [key], **{name: [name] for name in readings}}, hints={},
        )  # fmt: skip
        return "descriptor", self._bundles[stream].descriptor_doc

    def event(self, image, stream="primary", seq_num=None, **readings):
        self._time += 1.0
        data = {**({} if image is None else {self._keys[stream]: image}), **readings}
        return "event", self._bundles[stream].compose_event(
            data=data, timestamps=dict.fromkeys(data, self._time), time=self._time, seq_num=seq_num, validate=False
        )

    def dark(self, image, seq_num=None):
        return self.event(image, "dark", seq_num)

    def resource(self, uri, data_key="image", uid="file"):
        """A StreamResource document of an HDF5 file, by which `datum` names it."""
        return "stream_resource", {
            "uid": f"{self.uid} {uid}", "run_start": self.uid, "data_key": data_key, "mimetype": HDF5,
            "uri": str(uri), "parameters": {"dataset": DATASET, "chunk_shape": (1, *SHAPE)},
        }  # fmt: skip

    def point(self, index, stream="primary", seq_num=None, uid="file", **readings):
        """StreamDatum and event of one image in a file."""
        name, event = self.event(None, stream, seq_num, **readings)
        seq_num = event["seq_num"]
        datum = {
            "uid": f"datum of {event['uid']}", "stream_resource": f"{self.uid} {uid}",
            "descriptor": event["descriptor"], "indices": {"start": index, "stop": index + 1},
            "seq_nums": {"start": seq_num, "stop": seq_num + 1},
        }  # fmt: skip
        return [("stream_datum", datum), (name, event)]

    def begin(self, *streams):
        """Start, and the descriptors."""
        return [self.start(), *(self.descriptor(stream) for stream in streams or ("primary", "dark"))]

    def stop(self):
        return "stop", self.run.compose_stop()


def run_in_files(folder):
    """Documents of a run whose darks and frames lie in a file each."""
    write_hdf5(folder / "darks.h5", [dark_image(0), dark_image(3)])
    write_hdf5(folder / "frames.h5", [image(n) for n in range(6)])
    settle()
    run = DarkRun(in_files=("primary", "dark"))
    documents = [*run.begin(), run.resource(uri_of(folder / "darks.h5"), uid="darks")]
    documents.append(run.resource(uri_of(folder / "frames.h5"), uid="frames"))
    for n in range(2):
        documents += run.point(n, "dark", uid="darks")
        for m in range(3):
            documents += run.point(3 * n + m, uid="frames")
    return [*documents, run.stop()]
