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
from bluesky_diffractogram.transport.kafka_source import MOVED, KafkaSource  # noqa: E402

# The mock brokers let a second member in only when the session of the first, though it has left, is over.
EARLIEST = {"auto.offset.reset": "earliest", "session.timeout.ms": 4000, "heartbeat.interval.ms": 800}


@pytest.fixture(scope="module")
def brokers():
    """Where the mock brokers are; they live as long as the producer that made them."""
    producer = confluent_kafka.Producer({"test.mock.num.brokers": 1, "bootstrap.servers": ""})
    found = producer.list_topics(timeout=10).brokers.values()
    yield ",".join(f"{broker.host}:{broker.port}" for broker in found)
    producer.flush(1)


@pytest.fixture
def address(brokers):
    return topic_of(brokers)


@pytest.fixture(scope="module")
def joined(brokers):
    """Sources that are alone in their groups, by the word in which their topics differ; that takes three seconds."""
    words = ("order", "default", "garbage", "stops", "again")
    over, sources = threading.Event(), {word: make_source(topic_of(brokers)) for word in words}
    deadline = time.monotonic() + 25
    for each in sources.values():
        for _ in each.documents(over):
            if each.peers or time.monotonic() > deadline:
                break
    assert all(each.peers for each in sources.values())
    yield sources
    for each in sources.values():
        each.close()


def topic_of(brokers):
    return parse_address(f"kafka://{brokers}/runs.{uuid.uuid4()}")


def make_source(address):
    producer = confluent_kafka.Producer({"bootstrap.servers": address.endpoint})
    assert len(producer.list_topics(address.topic, timeout=10).topics[address.topic].partitions) == 4  # makes it
    return KafkaSource(address, f"group of {address.topic}", settings=EARLIEST)


def address_of(source):
    return parse_address(f"kafka://{source.endpoint}")


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
    yield "stop", {"uid": str(uuid.uuid4()), "run_start": uid, "num": number}


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


@pytest.mark.parametrize(("word", "options"), [("order", {"serializer": pack}), ("default", {})])
def test_what_bluesky_kafka_publishes_is_taken_in_order(joined, word, options):
    documents, source = list(run_of(5)), joined[word]
    publisher = bluesky_kafka.Publisher(
        source.endpoint.partition("/")[2], address_of(source).endpoint, "key", **options
    )
    send(publisher, documents)
    publisher.flush()
    assert same(take(source, len(documents)), documents)


def test_what_we_send_bluesky_kafka_consumes(address):
    documents, taken = [*run_of(3), *run_of(1)], []
    sink = KafkaSink(address)
    send(sink, documents)
    sink.close()
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


def test_garbage_is_counted_and_the_next_document_is_taken(joined):
    ours = joined["garbage"]
    address, ours._most_bytes = address_of(ours), 1000
    producer = confluent_kafka.Producer({"bootstrap.servers": address.endpoint})
    for value in (b"", None, b"\xc1", pack("start"), pack(("nonsense", {})), pack(("start", [])), bytes(2000)):
        producer.produce(address.topic, key="k", value=value)
        producer.produce(address.topic, key="k", value=pack(("start", {"uid": "good"})))
    producer.flush()
    assert take(ours, 7) == [("start", {"uid": "good"})] * 7
    assert dict(ours.refused) == {"garbage": 5, "unknown name": 1, "too large": 1}


def committed(source, number):
    (found,) = source._consumer.committed([confluent_kafka.TopicPartition(source._topic, number)], timeout=10)
    return found.offset


def test_what_was_not_acknowledged_is_given_again_and_what_was_is_not(joined):
    ours, first, second = joined["again"], list(run_of(2)), list(run_of(2))
    address = address_of(ours)
    publish(address, [*first, *second[:3]])  # the second run is open
    assert len(take(ours, len(first) + 3)) == len(first) + 3
    ((number, _),) = ours._partitions.items()
    assert committed(ours, number) < 0  # nothing: all would be given again
    ours.acknowledge(ours.position({second[0][1]["uid"]}))
    assert committed(ours, number) == len(first)
    ours.close()  # as if it had died: the open run has to be read again from its start
    publish(address, second[3:])
    again = make_source(address)
    assert same(take(again, len(second)), second)
    again.acknowledge(again.position(()))
    assert committed(again, number) == len(first) + len(second)
    again.close()


def test_runs_that_were_closed_without_their_stop_do_not_hold_the_rest_back(joined):
    starts, ours = [next(iter(run_of())) for _ in range(3)], joined["stops"]
    publish(address_of(ours), starts)
    assert len(take(ours, 3)) == 3
    (partition,) = ours._partitions.values()
    ours.acknowledge(ours.position({starts[1][1]["uid"]}))
    assert (partition.safe, partition.committed) == (1, 1)
    ours.acknowledge(ours.position(()))
    assert partition.committed == partition.next == 3


def test_nothing_is_waited_for_while_no_broker_is_there(caplog):
    """The service asks once a second, in the thread that receives."""
    sink = KafkaSink(parse_address("kafka://127.0.0.1:1/derived"))
    began = time.monotonic()
    send(sink, run_of(3))
    assert not sink.flush()
    assert time.monotonic() - began < 1
    while time.monotonic() - began < 1.5:  # librdkafka tries again, and says so each time
        sink.flush()
        time.sleep(0.02)
    said = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert 1 <= len(said) <= 3
    assert "Connection refused" in said[0]
    sink._producer.purge()


def test_two_of_a_group_share_the_partitions_and_each_run_is_whole_with_one(address):
    """Who joins takes half of the partitions; the runs on these are ended there and read from their start here."""
    over, taken = threading.Event(), [[], []]
    runs = [list(run_of(3)) for _ in range(16)]
    sources = [make_source(address)]
    threads = []

    def listen(number):
        for document in sources[number].documents(over):
            if document is not None:
                taken[number].append(document)

    def start():
        threads.append(threading.Thread(target=listen, args=(len(threads),)))
        threads[-1].start()

    def wait_until(condition):
        deadline = time.monotonic() + 25
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.05)

    try:
        start()
        for number, run in enumerate(runs):
            publish(address, run[:3], key=f"beamline {number}")
        wait_until(lambda: len(taken[0]) == 3 * 16)
        sources.append(make_source(address))
        start()
        wait_until(lambda: [each.peers for each in sources] == [2, 2])
        for number, run in enumerate(runs):
            publish(address, run[3:], key=f"beamline {number}")
        wait_until(lambda: sum(name == "stop" and "num" in doc for part in taken for name, doc in part) == 16)
    finally:
        over.set()
        for thread in threads:
            thread.join()
        for each in sources:
            each.close()
    moved = {doc["run_start"] for _, doc in taken[0] if doc.get("reason") == MOVED}
    assert 0 < len(moved) < 16
    for run in runs:
        before, after = ([pair for pair in part if belongs(pair, run)] for part in taken)
        if run[0][1]["uid"] in moved:
            assert same(before[:-1], run[:3])
            assert same(after, run)
        else:
            assert same(before, run)
            assert not after


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


def test_what_is_not_delivered_is_counted_by_its_reason(address, caplog):
    """As librdkafka tells it, here of a message that is too large for the brokers."""

    class TooLarge:
        name = staticmethod(lambda: "MSG_SIZE_TOO_LARGE")

    sink = KafkaSink(address)
    assert sink.undelivered == {}
    for error in (None, TooLarge(), TooLarge()):
        sink._delivered(error, None)
    assert sink.undelivered == {"MSG_SIZE_TOO_LARGE": 2}
    assert caplog.text.count("was not delivered") == 1
    sink.close()
