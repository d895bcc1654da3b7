"""Documents sent to Kafka as bluesky-kafka's ``Publisher`` does; each run in one partition, and so in order."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaException, Producer

from .address import Address
from .kafka_log import kafka_logger
from .kafka_settings import MOST_BYTES
from .wire import pack

logger = logging.getLogger(__name__)

FLUSH_S = 10.0
DEFAULTS = {
    "message.max.bytes": MOST_BYTES,
    # While no broker is there documents wait, in so much memory; by default they are thrown away after five minutes.
    "message.timeout.ms": 0,
    "queue.buffering.max.kbytes": 2**18,
}


class KafkaSink:
    """Sends every document that it is called with.

    Parameters
    ----------
    address
        Brokers and topic.
    settings
        Further ones of librdkafka.

    Raises
    ------
    ValueError
        librdkafka refuses the settings.
    """

    peers, nobody, lonely = None, "", False  # librdkafka says in its own words when no broker is there

    def __init__(self, address: Address, *, settings: Mapping[str, Any] | None = None) -> None:
        self.endpoint = f"{address.endpoint}/{address.topic}"
        self._topic = address.topic
        self._failed: Counter[str] = Counter()
        self._closed = False
        self._runs: dict[str, str] = {}  # by descriptor
        ours = {"bootstrap.servers": address.endpoint, "enable.idempotence": True}
        try:
            self._producer = Producer({**DEFAULTS, **dict(settings or {}), **ours}, logger=kafka_logger)
        except (KafkaException, TypeError) as error:
            raise ValueError(f"Kafka refuses the settings: {error}") from None

    @property
    def undelivered(self) -> Mapping[str, int]:
        """How many documents were given up, by what librdkafka calls the reason."""
        return dict(self._failed)

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        """Send a document; while too much waits to be sent, wait."""
        run = doc["uid"] if name == "start" else doc.get("run_start") or self._runs.get(doc.get("descriptor", ""), "")
        if name == "descriptor":
            self._runs[doc["uid"]] = run
        elif name == "stop":
            self._runs = {uid: each for uid, each in self._runs.items() if each != run}
        message = pack((name, doc))
        said = False
        while not self._closed:
            try:
                self._producer.produce(self._topic, key=run, value=message, on_delivery=self._delivered)
                break
            except BufferError:  # as much waits as may
                if not said:
                    logger.warning("Kafka: %s takes nothing: the reduction waits for it", self.endpoint)
                said = True
                self._producer.poll(1.0)
        self._producer.poll(0)

    def flush(self) -> bool:
        """Whether all has been sent; it is not waited for."""
        self._producer.poll(0)
        return len(self._producer) == 0

    def close(self) -> None:
        """Send what waits, for ten seconds at most."""
        left = self._producer.flush(FLUSH_S)
        self._closed = True
        if left:
            logger.warning("Kafka: %d documents were not delivered to %s", left, self.endpoint)

    def _delivered(self, error: Any, _: Any) -> None:
        if error is None:
            return
        if not self._failed[error.name()]:
            logger.error("Kafka: a document was not delivered: %s (further ones are counted only)", error)
        self._failed[error.name()] += 1
