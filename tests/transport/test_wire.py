"""Documents as bytes, and bytes that are none."""

from __future__ import annotations

import functools
import json
import os
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path
from types import MappingProxyType

import msgpack
import msgpack_numpy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from bluesky_diffractogram.transport import Refused, pack, unpack
from bluesky_diffractogram.transport.wire import NUMBERS, split_message, unpack_pair, unpack_pickles_too

SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text()
NUMERIC = arrays.arrays(
    arrays.scalar_dtypes().filter(lambda dtype: dtype.kind in NUMBERS and dtype.itemsize <= 16),
    arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)
DOCUMENTS = st.dictionaries(
    st.text(),
    st.recursive(SCALARS | NUMERIC, lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(), x, max_size=3)),
    max_size=5,
)


def assert_same(one, other):
    if isinstance(one, np.ndarray):
        assert isinstance(other, np.ndarray)
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    elif isinstance(one, dict):
        assert list(one) == list(other)
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for each, its in zip(one, other, strict=True):
            assert_same(each, its)
    else:
        assert one == other
        assert type(one) is type(other)


@settings(deadline=None)
@given(DOCUMENTS)
def test_what_is_packed_is_unpacked_here_and_by_msgpack_numpy(doc):
    packed = pack(doc)
    assert_same(doc, unpack(packed))
    assert_same(doc, msgpack.unpackb(packed, object_hook=msgpack_numpy.decode))
    written = msgpack.packb(doc, default=msgpack_numpy.encode)
    assert_same(doc, unpack(written))


def test_an_image_survives_and_numpys_numbers_become_pythons():
    image = np.arange(12, dtype=">u4").reshape(3, 4)
    doc = unpack(pack({"image": image.T, "x": np.float32(1.5), "n": np.int64(3), "names": np.array(["a", "b"])}))
    np.testing.assert_array_equal(doc["image"], image.T)
    assert doc["image"].dtype == image.dtype
    assert (doc["x"], doc["n"], doc["names"]) == (1.5, 3, ["a", "b"])
    assert unpack(msgpack.packb({"x": np.float32(1.5)}, default=msgpack_numpy.encode))["x"] == 1.5


def test_json_is_read():
    assert unpack(json.dumps({"uid": "x", "data": {"a": [1, 2.5, None]}}).encode())["data"]["a"] == [1, 2.5, None]


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_no_pickle_is_run_unless_it_is_allowed(tmp_path, protocol):
    path = str(tmp_path / "made")
    payload = pickle.dumps({"uid": Touch(path)}, protocol)
    with pytest.raises(Refused, match="serializer") as refused:
        unpack(payload)
    assert refused.value.kind == "pickle"
    assert not os.path.exists(path)
    unpack_pickles_too(payload)
    assert os.path.exists(path)
    assert unpack_pickles_too(pack({"a": 1})) == {"a": 1}


def test_an_array_of_objects_is_not_unpickled(tmp_path):
    path = str(tmp_path / "made")
    hostile = np.array([Touch(path)], dtype=object)
    for payload in (
        msgpack.packb({"a": hostile}, default=msgpack_numpy.encode),
        msgpack.packb({"a": {b"nd": True, b"type": "|O", b"kind": b"O", b"data": pickle.dumps(hostile)}}),
        msgpack.packb({"a": {"nd": True, "type": "O", "kind": "O", "shape": [1], "data": pickle.dumps(hostile)}}),
    ):
        with pytest.raises(Refused):
            unpack(payload)
    assert not os.path.exists(path)


NESTED = functools.reduce(lambda inner, _: b"\x91" + inner, range(3000), b"\x90")


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"\x00", b"{", b"{}x", b"[1, 2]", b"\xc1", b"\x93\x01\x02\x03", b'{"a": NaNs}', b"[" * 100_000,
        b'{"a":' * 100_000, pack({"a": 1})[:-1], pack({"a": 1}) + b"x", b"\xdd\xff\xff\xff\xff", b"\x81\x01\x02",
        b"\xdf\xff\xff\xff\xff" + b"\x01" * 20, msgpack.packb({"a": msgpack.ExtType(5, b"x")}),
        msgpack.packb({"a": {b"nd": True, b"type": "<f8", b"shape": [2**40], b"data": b"12345678"}}),
        msgpack.packb({"a": {b"nd": True, b"type": "<f8", b"shape": [-1, 3], b"data": b"12345678"}}),
        msgpack.packb({"a": {b"nd": True, b"type": "<f8", b"shape": [1], b"data": b"1234567"}}),
        msgpack.packb({"a": {b"nd": True, b"type": "nonsense", b"shape": [1], b"data": b"12345678"}}),
        msgpack.packb({"a": {b"nd": True, b"type": [["a", "<f8"]], b"shape": [1], b"data": b"12345678"}}),
        msgpack.packb({"a": {b"nd": False, b"type": "<f8", b"data": b""}}),
        msgpack.packb({"a": {b"nd": True, b"type": "<M8[s]", b"shape": [1], b"data": b"12345678"}}),
        msgpack.packb({"a": {b"nd": True, b"type": "f8," * 100_000, b"shape": [1], b"data": b"12345678"}}),
        msgpack.packb({"a": {b"nd": True, b"type": "(2,2)f8", b"shape": [1], b"data": bytes(32)}}),
        b"\x81\xa1a" + NESTED, b"\x81\x90\x01",
    ],
)  # fmt: skip
def test_what_is_no_document_is_refused(payload):
    with pytest.raises(Refused):
        unpack(payload)


