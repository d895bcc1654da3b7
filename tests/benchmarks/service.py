"""What the service gets through, against the transport alone: ``python tests/benchmarks/service.py``.

A publisher, the service and this listener are three processes with real sockets between them. Prints a table and
writes JSON; ``--soak`` sends many small frames instead and looks at the memory of the service.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
from event_model import compose_run
from rich.console import Console
from rich.table import Table

from bluesky_diffractogram import ReductionCallback
from bluesky_diffractogram.files import HDF5Frames
from bluesky_diffractogram.transport import pack, unpack
from bluesky_diffractogram.transport.address import parse_address
from bluesky_diffractogram.transport.control import ask
from bluesky_diffractogram.transport.wire import split_message
from bluesky_diffractogram.transport.zmq_source import ZmqSource

DETECTORS = {"1 Mpx": ("Pilatus1M", (1043, 981), 172e-6), "4 Mpx": ("Eiger4M", (2167, 2070), 75e-6)}
PONI = """poni_version: 2.1
Detector: Detector
Detector_config: {{"pixel1": {pixel}, "pixel2": {pixel}, "max_shape": [{ny}, {nx}], "orientation": 3}}
Distance: 0.2
Poni1: {poni1}
Poni2: {poni2}
Rot1: 0.01
Rot2: -0.01
Rot3: 0
Wavelength: 1e-10
"""

# In a process of its own, so that packing takes nothing from the service but a core.
PUBLISHER = """
    import json, sys, time
    import numpy as np, zmq
    from event_model import compose_run
    from bluesky_diffractogram.transport import pack

    what = json.loads(sys.argv[1])
    socket = zmq.Context.instance().socket(zmq.PUB)
    socket.set_hwm(0)
    socket.connect(what["to"])
    time.sleep(1)
    image = np.load(what["frame"])
    run = compose_run()
    in_file = what["file"] is not None
    key = {"source": "s", "dtype": "array", "shape": [1, *image.shape], "dtype_numpy": image.dtype.str}
    if in_file:
        key["external"] = "STREAM:"
    bundle = run.compose_descriptor(name="primary", data_keys={"det": key}, object_keys={"det": ["det"]}, hints={})

    def send(name, doc):
        socket.send(b" ".join([b"", name.encode(), pack(doc)]))

    send("start", run.start_doc)
    send("descriptor", bundle.descriptor_doc)
    resource = {"uid": "r", "run_start": run.start_doc["uid"], "data_key": "det", "mimetype": "application/x-hdf5",
                "uri": f"file://localhost{what['file']}", "parameters": {"dataset": "/entry/data/data"}}
    if in_file:
        send("stream_resource", resource)
    for i in range(what["frames"]):
        if in_file:
            send("stream_datum", {"uid": f"r/{i}", "stream_resource": "r", "descriptor": bundle.descriptor_doc["uid"],
                 "indices": {"start": i, "stop": i + 1}, "seq_nums": {"start": i + 1, "stop": i + 2}})
        data = {} if in_file else {"det": image}
        timestamps = dict.fromkeys(data, 1.0)
        send("event", bundle.compose_event(data=data, timestamps=timestamps, seq_num=i + 1, validate=False))
    send("stop", run.compose_stop())
    socket.close(linger=-1)
    zmq.Context.instance().term()
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def publish(to: str, frame: Path, frames: int, file: Path | None) -> subprocess.Popen:
    what = {"to": to, "frame": str(frame), "frames": frames, "file": None if file is None else str(file)}
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(PUBLISHER), json.dumps(what)])


def rate(times: list[float]) -> float:
    """Frames per second from the first to the last."""
    return (len(times) - 1) / (times[-1] - times[0])


def transport_alone(frame: Path, frames: int, file: Path | None = None) -> float:
    """Events per second that are received and unpacked, and no more: with the frame in them, or with references."""
    port, over, times = free_port(), threading.Event(), []
    with ZmqSource(parse_address(f"0mq+bind://127.0.0.1:{port}")) as source:
        publisher = publish(f"tcp://127.0.0.1:{port}", frame, frames, file)
        for document in source.documents(over):
            if document is not None and document[0] == "event":
                times.append(time.perf_counter())
            if document is not None and document[0] == "stop":
                over.set()
        publisher.wait()
    return rate(times)


