"""Files of documents: JSON lines and msgpack, as suitcase, bluesky and this package write them."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .errors import ReplayError

logger = logging.getLogger(__name__)

NamedDocument = tuple[str, dict[str, Any]]

_MSGPACK = (0x92, 0x82)  # an array of two, a map of two
_ALLOWED = (
    'expected JSON lines, a JSON array or msgpack of [name, doc] or {"name": …, "doc": …}, as suitcase, bluesky and '
    "this package write them"
)
MOST_OF_A_START, MOST_OF_A_STOP = 2**24, 2**18


def documents_of_file(path: str | os.PathLike[str]) -> Iterator[NamedDocument]:
    """The documents in a file, one after the other.

    Parameters
    ----------
    path
        A file with a document in each line, as ``[name, doc]`` or ``{"name": name, "doc": doc}``, or with a JSON
        array of these, or with one of them as msgpack after the other. What it begins with tells which.

    Yields
    ------
    name, doc
        Of a file that ends in the middle of a document, as after a crash, those before; that is logged.

    Raises
    ------
    ReplayError
        It cannot be opened, or holds something else.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            first = file.read(1)
    except OSError as error:
        raise ReplayError(f"{path}: {error.strerror or error}") from error
    if not first:
        raise ReplayError(f"{path} is empty")
    yield from _msgpack(path) if first[0] in _MSGPACK else _json(path)


def last_stop(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The stop document that a file of JSON lines with one run ends with, without reading the rest; None without it."""
    try:
        with open(path, "rb") as file:
            first = file.readline(MOST_OF_A_START)
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - MOST_OF_A_STOP))
            last = file.read().rstrip().splitlines()[-1]
        (begin, start), (end, stop) = (_named_document(json.loads(line), str(path)) for line in (first, last))
    except (OSError, ValueError, IndexError, RecursionError, ReplayError):
        return None
    return stop if (begin, end) == ("start", "stop") and stop.get("run_start") == start.get("uid") else None


def _json(path: Path) -> Iterator[NamedDocument]:
    with path.open(encoding="utf-8-sig") as file:
        unread: tuple[int, str] | None = None
        given = False
        try:
            for number, line in enumerate(file, 1):
                text = line.strip().rstrip(",")
                if text in ("", "[", "]"):  # of bluesky's JSONWriter, an array with an element in each line
                    continue
                if unread is not None:
                    raise ReplayError(f"{path}, line {unread[0]}: {unread[1]}")
                try:
                    content = json.loads(text)
                except (ValueError, RecursionError) as error:
                    content, unread = None, (number, f"no JSON ({error})")
                if not given and not isinstance(content, (list, dict)):
                    file.seek(0)
                    yield from _indented(path, file.read())
                    return
                given = True
                if unread is None:
                    yield from _documents(content, f"{path}, line {number}")
        except UnicodeDecodeError as error:
            raise ReplayError(f"{path} is no file of documents ({error}); {_ALLOWED}") from error
        if unread is not None:
            logger.warning("%s ends in the middle of a document, in line %d", path, unread[0])


def _indented(path: Path, text: str) -> Iterator[NamedDocument]:
    """The documents in JSON that is not cut into lines, one value after the other, or an array of them."""
    decoder, at = json.JSONDecoder(), 0
    while text := text[at:].lstrip(" \t\r\n\ufeff"):
        try:
            content, at = decoder.raw_decode(text)
        except (ValueError, RecursionError) as error:
            raise ReplayError(f"{path} is no file of documents: no JSON ({error}); {_ALLOWED}") from error
        yield from _documents(content, str(path))


def _documents(content: Any, where: str) -> Iterator[NamedDocument]:
    """The document, or those of an array."""
    several = isinstance(content, list) and content and not isinstance(content[0], str)
    for each in content if several else [content]:
        yield _named_document(each, where)


def _msgpack(path: Path) -> Iterator[NamedDocument]:
    from msgpack import UnpackException

    from ..transport.plain_msgpack import Unpacker

    size = path.stat().st_size
    with path.open("rb") as file:
        unpacker = Unpacker(file, object_hook=_array, max_buffer_size=max(size, 1), strict_map_key=False)
        number = 0
        try:
            for content in unpacker:
                number += 1
                yield _named_document(content, f"{path}, document {number}")
            if unpacker.tell() < size:
                logger.warning("%s ends in the middle of a document, after %d", path, number)
        except (ValueError, TypeError, UnpackException) as error:
            raise ReplayError(f"{path}, document {number + 1}: no msgpack ({error})") from error


def _array(content: dict[Any, Any]) -> Any:
    """msgpack-numpy's arrays and scalars.

    Its own decoder unpickles arrays of objects, which runs what a file says, or takes bytes for their addresses.
    """
    if b"nd" not in content or b"data" not in content:
        return complex(content[b"data"]) if b"complex" in content else content
    described = content[b"type"]
    dtype = np.dtype([tuple(each) for each in described] if isinstance(described, list) else described)
    if dtype.hasobject:
        raise ReplayError("an array of Python objects (a pickle) is not read")
    array = np.frombuffer(content[b"data"], dtype)
    return array.reshape(content[b"shape"]) if content[b"nd"] else array[0]


def _named_document(content: Any, where: str) -> NamedDocument:
    if isinstance(content, Mapping):
        content = (content.get("name"), content.get("doc"))
    if isinstance(content, (list, tuple)) and len(content) == 2:
        name, doc = content
        if isinstance(name, str) and isinstance(doc, dict):
            return name, doc
    raise ReplayError(f"{where}: no document; {_ALLOWED}")
