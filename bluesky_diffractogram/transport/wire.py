"""Documents as bytes: msgpack with arrays of numbers, or JSON; nothing that runs code when it is read.

Arrays are written as msgpack-numpy writes them, so that either end may be another program.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from typing import Any

import numpy as np
from event_model import DocumentNames

from .plain_msgpack import Packer, unpackb

NUMBERS = "biufc"
"""The kinds of numpy's dtypes that are written and read."""

NAMES = frozenset(DocumentNames.__members__)
MOST_BYTES = 2**28
MOST_JSON_BYTES = 2**26
MOST_VALUES = 2**23
"""In all lists of a document, and in all its dictionaries; an image of 8 million pixels that is no array has as many.
A byte that is sent may else take 60 here."""

LONGEST_DTYPE = 16
LONGEST_BEGIN = 1024
"""Of prefix and name together."""


class Refused(ValueError):
    """A message that is no document, or none that may be read.

    Attributes
    ----------
    kind
        In one word or two, to count by.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def pack(doc: Any) -> bytes:
    """A document as msgpack; give it to bluesky's ``Publisher`` as its serializer.

    What msgpack does not know (a path, a date) is written as text, since an exception would end the scan whose
    RunEngine publishes; so is what has no number of 64 bits.
    """
    return Packer(default=_encoded, use_bin_type=True, unicode_errors="replace").pack(doc)


def unpack(payload: bytes | memoryview) -> dict[str, Any]:
    """What `pack`, msgpack-numpy or JSON wrote; give it to bluesky's ``RemoteDispatcher`` as its deserializer.

    Raises
    ------
    Refused
        It is something else, or a pickle.
    """
    return _document(payload, pickles=False)


def unpack_pickles_too(payload: bytes | memoryview) -> dict[str, Any]:
    """`unpack`, and what was pickled, which runs whatever code it holds."""
    return _document(payload, pickles=True)


def unpack_pair(message: bytes, *, pickles: bool = False) -> tuple[str, dict[str, Any]]:
    """Name and document, of a message of bluesky-kafka's ``Publisher``.

    Raises
    ------
    Refused
        It is none.
    """
    pair = _value(message, pickles)
    if not isinstance(pair, (list, tuple)) or len(pair) != 2:
        raise Refused("garbage", f"a message of {len(message)} bytes is no pair of a name and a document")
    name, doc = pair
    if not isinstance(name, str) or name not in NAMES:
        raise Refused("unknown name", f"{str(name)[:40]!r} is no kind of document")
    return name, _checked(doc)


def split_message(message: bytes | memoryview) -> tuple[bytes, str, memoryview]:
    """Prefix, name of the document and payload, of a message of bluesky's ``Publisher``; the payload is not copied.

    Raises
    ------
    Refused
        It is none.
    """
    begin = bytes(message[:LONGEST_BEGIN])
    parts = begin.split(b" ", 2)
    if len(parts) != 3:
        raise Refused("garbage", f"a message of {len(message)} bytes has no prefix, name and payload")
    prefix, name, _ = parts
    known = name.decode("ascii", "replace")
    if known not in NAMES:
        raise Refused("unknown name", f"{known[:40]!r} is no kind of document")
    return prefix, known, memoryview(message)[len(prefix) + len(name) + 2 :]


def refuse_if_larger(n_bytes: int, most: int) -> None:
    """Raise `Refused` for a message of too many bytes."""
    if n_bytes > most:
        raise Refused("too large", f"it has {n_bytes} bytes; more than {most} are not read")


def _document(payload: bytes | memoryview, *, pickles: bool) -> dict[str, Any]:
    return _checked(_value(payload, pickles))


def _checked(doc: Any) -> dict[str, Any]:
    if not isinstance(doc, dict) or not all(isinstance(key, str) for key in doc):
        raise Refused("garbage", f"it is no document, but {type(doc).__name__}")
    return doc


def _value(payload: bytes | memoryview, pickles: bool) -> Any:
    try:
        if payload[:1] in (b"{", b"["):
            refuse_if_larger(len(payload), MOST_JSON_BYTES)
            return json.loads(bytes(payload))
        if payload[:1] == b"\x80" and payload[-1:] == b".":  # in msgpack an empty dictionary begins so, and ends
            if not pickles:
                raise Refused("pickle", "it is pickled: publish with serializer=bluesky_diffractogram.transport.pack")
            return pickle.loads(payload)
        return _Unpacking().value(payload)
    except Refused:
        raise
    except Exception as error:  # of msgpack, json, numpy, pickle, and RecursionError
        raise Refused("garbage", f"{len(payload)} bytes cannot be read: {_shown(error)}") from None


def _shown(error: Exception) -> str:
    """What is wrong, which may quote the message."""
    return f"{type(error).__name__}: {error}"[:200]


class _Unpacking:
    """Counts what one message holds meanwhile, for it may be made to hold more than there is room for."""

    def __init__(self) -> None:
        self._left = MOST_VALUES

    def value(self, payload: bytes | memoryview) -> Any:
        # Dictionaries may have numbers as keys, in what users put into a start document.
        return unpackb(
            payload, object_hook=self._of_dictionary, list_hook=self._of_list, ext_hook=_no_extension, raw=False,
            strict_map_key=False, max_array_len=MOST_VALUES, max_map_len=MOST_VALUES // 8,
        )  # fmt: skip

    def _of_dictionary(self, item: dict[Any, Any]) -> Any:
        self._count(len(item))
        return _decoded(item)

    def _of_list(self, item: list[Any]) -> list[Any]:
        self._count(len(item))
        return item

    def _count(self, values: int) -> None:
        self._left -= 1 + values
        if self._left < 0:
            raise Refused("garbage", f"it holds more than {MOST_VALUES} values that are in no array")


def _encoded(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.dtype.kind in NUMBERS:
        data = np.ascontiguousarray(value).reshape(-1).view(np.uint8).data
        return {b"nd": True, b"type": value.dtype.str, b"kind": b"", b"shape": value.shape, b"data": data}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic) and isinstance(value.item(), (bool, int, float, str, bytes)):
        return value.item()
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=str)
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)


def _decoded(item: dict[Any, Any]) -> Any:
    """An array or a number of numpy, as msgpack-numpy writes them; other dictionaries as they are."""
    many = item.get(b"nd", item.get("nd"))
    if not isinstance(many, bool) or not {b"type", "type"} & set(item) or not {b"data", "data"} & set(item):
        return item
    described, data = (item.get(key.encode(), item.get(key)) for key in ("type", "data"))
    if not isinstance(described, (str, bytes)) or not isinstance(data, bytes) or len(described) > LONGEST_DTYPE:
        raise Refused("no numbers", "an array of records is not read")
    dtype = np.dtype(described.decode() if isinstance(described, bytes) else described)
    if dtype.kind not in NUMBERS:
        raise Refused("no numbers", f"an array of {dtype} is not read")
    values = np.frombuffer(data, dtype)
    return values.reshape(item.get(b"shape", item.get("shape"))) if many else values[0]


def _no_extension(code: int, _: bytes) -> Any:
    raise Refused("garbage", f"msgpack's extension {code} is not read")