def stages(config: Path, image: np.ndarray, stack: Path, times: int) -> dict[str, float]:
    """Where the time goes: the median of each step with one frame, in ms, alone in this process."""
    run = compose_run()
    key = {"source": "s", "dtype": "array", "shape": list(image.shape), "dtype_numpy": image.dtype.str}
    bundle = run.compose_descriptor(name="primary", data_keys={"det": key}, object_keys={"det": ["det"]}, hints={})
    events = [
        bundle.compose_event(data={"det": image}, timestamps={"det": 1.0}, validate=False) for _ in range(times + 3)
    ]
    derived: list[dict] = []
    message = b" event " + pack(events[0])
    spent: dict[str, list[float]] = {}

    def measure(what: str, step: Callable[[], object]) -> None:
        began = time.perf_counter()
        step()
        spent.setdefault(what, []).append((time.perf_counter() - began) * 1e3)

    frames = HDF5Frames.open(str(stack), "/entry/data/data")
    with ReductionCallback(str(config), background=False) as callback:
        callback.subscribe(lambda name, doc: derived.append(doc) if name == "event" else None)
        callback("start", run.start_doc)
        callback("descriptor", bundle.descriptor_doc)
        for event in events[:3]:  # builds the tables, compiles
            callback("event", event)
        for index, event in enumerate(events[3:]):
            measure("pack the raw event (publisher)", lambda: pack(events[0]))
            measure("unpack it", lambda: unpack(split_message(memoryview(message))[2]))
            measure("read it from a file instead", lambda: frames.read(index % times))  # noqa: B023  (called at once)
            measure("reduce it and compose the derived event", lambda: callback("event", event))  # noqa: B023
            measure("pack the derived event", lambda: pack(derived[-1]))
        callback("stop", run.compose_stop())
    frames.close()
    return {what: statistics.median(each) for what, each in spent.items()}


