"""Documents through real 0MQ sockets, with what else may come."""

from __future__ import annotations

import pickle
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import zmq
import zmq.auth
from bluesky.callbacks.zmq import ClientCurve, Proxy, Publisher, ServerCurve

from bluesky_diffractogram.transport import pack
from bluesky_diffractogram.transport.address import parse_address
from bluesky_diffractogram.transport.curve import CLIENTS, PUBLIC, SECRET, SERVER, curve_keys
from bluesky_diffractogram.transport.zmq_sink import ZmqSink
from bluesky_diffractogram.transport.zmq_source import ZmqSource

GARBAGE = [
    b"", b"x", b" ", b"no name", b" start ", b" nonsense \x80", b" start " + b"\xc1" * 10, b" event [1, 2]",
    b" event " + pack({"data": {"image": np.ones((50, 50))}})[:-7], b" start " + pickle.dumps({"uid": "x"}),
    b"\xff\xfe\xff", b" event " + b"\x81" * 5000, b" start 1", b" datum_page null",
]  # fmt: skip


def take(source, number, timeout=10.0):
    """The next documents, and those that came with them."""
    over, taken = threading.Event(), []
    deadline = time.monotonic() + timeout
    for document in source.documents(over):
        if document is not None:
            taken.append(document)
        if len(taken) >= number or time.monotonic() > deadline:
            over.set()
    return taken


@pytest.fixture
def publisher(address):
    """A raw socket."""
    socket = zmq.Context.instance().socket(zmq.PUB)
    socket.linger = 0
    socket.connect(address[1].endpoint)
    yield socket
    socket.close()


def wait_until_heard(publisher, source, prefix=b""):
    """What is sent before the subscription has arrived is lost."""
    for _ in range(1000):
        publisher.send(prefix + b" start {}")
        if source._socket.poll(10):
            break
    while source._socket.poll(50):
        source._socket.recv()


def test_whatever_comes_the_next_document_is_taken(address, publisher, caplog):
    with ZmqSource(address[0], most_bytes=100_000) as source:
        wait_until_heard(publisher, source)
        for number, garbage in enumerate(GARBAGE):
            publisher.send(garbage)
            publisher.send(b" event " + pack({"seq_num": number}))
        publisher.send_multipart([b" event ", pack({"seq_num": -1})])
        publisher.send(b" event " + bytes(200_000))
        publisher.send(b" stop " + pack({"uid": "last"}))
        taken = take(source, len(GARBAGE) + 1)
    assert [doc["seq_num"] for name, doc in taken if name == "event"] == list(range(len(GARBAGE)))
    assert taken[-1] == ("stop", {"uid": "last"})
    assert sum(source.refused.values()) == len(GARBAGE) + 2
    assert set(source.refused) == {"garbage", "unknown name", "pickle", "too large"}
    assert source.received == len(GARBAGE) + 1
    assert len(caplog.records) == 4  # once a kind


def test_only_those_with_the_prefix_are_taken(address, publisher):
    with ZmqSource(address[0], prefix=b"raw") as source:
        wait_until_heard(publisher, source, b"raw")
        for prefix in (b"", b"rawer", b"raw", b"other"):
            publisher.send(prefix + b" start " + pack({"uid": prefix.decode()}))
        publisher.send(b"raw stop " + pack({"uid": "last"}))
        assert [doc["uid"] for _, doc in take(source, 2)] == ["raw", "last"]
    assert not source.refused


def test_a_sink_is_heard_by_a_source(address):
    bound, connected = address
    with ZmqSource(connected) as source:
        sink = ZmqSink(bound, prefix=b"derived")
        image = np.arange(6, dtype=np.uint16).reshape(2, 3)
        for _ in range(100):  # until the subscription has arrived
            sink("event", {"data": {"image": image}})
            if source._socket.poll(50):
                break
        (name, doc), *_ = take(source, 1)
        sink.close()
    assert name == "event"
    np.testing.assert_array_equal(doc["data"]["image"], image)


def test_an_address_that_is_taken_is_an_error(address):
    with ZmqSource(address[0]), pytest.raises(OSError, match="in use"):
        ZmqSource(address[0])


@pytest.fixture
def certificates(tmp_path):
    """Files of keys by name: the server's, a client's that is known to it, and a stranger's."""
    known = tmp_path / "clients"
    known.mkdir()
    files = {}
    for name in ("server", "client", "stranger"):
        files[name] = zmq.auth.create_certificates(str(tmp_path), name)
    (known / "client.key").write_bytes((tmp_path / "client.key").read_bytes())
    return known, files


def test_with_curve_only_those_who_are_known_are_heard(address, certificates, caplog):
    known, files = certificates
    server = curve_keys({SECRET: files["server"][1], CLIENTS: str(known)})
    with ZmqSource(address[0], keys=server) as source:
        sinks = {}
        for name in ("client", "stranger"):
            keys = curve_keys({SECRET: files[name][1], SERVER: files["server"][0]})
            sinks[name] = ZmqSink(address[1], keys=keys)
        plain = ZmqSink(address[1])
        for _ in range(60):
            for name, sink in [*sinks.items(), ("plain", plain)]:
                sink("start", {"uid": name})
            if source._socket.poll(50):
                break
        time.sleep(0.5)
        for name, sink in [*sinks.items(), ("plain", plain)]:
            sink("stop", {"uid": name})
        heard = {doc["uid"] for _, doc in take(source, 1000, timeout=0.7)}
        assert source.peers >= 1
        assert sinks["client"].peers == 1
        assert sinks["stranger"].lonely
        assert source.strangers["key refused"] >= 1
        for sink in [*sinks.values(), plain]:
            sink.close()
    assert heard == {"client"}


