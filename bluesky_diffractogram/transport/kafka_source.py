"""Documents that bluesky-kafka's ``Publisher`` sends; several services share a topic as one consumer group."""

from __future__ import annotations

import logging
import time
import uuid
from collections import Counter, deque
from collections.abc import Collection, Iterator, Mapping
from threading import Event
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from .address import Address
from .kafka_log import kafka_logger
from .refusals import Refusals
from .wire import MOST_BYTES, Refused, refuse_if_larger, unpack_pair

logger = logging.getLogger(__name__)

POLL_S = 0.1
DEFAULTS = {
    "auto.offset.reset": "latest",
    # A topic that is not there yet is looked for again, by default after five minutes.
    "topic.metadata.refresh.interval.ms": 5000,
    # With the others, whoever joins or leaves takes all partitions from everybody, and every open run begins anew.
    "partition.assignment.strategy": "cooperative-sticky",
}
MOVED = "the run goes on in another service"


class _Partition:
    """What has been read of a partition: the next offset, and where the runs that are open begin."""

    def __init__(self) -> None:
        self.next = 0
        self.committed = -1
        self.open: dict[str, int] = {}

    def read(self, offset: int, name: str | None, doc: Mapping[str, Any]) -> None:
        self.next = offset + 1
        if name == "start":
            self.open[str(doc.get("uid"))] = offset
        elif name == "stop":
            self.open.pop(str(doc.get("run_start")), None)

    def keep(self, open_runs: Collection[str]) -> None:
        """Forget the runs that were closed without their stop."""
        self.open = {uid: offset for uid, offset in self.open.items() if uid in open_runs}

    @property
    def safe(self) -> int:
        """Where another service would have to begin."""
        return min(self.open.values(), default=self.next)


Position = list[tuple[int, _Partition, int]]


class KafkaSource:
    """Receives documents, and gives them again to whoever takes over when this process ends before it was done.

    Only what belongs to runs that have ended, and has been dealt with, is committed. A run of which the service dies
    is read again from its start: it is derived twice then, the first time without a stop.

    Parameters
    ----------
    address
        Brokers and topic.
    group
        The consumer group. A run has to be in one partition: give the publisher a key.
    allow_pickle
        Whether pickled documents are read, which may run any code.
    most_bytes
        Larger messages are dropped.
    settings
        Further ones of librdkafka.

    Attributes
    ----------
    endpoint
        The brokers, and the topic.
    received
        How many documents came.
    refused
        How many messages were dropped, by reason.

    Raises
    ------
    ValueError
        librdkafka refuses the settings.
    """

    nobody = "no partition is assigned: no broker, no such topic, or the others of the group have them all"

    def __init__(
        self,
        address: Address,
        group: str,
        *,
        allow_pickle: bool = False,
        most_bytes: int = MOST_BYTES,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.endpoint = f"{address.endpoint}/{address.topic}"
        self.received = 0
        self.strangers: Counter[str] = Counter()
        self.refused = Refusals()
        self._allow_pickle, self._most_bytes = allow_pickle, most_bytes
        self._topic = address.topic
        self._partitions: dict[int, _Partition] = {}
        self._moved: deque[str] = deque()
        self._assigned: set[int] = set()
        ours = {
            "bootstrap.servers": address.endpoint,
            "group.id": group,
            "enable.auto.commit": False,
        }
        try:
            self._consumer = Consumer({**DEFAULTS, **dict(settings or {}), **ours}, logger=kafka_logger)
        except (KafkaException, TypeError) as error:
            raise ValueError(f"Kafka refuses the settings: {error}") from None
        self._consumer.subscribe([address.topic], on_assign=self._taken, on_revoke=self._revoked, on_lost=self._revoked)

    @property
    def peers(self) -> int:
        """How many partitions are read here."""
        return len(self._assigned)

    @property
    def lonely(self) -> bool:
        """Whether nothing can come."""
        return not self._assigned

    def documents(self, over: Event) -> Iterator[tuple[str, dict[str, Any]] | None]:
        """Documents as they come, until `over` is set; None now and then while none come.

        Raises
        ------
        OSError
            librdkafka says that it cannot go on.
        """
        while not over.is_set():
            message = self._consumer.poll(POLL_S)
            while self._moved:
                yield "stop", _stop(self._moved.popleft())
            if message is None:
                yield None
                continue
            error, number, offset = message.error(), message.partition(), message.offset()
            if error is not None or number is None or offset is None:
                if error is not None and error.fatal():
                    raise OSError(f"Kafka: {error.str()}")
                if error is not None and error.code() != KafkaError._PARTITION_EOF:
                    logger.warning("Kafka: %s", error.str())
                yield None
                continue
            partition = self._partitions.setdefault(number, _Partition())
            try:
                name, doc = self._document(message)
            except Refused as refused:
                self.refused.add(refused)
                partition.read(offset, None, {})
                yield None
                continue
            self.received += 1
            partition.read(offset, name, doc)
            yield name, doc

    def position(self, open_runs: Collection[str]) -> Position:
        """From where on it has to be read again, when the documents given so far have been dealt with.

        Parameters
        ----------
        open_runs
            Of which more is to come.
        """
        for each in self._partitions.values():
            each.keep(open_runs)
        return [(number, each, each.safe) for number, each in self._partitions.items()]

    def acknowledge(self, position: Position) -> None:
        """The documents given up to a position have been dealt with: commit what need not be read again."""
        behind = [
            (number, each, safe)
            for number, each, safe in position
            if safe > each.committed and self._partitions.get(number) is each  # else it is another's by now
        ]
        if not behind:
            return
        offsets = [TopicPartition(self._topic, number, safe) for number, _, safe in behind]
        try:
            self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:  # the group is being shared out anew, perhaps: it is read twice then
            logger.warning("Kafka: nothing is committed: %s", error)
            return
        for _, each, safe in behind:
            each.committed = safe

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

    def _document(self, message: Message) -> tuple[str, dict[str, Any]]:
        value = message.value()
        if not isinstance(value, bytes):
            raise Refused("garbage", "a message without content")
        refuse_if_larger(len(value), self._most_bytes)
        return unpack_pair(value, pickles=self._allow_pickle)

    def _taken(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._assigned.update(each.partition for each in partitions)

    def _revoked(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        """Another service goes on with these partitions, from the start of the runs that are open."""
        for each in partitions:
            self._assigned.discard(each.partition)
            partition = self._partitions.pop(each.partition, None)
            if partition is not None:
                self._moved.extend(partition.open)


def _stop(run_uid: str) -> dict[str, Any]:
    return {
        "uid": str(uuid.uuid4()), "run_start": run_uid, "time": time.time(), "exit_status": "abort", "reason": MOVED,
        "num_events": {},
    }  # fmt: skip