class Service:
    def __init__(self, config: Path) -> None:
        self.incoming, outgoing, control = (free_port() for _ in range(3))
        self.control = parse_address(f"0mq://127.0.0.1:{control}")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bluesky_diffractogram", "serve", "--in", f"0mq+bind://127.0.0.1:{self.incoming}",
             "--out", f"0mq+bind://127.0.0.1:{outgoing}", "--config", str(config),
             "--control", f"0mq://127.0.0.1:{control}"], stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.source = ZmqSource(parse_address(f"0mq://127.0.0.1:{outgoing}"))
        while True:
            try:
                ask(self.control, "status", timeout=1)
                break
            except TimeoutError:
                assert self.process.poll() is None

    def reduce(self, frame: Path, frames: int, file: Path | None = None, at=None) -> tuple[list[float], dict]:
        """When the derived events came, and what the stop says."""
        over, times, tally = threading.Event(), [], {}
        publisher = publish(f"tcp://127.0.0.1:{self.incoming}", frame, frames, file)
        for document in self.source.documents(over):
            name, doc = document or (None, {})
            if name == "event":
                times.append(time.perf_counter())
                if at is not None:
                    at(len(times), self)
            elif name == "stop":
                tally = doc["frames"]
                over.set()
        publisher.wait()
        return times, tally

    def resident(self) -> float:
        """In MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def open_files(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        self.source.close()


def prepare(folder: Path, size: str, frames: int) -> tuple[Path, Path, Path, np.ndarray]:
    """Configuration, frame, and a bitshuffle/LZ4 stack."""
    _, shape, pixel = DETECTORS[size]
    poni = folder / f"{shape[0]}.poni"
    poni.write_text(
        PONI.format(pixel=pixel, ny=shape[0], nx=shape[1], poni1=shape[0] / 2 * pixel, poni2=shape[1] / 2 * pixel)
    )
    ranges = [[start, start + 30, None, None] for start in (0, 90, 180, 270)]
    config = folder / f"{shape[0]}.json"
    config.write_text(json.dumps({"calibration": str(poni), "diff_ranges": ranges, "diff_units": "2th [deg]"}))
    image = np.random.default_rng(1).poisson(20, shape).astype(np.uint32)
    np.save(folder / f"{shape[0]}.npy", image)
    stack = folder / f"{shape[0]}.h5"
    with h5py.File(stack, "w") as file:
        data = file.create_dataset(
            "entry/data/data", (frames, *shape), np.uint32, chunks=(1, *shape), **hdf5plugin.Bitshuffle(cname="lz4")
        )
        data[0] = image
        _, chunk = data.id.read_direct_chunk((0, 0, 0))
        for index in range(1, frames):
            data.id.write_direct_chunk((index, 0, 0), chunk)
    return config, folder / f"{shape[0]}.npy", stack, image


def throughput(folder: Path, quick: bool) -> list[dict]:
    results = []
    for size, (_, shape, _) in DETECTORS.items():
        frames = 12 if quick else (300 if shape[0] < 2000 else 120)
        config, frame, stack, image = prepare(folder, size, frames)
        alone, references = transport_alone(frame, frames), transport_alone(frame, frames, stack)
        service = Service(config)
        try:
            service.reduce(frame, 3)  # warm
            events, tally = service.reduce(frame, frames)
            files, of_files = service.reduce(frame, frames, stack)
        finally:
            service.end()
        for each in (tally, of_files):
            assert each["received"] == each["reduced"] == frames, each
        results.append(
            {
                "frames": size, "megabytes": round(image.nbytes / 1e6, 1), "transport alone": alone,
                "transport alone, references": references, "service": rate(events),
                "service, from files": rate(files), "ms a frame": stages(config, image, stack, min(frames, 30)),
            }
        )  # fmt: skip
        if quick:
            break
    return results


def soak(folder: Path, frames: int) -> dict:
    """Many small frames, and the service's memory after a fifth and at the end."""
    shape = (120, 130)
    poni = folder / "small.poni"
    poni.write_text(PONI.format(pixel=1e-3, ny=shape[0], nx=shape[1], poni1=0.06, poni2=0.065))
    config = folder / "small.json"
    config.write_text(json.dumps({"calibration": str(poni), "diff_units": "2th [deg]", "npt": 200}))
    np.save(folder / "small.npy", np.random.default_rng(1).poisson(20, shape).astype(np.uint16))
    measured = {}

    def look(number: int, service: Service) -> None:
        if number in (frames // 5, frames):
            measured[number] = service.resident(), service.open_files()

    service = Service(config)
    try:
        times, tally = service.reduce(folder / "small.npy", frames, at=look)
    finally:
        service.end()
    assert len(times) == tally["received"] == tally["reduced"] == frames, (len(times), tally)
    assert "missing" not in tally, tally
    (early, early_files), (late, late_files) = measured.values()
    return {
        "frames": frames, "tally": tally, "frames per second": rate(times), "resident MB after a fifth": early,
        "resident MB at the end": late, "MB per 1000 frames": (late - early) / (0.8 * frames / 1000),
        "open files": [early_files, late_files],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few frames of one size, to see that it works")
    parser.add_argument("--soak", type=int, metavar="FRAMES", help="send so many small frames instead")
    parser.add_argument("--json", type=Path, default=Path("docs/benchmark-service.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        known = json.loads(options.json.read_text()) if options.json.exists() else {}
        if options.soak:
            known["soak"] = soak(folder, options.soak)
            Console().print_json(data=known["soak"])
        else:
            known["throughput"] = throughput(folder, options.quick)
            table = Table(
                "frames",
                "MB each",
                *(f"{what}: frames/s (MB/s)" for what in ("transport alone", "service", "service, from files")),
            )
            for case in known["throughput"]:
                rates = (case[what] for what in ("transport alone", "service", "service, from files"))
                size = case["megabytes"]
                table.add_row(case["frames"], str(size), *(f"{each:.1f} ({each * size:.0f})" for each in rates))
            Console(width=140).print(table)
            for case in known["throughput"]:
                steps = Table(f"{case['frames']}: one step after the other, alone", "ms a frame")
                for what, spent in case["ms a frame"].items():
                    steps.add_row(what, f"{spent:.2f}")
                steps.add_row("receive and unpack a reference", f"{1e3 / case['transport alone, references']:.2f}")
                Console(width=140).print(steps)
        options.json.write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main()
