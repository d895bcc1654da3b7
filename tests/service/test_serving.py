"""The service, with real sockets, in this process."""

from __future__ import annotations

import json
import logging
import threading
import time

import numpy as np
import pytest
from documents.conftest import Collected, image, raw_run, send
from documents.test_callback import assert_valid, frames_add_up
from served import Publisher, ServiceHere, curves
from typer.testing import CliRunner

from bluesky_diffractogram import ReductionCallback
from bluesky_diffractogram.service.cli import app
from bluesky_diffractogram.service.endpoints import open_sink, open_source
from bluesky_diffractogram.service.serve import _beside_the_window
from bluesky_diffractogram.service.serving import Serving
from bluesky_diffractogram.transport import pack
from bluesky_diffractogram.transport.address import parse_address
from bluesky_diffractogram.transport.control import ControlRefused


@pytest.fixture
def serve(cfg, free_port):
    services = []

    def start(**options):
        services.append(ServiceHere(cfg, [free_port() for _ in range(3)], **options))
        return services[-1]

    yield start
    for service in services:
        service.end()


def test_a_run_is_reduced_elsewhere_as_it_is_here(cfg, serve, caplog):
    caplog.set_level(logging.INFO, "bluesky_diffractogram")
    collected = Collected()
    documents = list(raw_run([image(i) for i in range(4)]))
    with ReductionCallback(cfg, background=False) as diff:
        diff.subscribe(collected)
        send(diff, documents)
    service = serve()
    send(service.publish, documents)
    service.wait_for(1)
    assert_valid(service.collected)
    assert frames_add_up(service.collected.of("stop")[0])["reduced"] == 4
    np.testing.assert_array_equal(curves(service.collected), curves(collected))
    (line,) = [text for text in caplog.messages if f"run {documents[0][1]['uid']}" in text]
    assert "success: 4 received, 4 reduced" in line


def test_it_is_reconfigured_and_asked_while_it_runs(serve):
    service = serve()
    documents = list(raw_run([image(i) for i in range(4)]))
    send(service.publish, documents[:4])  # start, descriptor, two events
    service.wait_for(2, "event")
    answer = service.ask("configure", {"diff_units": "2th [deg]"})
    assert answer["diff_units"] == "2th [deg]"
    with pytest.raises(ControlRefused, match=r"diff_units.*2th \[deg\]"):
        service.ask("configure", {"diff_units": "furlongs"})
    assert service.ask("configuration") == answer
    service.wait(lambda: service.ask("status")["frames"]["reduced"] == 2)  # counted once sent
    status = service.ask("status")
    assert status["frames"]["reduced"] == 2  # of the open run too
    assert (status["runs_ended"], status["runs_open"]) == (0, 1)
    send(service.publish, documents[4:])
    service.wait_for(1)
    assert [doc["name"] for doc in service.collected.of("descriptor")] == ["diffractogram", "diffractogram_2"]
    status = service.ask("status")
    assert status["frames"]["reduced"] == status["frames"]["received"] == 4
    assert (status["runs_ended"], status["runs_open"]) == (1, 0)
    assert service.ask("results")["unit"] == "2th_deg"
    for request in ("show", "collect"):
        service.ask(request, False)
    assert service.ask("configuration")["show_diff"] is False
    with pytest.raises(ControlRefused, match="expected true or false"):
        service.ask("show", "perhaps")
    control = f"0mq://{service.control.endpoint.removeprefix('tcp://')}"
    run = CliRunner().invoke(app, ["control", control, "status"])
    assert run.exit_code == 0, run.output
    assert json.loads(run.stdout)["frames"]["received"] == 4
    assert CliRunner().invoke(app, ["control", control, '{"collect": true}']).exit_code == 0
    assert service.ask("configuration")["collect"] is True
    refused = CliRunner().invoke(app, ["control", control, '{"diff_units": "furlongs"}'])
    assert refused.exit_code == 1
    assert "diff_units" in refused.output


