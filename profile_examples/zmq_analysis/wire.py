"""Documents as msgpack, on both sides: unlike pickle, bluesky's default, it runs no code when it is read."""

import msgpack
import numpy as np


def pack(document):
    """A ``(name, doc)`` or a part of it as bytes."""
    return msgpack.packb(document, default=_encode)


def unpack(data):
    """What was packed."""
    return msgpack.unpackb(data, object_hook=_decode, strict_map_key=False)


def _encode(value):
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufcSU":
        return {"__array__": value.dtype.str, "shape": value.shape, "data": value.tobytes()}
    if isinstance(value, (set, frozenset)):
        return list(value)
    raise TypeError(f"{type(value)} is not sent")


def _decode(value):
    if "__array__" in value:
        return np.frombuffer(value["data"], dtype=value["__array__"]).reshape(value["shape"])
    return value
