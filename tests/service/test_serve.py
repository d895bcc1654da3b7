"""The service as a process, between others: a RunEngine that publishes, a proxy, and a consumer."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import textwrap

import pytest
from documents.conftest import image, raw_run, send
from documents.test_callback import frames_add_up
from served import ServiceElsewhere

from bluesky_diffractogram.sim.beamline import simulated_beamline


@pytest.fixture
def config_file(cfg, tmp_path):
    path = tmp_path / "cfg.json"
    path.write_text(json.dumps(cfg))
    return path


@pytest.fixture
def serve(config_file, free_port):
    services = []

    def start(*arguments, **options):
        services.append(ServiceElsewhere(config_file, [free_port() for _ in range(3)], *arguments, **options))
        return services[-1]

    yield start
    for service in services:
        service.end()


def test_the_end_of_the_service_ends_its_runs(serve):
    service = serve()
    documents = list(raw_run([image(i) for i in range(3)]))
    for _, doc in documents[:2]:
        doc["uid" if "plan_name" in doc else "run_start"] = "evil\nERROR forged \x1b[2J"
    send(service.publish, documents[:-1])
    service.wait_for(1, "event")
    assert service.end() == 0
    stop = service.collected.of("stop")[0]
    assert stop["exit_status"] == "abort"
    assert "service has ended" in stop["reason"]
    assert frames_add_up(stop)["reduced"] == 3
    (line,) = [line for line in service.log if "evil" in line]
    assert "abort: 3 received, 3 reduced" in line  # a line for each run, and no more
    assert not any("\x1b" in line for line in service.log)


def test_a_control_that_is_taken_is_one_line_and_nothing_else(config_file, free_port):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        control = f"127.0.0.1:{taken.getsockname()[1]}"
        command = [
            sys.executable, "-m", "bluesky_diffractogram", "serve", "--in", f"0mq://127.0.0.1:{free_port()}",
            "--config", str(config_file), "--control", f"0mq://{control}",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 2
    assert done.stderr == f"error: tcp://{control}: Address already in use\n"
    assert done.stdout == ""


SCAN = """
    import sys, time
    from bluesky import RunEngine
    from bluesky.callbacks.zmq import Publisher
    import bluesky.plans as bp
    from bluesky_diffractogram.sim.beamline import simulated_beamline
    from bluesky_diffractogram.transport import pack

    beamline = simulated_beamline(sys.argv[2], detector="small")
    RE = RunEngine({})
    publisher = Publisher(sys.argv[1], serializer=pack)
    RE.subscribe(publisher)
    time.sleep(0.5)  # 0MQ drops what is sent before it is connected
    RE(bp.scan([beamline.detector], beamline.furnace, 300, 400, 3), sample="from afar")
    publisher.close()  # when all is sent
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
    print("listens", flush=True)
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
        assert consumer.stdout.readline() == "listens\n"
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
