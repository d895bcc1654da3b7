"""Files of documents, as each program writes them."""

from __future__ import annotations

import importlib
import json
import pickle

import bluesky.plans as bp
import msgpack
import msgpack_numpy
import numpy as np
import pytest
from bluesky.callbacks.json_writer import JSONLinesWriter, JSONWriter
from documents.conftest import raw_run
from documents.stream_runs import images
from event_model import NumpyEncoder
from live_runs import assert_same_numbers, live_of, run_live

from bluesky_diffractogram import ReplayError, replay
from bluesky_diffractogram.replay.document_files import documents_of_file
from bluesky_diffractogram.service.jsonlines import JsonLines
from bluesky_diffractogram.transport import pack


@pytest.fixture
def live(cfg, motor, npy_detector):
    """A run whose documents have no arrays, so that any JSON writer takes them."""
    return run_live(cfg, bp.scan([npy_detector], motor, 0, 2, 3))


@pytest.fixture
def arrays(cfg):
    """A run with arrays in its events, of which the descriptor says the dtype."""
    frames = images(2)
    frames[0][30:90, 70] = 2**16 - 1
    key = {
        "source": "test", "dtype": "array", "dtype_numpy": "<u2", "shape": list(frames[0].shape), "object_name": "det",
    }  # fmt: skip
    return live_of(cfg, list(raw_run(frames, data_key=key)))


@pytest.mark.parametrize("writer", [JSONLinesWriter, JSONWriter])
def test_files_of_bluesky(cfg, live, writer, tmp_path):
    write = writer(str(tmp_path))
    for name, doc in live.raw:
        write(name, doc)
    (path,) = tmp_path.glob("*.json*")
    assert [name for name, _ in documents_of_file(path)] == live.raw.names
    assert_same_numbers(replay(path, cfg).to_xarray(), live)
    assert_same_numbers(replay(str(path), cfg).to_xarray(), live)


def test_json_lines_as_suitcase_writes_them(cfg, live, arrays, tmp_path):
    for n, run in enumerate((live, arrays)):
        path = tmp_path / f"{n}.jsonl"
        path.write_text("".join(json.dumps(pair, cls=NumpyEncoder) + "\n" for pair in run.raw))
        assert_same_numbers(replay(path, cfg).to_xarray(), run)


def test_json_lines_of_this_package(cfg, arrays, tmp_path):
    write = JsonLines(tmp_path / "run.jsonl")
    for name, doc in arrays.raw:
        write(name, doc)
    write.close()
    assert_same_numbers(replay(tmp_path / "run.jsonl", cfg).to_xarray(), arrays)


def test_one_array_in_one_line(cfg, live, tmp_path):
    path = tmp_path / "run.json"
    path.write_text(json.dumps([{"name": name, "doc": doc} for name, doc in live.raw]))
    assert_same_numbers(replay(path, cfg).to_xarray(), live)


@pytest.mark.parametrize("maps", [True, False])
def test_json_that_is_indented(arrays, tmp_path, maps):
    """An array of documents, or one after the other, each over several lines."""
    each = [{"name": name, "doc": doc} if maps else [name, doc] for name, doc in arrays.raw]
    plain = json.loads(json.dumps(each, cls=NumpyEncoder))
    path = tmp_path / "run.json"
    for text in (json.dumps(plain, indent=2), "\n".join(json.dumps(one, indent=1) for one in plain)):
        path.write_text(text, encoding="utf-8-sig")
        assert list(documents_of_file(path)) == [(one["name"], one["doc"]) if maps else tuple(one) for one in plain]


def test_msgpack_of_maps(arrays, tmp_path):
    path = tmp_path / "run.msgpack"
    pairs = [{"name": name, "doc": doc} for name, doc in arrays.raw]
    path.write_bytes(b"".join(msgpack.packb(pair, default=msgpack_numpy.encode) for pair in pairs))
    found = list(documents_of_file(path))
    assert [name for name, _ in found] == arrays.raw.names
    assert found[0] == arrays.raw[0]


def test_msgpack_as_suitcase_writes_it(cfg, live, arrays, tmp_path):
    from event_model import pack_datum_page, pack_event_page

    def packed(pair):
        return msgpack.packb(pair, default=msgpack_numpy.encode, use_bin_type=True)

    for n, run in enumerate((live, arrays)):
        path = tmp_path / f"{n}.msgpack"
        with path.open("wb") as file:
            for name, doc in run.raw:
                if name == "event":
                    name, doc = "event_page", pack_event_page(doc)
                elif name == "datum":
                    name, doc = "datum_page", pack_datum_page(doc)
                file.write(packed((name, doc)))
        assert_same_numbers(replay(path, cfg).to_xarray(), run)