def test_what_is_lost_on_the_way_is_told_and_garbage_is_counted(serve):
    service = serve()
    for garbage in (b"", b" start \xc1", b" nonsense {}", b" event {}", b" start {}", b" descriptor {}", b" stop {}"):
        service.publish.socket.send(garbage)
    documents = list(raw_run([image(i) for i in range(6)]))
    send(service.publish, [pair for i, pair in enumerate(documents) if i not in (3, 4)])
    service.wait_for(1)
    assert frames_add_up(service.collected.of("stop")[0], missing=2)["reduced"] == 4
    assert service.ask("status")["refused"] == {"garbage": 2, "unknown name": 1}
    assert service.ask("status")["frames"]["missing"] == 2


def test_two_publishers_may_run_at_once(serve):
    service = serve()
    other = Publisher(service.ports[0])
    service.wait(lambda: service.ask("status")["from"]["connected"] == 2)
    time.sleep(0.2)  # for the subscription to arrive there
    runs = [list(raw_run([image(10 * n + i) for i in range(3)])) for n in range(2)]
    for pairs in zip(*runs, strict=True):
        for publish, pair in zip((service.publish, other), pairs, strict=True):
            publish(*pair)
    service.wait_for(2)
    other.socket.close()
    for stop in service.collected.of("stop"):
        assert frames_add_up(stop)["reduced"] == 3
    assert {start["raw_uid"] for start in service.collected.of("start")} == {run[0][1]["uid"] for run in runs}
    service.wait(lambda: service.ask("status")["from"]["connected"] == 1)


def test_a_run_whose_stop_was_lost_is_closed_after_a_time(serve, caplog):
    service = serve(run_timeout_s=1.2)
    documents = list(raw_run([image(i) for i in range(4)]))
    send(service.publish, [pair for i, pair in enumerate(documents[:-2]) if i != 3])  # its publisher is gone
    service.wait_for(1)
    stop = service.collected.of("stop")[0]
    assert stop["exit_status"] == "abort"
    assert "no document came for 1.2 s" in stop["reason"]
    assert frames_add_up(stop, missing=1)["reduced"] == 2
    assert service.ask("status")["runs_open"] == 0
    service.publish(*documents[-2])  # too late
    send(service.publish, list(raw_run([image(9)])))
    service.wait_for(2)
    assert service.collected.of("stop")[1]["exit_status"] == "success"
    # Stops were sent until the first was heard, which may be more than one.
    assert service.ask("status")["ignored"]["event"] == 1


def test_what_has_arrived_by_the_end_is_reduced(serve):
    """The run is in the socket, unread, when the service is told to end."""
    service = serve()
    held = threading.Event()
    service.callback.abandon_silent = lambda _: held.wait(30)  # the receiving thread is busy
    time.sleep(1.2)
    send(service.publish, list(raw_run([image(i) for i in range(5)])))
    time.sleep(0.3)
    service.over.set()
    held.set()
    service.wait_for(1)
    stop = service.collected.of("stop")[0]
    assert stop["exit_status"] == "success"
    assert frames_add_up(stop)["reduced"] == 5


def test_what_is_done_is_acknowledged_also_while_more_comes_all_the_time(cfg, monkeypatch):
    """Under constant load the queue is never empty, and a group would begin at the very start again."""
    monkeypatch.setattr("bluesky_diffractogram.service.serving.LOOK_EVERY_S", 0.02)
    acknowledged, over = [], threading.Event()

    class Source:
        endpoint, lonely, given, closed = "everywhere", False, 0, False

        def documents(self, over):
            documents = list(raw_run([image(0)] * 400))
            for document in documents[:-1]:
                self.given += document[0] == "event"
                yield document
            over.set()

        def position(self, open_runs):
            return self.given

        def acknowledge(self, position):
            frames = callback.frames
            acknowledged.append((position, frames["reduced"], self.given))

        def close(self):
            self.closed = True

    callback = ReductionCallback(cfg)
    Serving(callback, Source()).run(over)
    assert all(position <= reduced for position, reduced, _ in acknowledged)
    busy = [position for position, reduced, given in acknowledged if reduced < given]
    assert len(busy) >= 3, acknowledged  # while others waited
    assert acknowledged[-1] == (400, 400, 400)


