"""The service as a process, between others: a RunEngine that publishes, a proxy, and a consumer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest
import zmq
from documents.conftest import SHAPE, Collected, image, raw_run, send
from documents.test_callback import assert_valid, frames_add_up
from ponis import write_poni
from typer.testing import CliRunner

from bluesky_diffractogram import ReductionCallback
from bluesky_diffractogram.service.cli import app
from bluesky_diffractogram.sim.beamline import simulated_beamline
from bluesky_diffractogram.transport import pack
from bluesky_diffractogram.transport.address import parse_address
from bluesky_diffractogram.transport.control import ControlRefused, ask
from bluesky_diffractogram.transport.zmq_source import ZmqSource

START_S = 60


@pytest.fixture
def cfg(tmp_path):
    poni = write_poni(tmp_path / "small.poni", shape=SHAPE, pixel=(6e-4, 5e-4), rot=(0.02, -0.03, 0.0))
    return {"calibration": str(poni), "diff_ranges": [[10, 60, 4, 16], [-5, 40, 5, 15]], "npt": 150}


@pytest.fixture
def config_file(cfg, tmp_path):
    path = tmp_path / "cfg.json"
    path.write_text(json.dumps(cfg))
    return path


class Service:
    """``serve`` as a process, with its control, and what it publishes."""

    def __init__(self, config_file, ports, *arguments, source=None, env=()):
        incoming, outgoing, control = ports
        self.control = parse_address(f"0mq://127.0.0.1:{control}")
        self.incoming = source or f"0mq+bind://127.0.0.1:{incoming}"
        command = [
            sys.executable, "-m", "bluesky_diffractogram", "serve", "--in", self.incoming,
            "--out", f"0mq+bind://127.0.0.1:{outgoing}", "--config", str(config_file),
            "--control", f"0mq://127.0.0.1:{control}", *arguments,
        ]  # fmt: skip
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **dict(env)})
        self.log = []
        threading.Thread(target=lambda: self.log.extend(self.process.stderr), daemon=True).start()
        self.publisher = zmq.Context.instance().socket(zmq.PUB)
        self.publisher.linger = 2000
        self.publisher.set_hwm(0)
        self.publisher.connect(f"tcp://127.0.0.1:{incoming}")
        self.collected, self.over = Collected(), threading.Event()
        self.listener = threading.Thread(target=self._listen, args=(f"0mq://127.0.0.1:{outgoing}",))
        self.listener.start()
        deadline = time.monotonic() + START_S
        while True:
            try:
                ask(self.control, "status", timeout=1)
                break
            except TimeoutError:
                assert self.process.poll() is None, "".join(self.log)
                assert time.monotonic() < deadline, "".join(self.log)
        while source is None and ask(self.control, "status")["documents"] == 0:  # until the way there is open
            self.publish("stop", {"run_start": "nobody's"})
            time.sleep(0.05)

    def _listen(self, address):
        with ZmqSource(parse_address(address)) as source:
            for document in source.documents(self.over):
                if document is not None:
                    self.collected(*document)

    def publish(self, name, doc):
        self.publisher.send(b" ".join([b"", name.encode(), pack(doc)]))

    def wait_for(self, number, kind="stop", timeout=60):
        deadline = time.monotonic() + timeout
        while len(self.collected.of(kind)) < number:
            assert time.monotonic() < deadline, f"{self.collected.names}\n{''.join(self.log)}"
            time.sleep(0.02)

    def end(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            code = self.process.wait(60)
        finally:
            self.process.kill()
            self.over.set()
            self.listener.join()
            self.publisher.close()
        return code


@pytest.fixture
def serve(config_file, free_port):
    services = []

    def start(*arguments, **options):
        services.append(Service(config_file, [free_port() for _ in range(3)], *arguments, **options))
        return services[-1]

    yield start
    for service in services:
        service.end()


def curves(documents):
    return np.array([event["data"]["diff_1"] for event in documents.of("event")])


def test_a_run_is_reduced_elsewhere_as_it_is_here(cfg, serve):
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
    assert service.end() == 0
    lines = [line for line in service.log if f"run {documents[0][1]['uid']}" in line]
    assert len(lines) == 1
    assert "success: 4 received, 4 reduced" in lines[0]


def test_it_is_reconfigured_and_asked_while_it_runs(cfg, serve):
    service = serve()
    documents = list(raw_run([image(i) for i in range(4)]))
    send(service.publish, documents[:4])  # start, descriptor, two events
    service.wait_for(2, "event")
    answer = ask(service.control, "configure", {"diff_units": "2th [deg]"})
    assert answer["diff_units"] == "2th [deg]"
    with pytest.raises(ControlRefused, match=r"diff_units.*2th \[deg\]"):
        ask(service.control, "configure", {"diff_units": "furlongs"})
    assert ask(service.control, "configuration") == answer
    send(service.publish, documents[4:])
    service.wait_for(1)
    assert [doc["name"] for doc in service.collected.of("descriptor")] == ["diffractogram", "diffractogram_2"]
    status = ask(service.control, "status")
    assert status["frames"]["reduced"] == 4
    assert (status["runs_ended"], status["runs_open"]) == (1, 0)
    assert ask(service.control, "results")["unit"] == "2th_deg"
    for request in ("show", "collect"):
        ask(service.control, request, False)
    assert ask(service.control, "configuration")["show_diff"] is False
    with pytest.raises(ControlRefused, match="expected true or false"):
        ask(service.control, "show", "perhaps")
    control = f"0mq://{service.control.endpoint.removeprefix('tcp://')}"
    run = CliRunner().invoke(app, ["control", control, "status"])
    assert run.exit_code == 0, run.output
    assert json.loads(run.stdout)["frames"]["received"] == 4
    assert CliRunner().invoke(app, ["control", control, '{"collect": true}']).exit_code == 0
    assert ask(service.control, "configuration")["collect"] is True
    refused = CliRunner().invoke(app, ["control", control, '{"diff_units": "furlongs"}'])
    assert refused.exit_code == 1
    assert "diff_units" in refused.output


def test_the_end_of_the_service_ends_its_runs(serve):
    service = serve()
    send(service.publish, list(raw_run([image(i) for i in range(3)]))[:-1])
    service.wait_for(1, "event")
    assert service.end() == 0
    stop = service.collected.of("stop")[0]
    assert stop["exit_status"] == "abort"
    assert "service has ended" in stop["reason"]
    assert frames_add_up(stop)["reduced"] == 3


def test_what_is_lost_on_the_way_is_told(serve):
    service = serve()
    documents = list(raw_run([image(i) for i in range(6)]))
    send(service.publish, [pair for i, pair in enumerate(documents) if i not in (3, 4)])
    service.wait_for(1)
    assert frames_add_up(service.collected.of("stop")[0], missing=2)["reduced"] == 4


def test_garbage_is_counted_and_the_next_run_is_reduced(serve):
    service = serve()
    for garbage in (b"", b" start \xc1", b" nonsense {}", b" event {}", b" start {}", b" descriptor {}", b" stop {}"):
        service.publisher.send(garbage)
    send(service.publish, list(raw_run([image(0)])))
    service.wait_for(1)
    assert frames_add_up(service.collected.of("stop")[0])["reduced"] == 1
    assert ask(service.control, "status")["refused"] == {"garbage": 2, "unknown name": 1}
    assert service.process.poll() is None


SCAN = """
    import sys, time
    from bluesky import RunEngine
    from bluesky.callbacks.zmq import Publisher
    import bluesky.plans as bp
    from bluesky_diffractogram.sim.beamline import simulated_beamline
    from bluesky_diffractogram.transport import pack

    beamline = simulated_beamline(sys.argv[2], detector="small")
    RE = RunEngine({})
    RE.subscribe(Publisher(sys.argv[1], serializer=pack))
    time.sleep(1)  # 0MQ drops what is sent before it is connected
    RE(bp.scan([beamline.detector], beamline.furnace, 300, 400, 3), sample="from afar")
    time.sleep(1)
