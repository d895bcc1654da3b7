"""A reader of Resource documents that is slow, or kills the process that reads certain frames."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
from event_model import compose_run

HERE = os.getpid()


class KillingHandler:
    """Frames of an ``.npy`` file; a frame that is deadly ends the process, unless that is the one of the tests."""

    specs = frozenset({"KILLING"})

    def __init__(self, path, deadly=(), slow_s=0.0, spared=0):
        self._path, self._data = Path(path), np.load(path)
        self._deadly, self._slow, self._spared = set(deadly), slow_s, spared

    def __call__(self, n):
        if os.getpid() != self._spared:
            if n in self._deadly:
                os._exit(66)
            if self._slow:
                self._path.with_name(f"working-{os.getpid()}").touch()
                time.sleep(self._slow)
        return self._data[n]


def datum_run(folder, frames, *, deadly=(), slow_s=0.0):
    """A run of Resource and Datum documents with a frame per event."""
    path = folder / f"frames{len(frames)}.npy"
    np.save(path, np.asarray(frames))
    run = compose_run(metadata={"plan_name": "count"})
    documents = [("start", run.start_doc)]
    key = {
        "source": "s", "dtype": "array", "shape": list(frames[0].shape), "external": "FILESTORE:", "object_name": "det",
    }  # fmt: skip
    descriptor = run.compose_descriptor(
        name="primary", data_keys={"image": key}, object_keys={"det": ["image"]}, hints={}
    )
    documents.append(("descriptor", descriptor.descriptor_doc))
    kwargs = {"deadly": list(deadly), "slow_s": slow_s, "spared": HERE}
    resource = run.compose_resource(spec="KILLING", root=str(folder), resource_path=path.name, resource_kwargs=kwargs)
    documents.append(("resource", resource.resource_doc))
    for n in range(len(frames)):
        datum = resource.compose_datum(datum_kwargs={"n": n})
        documents.append(("datum", datum))
        event = descriptor.compose_event(
            data={"image": datum["datum_id"]}, timestamps={"image": 100.0 + n}, time=100.0 + n, filled={"image": False}
        )
        documents.append(("event", event))
    documents.append(("stop", run.compose_stop()))
    return documents