def test_what_is_on_its_way_at_the_end_is_acknowledged_when_it_has_been_sent(cfg):
    """Else a run that has ended would be derived again by whoever goes on."""
    acknowledged, asked = [], []

    class Source:
        endpoint, lonely = "everywhere", False

        def documents(self, over):
            yield from raw_run([image(0)])

        def position(self, open_runs):
            return "all"

        def acknowledge(self, position):
            acknowledged.append(position)

        def close(self):
            pass

    class Sink:
        endpoint, lonely = "far away", False

        def __call__(self, name, doc):
            pass

        def flush(self):
            asked.append(None)
            return len(asked) > 3

        def close(self):
            pass

    Serving(ReductionCallback(cfg), Source(), [Sink()]).run(threading.Event())
    assert acknowledged == ["all"]


class Somewhere:
    """A sink that takes everything."""

    endpoint, lonely, peers, undelivered = "somewhere", False, None, None

    def __call__(self, name, doc):
        pass

    def flush(self):
        return True

    def close(self):
        pass


def test_the_status_says_of_each_sink_what_did_not_arrive_where_that_is_known(cfg, serve):
    class Counting(Somewhere):
        undelivered = {"MSG_SIZE_TOO_LARGE": 3}  # noqa: RUF012

    class Raising(Somewhere):
        undelivered = {}  # noqa: RUF012

        def __call__(self, name, doc):
            if name == "event":
                raise OSError("gone")

    service = serve(sinks=[Somewhere(), Counting(), Raising()])
    assert [each["undelivered"] for each in service.ask("status")["to"]] == [None, None, {"MSG_SIZE_TOO_LARGE": 3}, {}]
    send(service.publish, list(raw_run([image(i) for i in range(2)])))
    service.wait_for(1)
    counts = [each["undelivered"] for each in service.ask("status")["to"]]
    assert counts == [None, None, {"MSG_SIZE_TOO_LARGE": 3}, {"not taken": 2}]


def test_who_hears_of_a_runs_start_and_end_finds_them_in_the_status(serve):
    heard = {}

    class Asking(Somewhere):
        def __call__(self, name, doc):
            status = service.serving.status()
            heard[name] = status["runs_open"], status["runs_ended"], status["frames"]["reduced"]

    service = serve(sinks=[Asking()])
    send(service.publish, list(raw_run([image(i) for i in range(2)])))
    service.wait_for(1)
    service.wait(lambda: "stop" in heard)
    assert heard["start"] == (1, 0, 0)
    assert heard["stop"] == (0, 1, 2)


def test_the_end_takes_no_longer_than_it_may():
    """The times for waiting, closing and sending do not add up."""
    asked = []

    class Stuck:
        def subscribe(self, func, own_thread=False):
            pass

        def fence(self):
            raise AssertionError("nothing is acknowledged")

        def wait(self, timeout):
            asked.append(timeout)
            time.sleep(timeout)
            return False

        def close(self, timeout, reason):
            asked.append(timeout)

    class Source:
        endpoint, lonely, closed = "nowhere", False, False

        def documents(self, over):
            yield from ()
            raise OSError("gone")

        def close(self):
            self.closed = True

    source = Source()
    with pytest.raises(OSError, match="gone"):
        Serving(Stuck(), source, drain_s=0.3).run(threading.Event())
    waited, closing = asked
    assert waited <= 0.3
    assert closing <= 5.0
    assert source.closed