"""

CONSUMER = """
    import sys
    import matplotlib; matplotlib.use("agg")
    from bluesky.callbacks.mpl_plotting import LivePlot
    from bluesky.callbacks.zmq import RemoteDispatcher
    from event_model import RunRouter
    from bluesky_diffractogram.transport import unpack

    plot = LivePlot("mean_1", sys.argv[2])
    dispatcher = RemoteDispatcher(sys.argv[1], deserializer=unpack)

    def derived_only(name, doc):
        return ([plot], []) if doc.get("purpose") == "diffractogram" else ([], [])

    def end(name, doc):
        if plot.y_data and name == "stop":
            print(list(plot.x_data), list(plot.y_data), flush=True)
            dispatcher.loop.call_soon(dispatcher.loop.stop)

    dispatcher.subscribe(RunRouter([derived_only]))
    dispatcher.subscribe(end)
    try:
        dispatcher.start()
    except RuntimeError:  # stopped
        pass
"""


def python(code, *arguments, **options):
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)], **options)


def test_a_run_engine_a_proxy_the_service_and_a_plot_in_four_processes(free_port, tmp_path):
    """All others are bluesky's own; what is derived goes back through the same proxy."""
    way_in, way_out = free_port(), free_port()
    beamline = simulated_beamline(tmp_path / "beamline", detector="small")
    path = tmp_path / "cfg.json"
    path.write_text(json.dumps(beamline.configuration))
    proxy = python(
        "import sys; from bluesky.callbacks.zmq import Proxy; Proxy(*sys.argv[1:]).start()",
        f"127.0.0.1:{way_in}", f"127.0.0.1:{way_out}",
    )  # fmt: skip
    command = [
        sys.executable, "-m", "bluesky_diffractogram", "serve", "--in", f"0mq://127.0.0.1:{way_out}",
        "--out", f"0mq://127.0.0.1:{way_in}", "--config", str(path),
    ]  # fmt: skip
    service = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    furnace = beamline.furnace.name
    consumer = python(CONSUMER, f"127.0.0.1:{way_out}", furnace, stdout=subprocess.PIPE, text=True)
    try:
        for line in service.stderr:
            if "serving" in line:
                break
        time.sleep(2)  # for the consumer to listen
        scan = python(SCAN, f"127.0.0.1:{way_in}", tmp_path / "scanned")
        plotted, _ = consumer.communicate(timeout=100)
        assert scan.wait(60) == 0
        service.send_signal(signal.SIGTERM)
        assert service.wait(60) == 0
        assert "3 received, 3 reduced" in service.stderr.read()
    finally:
        for process in (proxy, service, consumer):
            process.kill()
            process.wait()
    x, y = (json.loads(f"[{part.strip(' []')}]") for part in plotted.strip().split("] ["))
    assert x == [300.0, 350.0, 400.0]
    assert all(value > 0 for value in y)


