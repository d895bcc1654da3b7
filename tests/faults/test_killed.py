"""Processes killed at random moments: nothing is lost that was acknowledged, and the results are the same."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from documents.conftest import Collected, raw_run
from documents.stream_runs import StreamRun, uri_of, write_hdf5
from fault_tools import SHAPE, accounted, curves_of, frame

from bluesky_diffractogram import ReductionCallback, replay
from bluesky_diffractogram.files.state import TICK_S, file_state
from bluesky_diffractogram.replay import sent_blocks
from bluesky_diffractogram.replay import workers as worker_processes
from bluesky_diffractogram.transport import pack
from bluesky_diffractogram.transport.address import parse_address

pytestmark = pytest.mark.timeout(1200)

KAFKA = {"auto.offset.reset": "earliest", "session.timeout.ms": 6000}
POINTS = 3
PACE_S = 0.02
SERVICES = [  # seed, runs, kills
    pytest.param(1, 40, 3, marks=pytest.mark.long),
    pytest.param(2, 40, 3, marks=pytest.mark.long),
    pytest.param(3, 6, 1, marks=pytest.mark.slow),
]
REPLAYS = [  # seed, frames, kills
    pytest.param(1, 300, 3, marks=pytest.mark.long),
    pytest.param(2, 300, 3, marks=pytest.mark.long),
    pytest.param(3, 300, 3, marks=pytest.mark.long),
]


class Topics:
    """librdkafka's mock brokers: raw runs are published to them at a steady pace, derived ones are read from them."""

    def __init__(self, documents):
        confluent_kafka = pytest.importorskip("confluent_kafka", reason="the extra kafka is not installed")
        from bluesky_diffractogram.transport.kafka_source import KafkaSource

        self._cluster = confluent_kafka.Producer({"test.mock.num.brokers": 1, "bootstrap.servers": ""})
        (broker,) = self._cluster.list_topics(timeout=10).brokers.values()
        self.brokers = f"{broker.host}:{broker.port}"
        self.derived, self.over = Collected(), threading.Event()
        self._producer = confluent_kafka.Producer({"bootstrap.servers": self.brokers})
        self._producer.list_topics("derived", timeout=10)  # makes it
        source = KafkaSource(parse_address(f"kafka://{self.brokers}/derived"), "reader", settings=KAFKA)
        self._threads = [
            threading.Thread(target=self._publish, args=(documents,)),
            threading.Thread(target=self._read, args=(source,)),
        ]  # fmt: skip
        for each in self._threads:
            each.start()

    def _publish(self, documents):
        for pair in documents:
            self._producer.produce("raw", key="beamline", value=pack(pair))
            self._producer.poll(0)
            self.over.wait(PACE_S)
        self._producer.flush(10)

    def _read(self, source):
        for document in source.documents(self.over):
            if document is not None:
                self.derived(*document)
        source.close()

    def close(self):
        self.over.set()
        for each in self._threads:
            each.join()


def whole_runs(derived):
    """The raw uids of derived runs that are complete, and the curves of each."""
    raw_uid = {doc["uid"]: doc["raw_uid"] for doc in derived.of("start")}
    run_of = {doc["uid"]: doc["run_start"] for doc in derived.of("descriptor")}
    curves = {}
    for doc in derived.of("event"):
        curves.setdefault(run_of[doc["descriptor"]], []).append(np.asarray(doc["data"]["diff_1"]))
    return {
        raw_uid[doc["run_start"]]: np.array(curves.get(doc["run_start"], []))
        for doc in derived.of("stop")
        if doc["exit_status"] == "success" and doc["frames"]["reduced"] == POINTS
    }


