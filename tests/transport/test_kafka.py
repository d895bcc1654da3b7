"""Documents through librdkafka's mock brokers, between our ends and bluesky-kafka's."""

from __future__ import annotations

import json
import threading
import time
import uuid

import numpy as np
import pytest

from bluesky_diffractogram.transport import pack
from bluesky_diffractogram.transport.address import parse_address
from bluesky_diffractogram.transport.kafka_settings import VARIABLE, kafka_settings

confluent_kafka = pytest.importorskip("confluent_kafka", reason="the extra kafka is not installed")
bluesky_kafka = pytest.importorskip("bluesky_kafka")

from bluesky_diffractogram.transport.kafka_sink import KafkaSink  # noqa: E402
from bluesky_diffractogram.transport.kafka_source import MOST_OPEN_RUNS, KafkaSource  # noqa: E402

# The mock brokers let a second member in only when the session of the first, though it has left, is over.
EARLIEST = {"auto.offset.reset": "earliest", "session.timeout.ms": 6000}


@pytest.fixture(scope="module")
def brokers():
    """Where the mock brokers are; they live as long as the producer that made them."""
    producer = confluent_kafka.Producer({"test.mock.num.brokers": 1, "bootstrap.servers": ""})
    found = producer.list_topics(timeout=10).brokers.values()
    yield ",".join(f"{broker.host}:{broker.port}" for broker in found)
    producer.flush(1)


@pytest.fixture
def address(brokers):
    return parse_address(f"kafka://{brokers}/runs.{uuid.uuid4()}")


@pytest.fixture
def source(address):
    sources = []

    def make(**options):
        sources.append(KafkaSource(address, f"group of {address.topic}", settings=EARLIEST, **options))
        return sources[-1]

    yield make
    for each in sources:
        each.close()


def publish(address, documents, key="key"):
    publisher = bluesky_kafka.Publisher(address.topic, address.endpoint, key, serializer=pack)
    send(publisher, documents)
    publisher.flush()


def run_of(number=2):
    uid, descriptor = str(uuid.uuid4()), str(uuid.uuid4())
    yield "start", {"uid": uid, "time": 1.0}
    yield "descriptor", {"uid": descriptor, "run_start": uid, "name": "primary"}
    for i in range(number):
        yield (
            "event",
            {"uid": f"{uid}/{i}", "descriptor": descriptor, "seq_num": i + 1, "data": {"x": np.arange(i + 2)}},
        )
    yield "stop", {"uid": str(uuid.uuid4()), "run_start": uid}


def take(source, number, timeout=25.0):
    over, taken = threading.Event(), []
    deadline = time.monotonic() + timeout
    for document in source.documents(over):
        if document is not None:
            taken.append(document)
        if len(taken) >= number or time.monotonic() > deadline:
            over.set()
    return taken


def send(function, documents):
    for name, doc in documents:
        function(name, doc)


def same(taken, documents):
    return json.dumps(taken, default=np.ndarray.tolist) == json.dumps(documents, default=np.ndarray.tolist)


def test_what_bluesky_kafka_publishes_is_taken_in_order(address, source):
    documents = list(run_of(5))
    publish(address, documents)
    assert same(take(source(), len(documents)), documents)


def test_what_we_send_bluesky_kafka_consumes(address):
    documents, taken = [*run_of(3), *run_of(1)], []
    sink = KafkaSink(address)
    send(sink, documents)
    assert sink.flush()
    assert not sink._runs  # nothing is kept of runs that have ended

    def keep(consumer, topic, name, doc):
        taken.append((name, doc))

    consumer = bluesky_kafka.BlueskyConsumer(
        [address.topic], address.endpoint, "others", EARLIEST, process_document=keep
    )
    deadline = time.monotonic() + 15
    consumer.start(continue_polling=lambda: len(taken) < len(documents) and time.monotonic() < deadline)
    for run in (documents[:6], documents[6:]):
        assert same([pair for pair in taken if belongs(pair, run)], run)


def test_garbage_is_counted_and_the_next_document_is_taken(address, source):
    producer = confluent_kafka.Producer({"bootstrap.servers": address.endpoint})
    for value in (b"", None, b"\xc1", pack("start"), pack(("nonsense", {})), pack(("start", [])), bytes(2000)):
        producer.produce(address.topic, key="k", value=value)
        producer.produce(address.topic, key="k", value=pack(("start", {"uid": "good"})))
    producer.flush()
    ours = source(most_bytes=1000)
    assert take(ours, 7) == [("start", {"uid": "good"})] * 7
    assert dict(ours.refused) == {"garbage": 5, "unknown name": 1, "too large": 1}