@pytest.mark.slow
def test_derived_runs_go_to_a_tiled_server_with_a_key_from_the_environment(cfg, serve, tmp_path):
    from tiled.client import from_uri
    from tiled_servers import tiled_server

    with tiled_server(tmp_path) as server:
        service = serve("--out", server.uri.replace("http", "tiled+http"), env={"TILED_API_KEY": server.key})
        send(service.publish, list(raw_run([image(i) for i in range(3)])))
        service.wait_for(1)
        assert service.end() == 0
        assert server.key not in "".join(service.log)
        run = from_uri(server.uri, api_key=server.key)[service.collected.of("start")[0]["uid"]]
        stored = run["diffractogram"]["diff_1"].read()
    np.testing.assert_array_equal(np.asarray(stored), curves(service.collected))


def test_what_comes_by_kafka_goes_on_by_0mq(cfg, serve, tmp_path):
    """The mock brokers of librdkafka; two runs, the second while the service is not there yet."""
    confluent_kafka = pytest.importorskip("confluent_kafka", reason="the extra kafka is not installed")
    cluster = confluent_kafka.Producer({"test.mock.num.brokers": 1, "bootstrap.servers": ""})
    (broker,) = cluster.list_topics(timeout=10).brokers.values()
    brokers = f"{broker.host}:{broker.port}"
    producer = confluent_kafka.Producer({"bootstrap.servers": brokers})
    documents = list(raw_run([image(i) for i in range(3)]))
    for pair in documents:
        producer.produce("raw", key="beamline", value=pack(pair))
    producer.flush(10)
    settings = json.dumps({"auto.offset.reset": "earliest"})
    service = serve(source=f"kafka://{brokers}/raw", env={"DIFFRACTOGRAM_KAFKA": settings})
    service.wait_for(1)
    assert frames_add_up(service.collected.of("stop")[0])["reduced"] == 3
    assert service.end() == 0
    assert f"run {documents[0][1]['uid']}" in "".join(service.log)