@pytest.mark.parametrize("kind", ["jsonl", "msgpack"])
def test_suitcases_own_files(cfg, live, kind, tmp_path):
    suitcase = importlib.import_module(f"suitcase.{kind}")
    suitcase.export(iter(live.raw), str(tmp_path))
    (path,) = tmp_path.glob(f"*.{kind}")
    assert_same_numbers(replay(path, cfg).to_xarray(), live)


@pytest.mark.parametrize("kind", ["json", "msgpack"])
def test_a_file_that_ends_in_the_middle_gives_what_is_before(cfg, arrays, kind, tmp_path, caplog):
    path = tmp_path / "run"
    if kind == "json":
        content = "".join(json.dumps(pair, cls=NumpyEncoder) + "\n" for pair in arrays.raw).encode()
    else:
        content = b"".join(msgpack.packb(pair, default=msgpack_numpy.encode) for pair in arrays.raw)
    path.write_bytes(content[: len(content) * 3 // 4])
    assert [name for name, _ in documents_of_file(path)] == ["start", "descriptor", "event"]
    assert "in the middle of a document" in caplog.text
    found = replay(path, cfg).to_xarray()
    assert found.sizes["frame"] == 1
    assert found.attrs["exit_status"] == "abort"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (
            b"# text\n1 2 3\n",
            r"no JSON .*expected JSON lines, a JSON array or msgpack of \[name, doc\] or {\"name\": …",
        ),
        (b'["start", {}]\nrubbish\n["stop", {}]\n', "line 2: no JSON"),
        (b'["start", {}]\n{"a": 1}\n', r"line 2: no document"),
        (b'["start", {}, 3]\n', "no document"),
        (b'{"name": "start", "document": {}}\n', r"line 1: no document; expected .*{\"name\": …, \"doc\": …}"),
        (b'{\n "uid": "a"\n}\n', "no document; expected"),
        (b"\xff\xfe\x00\x01", "no file of documents .*expected JSON lines"),
        (msgpack.packb(["start", {}]) + b"\xc1", "document 2: no msgpack"),
        (msgpack.packb(["start", {}]) + msgpack.packb(3), "document 2: no document"),
    ],
)
def test_other_files_are_refused(content, message, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(ReplayError, match=message):
        list(documents_of_file(path))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ReplayError, match=r"nowhere.*No such file"):
        list(documents_of_file(tmp_path / "nowhere"))


class Evil:
    """Says when it is unpickled."""

    ran = False

    def __reduce__(self):
        return (setattr, (Evil, "ran", True))


@pytest.mark.parametrize("patched", [False, True])
def test_a_pickle_in_a_msgpack_file_is_not_run(tmp_path, patched, monkeypatch):
    """Also where msgpack-numpy's own functions, which unpickle, have taken the place of msgpack's."""
    if patched:
        for name in ("Packer", "Unpacker", "unpackb", "packb"):
            monkeypatch.setattr(msgpack, name, getattr(msgpack_numpy, name))
    array = {b"nd": True, b"type": "|O", b"kind": b"O", b"shape": [1], b"data": pickle.dumps(Evil())}
    path = tmp_path / "evil.msgpack"
    path.write_bytes(pack(["event", {"data": {"image": array}}]))
    with pytest.raises(ReplayError, match="pickle"):
        list(documents_of_file(path))
    array[b"kind"] = b""
    path.write_bytes(pack(["event", {"data": {"image": array}}]))
    with pytest.raises(ReplayError, match="pickle"):
        list(documents_of_file(path))
    assert not Evil.ran


def test_arrays_keep_their_dtype_in_msgpack(arrays, tmp_path):
    path = tmp_path / "run.msgpack"
    path.write_bytes(b"".join(msgpack.packb(pair, default=msgpack_numpy.encode) for pair in arrays.raw))
    events = [doc for name, doc in documents_of_file(path) if name == "event"]
    np.testing.assert_array_equal(events[0]["data"]["image"], arrays.raw.of("event")[0]["data"]["image"])
    assert events[0]["data"]["image"].dtype == np.uint16
