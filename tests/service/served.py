"""A service with its control, and what it publishes: in this process, or in one of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import zmq
from documents.conftest import Collected

from bluesky_diffractogram import ReductionCallback
from bluesky_diffractogram.service.answers import answers
from bluesky_diffractogram.service.serving import Serving
from bluesky_diffractogram.transport import pack
from bluesky_diffractogram.transport.address import parse_address
from bluesky_diffractogram.transport.control import ControlServer, ask
from bluesky_diffractogram.transport.zmq_sink import ZmqSink
from bluesky_diffractogram.transport.zmq_source import ZmqSource


def curves(documents):
    """``(n, 2, npt)`` of range 1."""
    return np.array([event["data"]["diff_1"] for event in documents.of("event")])


class Publisher:
    """A raw socket that sends what bluesky's ``Publisher`` does."""

    def __init__(self, port):
        self.socket = zmq.Context.instance().socket(zmq.PUB)
        self.socket.linger = 2000
        self.socket.set_hwm(0)
        self.socket.connect(f"tcp://127.0.0.1:{port}")

    def __call__(self, name, doc):
        self.socket.send(b" ".join([b"", name.encode(), pack(doc)]))


class Around:
    """What is around a service: a publisher, a listener, and who asks it."""

    def __init__(self, ports):
        incoming, outgoing, control = ports
        self.ports = ports
        self.control = parse_address(f"0mq://127.0.0.1:{control}")
        self.incoming, self.outgoing = f"0mq+bind://127.0.0.1:{incoming}", f"0mq+bind://127.0.0.1:{outgoing}"
        self.publish = Publisher(incoming)
        self.collected, self._not_listening = Collected(), threading.Event()
        self._listener = threading.Thread(target=self._listen, args=(f"0mq://127.0.0.1:{outgoing}",))
        self._listener.start()

    def _listen(self, address):
        with ZmqSource(parse_address(address)) as source:
            for document in source.documents(self._not_listening):
                if document is not None:
                    self.collected(*document)

    def ask(self, request, value=None):
        return ask(self.control, request, value)

    def wait_until_heard(self, published=True):
        """0MQ loses what is sent before the way there is open, in both directions."""
        if published:
            self.wait(lambda: self.publish("stop", {"run_start": "nobody's"}) or self.ask("status")["documents"])
        self.wait(lambda: self.ask("status")["to"][0]["connected"])

    def wait_for(self, number, kind="stop"):
        self.wait(lambda: len(self.collected.of(kind)) >= number)

    def wait(self, condition, timeout=60):
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, self.collected.names
            time.sleep(0.02)

    def leave(self):
        self._not_listening.set()
        self._listener.join()
        self.publish.socket.close()


class ServiceHere(Around):
    """In a thread of this process."""

    def __init__(self, cfg, ports, source=None, sinks=(), **options):
        super().__init__(ports)
        self.callback = ReductionCallback(cfg)
        self.source = source or ZmqSource(parse_address(self.incoming))
        sinks = [ZmqSink(parse_address(self.outgoing)), *sinks]
        self.serving = Serving(self.callback, self.source, sinks, **options)
        self.server = ControlServer(self.control, answers(self.callback, self.serving.status))
        self.over = threading.Event()
        self._ended = False  # a test may have set `over` itself
        self._thread = threading.Thread(target=self.serving.run, args=(self.over,))
        self._thread.start()
        self.wait_until_heard(published=source is None)

    def end(self):
        if self._ended:
            return
        self._ended = True
        self.over.set()
        self._thread.join(60)
        assert not self._thread.is_alive()
        self.server.close()
        time.sleep(0.2)  # for the last documents to be heard
        self.leave()


class ServiceElsewhere(Around):
    """``serve`` as a process."""

    def __init__(self, config_file, ports, *arguments, source=None, env=()):
        super().__init__(ports)
        command = [
            sys.executable, "-m", "bluesky_diffractogram", "serve", "--in", source or self.incoming,
            "--out", self.outgoing, "--config", str(config_file),
            "--control", f"0mq://{self.control.endpoint.removeprefix('tcp://')}", *arguments,
        ]  # fmt: skip
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **dict(env)})
        self.log = []
        self._reader = threading.Thread(target=lambda: self.log.extend(self.process.stderr), daemon=True)
        self._reader.start()
        self.wait(lambda: "serving: " in "".join(self.log) or self.process.poll() is not None)
        if self.process.poll() is None:
            self.wait_until_heard(published=source is None)

    def end(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            code = self.process.wait(60)
        finally:
            self.process.kill()
            self._reader.join()
            self.leave()
        return code