def test_blueskys_own_ends_take_part_with_curve(address, certificates, free_port):
    """Its Publisher to us, and we to its Proxy, which cannot have keys on both sides: a fault of its own."""
    _, files = certificates
    client = ClientCurve(files["client"][1], files["server"][0])
    with ZmqSource(address[0], keys=curve_keys({SECRET: files["server"][1]})) as source:
        publisher = Publisher(address[1].endpoint, serializer=pack, curve_config=client)
        wait_until(lambda: publisher("start", {"uid": "x"}) or source._socket.poll(50))
        assert take(source, 1)[0] == ("start", {"uid": "x"})
        publisher.close()
    way_in, way_out = (f"127.0.0.1:{free_port()}" for _ in range(2))
    proxy = Proxy(way_in, way_out, out_curve=ServerCurve(files["server"][1], None, None))
    threading.Thread(target=proxy.start, daemon=True).start()
    keys = curve_keys({SECRET: files["client"][1], SERVER: files["server"][0]})
    publisher = Publisher(way_in, serializer=pack)
    with ZmqSource(parse_address(f"0mq://{way_out}"), keys=keys) as source:
        wait_until(lambda: publisher("start", {"uid": "y"}) or source._socket.poll(50))
        assert take(source, 1)[0] == ("start", {"uid": "y"})
        assert source.peers == 1
        derived = ZmqSink(parse_address(f"0mq+plain://{way_in}"), keys=keys)  # its other side has no keys
        wait_until(lambda: derived.peers)
        derived.close()
    publisher.close()


def test_a_folder_without_keys_is_an_error(certificates, tmp_path):
    """0MQ itself would let nobody in, and say so in a log that nobody reads."""
    _, files = certificates
    (tmp_path / "empty").mkdir()
    for folder in ("empty", "missing"):
        with pytest.raises(ValueError, match=CLIENTS):
            curve_keys({SECRET: files["server"][1], CLIENTS: str(tmp_path / folder)})


def test_who_sends_far_too_much_is_disconnected_before_it_is_here(address, publisher):
    with ZmqSource(address[0], most_bytes=100_000) as source:
        wait_until_heard(publisher, source)
        publisher.send(b" event " + bytes(500_000))
        wait_until_heard(publisher, source)  # it comes again
        publisher.send(b" stop " + pack({"uid": "last"}))
        assert take(source, 1)[-1] == ("stop", {"uid": "last"})
    assert not source.refused


def test_who_is_connected_is_known(address):
    with ZmqSource(address[0]) as source:
        assert source.lonely
        sinks = [ZmqSink(address[1]) for _ in range(2)]
        wait_until(lambda: source.peers == 2 and not any(sink.lonely for sink in sinks))
        sinks[0].close()
        wait_until(lambda: source.peers == 1)
        assert not source.lonely
    wait_until(lambda: sinks[1].lonely)
    sinks[1].close()


def wait_until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="Linux tells which timers a connection has")
def test_a_host_that_is_gone_without_a_goodbye_is_noticed(address):
    bound, connected = address
    port = f"{int(bound.endpoint.rpartition(':')[2]):04X}"
    with ZmqSource(connected) as source:
        sink = ZmqSink(bound)
        wait_until(lambda: sink.peers and source.peers)
        wait_until(lambda: timers(port) == {"02"})  # keepalive, in both directions
        sink.close()


def timers(port):
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {row[5][:2] for row in rows if row[3] == "01" and f":{port}" in row[1] + row[2]}


def test_what_has_arrived_is_given_when_it_is_over(address, publisher):
    with ZmqSource(address[0]) as source:
        wait_until_heard(publisher, source)
        for number in range(5):
            publisher.send(b" event " + pack({"seq_num": number}))
        wait_until(lambda: source._socket.poll(0))
        time.sleep(0.2)
        over = threading.Event()
        over.set()
        assert [document[1]["seq_num"] for document in source.documents(over)] == list(range(5))


def test_keys_are_taken_from_the_environment_and_never_shown(certificates):
    _, files = certificates
    public, secret = zmq.auth.load_certificate(files["client"][1])
    keys = curve_keys({PUBLIC: public.decode(), SECRET: secret.decode()})
    assert (keys.public, keys.secret, keys.server) == (public, secret, None)
    assert secret.decode() not in repr(keys)
    assert curve_keys({}) is None
    for wrong in ({SECRET: secret.decode()[:-1]}, {SECRET: secret.decode()}, {PUBLIC: public.decode()}):
        with pytest.raises(ValueError, match="DIFFRACTOGRAM_CURVE") as error:
            curve_keys(wrong)
        assert secret.decode()[:-1] not in str(error.value)
