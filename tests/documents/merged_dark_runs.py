"""Composed raw runs of two detectors in which darks come with the frames."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from event_model import compose_run

from .conftest import SHAPE, image
from .dark_runs import dark_image
from .merged_runs import SECOND, second_image
from .stream_runs import DATASET, HDF5, settle, uri_of, write_hdf5

SHAPES = {"det1": SHAPE, "det2": SECOND}


def second_dark(n):
    """``(90, 100)`` counts of the second detector without light, the `n`-th of a series that grows."""
    return np.random.default_rng(2000 + n).poisson(3 + 4 * n, SECOND).astype(np.int32)


class TwoDarkened:
    """Documents of one raw run of the detectors ``det1`` and ``det2``.

    Parameters
    ----------
    readings
        Scalars of the stream ``primary``, by name: their dtype.
    folder
        Where the files of `in_files` lie.
    """

    def __init__(self, readings=None, folder=None):
        self.run = compose_run(metadata={"plan_name": "count"})
        self.uid = self.run.start_doc["uid"]
        self._readings, self._folder, self._bundles, self._time = readings or {}, folder, {}, 1000.0

    def begin(self, *streams):
        return [("start", self.run.start_doc), *(self.descriptor(stream) for stream in streams or ("primary", "dark"))]

    def descriptor(self, stream, detectors=("det1", "det2")):
        keys = {}
        for key in detectors:
            keys[key] = {"source": "test", "dtype": "array", "shape": list(SHAPES[key]), "object_name": key}
            if self._folder is not None:
                keys[key] |= {"external": "STREAM:", "shape": [1, *SHAPES[key]]}
        readings = self._readings if stream == "primary" else {}
        keys |= {
            name: {"source": "test", "dtype": kind, "shape": [], "object_name": name} for name, kind in readings.items()
        }
        if stream in self._bundles:  # one more descriptor of the stream, as after a change of its devices
            before = self._bundles[stream]
            doc = {**before.descriptor_doc, "uid": f"{before.descriptor_doc['uid']}+", "data_keys": keys}
            self._bundles[stream] = SimpleNamespace(descriptor_doc=doc, compose_event=before.compose_event)
            return "descriptor", doc
        self._bundles[stream] = self.run.compose_descriptor(
            name=stream, data_keys=keys, object_keys={key: [key] for key in keys}, hints={}
        )
        return "descriptor", self._bundles[stream].descriptor_doc

    def event(self, first, second, stream="primary", **readings):
        self._time += 1.0
        images = {key: image for key, image in (("det1", first), ("det2", second)) if image is not None}
        data = {**images, **readings}
        bundle = self._bundles[stream]
        event = bundle.compose_event(
            data=data, timestamps=dict.fromkeys(data, self._time), time=self._time, validate=False
        )
        return "event", {**event, "descriptor": bundle.descriptor_doc["uid"]}

    def dark(self, first, second):
        return self.event(first, second, "dark")

    def stop(self):
        return "stop", self.run.compose_stop()

    def in_files(self, *, late=False):
        """All documents of two darks, each followed by two frames; those of the second detector late, behind events."""
        images = {
            "det1_dark": [dark_image(0), dark_image(3)], "det2_dark": [second_dark(0), second_dark(3)],
            "det1_primary": [image(n) for n in range(4)],
            "det2_primary": [second_image(n) + np.int32(30) for n in range(4)],
        }  # fmt: skip
        documents, behind = self.begin(), []
        for name, arrays in images.items():
            path = self._folder / f"{name}.h5"
            write_hdf5(path, arrays)
            documents.append((
                "stream_resource",
                {
                    "uid": f"{self.uid} {name}", "run_start": self.uid, "data_key": name[:4], "mimetype": HDF5,
                    "uri": str(uri_of(path)),
                    "parameters": {"dataset": DATASET, "chunk_shape": (1, *SHAPES[name[:4]])},
                },
            ))  # fmt: skip
        settle()
        for stream, index in (("dark", 0), ("primary", 0), ("primary", 1), ("dark", 1), ("primary", 2), ("primary", 3)):
            datums = [self._datum(key, stream, index) for key in ("det1", "det2")]
            documents += datums[:1] if late else datums
            documents.append(self.event(None, None, stream))
            behind += datums[1:] if late else []
        return [*documents, *behind, self.stop()]

    def _datum(self, key, stream, index):
        return "stream_datum", {
            "uid": f"{self.uid} {key}_{stream}/{index}", "stream_resource": f"{self.uid} {key}_{stream}",
            "descriptor": self._bundles[stream].descriptor_doc["uid"],
            "indices": {"start": index, "stop": index + 1}, "seq_nums": {"start": index + 1, "stop": index + 2},
        }  # fmt: skip