@pytest.mark.parametrize(("seed", "number", "kills"), SERVICES)
def test_a_service_that_is_killed_loses_nothing(cfg, tmp_path, seed, number, kills, record_property):
    """What it had acknowledged it had reduced and sent; the rest is given to the next one."""
    chance = random.Random(seed)
    frames = [[frame(10 * r + n) for n in range(POINTS)] for r in range(number)]
    runs = [list(raw_run(each)) for each in frames]
    expected = {run[0][1]["uid"]: curves_of(cfg, each) for run, each in zip(runs, frames, strict=True)}
    config = tmp_path / "cfg.json"
    # With the usual one a frame is dropped, and counted, that has waited half a minute for what is compiled first.
    config.write_text(json.dumps({**cfg, "queue_size": 1000}))
    portions = threading.Semaphore(0)

    def published():
        """A portion for each service, so that every one has something new to do, and is killed while it does it."""
        for n, run in enumerate(runs):
            if n % (number // (kills + 1)) == 0:
                portions.acquire(timeout=1000)
            yield from run

    topics = Topics(published())
    command = [
        sys.executable, "-m", "bluesky_diffractogram", "serve", "--in", f"kafka://{topics.brokers}/raw",
        "--out", f"kafka://{topics.brokers}/derived", "--config", str(config),
    ]  # fmt: skip
    environment = {**os.environ, "DIFFRACTOGRAM_KAFKA": json.dumps(KAFKA)}
    log = (tmp_path / "log").open("wb")
    process = None
    try:
        deadline = time.monotonic() + 1000  # on a busy machine a service takes a minute to start
        for kill in range(kills + 1):
            portions.release()
            process = subprocess.Popen(command, stderr=log, env=environment)
            until = len(topics.derived) + chance.randint(5, 50 if kills > 1 else 15)
            while len(topics.derived) < until if kill < kills else set(whole_runs(topics.derived)) != set(expected):
                assert process.poll() is None, (tmp_path / "log").read_text()
                assert time.monotonic() < deadline, (tmp_path / "log").read_text()
                time.sleep(0.005 if kill < kills else 0.5)
            if kill < kills:
                process.kill()
                process.wait()
        record_property("killed", kills)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        portions.release(kills + 1)
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()
        topics.close()
        log.close()
    for uid, curves in whole_runs(topics.derived).items():
        np.testing.assert_array_equal(curves, expected[uid])


@pytest.mark.parametrize(("seed", "number", "kills"), REPLAYS)
def test_workers_that_are_killed_cost_nothing_but_time(
    cfg, tmp_path, seed, number, kills, monkeypatch, record_property
):
    """A quick one is in ``tests/replay/test_workers.py``."""
    monkeypatch.setattr(sent_blocks, "FIRST_FRAMES", 10)
    monkeypatch.setattr(sent_blocks.SentBlocks, "_fit", lambda *_: None)
    chance = random.Random(seed)
    frames = [frame(n) for n in range(number)]
    write_hdf5(tmp_path / "frames.h5", frames)
    while file_state(str(tmp_path / "frames.h5")) is None:  # just written: frames of it are known by no digest yet
        time.sleep(TICK_S)
    run = list(StreamRun(uri_of(tmp_path / "frames.h5"), shape=[1, *SHAPE]).step_scan(len(frames)))
    expected = Collected()
    with ReductionCallback(cfg, background=False) as diff:
        diff.subscribe(expected)
        for document in run:
            diff(*document)
    cluster, client = worker_processes._start(2)
    derived, killed = Collected(), 0
    moments = sorted(chance.sample(range(20, number - 50), kills))
    try:
        for name, doc in replay(run, cfg, workers=client):
            derived(name, doc)
            if moments and len(derived) >= moments[0]:
                moments.pop(0)
                time.sleep(chance.uniform(0, 0.05))
                alive = [each.pid for each in cluster.workers.values() if each.pid]
                os.kill(chance.choice(alive), signal.SIGKILL)
                killed += 1
    finally:
        client.close()
        cluster.close()
    record_property("killed", killed)
    assert killed == kills
    accounted(derived, len(frames), reduced=len(frames))
    for mine, theirs in zip(derived.of("event"), expected.of("event"), strict=True):
        np.testing.assert_equal(mine["data"], theirs["data"])