def test_what_was_not_acknowledged_is_given_again_and_what_was_is_not(address, source):
    first, second = list(run_of(2)), list(run_of(2))
    publish(address, [*first, *second[:3]])  # the second run is open
    ours = source()
    assert len(take(ours, len(first) + 3)) == len(first) + 3
    ours.acknowledge()
    ours.close()  # as if it had died: the open run has to be read again from its start
    publish(address, second[3:])
    again = source()
    assert same(take(again, len(second)), second)
    again.acknowledge()
    ((number, partition),) = again._partitions.items()
    (committed,) = again._consumer.committed([confluent_kafka.TopicPartition(address.topic, number)], timeout=10)
    assert committed.offset == partition.next == len(first) + len(second)


def test_without_acknowledgement_all_is_given_again(address, source):
    documents = list(run_of(1))
    publish(address, documents)
    for _ in range(2):
        ours = source()
        assert same(take(ours, len(documents)), documents)
        ours.close()


def test_runs_without_stop_do_not_hold_the_rest_back_for_ever(address, source):
    publish(address, [next(iter(run_of())) for _ in range(MOST_OPEN_RUNS + 10)])
    ours = source()
    take(ours, MOST_OPEN_RUNS + 10)
    (partition,) = ours._partitions.values()
    assert len(partition.open) == MOST_OPEN_RUNS
    assert partition.safe == partition.next - MOST_OPEN_RUNS


def test_two_of_a_group_share_the_partitions_and_a_run_stays_with_one(brokers):
    """And what one has of a run when the other takes over is ended, for the other begins it anew."""
    topic = f"runs.{uuid.uuid4()}"
    address = parse_address(f"kafka://{brokers}/{topic}")
    made = confluent_kafka.Producer({"bootstrap.servers": brokers}).list_topics(topic, timeout=10)  # makes it
    assert len(made.topics[topic].partitions) == 4
    over, taken = threading.Event(), [[], []]
    sources = [KafkaSource(address, f"group of {topic}", settings=EARLIEST) for _ in range(2)]

    def listen(number):
        for document in sources[number].documents(over):
            if document is not None:
                taken[number].append(document)

    threads = [threading.Thread(target=listen, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    time.sleep(6)  # to share them out
    runs = [list(run_of(3)) for _ in range(16)]
    for number, run in enumerate(runs):
        publish(address, run, key=f"beamline {number}")
    deadline = time.monotonic() + 30
    while sum(map(len, taken)) < sum(map(len, runs)) and time.monotonic() < deadline:
        time.sleep(0.1)
    over.set()
    for thread in threads:
        thread.join()
    for each in sources:
        each.close()
    assert all(taken), "one of them had nothing to do"
    starts = [[doc["uid"] for name, doc in part if name == "start"] for part in taken]
    assert len(set(starts[0]) | set(starts[1])) == 16
    for run in runs:
        of_run = [[pair for pair in part if belongs(pair, run)] for part in taken]
        assert sorted(map(len, of_run)) == [0, len(run)]
        assert same(of_run[0] or of_run[1], run)


def belongs(pair, run):
    uids = {run[0][1]["uid"], run[1][1]["uid"]}
    return bool(uids & {pair[1].get("uid"), pair[1].get("run_start"), pair[1].get("descriptor")})


def test_settings_come_from_the_environment_and_are_not_shown(tmp_path):
    secret = {"sasl.password": "hidden"}
    (tmp_path / "kafka.json").write_text(json.dumps(secret))
    assert kafka_settings({}) == {}
    assert kafka_settings({VARIABLE: json.dumps(secret)}) == secret
    assert kafka_settings({VARIABLE: str(tmp_path / "kafka.json")}) == secret
    for wrong in ('{"sasl.password": "hidden"', "hidden", "[1]"):
        with pytest.raises(ValueError, match=VARIABLE) as error:
            kafka_settings({VARIABLE: wrong})
        assert "hidden" not in str(error.value)


def test_settings_that_librdkafka_does_not_know_are_an_error(address):
    for end in (
        lambda settings: KafkaSource(address, "g", settings=settings),
        lambda s: KafkaSink(address, settings=s),
    ):
        with pytest.raises(ValueError, match="nonsense"):
            end({"nonsense": 1})
