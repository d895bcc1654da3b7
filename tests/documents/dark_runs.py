"""Composed raw runs in which darks come with the frames."""

from __future__ import annotations

import numpy as np
from event_model import compose_run

from .conftest import SHAPE


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
    metadata
        Of the start document.
    """

    def __init__(self, keys=None, readings=None, configuration=None, metadata=None):
        self.run = compose_run(metadata={"plan_name": "count", **(metadata or {})})
        self.uid = self.run.start_doc["uid"]
        self._keys = {"primary": "image", "dark": "image", **(keys or {})}
        self._readings, self._configuration = readings or {}, configuration or {}
        self._bundles = {}
        self._time = 1000.0

    def start(self):
        return "start", self.run.start_doc

    def descriptor(self, stream="primary"):
        key = self._keys[stream]
        image_key = {"source": "test", "dtype": "array", "shape": list(SHAPE), "object_name": "det"}
        readings = self._readings if stream == "primary" else {}
        keys = {
            name: {"source": "test", "dtype": kind, "shape": [], "object_name": name} for name, kind in readings.items()
        }
        data = self._configuration
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

    def begin(self, *streams):
        """Start, and the descriptors."""
        return [self.start(), *(self.descriptor(stream) for stream in streams or ("primary", "dark"))]

    def stop(self):
        return "stop", self.run.compose_stop()