@pytest.mark.parametrize("item", [b"\x90", b"\x80", b"\xa0"])
def test_a_message_does_not_hold_more_than_there_is_room_for(monkeypatch, item):
    """A byte of these takes up to 60 in memory; lists may be in lists."""
    monkeypatch.setattr("bluesky_diffractogram.transport.wire.MOST_VALUES", 5000)
    many = b"\xdc" + (900).to_bytes(2, "big") + item * 900
    assert len(unpack(b"\x81\xa1a\x92" + many + many)["a"][1]) == 900
    for payload in (b"\x81\xa1a\x9a" + many * 10, b"\x81\xa1a\xdc" + (6000).to_bytes(2, "big") + item * 6000):
        with pytest.raises(Refused):
            unpack(payload)
    with pytest.raises(Refused) as refused:
        unpack(b"{" + b" " * 2**26 + b"}")
    assert refused.value.kind == "too large"


@given(
    st.one_of(st.dates(), st.decimals(), st.integers(2**64), st.complex_numbers(), st.just(Path("/data")), st.sets(
        st.integers(0, 9) | st.text(max_size=2)), st.text(st.characters(categories=["Cs"]), min_size=1),
        st.just(range(3)), st.just(MappingProxyType({"a": 1})), st.just(np.datetime64("2026-01-01")),
        st.just(np.longdouble(1.5)), st.just(np.complex64(1j)), st.just(np.array([None, Path("/x")]))))  # fmt: skip
def test_no_metadata_ends_the_scan_that_is_published(value):
    """bluesky lets an exception of its Publisher abort the plan."""
    doc = unpack(pack({"uid": "x", "sample": {"odd": value, "fine": 1.5}}))
    assert doc["sample"]["fine"] == 1.5
    assert doc["sample"]["odd"] is not None


def test_numbers_may_be_keys():
    assert unpack(pack({"sample": {1: "one", 2.5: "more"}}))["sample"] == {1: "one", 2.5: "more"}


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda b: b"\x85\xa3uid" + b))
def test_any_bytes_give_a_document_or_are_refused(payload):
    try:
        doc = unpack(payload)
    except Refused:
        return
    assert isinstance(doc, dict)


@pytest.mark.parametrize("message", [b"", b" ", b"  ", b" start", b"start x", b"p nonsense x", b"p __class__ x"])
def test_messages_without_a_name_that_is_known_are_refused(message):
    with pytest.raises(Refused):
        split_message(message)


def test_a_message_is_taken_apart_without_a_copy_of_its_payload():
    message = b"p start a b c"
    assert split_message(message) == (b"p", "start", b"a b c")
    assert split_message(memoryview(message))[2].obj is message
    assert split_message(b" stream_datum x")[1] == "stream_datum"


@pytest.mark.parametrize("pair", [["start", {"uid": "x"}], ("event", {"data": {"a": 1.5}})])
def test_a_pair_is_read_from_msgpack_and_json(pair):
    for message in (pack(pair), json.dumps(pair).encode(), msgpack.packb(pair, default=msgpack_numpy.encode)):
        assert unpack_pair(message) == tuple(pair)


@pytest.mark.parametrize("pair", [["start"], ["nonsense", {}], [1, {}], ["start", []], {"start": {}}, [["start"], {}]])
def test_what_is_no_pair_is_refused(pair):
    with pytest.raises(Refused):
        unpack_pair(pack(pair))


PATCHED = """
    import os, pickle, sys
    import msgpack, msgpack_numpy
    msgpack_numpy.patch()
    from bluesky_diffractogram.transport import Refused, pack, unpack

    class Touch:
        def __reduce__(self):
            return os.mkdir, (sys.argv[1],)

    payload = msgpack.packb({"a": {b"nd": True, b"type": "|O", b"kind": b"O", b"shape": [1], b"data": pickle.dumps(Touch())}})
    try:
        print(unpack(payload))
    except Refused:
        print("refused", os.path.exists(sys.argv[1]), unpack(pack({"a": 1})))
"""  # noqa: E501


def test_nothing_is_unpickled_where_msgpack_numpy_has_patched_msgpack(tmp_path):
    """bluesky-kafka does so when it is imported."""
    command = [sys.executable, "-c", textwrap.dedent(PATCHED), str(tmp_path / "made")]
    assert subprocess.run(command, capture_output=True, text=True).stdout == "refused False {'a': 1}\n"


def test_metadata_that_looks_a_little_like_an_array_stays_as_it_is():
    doc = {"uid": "a", "detector": {"nd": 2, "type": "x"}, "filter": {"nd": True, "type": "Al"}}
    assert unpack(pack(doc)) == doc