def test_whoever_is_missing_is_said(serve, caplog, monkeypatch):
    monkeypatch.setattr("bluesky_diffractogram.service.serving.LOOK_EVERY_S", 0.1)
    monkeypatch.setattr("bluesky_diffractogram.service.connections.SAID_AFTER_S", 0.3)
    caplog.set_level(logging.INFO, "bluesky_diffractogram")
    service = serve()
    assert service.ask("status")["from"]["connected"] == 1
    service.publish.socket.close()
    service.wait(lambda: "no publisher or proxy is connected" in caplog.text)
    assert service.ask("status")["from"]["connected"] == 0
    service.publish = Publisher(service.ports[0])
    service.wait(lambda: f"{service.source.endpoint}: connected" in caplog.text)
    assert caplog.text.count("is connected") == 1


@pytest.mark.slow
def test_derived_runs_go_to_a_tiled_server_with_a_key_from_the_environment(serve, tmp_path, monkeypatch, caplog):
    from tiled.client import from_uri
    from tiled_servers import tiled_server

    caplog.set_level(logging.INFO, "bluesky_diffractogram")
    with tiled_server(tmp_path) as server:
        monkeypatch.setenv("TILED_API_KEY", server.key)
        service = serve(sinks=[open_sink(parse_address(server.uri.replace("http", "tiled+http")))])
        send(service.publish, list(raw_run([image(i) for i in range(3)])))
        service.wait_for(1)
        service.end()
        assert server.key not in caplog.text
        run = from_uri(server.uri, api_key=server.key)[service.collected.of("start")[0]["uid"]]
        stored = run["diffractogram"]["diff_1"].read()
    np.testing.assert_array_equal(np.asarray(stored), curves(service.collected))


def test_what_comes_by_kafka_goes_on_by_0mq(serve, monkeypatch, caplog):
    """The mock brokers of librdkafka; the run is there before the service is."""
    confluent_kafka = pytest.importorskip("confluent_kafka", reason="the extra kafka is not installed")
    caplog.set_level(logging.INFO, "bluesky_diffractogram")
    cluster = confluent_kafka.Producer({"test.mock.num.brokers": 1, "bootstrap.servers": ""})
    (broker,) = cluster.list_topics(timeout=10).brokers.values()
    brokers = f"{broker.host}:{broker.port}"
    producer = confluent_kafka.Producer({"bootstrap.servers": brokers})
    documents = list(raw_run([image(i) for i in range(3)]))
    for pair in documents:
        producer.produce("raw", key="beamline", value=pack(pair))
    producer.flush(10)
    monkeypatch.setenv("DIFFRACTOGRAM_KAFKA", json.dumps({"auto.offset.reset": "earliest"}))
    service = serve(source=open_source(parse_address(f"kafka://{brokers}/raw"), group="g"))
    service.wait_for(1)
    assert frames_add_up(service.collected.of("stop")[0])["reduced"] == 3
    assert 1 <= service.ask("status")["from"]["connected"] <= 4
    service.end()
    assert f"run {documents[0][1]['uid']}" in caplog.text


def test_a_service_that_fails_beside_its_window_ends(monkeypatch):
    """The window's loop would go on, and whoever restarts what has ended would see nothing."""

    class Failing:
        def run(self, over):
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        _beside_the_window(Failing(), threading.Event())


def test_without_a_display_a_window_is_an_error(cfg, tmp_path):
    (tmp_path / "cfg.json").write_text(json.dumps(cfg))
    run = CliRunner().invoke(app, ["serve", "--window", "--config", str(tmp_path / "cfg.json")])
    assert run.exit_code == 2
    assert "no display" in run.output


@pytest.mark.parametrize("option", ["--out", "--in", "--control"])
def test_a_secret_in_an_address_is_refused_and_not_shown(cfg, tmp_path, option):
    (tmp_path / "cfg.json").write_text(json.dumps(cfg))
    address = "tiled+http://127.0.0.1:1/api?api_key=hidden"
    run = CliRunner().invoke(app, ["serve", option, address, "--config", str(tmp_path / "cfg.json")])
    assert run.exit_code == 2
    assert "TILED_API_KEY" in run.output
    assert "hidden" not in run.output
